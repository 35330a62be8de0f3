"""Tryton over JSON-RPC: log-in, calls, and the few methods that every model has. No mapping, no decisions.

Tried with Tryton 8.2. One session per client; when Tryton forgets it, the client logs in again, once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from connectors.budget import utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    PermissionMissing,
)
from connectors.http import CallLog, CallRecord, HttpResponse, HttpSession, remote_time
from connectors.tryton.errors import PASSWORD_FIX, RIGHTS_FIX, QuestionAsked, error_of
from connectors.tryton.wire import Domain, to_wire

ROWS_PER_CALL = 500
LANGUAGE = "en"

T = TypeVar("T")


class Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


class Known(msgspec.Struct):
    id: int


class TrytonSession(HttpSession):
    """Tryton's own meaning of single statuses. ``where`` names database and address in messages."""

    where = ""

    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        if response.status == 401:
            return AuthenticationFailed(
                "Tryton does not accept the user name or the password.", fix=PASSWORD_FIX, status=401
            )
        if response.status == 403:
            return PermissionMissing("The hub's user may not do this in Tryton.", fix=RIGHTS_FIX, status=403)
        if response.status == 404:
            return ConfigurationInvalid(
                f"There is no {self.where}.",
                fix="Enter the name of the database exactly as you choose it when you log in to Tryton.",
                status=404,
            )
        if response.status == 405:
            return ConfigurationInvalid(
                f"{self.base_url} answers, but not as a Tryton server of version 7 or newer.",
                fix="Check the address. A Tryton older than that cannot be used.",
                status=405,
            )
        return super().error_for(response, reads)


