"""Vend's webhooks: registering them, reading what they say, and telling genuine ones (vend.md section 7).

A delivery names no topic, so every topic is registered with its own query parameter: ``...?topic=sale.update``. The hub
hands the parameter back as the header ``X-Hub-Topic``. What a delivery says is only a hint; the hub reads the record again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from connectors.errors import ConnectorError, ContractBroken
from connectors.functions import Function
from connectors.records import Hint, TestStep
from connectors.vend import shapes
from connectors.vend.client import VendClient
from connectors.vend.errors import Unreadable
from connectors.vend.shapes import flag, text

STOCK_DOCUMENTS = (Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC)
FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "sale.update": (Function.ORDER_DOWNLOAD,),
    "inventory.update": (Function.INVENTORY_SYNC,),
    "product.update": (Function.PRODUCT_PICKUP,),
    "customer.update": (Function.CUSTOMER_SYNC,),
    "consignment.send": STOCK_DOCUMENTS,
    "consignment.receive": STOCK_DOCUMENTS,
}

TOPIC_HEADER = "x-hub-topic"
SIGNATURE_HEADER = "x-signature"
STEP_NAME = "Webhooks"
CHECK_HELP = "Nothing to do: the hub registers its webhooks again each day, and whenever you click Test."

# Where each topic's payload keeps the id of what changed, best first. Two names: a field of an object in the payload.
ID_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "inventory.update": (("product_id",), ("product", "id"), ("id",)),
    "consignment.send": (("consignment_id",), ("consignment", "id"), ("id",)),
    "consignment.receive": (("consignment_id",), ("consignment", "id"), ("id",)),
}

# What happens at one outlet concerns its own cart only, and where the payload names the outlet or the register.
OF_ONE_OUTLET = ("sale.update", "inventory.update")
PLACE_FIELDS = (
    (("outlet_id",), ("outlet", "id"), ("source", "outlet_id")),
    (("register_id",), ("register", "id"), ("source", "register_id")),
)

WEBHOOKS = shapes.Reader(shapes.Webhook)


# --- registering -----------------------------------------------------------------------------------------------------


def register(client: Callable[[], VendClient], url: str) -> TestStep:
    """Brings Vend's list of our webhooks in order: one for each topic, active, and none of an earlier URL of this
    connection. Doing it again changes nothing. Trouble becomes a failed step."""
    try:
        added, removed = bring_in_order(client(), url)
    except ConnectorError as error:
        return TestStep(
            name=STEP_NAME,
            ok=False,
            message=f"The webhooks could not be registered: {error.message}",
            help=f"{error.fix} Until then new sales arrive at the set interval instead of at once.",
        )
    changes = [f"{count} {word}" for count, word in ((added, "added or switched on"), (removed, "removed")) if count]
    return TestStep(
        name=STEP_NAME,
        ok=True,
        message=f"{len(FUNCTIONS)} webhooks are registered" + (f" ({', '.join(changes)})." if changes else "."),
    )


def bring_in_order(client: VendClient, url: str) -> tuple[int, int]:
    """(webhooks added or switched on, webhooks removed)."""
    wanted = {(topic, url_of(topic, url)) for topic in FUNCTIONS}
    existing = list(read_webhooks(client))
    present = {(text(hook.type), text(hook.url)): hook for hook in existing}
    added = removed = 0
    for topic, address in sorted(wanted):
        hook = present.get((topic, address))
        if hook is None:
            added += client.add_webhook(topic, address)
        elif not is_on(hook):
            client.activate_webhook(text(hook.id), topic, address)
            added += 1
    for hook in existing:
        if (text(hook.type), text(hook.url)) not in wanted and is_of_connection(text(hook.url), url):
            client.remove_webhook(text(hook.id))
            removed += 1
    return added, removed


def check(client: Callable[[], VendClient], url: str) -> list[TestStep]:
    """How Vend has our webhooks, one step for each topic and one for those that are no longer ours to have. Reads only;
    ``register`` puts right what is wrong. Trouble becomes a failed step."""
    try:
        existing = list(read_webhooks(client()))
    except ConnectorError as error:
        message = f"The webhooks could not be read: {error.message}"
        return [TestStep(name=STEP_NAME, ok=False, message=message, help=error.fix)]
    present = {(text(hook.type), text(hook.url)): hook for hook in existing}
    steps = [topic_step(topic, present.get((topic, url_of(topic, url)))) for topic in sorted(FUNCTIONS)]
    wanted = {(topic, url_of(topic, url)) for topic in FUNCTIONS}
    stale = [key for key in present if key not in wanted and is_of_connection(key[1], url)]
    if stale:
        message = f"{len(stale)} of an earlier address or topic are still there."
        steps.append(TestStep(name=STEP_NAME, ok=False, message=message, help=CHECK_HELP))
    return steps


def remove(client: VendClient, addresses: Collection[str]) -> int:
    """Takes off what is registered at exactly these addresses, whatever the topic. Returns how many there were."""
    places = {place_of(address) for address in addresses}
    theirs = [hook for hook in read_webhooks(client) if place_of(text(hook.url)) in places]
    for hook in theirs:
        client.remove_webhook(text(hook.id))
    return len(theirs)


def place_of(address: str) -> tuple[str, str]:
    """(host and port, path): an address without its topic."""
    parts = urlsplit(address)
    return parts.netloc.lower(), parts.path


def topic_step(topic: str, hook: shapes.Webhook | None) -> TestStep:
    name = f"{STEP_NAME}: {topic}"
    if hook is None:
        return TestStep(name=name, ok=False, message="It is missing.", help=CHECK_HELP)
    if not is_on(hook):
        return TestStep(name=name, ok=False, message="It is switched off.", help=CHECK_HELP)
    return TestStep(name=name, ok=True, message="It is registered and on.")


def is_on(hook: shapes.Webhook) -> bool:
    return hook.active is None or flag(hook.active)


def read_webhooks(client: VendClient) -> Iterator[shapes.Webhook]:
    for raw in client.webhooks():
        try:
            yield WEBHOOKS.read(raw)
        except Unreadable:
            continue


def url_of(topic: str, url: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'topic': topic})}"


def is_of_connection(address: str, url: str) -> bool:
    """Does ``address`` belong to the connection that ``url`` (``.../webhooks/{connection}/{secret}/``) belongs to?"""
    theirs, ours = urlsplit(address), urlsplit(url)
    prefix = ours.path.rstrip("/").rpartition("/")[0] + "/"
    return theirs.netloc.lower() == ours.netloc.lower() and theirs.path.startswith(prefix) and len(prefix) > 1


# --- reading ---------------------------------------------------------------------------------------------------------


def read_hints(
    headers: Mapping[str, str], body: bytes, is_elsewhere: Callable[[str, str], bool] = lambda outlet, register: False
) -> list[Hint]:
    """What a delivery asks to look at. An object that fits no topic gives a hint without functions. ``is_elsewhere``
    judges an outlet's and a register's id, as far as the payload names them. Raises ``ContractBroken`` when the body is
    neither Vend's form nor JSON."""
    form = read_form(body)
    payload = parse_payload(form.get("payload", "").encode() if "payload" in form else body)
    told = header(headers, TOPIC_HEADER) or form.get("topic", "") or form.get("type", "")
    objects = payload if isinstance(payload, list) else [payload]
    hints = []
    for member in objects:
        if not isinstance(member, dict):
            raise ContractBroken("The webhook's payload holds no object.")
        topic = told if told in FUNCTIONS else guess_topic(member) or told
        elsewhere = topic in OF_ONE_OUTLET and is_elsewhere(*(value_in(member, paths) for paths in PLACE_FIELDS))
        hints.append(
            Hint(
                topic=topic,
                external_id=value_in(member, ID_FIELDS.get(topic, (("id",),))),
                functions=() if elsewhere else FUNCTIONS.get(topic, ()),
                elsewhere=elsewhere,
            )
        )
    return hints


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form-encoded body, {} when it is none."""
    if body.lstrip()[:1] in (b"{", b"["):
        return {}
    try:
        return {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    except (ValueError, UnicodeDecodeError):
        return {}


def parse_payload(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractBroken(
            f"The webhook's body cannot be read: {error}.", body=payload[:500].decode("utf-8", "replace")
        ) from error


def guess_topic(payload: Mapping[str, Any]) -> str:
    """The topic by the shape of the payload, "" when it fits none."""
    told = payload.get("topic") or payload.get("type")
    if isinstance(told, str) and told in FUNCTIONS:
        return told
    if "register_sale_products" in payload or "register_sale_payments" in payload or "sale_date" in payload:
        return "sale.update"
    if "consignment_id" in payload or "consignment" in payload:
        return "consignment.receive"
    if "outlet_id" in payload and "product_id" in payload:
        return "inventory.update"
    if "customer_code" in payload:
        return "customer.update"
    if "sku" in payload or "handle" in payload:
        return "product.update"
    return ""


def value_in(payload: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> str:
    """The first of these fields that holds an id, "" when none does."""
    for path in paths:
        value: Any = payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str | int) and value:
            return str(value)
    return ""


# --- genuine or not --------------------------------------------------------------------------------------------------


def is_genuine(client_secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Vend signs only for connected apps. With a client secret the signature must match: HMAC-SHA256, hex or base64,
    over the raw body or the decoded payload (which of them is not documented). A personal token has no secret: then the
    secret part of the URL, which the hub has compared, is the proof."""
    if not client_secret:
        return True
    given = signature_in(header(headers, SIGNATURE_HEADER))
    signed = [body]
    payload = read_form(body).get("payload")
    if payload is not None:
        signed.append(payload.encode())
    expected = [form for data in signed for form in signatures(client_secret, data)]
    matches = [hmac.compare_digest(given.encode(), candidate) for candidate in expected]
    return bool(given) and any(matches)


def signature_in(value: str) -> str:
    """``signature=<value>,algorithm=HMAC-SHA256`` -> the value; a bare value is taken as it is."""
    for part in value.split(","):
        name, sign, rest = part.strip().partition("=")
        if sign and name.strip().lower() == "signature":
            return rest.strip()
    return "" if "," in value else value.strip()


def signatures(secret: str, data: bytes) -> tuple[bytes, ...]:
    digest = hmac.new(secret.encode(), data, hashlib.sha256).digest()
    return digest.hex().encode(), base64.b64encode(digest), base64.urlsafe_b64encode(digest)


def header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")
