"""Gift cards and store credit. Source: vend.md 3.13."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.sandbox import Request, Response, Route
from connectors.vend.sandbox_core import Record, bad_request, dated_time, decimal_of, not_found, unprocessable
from connectors.vend.sandbox_routes import BOTH, FamilyRoutes, object_of

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox

ZERO = Decimal(0)


class CreditRoutes:
    """Cards by number, credits by customer. A repeated ``client_id`` gives the first result again."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.cards: dict[str, Record] = {}
        self.credits: dict[str, Record] = {}
        self._answers: dict[str, dict[str, Any]] = {}

    def routes(self) -> FamilyRoutes:
        yield BOTH, Route("GET", "/gift_cards", self.list_cards, "gift_cards:read")
        yield BOTH, Route("POST", "/gift_cards", self.issue_card, "gift_cards:write:issue")
        yield BOTH, Route("GET", "/gift_cards/{number}", self.one_card, "gift_cards:read")
        yield BOTH, Route("DELETE", "/gift_cards/{number}", self.void_card, "gift_cards:write:issue")
        yield BOTH, Route("POST", "/gift_cards/{number}/transactions", self.use_card, "gift_cards:write:redeem")
        yield BOTH, Route("GET", "/store_credits", self.list_credits, "store_credits:read")
        yield BOTH, Route("GET", "/store_credits/{id}", self.one_credit, "store_credits:read")
        yield BOTH, Route("POST", "/store_credits/{id}/transactions", self.use_credit, "store_credits:write:issue")

    # Gift cards

    def list_cards(self, request: Request) -> Response:
        return self.sandbox.data(list(self.cards.values()))

    def one_card(self, request: Request) -> Response:
        return self.sandbox.data(self._card(request))

    def _card(self, request: Request) -> Record:
        try:
            return self.cards[request.params["number"]]
        except KeyError:
            raise not_found("The gift card") from None

    def issue_card(self, request: Request) -> Response:
        body = object_of(request)
        number, amount = body.get("number"), decimal_of(body.get("amount", 0))
        if not number or amount <= 0:
            raise bad_request("number and an amount above 0 are required.")
        if number in self.cards:
            raise unprocessable("The gift card is active already.")
        card = Record(
            id=self.store.new_id(),
            number=number,
            sale_id=None,
            status="ACTIVE",
            balance=ZERO,
            total_sold=amount,
            total_redeemed=ZERO,
            created_at=dated_time(self.store.now()),
            expires_at=body.get("expires_at"),
            gift_card_transactions=[],
        )
        self.cards[number] = card
        self._book(card, "gift_card_transactions", amount, "ACTIVATION", body)
        return self.sandbox.data(card, 201)

    def use_card(self, request: Request) -> Response:
        card, body = self._card(request), object_of(request)
        if body.get("client_id") in self._answers:
            return self.sandbox.data(self._answers[body["client_id"]])
        amount, kind = decimal_of(body.get("amount", 0)), body.get("type")
        if kind not in ("REDEEMING", "RELOADING") or not amount or (amount < 0) != (kind == "REDEEMING"):
            raise bad_request("REDEEMING takes an amount below 0, RELOADING one above 0.")
        if card["status"] != "ACTIVE" or card["balance"] + amount < 0:
            raise unprocessable("The balance is not sufficient.")
        if kind == "REDEEMING":
            card["total_redeemed"] -= amount
        return self.sandbox.data(self._book(card, "gift_card_transactions", amount, kind, body), 201)

    def void_card(self, request: Request) -> Response:
        card = self._card(request)
        self._book(card, "gift_card_transactions", -card["balance"], "VOIDING", {})
        card["status"] = "VOIDED"
        return self.sandbox.data(card)

    def _book(self, owner: Record, name: str, amount: Decimal, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        owner["balance"] += amount
        row = {
            "id": self.store.new_id(),
            "amount": amount,
            "type": kind,
            "user_id": body.get("user_id") or self.store.primary_user["id"],
            "client_id": body.get("client_id"),
            "created_at": dated_time(self.store.now()),
        }
        owner[name].append(row)
        if body.get("client_id"):
            self._answers[body["client_id"]] = row
        return row

    # Store credit

    def list_credits(self, request: Request) -> Response:
        return self.sandbox.data(list(self.credits.values()))

    def one_credit(self, request: Request) -> Response:
        return self.sandbox.data(self._credit(request))

    def _credit(self, request: Request) -> Record:
        customer = self.store.get(self.store.customer_feed, request.params["id"], "The customer")
        if customer["id"] not in self.credits:
            self.credits[customer["id"]] = Record(
                id=self.store.new_id(),
                customer_id=customer["id"],
                customer_code=customer["customer_code"],
                balance=ZERO,
                total_credit_issued=ZERO,
                total_credit_redeemed=ZERO,
                store_credit_transactions=[],
            )
        return self.credits[customer["id"]]

    def use_credit(self, request: Request) -> Response:
        """Amounts above 0 issue, amounts below 0 redeem; the name of the issuing type is not known."""
        credit, body = self._credit(request), object_of(request)
        if body.get("client_id") in self._answers:
            return self.sandbox.data(self._answers[body["client_id"]])
        amount = decimal_of(body.get("amount", 0))
        if credit["balance"] + amount < 0:
            raise unprocessable("The balance is not sufficient.")
        total = "total_credit_issued" if amount > 0 else "total_credit_redeemed"
        credit[total] += abs(amount)
        kind = body.get("type") or ("ISSUE" if amount > 0 else "REDEMPTION")
        return self.sandbox.data(self._book(credit, "store_credit_transactions", amount, kind, body), 201)
