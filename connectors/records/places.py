"""Places and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct, structs


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """A postal address. ``country`` is ISO 3166 alpha-2 where the remote gives it."""

    name: str = ""
    company: str = ""
    street1: str = ""
    street2: str = ""
    suburb: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""

    @property
    def is_usable(self) -> bool:
        """Can a parcel be sent here? Street, city and country are the least a carrier needs."""
        return bool(self.street1.strip() and self.city.strip() and self.country.strip())

    def as_dict(self) -> dict[str, str]:
        return structs.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Address:
        return cls(**{name: str(data.get(name) or "") for name in ADDRESS_FIELDS})


ADDRESS_FIELDS = (
    "name",
    "company",
    "street1",
    "street2",
    "suburb",
    "city",
    "state",
    "postcode",
    "country",
    "phone",
    "email",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletRecord:
    """A remote shop location found at a cart."""

    external_id: str
    name: str
    currency: str = ""
    time_zone: str = ""
    address: Address | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRecord:
    """A place at a warehouse that holds stock."""

    external_id: str
    name: str
    is_active: bool = True