class TrytonClient:
    """One database under one user. Every method raises the types of ``connectors.errors``."""

    def __init__(self, session: TrytonSession, database: str, user: str, password: str) -> None:
        session.where = f"database “{database}” at {session.base_url}"
        self.session = session
        self.path = f"{quote(database, safe='')}/rpc/"
        self.user = user
        self.password = password
        self.user_id = 0
        self.token = ""
        self.context: dict[str, Any] = {"language": LANGUAGE}
        self.known_fields: dict[str, frozenset[str]] = {}
        self.skew: timedelta | None = None
        self.refused = ""

    def close(self) -> None:
        self.session.close()

    # --- calls -------------------------------------------------------------------------------------------------------

    def call(self, method: str, *params: Any, reads: bool) -> msgspec.Raw:
        """The result of a method, unread. ``reads``: it changes nothing, so it may be repeated."""
        if not self.token:
            self.log_in()
        try:
            return self.post(method, params, reads)
        except PermissionMissing:
            raise
        except AuthenticationFailed:
            # Tryton forgets a session that was idle for long; nothing of this call was carried out.
            self.log_in()
            return self.post(method, params, reads)

    def post(self, method: str, params: Sequence[Any], reads: bool) -> msgspec.Raw:
        body = {"id": 1, "method": method, "params": to_wire(params)}
        answer = self.session.request(
            "POST", self.path, json=body, headers={"Authorization": self.authorization}, reads_only=reads
        )
        return result_of(method, answer, reads)

    def now(self) -> datetime:
        """The time by the server's own clock, as far as its answers tell it."""
        if self.skew is None:
            self.log_in()
        return utc_now() + (self.skew or timedelta(0))

    @property
    def authorization(self) -> str:
        mark = f"{self.user}:{self.user_id}:{self.token}".encode()
        return f"Session {base64.b64encode(mark).decode()}"

    def log_in(self) -> None:
        """Once refused, it is not tried again: Tryton locks a user out after a few wrong passwords."""
        if self.refused:
            raise AuthenticationFailed(self.refused, fix=PASSWORD_FIX, status=401)
        self.token = ""
        body = {"id": 1, "method": "common.db.login", "params": [self.user, {"password": self.password}, LANGUAGE]}
        log, self.session.call_log = self.session.call_log, without_answer(self.session.call_log)
        try:
            answer = self.session.request("POST", self.path, json=body, reads_only=True)
        except PermissionMissing:
            raise
        except AuthenticationFailed as error:
            self.refused = error.message
            raise
        finally:
            self.session.call_log = log
        told = result_of("common.db.login", answer, reads=True)
        here = utc_now()
        self.skew = (remote_time(answer) or here) - here
        try:
            self.user_id, self.token, *_ = msgspec.json.decode(told, type=list[Any])
        except (msgspec.MsgspecError, ValueError) as error:
            raise ContractBroken(f"{self.session.base_url} answers a log-in in a way of its own.") from error

    def server_version(self) -> str:
        """Asked without a log-in."""
        body = {"id": 1, "method": "common.server.version", "params": []}
        answer = self.session.request("POST", "rpc/", json=body, reads_only=True)
        return decoded(result_of("common.server.version", answer, reads=True), str)

    # --- every model's methods -----------------------------------------------------------------------------------------

    def ask(self, model: str, method: str, *params: Any, kind: type[T], **context: Any) -> T:
        """A method that changes nothing."""
        raw = self.call(f"model.{model}.{method}", *params, {**self.context, **context}, reads=True)
        return decoded(raw, kind)

    def do(self, model: str, method: str, *params: Any, **context: Any) -> msgspec.Raw:
        """A method that changes something."""
        return self.call(f"model.{model}.{method}", *params, {**self.context, **context}, reads=False)

    def find(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        kind: type[T],
        *,
        limit: int | None = None,
        order: Sequence[tuple[str, str]] = (("id", "ASC"),),
        **context: Any,
    ) -> list[T]:
        return self.ask(model, "search_read", domain, 0, limit, list(order), list(fields), kind=list[kind], **context)  # type: ignore[valid-type]

    def find_all(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        kind: type[T],
        *,
        after: int = 0,
        limit: int = ROWS_PER_CALL,
        **context: Any,
    ) -> Iterator[list[T]]:
        """Pages in the order of their ids, after ``after``. ``kind`` must have an ``id``."""
        while True:
            page = self.find(model, [domain, ["id", ">", after]], fields, kind, limit=limit, **context)
            if page:
                yield page
                after = page[-1].id  # type: ignore[attr-defined]
            if len(page) < limit:
                return

    def read(self, model: str, ids: Sequence[int], fields: Sequence[str], kind: type[T], **context: Any) -> list[T]:
        if not ids:
            return []
        return self.ask(model, "read", list(ids), list(fields), kind=list[kind], **context)  # type: ignore[valid-type]

    def create(self, model: str, values: Sequence[Mapping[str, Any]]) -> list[int]:
        raw = self.do(model, "create", list(values))
        try:
            return decoded(raw, list[int])
        except ContractBroken as error:
            raise OutcomeUnknown(error.message) from error

    def write(self, model: str, ids: Sequence[int], values: Mapping[str, Any]) -> None:
        self.do(model, "write", list(ids), dict(values))

    def delete(self, model: str, ids: Sequence[int]) -> None:
        self.do(model, "delete", list(ids))

    def press(self, model: str, button: str, ids: Sequence[int], *, yes_to: Sequence[str] = ()) -> None:
        """Presses a button of some records. ``yes_to``: endings of the questions that may be answered with yes."""
        for _ in range(1 + len(yes_to)):
            try:
                self.do(model, button, list(ids))
            except QuestionAsked as question:
                if not question.name.endswith(tuple(yes_to)):
                    raise
                self.do("res.user.warning", "skip", question.name)
            else:
                return
        self.do(model, button, list(ids))

    def walk(
        self, wizard: str, steps: Sequence[tuple[str, Mapping[str, Any]]], *, model: str = "", record: int = 0
    ) -> list[Any]:
        """Goes through a wizard, opened on a record if one is named: (state, its values). Returns what each step said."""
        context = dict(self.context)
        if record:
            context |= {"active_model": model, "active_id": record, "active_ids": [record]}
        opened = decoded(self.call(f"wizard.{wizard}.create", context, reads=False), list[Any])
        said = [
            decoded(self.call(f"wizard.{wizard}.execute", opened[0], values, state, context, reads=False), Any)
            for state, values in steps
        ]
        self.call(f"wizard.{wizard}.delete", opened[0], context, reads=False)
        return said

    def has(self, model: str, *fields: str) -> bool:
        """Does this Tryton know these fields? What it has depends on its modules."""
        if model not in self.known_fields:
            told = self.ask(model, "fields_get", [], kind=dict[str, Any])
            self.known_fields[model] = frozenset(told)
        return self.known_fields[model].issuperset(fields)

    def has_model(self, model: str) -> bool:
        try:
            return self.has(model, "id")
        except ConfigurationInvalid:
            return False

    @cached_property
    def preferences(self) -> dict[str, Any]:
        """The user's own settings in Tryton: companies, language."""
        return self.ask("res.user", "get_preferences", True, kind=dict[str, Any])


def result_of(method: str, answer: HttpResponse, reads: bool) -> msgspec.Raw:
    try:
        told = answer.decode(Answer)
    except ContractBroken as error:
        if reads:
            raise
        raise OutcomeUnknown(error.message, status=answer.status, body=error.body) from error
    if told.error is not None:
        raise error_of(method, told.error, reads=reads)
    return told.result


def decoded(raw: msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"Tryton gave an answer that cannot be read: {error}.") from error


def without_answer(log: CallLog | None) -> CallLog | None:
    """The call log without the answer to a log-in, which is a secret."""
    if log is None:
        return None

    def told(record: CallRecord) -> None:
        record.response_body = b'"[masked]"' if record.response_body else b""
        log(record)

    return told
