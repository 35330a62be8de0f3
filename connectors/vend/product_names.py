"""What products are sorted by in Vend, found by name or created: brands, categories, tags, suppliers, attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from connectors.errors import OutcomeUnknown, RecordRefused, RemoteUnavailable
from connectors.vend import shapes
from connectors.vend.client import VendClient, confirmed
from connectors.vend.errors import Unreadable
from connectors.vend.shapes import text


class NamedThing(shapes.Loose):
    id: shapes.Text = None
    name: shapes.Text = None
    leaf_category: shapes.Flag = None
    deleted_at: shapes.Text = None


class CreatedId(msgspec.Struct):
    """``{"data": "<id>"}`` or ``{"data": {"id": ...}}`` or, for categories, a list of such objects."""

    data: str | NamedThing | list[NamedThing] | None = None


THINGS = shapes.Reader(NamedThing)


class NamedThings:
    """The named things of one store. A list is read once, when it is first needed; what is missing is created once.
    Names are compared without regard to capitals and surrounding spaces."""

    def __init__(self, client: VendClient) -> None:
        self.client = client
        self.known: dict[str, dict[str, str]] = {}

    def brand(self, name: str) -> str:
        return self.find("brands", name, self.create_plain)

    def tag(self, name: str) -> str:
        return self.find("tags", name, self.create_plain)

    def supplier(self, name: str) -> str:
        return self.find("suppliers", name, self.create_plain)

    def attribute(self, name: str) -> str:
        return self.find("variant_attributes", name, self.create_plain)

    def category(self, name: str) -> str:
        return self.find("product_types", name, self.create_category)

    def find(self, resource: str, name: str, create: Callable[[str, str], str]) -> str:
        """The id of the thing with this name. A creation that is refused or gets no answer is settled by reading the
        list again, never by repeating it."""
        if resource not in self.known:
            self.known[resource] = self.read(resource)
        key = key_of(name)
        if key not in self.known[resource]:
            try:
                self.known[resource][key] = create(resource, name)
            except (RecordRefused, OutcomeUnknown) as error:
                self.known[resource] = self.read(resource)
                if key not in self.known[resource]:
                    if isinstance(error, RecordRefused):
                        raise
                    del self.known[resource]
                    raise RemoteUnavailable(f"Vend did not say whether it created “{name}”: {error.message}") from error
        return self.known[resource][key]

    def read(self, resource: str) -> dict[str, str]:
        """Name -> id. Of categories with the same name one that products may have wins: a leaf."""
        found: dict[str, str] = {}
        branches: dict[str, str] = {}
        for thing in self.things(resource):
            if thing.id and text(thing.name).strip() and not thing.deleted_at:
                is_leaf = thing.leaf_category is None or shapes.flag(thing.leaf_category)
                (found if is_leaf else branches).setdefault(key_of(text(thing.name)), text(thing.id))
        return branches | found

    def things(self, resource: str) -> Iterable[NamedThing]:
        if resource == "variant_attributes":  # the only list without versions
            pages: Iterable[list[msgspec.Raw]] = [self.client.get(resource).decode(shapes.RecordPage).data]
        else:
            pages = ([msgspec.Raw(row) for row in page.records] for page in self.client.references(resource))
        for page in pages:
            for row in page:
                try:
                    yield THINGS.read(row)
                except Unreadable:
                    continue

    def create_plain(self, resource: str, name: str) -> str:
        return self.created(resource, {"name": name.strip()})

    def create_category(self, resource: str, name: str) -> str:
        return self.created("product_categories/bulk", {"categories": [{"payload_id": "new", "name": name.strip()}]})

    def created(self, path: str, body: object) -> str:
        answer = self.client.session.request("POST", self.client.path(path), json=body)
        data = confirmed(answer, CreatedId).data
        thing = data[0] if isinstance(data, list) and data else data
        id = thing if isinstance(thing, str) else text(thing.id) if isinstance(thing, NamedThing) else ""
        if not id:
            raise OutcomeUnknown(f"Vend's answer to POST {path} holds no id.")
        return id


def key_of(name: str) -> str:
    return " ".join(name.split()).casefold()
