"""``/healthz`` and ``/readyz``: is this process up, and can the installation work?

They answer before everything else, whatever host name they are called by: a load balancer asks for an address, not for
the hub's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse

from integration_manager.metrics import metrics
from syncjobs.readiness import Finding, look_at_broker, look_at_database, look_at_workers


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. Nothing else is looked at: a database that is away is no reason to kill web processes."""
    return JsonResponse({"ok": True})


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, migrations, broker and workers are well, else 503; each with a word."""
    findings = list(look_at_everything())
    ready = all(finding.ok for finding in findings)
    checks = [
        {"name": finding.name, "ok": finding.ok, "message": finding.message, "help": "" if finding.ok else finding.help}
        for finding in findings
    ]
    return JsonResponse({"ok": ready, "checks": checks}, status=200 if ready else 503)


def look_at_everything() -> Iterator[Finding]:
    database = list(look_at_database())
    yield from database
    yield look_at_broker()
    if all(finding.ok for finding in database):
        try:
            yield look_at_workers()
        except DatabaseError:
            yield Finding("workers", False, "cannot be seen without the database")


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}


class ProbeMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = PROBES.get(request.path.rstrip("/"))
        if probe is None:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        answer = probe(request)
        answer["Cache-Control"] = "no-store"
        return answer
