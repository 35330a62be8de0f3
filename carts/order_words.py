"""The words by which orders are found: number, customer's name and e-mail, indexed word by word.

PostgreSQL keeps them in an index over an expression, SQLite in a full-text table that triggers keep in step. Both cut at
whatever is neither letter nor digit, ignore case, and find a word by its beginning.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.models import BooleanField, F, Func, Q, TextField, Value
from django.db.models.expressions import RawSQL

COLUMNS = ("number", "customer_name", "customer_email")
INDEX = "carts_order_words"
MOST_WORDS = 8
# Shorter ones are taken as whole words: too many begin like them.
SHORTEST_BEGINNING = 3

# Whatever PostgreSQL's own parser would take for part of a host, an address, a path or a signed number.
SEPARATORS = "".join(sorted(set(string.punctuation) - set("'%")))
WORDS = f"to_tsvector('simple', translate(%(expressions)s, '{SEPARATORS}', '{' ' * len(SEPARATORS)}'))"

TRIGGERS = ("carts_order_words_added", "carts_order_words_changed", "carts_order_words_removed")
ADD = "INSERT INTO carts_order_words(rowid, number, customer_name, customer_email)"
REMOVE = "INSERT INTO carts_order_words(carts_order_words, rowid, number, customer_name, customer_email)"
NEW = "VALUES (new.id, new.number, new.customer_name, new.customer_email)"
OLD = "VALUES ('delete', old.id, old.number, old.customer_name, old.customer_email)"
SQLITE = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS carts_order_words USING fts5(number, customer_name, customer_email,
    content='carts_order', content_rowid='id', columnsize=0, detail=none, tokenize='unicode61 remove_diacritics 0')""",
    f"CREATE TRIGGER IF NOT EXISTS {TRIGGERS[0]} AFTER INSERT ON carts_order BEGIN {ADD} {NEW}; END",
    f"""CREATE TRIGGER IF NOT EXISTS {TRIGGERS[1]} AFTER UPDATE OF number, customer_name, customer_email ON carts_order
    WHEN old.number <> new.number OR old.customer_name <> new.customer_name OR old.customer_email <> new.customer_email
    BEGIN {REMOVE} {OLD}; {ADD} {NEW}; END""",
    f"CREATE TRIGGER IF NOT EXISTS {TRIGGERS[2]} AFTER DELETE ON carts_order BEGIN {REMOVE} {OLD}; END",
    "INSERT INTO carts_order_words(carts_order_words) VALUES ('rebuild')",
)


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())[:MOST_WORDS]


def has_words(words: list[str], vendor: str) -> Any:
    """As a filter of orders: each of the words stands in the order, or begins one that does. By the index."""
    wanted = as_wanted(words, vendor)
    if vendor == "sqlite":
        return Q(pk__in=RawSQL("SELECT rowid FROM carts_order_words WHERE carts_order_words MATCH %s", [wanted]))
    return own_words_match(wanted)


@contextmanager
def through_the_index(using: str) -> Iterator[None]:
    """PostgreSQL would rather read orders one after another where many fit: it does not know what it costs to take an
    order's words apart. With room for the place of every order it need not do that to check what the index said, either."""
    database = connections[using]
    if database.vendor == "sqlite":
        yield
        return
    with transaction.atomic(using=using), database.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off; SET LOCAL work_mem = '64MB'")
        yield
        cursor.execute(
            "SET LOCAL enable_seqscan = DEFAULT; SET LOCAL enable_indexscan = DEFAULT; SET LOCAL work_mem = DEFAULT"
        )


def has_words_itself(words: list[str], vendor: str) -> Any:
    """The same, asked of each order of a walk along the list: what finds the orders is not the index of words. The plus
    and IS TRUE keep the databases from it."""
    wanted = as_wanted(words, vendor)
    if vendor == "sqlite":
        return RawSQL(
            "(+carts_order.id IN (SELECT rowid FROM carts_order_words WHERE carts_order_words MATCH %s))",
            [wanted],
            output_field=BooleanField(),
        )
    return Func(own_words_match(wanted), template="(%(expressions)s IS TRUE)", output_field=BooleanField())


def as_wanted(words: list[str], vendor: str) -> str:
    begin = [is_beginning(words, place) for place in range(len(words))]
    if vendor == "sqlite":
        return " ".join(f'"{word}"*' if begins else f'"{word}"' for word, begins in zip(words, begin, strict=True))
    return " & ".join(f"{word}:*" if begins else word for word, begins in zip(words, begin, strict=True))


def own_words_match(wanted: str) -> Func:
    own = Func(*map(F, COLUMNS), template=WORDS, arg_joiner=" || ' ' || ", output_field=TextField())
    query = Func(Value(wanted), template="to_tsquery('simple', %(expressions)s)", output_field=TextField())
    return Func(own, query, template="(%(expressions)s)", arg_joiner=" @@ ", output_field=BooleanField())


def is_beginning(words: list[str], place: int) -> bool:
    """May a longer word stand in its place? Not for a short one by itself; for the last of several, as in ``QS-1``."""
    return len(words[place]) >= SHORTEST_BEGINNING or 0 < place == len(words) - 1


def create(schema_editor: Any) -> None:
    """Makes the index of a database, with the words of all orders that are there."""
    if schema_editor.connection.vendor == "sqlite":
        for statement in SQLITE:
            schema_editor.execute(statement)
        return
    own = WORDS % {"expressions": " || ' ' || ".join(f'"{column}"' for column in COLUMNS)}
    # New words wait in a list of up to 16 MB, which vacuum merges into the index: who stores orders seldom has to.
    schema_editor.execute(
        f"CREATE INDEX {INDEX} ON carts_order USING gin (({own})) WITH (gin_pending_list_limit = 16384)"
    )


def drop(schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for name in TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
        schema_editor.execute("DROP TABLE IF EXISTS carts_order_words")
        return
    schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


def keep_after_migrations(sender: Any, using: str, **kwargs: object) -> None:
    """SQLite changes a table by making a new one, and the triggers go with the old one: they come back here, and what
    happened without them is made up for."""
    database = connections[using]
    if database.vendor != "sqlite":
        return
    with database.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE name IN (%s, %s, %s, %s)", [INDEX, *TRIGGERS])
        known = {row[0] for row in cursor.fetchall()}
        if INDEX in known and len(known) <= len(TRIGGERS):
            for statement in SQLITE:
                cursor.execute(statement)
