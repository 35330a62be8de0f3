"""The shared base of the fake servers: real HTTP, recorded calls, misbehaviour on request."""

from connectors.sandbox.server import RecordedCall, Refusal, Route, RouteTable, SandboxServer
from connectors.sandbox.wire import BadMessage, Headers, Request, Response

__all__ = [
    "BadMessage",
    "Headers",
    "RecordedCall",
    "Refusal",
    "Request",
    "Response",
    "Route",
    "RouteTable",
    "SandboxServer",
]
