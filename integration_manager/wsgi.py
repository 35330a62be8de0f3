"""What the web server runs: ``gunicorn integration_manager.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "integration_manager.settings")
application = get_wsgi_application()
