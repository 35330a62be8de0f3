from django.db import migrations, models


class Migration(migrations.Migration):
    """The list of failed records, newest first, without sorting all of them."""

    dependencies = [("syncjobs", "0014_reconciliation_places")]

    operations = [
        migrations.AddIndex(
            model_name="failedrecord",
            index=models.Index(fields=["-last_seen_at", "-id"], name="failure_list"),
        ),
    ]
