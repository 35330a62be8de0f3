"""All settings come from the environment (or a ``.env`` file beside manage.py); see ``.env.example``."""

from __future__ import annotations

import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from connectors.hosts import parse_extra_hosts

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(str(BASE_DIR / ".env"))


def current_version() -> str:
    """The product's version: the first released heading of the change log."""
    match = re.search(r"^## (\d+\.\d+\.\d+)", (BASE_DIR / "CHANGELOG.md").read_text(), re.MULTILINE)
    return match.group(1) if match else "0.0.0"


VERSION = current_version()
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
CREDENTIALS_KEYS = [key.strip() for key in env.str("CREDENTIALS_KEYS", default="").split(",") if key.strip()]
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
EXTRA_HOSTS = parse_extra_hosts(env.str("INTEGRATION_MANAGER_EXTRA_HOSTS", default=""))
# The operator's own app at a system with OAuth, for all merchants who enter none of their own. By connector.
OPERATORS_APPS: dict[str, dict[str, str]] = {}
VEND_APP = {
    "client_id": env.str("VEND_CLIENT_ID", default=""),
    "client_secret": env.str("VEND_CLIENT_SECRET", default=""),
}
if all(VEND_APP.values()):
    OPERATORS_APPS["vend"] = VEND_APP
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Who may read /metrics. Empty: only this machine.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

if len(SECRET_KEY) < 32 or SECRET_KEY.startswith("change-me"):
    raise ImproperlyConfigured(
        "SECRET_KEY is missing or too short. Put 50 random characters into .env, for example the output of: "
        'python -c "import secrets; print(secrets.token_urlsafe(50))"'
    )
if not CREDENTIALS_KEYS:
    raise ImproperlyConfigured(
        "CREDENTIALS_KEYS is missing: stored access tokens are encrypted with it. Make a key with: "
        'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
    )

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "carts",
    "syncjobs",
    "integration_manager",
]

MIDDLEWARE = [
    "integration_manager.probes.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "integration_manager.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "integration_manager.middleware.UserTimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "integration_manager.urls"
WSGI_APPLICATION = "integration_manager.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'integration_manager.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # WAL lets readers go on while one writes; IMMEDIATE takes the write lock at once instead of failing half-way.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA temp_store=MEMORY;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = None
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# django-q2 ticks and drains; our own tables are the record, so it needs no retries and keeps no results.
Q_CLUSTER = {
    "name": "hub",
    "label": "Workers",
    "workers": env.int("WORKERS", default=2),
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 300,
    "retry": 900,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "poll": 0.2,
    "recycle": 500,
    "max_rss": 300_000,
    "log_level": "WARNING",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")

# How alerts are mailed: smtp+tls://user:password@host:587. Empty: nothing is mailed.
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 15
EMAIL_SUBJECT_PREFIX = ""
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="hub@localhost")

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Static files are served straight from the packages: no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
if PUBLIC_URL.startswith("https://"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "carts.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["carts.api.authentication.MerchantPermission"],
    "DEFAULT_PAGINATION_CLASS": "carts.api.pagination.PageNumberPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["carts.api.parsing.BoundedJSONParser"],
    "EXCEPTION_HANDLER": "carts.api.errors.answer_to",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "carts.api.description.Description",
    "COERCE_DECIMAL_TO_STRING": True,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Integration Manager",
    "DESCRIPTION": "Carts, warehouses, orders, stock and everything that moves between them. Make a token with "
    "`manage.py create_token MERCHANT_SLUG` and send it as `Authorization: Bearer TOKEN`.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "docExpansion": "list"},
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "ENUM_NAME_OVERRIDES": {
        "OrderStatus": "carts.models.Order.Status",
        "RefundStatus": "carts.models.Refund.Status",
        "AlertStatus": "carts.models.Alert.Status",
        "FailedRecordStatus": "syncjobs.models.FailedRecord.Status",
        "RunState": "syncjobs.models.Run.State",
        "DeliveryState": "syncjobs.models.Delivery.State",
        "DeliveryKind": "syncjobs.models.Delivery.Kind",
        "ConsignmentKind": "carts.models.Consignment.Kind",
        "ConsignmentState": "carts.models.Consignment.State",
        "ConsignmentStatus": "carts.models.Consignment.Status",
        "StockAdjustmentStatus": "carts.models.StockAdjustment.Status",
        "StockTransferStatus": "carts.models.StockTransfer.Status",
        "MismatchState": "syncjobs.models.Mismatch.State",
        "MismatchCause": "syncjobs.models.Mismatch.Cause",
        "ReconciliationState": "syncjobs.models.Reconciliation.State",
        "WebhookEventState": "syncjobs.models.WebhookEvent.State",
    },
}

LOG_FORMAT = env.str("LOG_FORMAT", default="text")
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}. Use text (for people) or json (for machines).")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "work": {"()": "syncjobs.log_context.AddWork"},
        "mask": {"()": "integration_manager.log_filters.MaskSecrets"},
    },
    "formatters": {
        "text": {
            "()": "integration_manager.log_formats.TextFormat",
            "format": "{asctime} {levelname} {name}: {message}{about}",
            "style": "{",
        },
        "json": {"()": "integration_manager.log_formats.JsonFormat"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["work", "mask"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django-q": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}

# How long things are kept, in days.
RETENTION_DAYS = {
    "idle_runs": env.int("KEEP_IDLE_RUNS_DAYS", default=2),
    "runs": env.int("KEEP_RUNS_DAYS", default=90),
    "attempts": env.int("KEEP_ATTEMPTS_DAYS", default=90),
    "api_calls": env.int("KEEP_API_CALLS_DAYS", default=90),
    "bodies": env.int("KEEP_BODIES_DAYS", default=30),
    "payloads": env.int("KEEP_PAYLOADS_DAYS", default=30),
    "webhooks": env.int("KEEP_WEBHOOKS_DAYS", default=30),
    "wms_webhooks": env.int("KEEP_WMS_WEBHOOKS_DAYS", default=30),
    "stock_postings": env.int("KEEP_STOCK_POSTINGS_DAYS", default=90),
    "reconciliations": env.int("KEEP_RECONCILIATIONS_DAYS", default=90),
    "movements": env.int("KEEP_MOVEMENTS_DAYS", default=730),
}

UNFOLD = {
    "SITE_TITLE": "Integration Manager",
    "LOGIN": {"form": "carts.forms.log_in.LogInForm"},
    "SITE_HEADER": "Integration Manager",
    "SITE_SUBHEADER": "Orders, stock and products",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("integration_manager/admin.css")],
    "DASHBOARD_CALLBACK": "integration_manager.dashboard.dashboard_context",
    "SIDEBAR": "integration_manager.sidebar.sidebar",
}
