"""The hub's site with one more address: the floor of receiving a webhook. ``gunicorn benchmarks.bare_hook:application``.

``/bare/`` is a bare Django view: one signature check (HMAC-SHA256), one insert with the same columns, 200. It runs in the
same server, under the same middleware and settings as the real view.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

application = get_wsgi_application()

from integration_manager import urls  # noqa: E402
from syncjobs.models import WebhookEvent  # noqa: E402

SECRET = os.environ["BENCH_HOOK_SECRET"].encode()
CONNECTION = int(os.environ["BENCH_HOOK_CONNECTION"])


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    given = request.headers.get("X-Signature", "").partition("signature=")[2].partition(",")[0]
    wanted = base64.b64encode(hmac.new(SECRET, request.body, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(given, wanted):
        return HttpResponse(status=400)
    WebhookEvent.objects.create(
        connection_id=CONNECTION, topic="sale.update", headers={"X-Signature": given}, body=request.body
    )
    return HttpResponse(status=200)


urls.urlpatterns.append(path("bare/", bare))
