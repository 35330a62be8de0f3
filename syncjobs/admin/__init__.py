"""The admin of movement: history, queues, logs. Importing the package registers every page."""

from django.contrib import admin

from syncjobs.admin import api_log, deliveries, failed_records, reconciliation, runs, webhooks, wms_webhooks

# The ticker's own tables are no record of anything; our runs and deliveries are.
for model in [model for model in admin.site._registry if model._meta.app_label == "django_q"]:
    admin.site.unregister(model)

__all__ = ["api_log", "deliveries", "failed_records", "reconciliation", "runs", "webhooks", "wms_webhooks"]
