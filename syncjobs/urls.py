"""Addresses that remote systems call."""

urlpatterns: list[object] = []
