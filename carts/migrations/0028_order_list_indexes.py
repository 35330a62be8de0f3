from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("carts", "0027_orders_asked_to_cancel"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="order", name="order_by_change"),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["updated_at", "merchant"], name="order_by_change"),
        ),
        migrations.RemoveIndex(model_name="order", name="order_list_by_cart"),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["cart", "-placed_at", "-id", "status", "merchant"], name="order_list_by_cart"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["warehouse", "-placed_at", "-id", "merchant"], name="order_list_by_warehouse"),
        ),
    ]
