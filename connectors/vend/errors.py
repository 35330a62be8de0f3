"""What only the Vend connector can run into."""

from __future__ import annotations

from connectors.errors import ConfigurationInvalid


class Unreadable(ValueError):
    """One record cannot be read or mapped; ``str(error)`` says why, for a person. It becomes a reject of its page."""


class OutletAddressMissing(ConfigurationInvalid):
    """The cart's outlet has no address, and *Default to Outlet Address* needs one (vend-product-rules.md section 4)."""

    kind = "outlet_address"
    default_fix = (
        "In Vend open Setup > Outlets and Registers, open the outlet, fill in its physical address (street, city, "
        "postcode, state and country) and save. The next run takes everything that has been waiting."
    )

    def __init__(self) -> None:
        super().__init__(
            "Could not pull order data because the outlet in Vend is missing an address. "
            "Please add the outlet address in Vend."
        )
