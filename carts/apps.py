from django.apps import AppConfig
from django.db.models.signals import post_delete


class CartsConfig(AppConfig):
    name = "carts"
    verbose_name = "Carts and warehouses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from carts.credential_store import forget_unused
        from carts.models import Connection

        post_delete.connect(forget_unused, sender=Connection, dispatch_uid="authorizations")
