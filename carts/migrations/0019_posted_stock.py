from django.db import migrations, models
import django.db.models.deletion

CAUSES = [
    ("order", "Order shipped"),
    ("return", "Customer return"),
    ("adjustment", "Stock adjustment"),
    ("transfer", "Stock transfer"),
    ("person", "Entered by hand"),
    ("csv", "CSV import"),
    ("rest", "REST client"),
    ("count", "Stock count posted"),
    ("change", "Stock change posted"),
]


class Migration(migrations.Migration):
    dependencies = [("carts", "0018_webhook_registrations")]

    operations = [
        migrations.AddField("stocklevel", "counted_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "stocklevel",
            "counted_as",
            models.CharField(
                blank=True, choices=[("on_hand", "On hand"), ("available", "Available")], default="", max_length=10
            ),
        ),
        migrations.AddField(
            "stockmovement",
            "counted_at",
            models.DateTimeField(
                blank=True,
                null=True,
                help_text="Of when the count is, or when it happened, where whoever posted it said so.",
            ),
        ),
        migrations.AlterField("stockmovement", "cause", models.CharField(choices=CAUSES, max_length=12)),
        migrations.CreateModel(
            name="StockPosting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("idempotency_key", models.CharField(max_length=120)),
                (
                    "fingerprint",
                    models.CharField(
                        help_text="Tells whether the key came again with other changes.", max_length=64
                    ),
                ),
                ("answer", models.JSONField(default=dict)),
                ("posted_by", models.CharField(blank=True, max_length=150)),
                ("posted_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                (
                    "warehouse",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stock_postings",
                        to="carts.warehouse",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("warehouse", "idempotency_key"), name="stock_posting_is_booked_once"
                    )
                ],
            },
        ),
    ]
