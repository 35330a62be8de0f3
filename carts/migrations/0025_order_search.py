from typing import Any

from django.db import migrations, models

from carts import order_words


def create(apps: Any, schema_editor: Any) -> None:
    order_words.create(schema_editor)


def drop(apps: Any, schema_editor: Any) -> None:
    order_words.drop(schema_editor)


class Migration(migrations.Migration):
    """Orders are found by their words and by the SKUs of their lines."""

    dependencies = [("carts", "0024_fill_stock_keys")]

    operations = [
        migrations.AddIndex(
            model_name="orderline",
            index=models.Index(fields=["sku_key"], name="order_line_by_sku", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.RunPython(create, drop),
    ]
