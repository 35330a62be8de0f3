"""Addresses that remote systems call."""

from django.urls import path

from syncjobs.views import receive_webhook

urlpatterns = [
    path("webhooks/<uuid:uuid>/<str:secret>/", receive_webhook, name="webhook"),
]
