from django.apps import AppConfig


class IntegrationManagerConfig(AppConfig):
    name = "integration_manager"
    verbose_name = "Integration Manager"
