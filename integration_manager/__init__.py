"""Composition: settings, urls, admin site, dashboard, REST router, health."""
