"""Checks recorded calls against the vendor's OpenAPI documents, request and answer alike.

``SpecChecker().check_call(call)`` takes what ``sandbox.calls`` holds. Calls of the 2.0 family are checked against the 2.0
document, dated ones against the 2026-07 document; each falls back to the other for resources it leaves out. The 0.9
family and the token endpoint have no document. In requests, fields that the document does not know are errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import fullmatch
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from connectors.sandbox import RecordedCall

SPECS = Path(__file__).parent / "specs"
DOCUMENTS = {"2.0": "x-series-2.0.json", "dated": "x-series-2026-07.json"}
REFUSED = range(400, 500)


@dataclass(frozen=True)
class Exemption:
    """Where tests read the document tolerantly, and why. ``path`` and ``where`` are regular expressions over the
    document's path and the place of the error (``response.data.0.sku``)."""

    document: str
    method: str
    path: str
    where: str
    reason: str


EXEMPTIONS = (
    Exemption(
        "2.0", "GET", "/consignments", r"response",
        "The 2.0 document says a bare array; the text, 2026-07 and all clients say data and version.",
    ),
    Exemption(
        "2.0", "POST", "/products", r"response\.data\.\d+",
        "The schema says objects, the example and 2026-07 say ids.",
    ),
    Exemption(
        "2.0|dated", "POST|PUT", "/consignments.*", r"request",
        "The documents wrap the body in data, the tutorial and working clients do not (vend.md 3.10).",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One method of one path in one document; ``pointer`` is its JSON pointer."""

    document: str
    path: str
    method: str
    pointer: str
    facts: dict[str, Any]
    path_parameters: tuple[dict[str, Any], ...]


class SpecViolation(AssertionError):
    """A call does not fit the vendor's document."""


class SpecChecker:
    """Holds both documents; making one is cheap, the documents are read once."""

    def check_call(self, call: RecordedCall) -> None:
        """Raises ``SpecViolation`` naming everything in the call that does not fit."""
        problems = self.problems(call)
        if problems:
            raise SpecViolation(f"{call.name} ({call.family or 'no family'}) does not fit:\n  " + "\n  ".join(problems))

    def check_calls(self, calls: Iterable[RecordedCall]) -> int:
        """Checks them all. Returns how many there were, so that a test can see that it tested something."""
        count = 0
        for call in calls:
            self.check_call(call)
            count += 1
        return count

    def problems(self, call: RecordedCall) -> list[str]:
        if call.family not in ("2.0", "2.1") and "-" not in call.family:
            return []
        operation = find_operation(call)
        if operation is None:
            return [f"no document has {call.method} {call.path}"]
        problems: list[str] = []
        if call.status not in REFUSED or call.status in (401, 403, 429):
            problems += self._query_problems(call, operation)
            problems += self._request_problems(call, operation)
        if call.status and not call.fault:
            problems += self._response_problems(call, operation)
        return problems

    def _query_problems(self, call: RecordedCall, operation: Operation) -> Iterator[str]:
        known = {
            parameter["name"]: parameter.get("schema", {})
            for parameter in (*operation.path_parameters, *operation.facts.get("parameters", ()))
            if parameter["in"] == "query"
        }
        for name, values in call.query.items():
            if name not in known:
                yield f"query: there is no parameter {name}"
            elif known[name].get("type") == "integer" and not all(value.isdigit() for value in values):
                yield f"query: {name} must be a whole number, not {values}"
            elif "enum" in known[name] and not set(values) <= set(known[name]["enum"]):
                yield f"query: {name} must be one of {known[name]['enum']}, not {values}"

    def _request_problems(self, call: RecordedCall, operation: Operation) -> Iterator[str]:
        content = operation.facts.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            if call.request_body:
                yield "request: no body is expected"
            return
        if not call.request_body:
            if operation.facts["requestBody"].get("required"):
                yield "request: a body is required"
            return
        if not call.headers.get("content-type", "").startswith("application/json"):
            yield f"request: the content type is {call.headers.get('content-type')!r}"
        pointer = f"{operation.pointer}/requestBody/content/application~1json/schema"
        yield from described(operation, f"closed:{operation.document}", pointer, call.request_body, "request")

    def _response_problems(self, call: RecordedCall, operation: Operation) -> Iterator[str]:
        responses = operation.facts["responses"]
        status = str(call.status)
        if status not in responses:
            if call.status not in REFUSED:
                yield f"response: status {status} is not one of {', '.join(responses)}"
            elif not isinstance(json.loads(call.response_body), dict):
                yield "response: an error must be an object"
            return
        if "application/json" not in responses[status].get("content", {}):
            return
        pointer = f"{operation.pointer}/responses/{status}/content/application~1json/schema"
        yield from described(operation, operation.document, pointer, call.response_body, "response")


def find_operation(call: RecordedCall) -> Operation | None:
    """The most literal path that fits, in the family's own document first."""
    resource = call.path.split("/", 3)[3]
    own = "2.0" if call.family == "2.0" else "dated"
    for document in (own, "dated" if own == "2.0" else "2.0"):
        found = [
            operation
            for operation in operations(document)
            if operation.method == call.method and fullmatch(path_pattern(operation.path), f"/{resource}")
        ]
        if found:
            return min(found, key=lambda operation: operation.path.count("{"))
    return None


def path_pattern(path: str) -> str:
    return "/".join("[^/]+" if part.startswith("{") else part for part in path.split("/"))


def described(operation: Operation, name: str, pointer: str, body: bytes, part: str) -> Iterator[str]:
    for error in validator(name, pointer).iter_errors(json.loads(body)):
        where = ".".join([part, *map(str, error.absolute_path)])
        if not tolerated(operation, error, where):
            yield f"{where}: {error.message[:300]}"


def tolerated(operation: Operation, error: ValidationError, where: str) -> bool:
    """Null in an answer counts as left out: the examples leave null fields out, the text shows them (vend.md 3.1)."""
    if error.instance is None and where.startswith("response"):
        return True
    return any(
        fullmatch(exemption.document, operation.document)
        and fullmatch(exemption.method, operation.method)
        and (exemption.path == operation.path or fullmatch(exemption.path, operation.path))
        and fullmatch(exemption.where, where)
        for exemption in EXEMPTIONS
    )


@cache
def document(name: str) -> dict[str, Any]:
    """A document by name; ``closed:`` in front of it makes objects refuse fields they do not list."""
    closed, _, own_name = name.rpartition(":")
    loaded: dict[str, Any] = json.loads((SPECS / DOCUMENTS[own_name]).read_text(encoding="utf-8"))
    if loaded["openapi"].startswith("3.0"):
        make_nullable(loaded)
    if closed:
        close_objects(loaded)
    return loaded


def close_objects(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            close_objects(item)
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        for item in node.values():
            close_objects(item)


def make_nullable(node: Any) -> None:
    """OpenAPI 3.0 ``nullable: true`` in the words of 3.1: null joins the types and the enumeration."""
    if isinstance(node, list):
        for item in node:
            make_nullable(item)
    if not isinstance(node, dict):
        return
    for item in node.values():
        make_nullable(item)
    if node.get("nullable") is True:
        if isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        if isinstance(node.get("enum"), list):
            node["enum"] = [*node["enum"], None]
        del node["nullable"]


@cache
def operations(name: str) -> tuple[Operation, ...]:
    return tuple(
        Operation(
            document=name,
            path=path,
            method=method.upper(),
            pointer=f"/paths/{quote(path.replace('~', '~0').replace('/', '~1'))}/{method}",
            facts=facts,
            path_parameters=tuple(item.get("parameters", ())),
        )
        for path, item in document(name)["paths"].items()
        for method, facts in item.items()
        if method in ("get", "put", "post", "delete", "patch")
    )


@cache
def registry() -> Registry[Any]:
    return Registry().with_resources(
        (f"urn:vend:{name}", Resource(contents=document(name), specification=DRAFT202012))
        for own_name in DOCUMENTS
        for name in (own_name, f"closed:{own_name}")
    )


@cache
def validator(name: str, pointer: str) -> Draft202012Validator:
    schema = {"$ref": f"urn:vend:{name}#{pointer}"}
    return Draft202012Validator(schema, registry=registry(), format_checker=FormatChecker(formats=["uuid"]))
