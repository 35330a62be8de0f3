"""``any_of``: a column's value is one of many. What ``in`` says, with the whole list as one parameter.

``in`` makes a parameter of every value: slow to write, slow to parse, and another statement for every number of values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Lookup


@Field.register_lookup
class AnyOf(Lookup):  # type: ignore[type-arg]
    """For columns of text and whole numbers. An empty list matches nothing."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, self.values()]

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, json.dumps(self.values())]  # noqa: S608

    def values(self) -> list[Any]:
        given: Iterable[Any] = self.rhs
        return list(given)
