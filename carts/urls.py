"""Addresses outside the admin and the REST API."""

from django.urls import path

from carts.views_oauth import oauth_callback

urlpatterns = [
    path("oauth/callback/", oauth_callback, name="oauth_callback"),
]
