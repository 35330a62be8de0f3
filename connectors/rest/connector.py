"""The REST warehouse: the hub keeps the book, a WMS fetches its work from it and reports back through the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from connectors.base import Environment
from connectors.budget import utc_now
from connectors.builtin.connector import BuiltinOptions, BuiltinWarehouse
from connectors.ports import OrderAnswerReader
from connectors.records import OrderAnswerRecord, Page, TestStep
from connectors.rest.book import RestBook, WmsOverview
from connectors.settings_fields import FieldKind, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOptions(BuiltinOptions):
    alert_after_hours: int = setting(
        "Alert after so many hours",
        help="An alert tells you when orders wait that long and the WMS has not fetched them. 0: never.",
        kind=FieldKind.INTEGER,
        default=24,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> dict[str, str]:
        errors = dict(BuiltinOptions.check(values))
        if values["alert_after_hours"] < 0:
            errors["alert_after_hours"] = "Enter 0 or more hours."
        return errors


class RestWarehouse(BuiltinWarehouse, OrderAnswerReader):
    """Needs a ``connectors.rest.book.RestBook`` as ``environment.resources["book"]``."""

    key = "rest"
    label = "REST warehouse"
    summary = "For a WMS without a connector: it fetches orders, ships them and posts stock through the hub's REST API."
    Options = RestOptions

    def __init__(self, options: RestOptions, credentials: Any, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.options: RestOptions = options
        self.rest_book = cast(RestBook, self.book)

    def read_answers(self, cursor: str) -> Iterator[Page[OrderAnswerRecord]]:
        return self.rest_book.answers(cursor)

    def test(self) -> Iterator[TestStep]:
        yield from super().test()
        wms = self.rest_book.wms()
        yield token_step(wms)
        yield fetching_step(wms)


def token_step(wms: WmsOverview) -> TestStep:
    if wms.tokens:
        return TestStep(name="API token", ok=True, message=f"{wms.tokens} tokens may be used by the WMS.")
    return TestStep(
        name="API token",
        ok=False,
        message="There is no API token with which the WMS could work.",
        help="Add one under Settings > API tokens, and enter it in the WMS.",
    )


def fetching_step(wms: WmsOverview) -> TestStep:
    """What waits is no fault of the set-up; an alert tells when it waits too long."""
    last = f"The WMS fetched orders last at {wms.last_fetched_at:%d %b %Y %H:%M} UTC." if wms.last_fetched_at else ""
    since = wms.waiting_since
    waiting = f" Orders wait for it since {since:%d %b %Y %H:%M} UTC." if since and since < utc_now() else ""
    return TestStep(name="WMS", ok=True, message=f"{last or 'The WMS has not fetched any order yet.'}{waiting}".strip())
