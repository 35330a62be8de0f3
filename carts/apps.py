from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save, pre_save


class CartsConfig(AppConfig):
    name = "carts"
    verbose_name = "Carts and warehouses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from carts.credential_store import forget_unused
        from carts.models import Connection, Product
        from carts.order_words import keep_after_migrations
        from carts.signals import warehouse_changed
        from carts.stock_keys import cart_moved, note_before, product_saved

        post_migrate.connect(keep_after_migrations, sender=self, dispatch_uid="order words")
        post_delete.connect(forget_unused, sender=Connection, dispatch_uid="authorizations")
        warehouse_changed.connect(cart_moved, dispatch_uid="stock keys")
        pre_save.connect(note_before, sender=Product, dispatch_uid="stock keys")
        post_save.connect(product_saved, sender=Product, dispatch_uid="stock keys")
