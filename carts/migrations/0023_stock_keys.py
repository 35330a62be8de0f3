"""Products know which article of the warehouse they are, and lines under which SKU the warehouse knows them."""

import carts.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('carts', '0022_log_in_failures'),
    ]

    operations = [
        migrations.CreateModel(
            name="ShopProduct",
            fields=[],
            options={"verbose_name": "product link", "proxy": True, "indexes": [], "constraints": []},
            bases=("carts.product",),
        ),
        migrations.AddField(
            model_name='consignmentline',
            name='warehouse_sku',
            field=models.CharField(blank=True, editable=False, max_length=200, verbose_name='SKU at the warehouse'),
        ),
        migrations.AddField(
            model_name='orderline',
            name='warehouse_sku',
            field=models.CharField(blank=True, editable=False, max_length=200, verbose_name='SKU at the warehouse'),
        ),
        migrations.AddField(
            model_name='product',
            name='plain_key',
            field=carts.models.fields.PlainKeyField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='product',
            name='stock_key',
            field=carts.models.fields.StockKeyField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='product',
            name='stock_match',
            field=models.CharField(choices=[('none', 'Not found'), ('ambiguous', 'Ambiguous'), ('hand', 'Linked by hand'), ('handle', 'Handle'), ('sku', 'Equal SKU'), ('plain_sku', 'SKU without special characters'), ('created', 'Created by the hub')], default='none', editable=False, max_length=12),
        ),
        migrations.AddField(
            model_name='product',
            name='stock_match_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='product',
            name='stock_sku',
            field=models.CharField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name='refundline',
            name='warehouse_sku',
            field=models.CharField(blank=True, editable=False, max_length=200, verbose_name='SKU at the warehouse'),
        ),
        migrations.AddField(
            model_name='stocklevel',
            name='plain_key',
            field=carts.models.fields.PlainKeyField(blank=True, editable=False, max_length=200),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['connection', 'plain_key'], name='product_by_plain_sku'),
        ),
        migrations.AddIndex(
            model_name='product',
            index=models.Index(fields=['connection', 'stock_key'], name='product_by_stock_key'),
        ),
        migrations.AddIndex(
            model_name='stocklevel',
            index=models.Index(fields=['location', 'plain_key'], name='stock_level_by_plain_sku'),
        ),
    ]
