from django.conf import settings
from django.db import migrations, models
import django.db.models.deletion


def give_keys(apps, schema_editor):
    """The tokens of a connection become those of its store and app. Of several for the same, the newest are kept."""
    from carts.encryption import CredentialsUnreadable, decrypt
    from connectors.registry import UnknownConnector, connector_class
    from connectors.settings_fields import SettingErrors

    Authorization = apps.get_model("carts", "Authorization")
    taken = set()
    for row in Authorization.objects.select_related("connection").order_by("-renewed_at"):
        connection = row.connection
        key = f"connection {connection.pk}"
        try:
            kind = connector_class(connection.connector)
            store = kind.store_key(kind.Options.parse(connection.options))
            stored = decrypt(connection.credentials) if connection.credentials else {}
            app = stored.get("client_id") or settings.OPERATORS_APPS.get(connection.connector, {}).get("client_id", "")
            key = f"{store} {app}" if store else key
        except (UnknownConnector, SettingErrors, CredentialsUnreadable):
            pass
        if (connection.merchant_id, key) in taken:
            row.delete()
            continue
        taken.add((connection.merchant_id, key))
        Authorization.objects.filter(pk=row.pk).update(merchant_id=connection.merchant_id, key=key)
    if schema_editor.connection.vendor == "postgresql":
        # Else the table cannot be altered further in the same transaction.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [("carts", "0015_merged_customers")]

    operations = [
        migrations.AddField(
            model_name="authorization",
            name="key",
            field=models.CharField(default="", max_length=600),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="authorization",
            name="merchant",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="carts.merchant"
            ),
        ),
        migrations.RunPython(give_keys, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField(model_name="authorization", name="connection"),
        migrations.AlterField(
            model_name="authorization",
            name="merchant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="carts.merchant"
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.UniqueConstraint(fields=("merchant", "key"), name="authorization_is_unique"),
        ),
    ]
