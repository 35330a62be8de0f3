"""The REST warehouse: the hub keeps the book, a WMS fetches its work from it and reports back through the REST API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from connectors.base import Environment
from connectors.budget import utc_now
from connectors.builtin.connector import BuiltinOptions, BuiltinWarehouse
from connectors.errors import ConfigurationInvalid, ConnectorError
from connectors.ports import OrderAnswerReader
from connectors.records import OrderAnswerRecord, Page, TestStep
from connectors.rest.book import RestBook, WmsOverview
from connectors.rest.webhooks import TEST_TOPIC, OutgoingWebhook, WebhookSender, problem_of_address
from connectors.settings_fields import FieldKind, setting

TAKE_WEBHOOKS = "See whether the WMS listens at the webhook address and answers 2xx within five seconds."


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOptions(BuiltinOptions):
    alert_after_hours: int = setting(
        "Alert after so many hours",
        help="An alert tells you when orders wait that long and the WMS has not fetched them. 0: never.",
        kind=FieldKind.INTEGER,
        default=24,
    )
    webhook_url: str = setting(
        "Webhook address",
        help="Where the WMS wants to be told what happens, signed. Empty: it is not told, and asks by itself.",
        kind=FieldKind.URL,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> dict[str, str]:
        errors = dict(BuiltinOptions.check(values))
        if values["alert_after_hours"] < 0:
            errors["alert_after_hours"] = "Enter 0 or more hours."
        problem = problem_of_address(values["webhook_url"]) if values["webhook_url"] else ""
        if problem:
            errors["webhook_url"] = problem
        return errors


class RestWarehouse(BuiltinWarehouse, OrderAnswerReader):
    """Needs a ``connectors.rest.book.RestBook`` as ``environment.resources["book"]``."""

    key = "rest"
    worked_by_wms = True
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
        if self.options.webhook_url:
            yield self.webhook_step()

    def webhook_step(self) -> TestStep:
        """Sends a webhook of the topic ``test``."""
        event_id = str(uuid.uuid4())
        body = msgspec.json.encode({"id": event_id, "topic": TEST_TOPIC, "created_at": utc_now(), "subject": {}})
        try:
            sender = WebhookSender(
                self.options.webhook_url,
                self.rest_book.webhook_secrets(),
                extra_hosts=self.environment.extra_hosts,
                call_log=self.environment.call_log,
            )
            try:
                answer = sender.send(OutgoingWebhook(event_id=event_id, topic=TEST_TOPIC, body=body.decode()))
            finally:
                sender.close()
        except ConnectorError as error:
            return TestStep(
                name="Webhooks",
                ok=False,
                message=f"The test webhook was not taken: {error.message}",
                help=error.fix if isinstance(error, ConfigurationInvalid) else TAKE_WEBHOOKS,
            )
        return TestStep(name="Webhooks", ok=True, message=f"The WMS took a test webhook ({answer.status}).")


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
