"""The REST API: one router made of what ``carts`` and ``syncjobs`` offer."""

urlpatterns: list[object] = []
