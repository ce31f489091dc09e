"""Digests in a run's database: SQLite itself does not notice a changed digit.

Events are a chain: the digest of each holds that of the one before, the first that of the run's facts, and the fact
`head` the number and digest of the last. So none can be changed, lost or added unseen. A validation of a curve has a
digest of its own.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import blake2b

HEAD = "head"
_PROVEN = ("created", "study", "hash")

Row = tuple[int, float, str, str]
"""An event: number, time, JSON and digest."""


def beginning(facts: dict[str, str]) -> str:
    """What the chain of a run with these facts begins with."""
    return _digest(*(facts.get(name) for name in _PROVEN))


def chained(before: str, number: int, when: float, text: str) -> str:
    """The digest of an event, after the digest before it."""
    return _digest(before, number, when, text)


def of_validation(key: str, iteration: int, *values: float | None) -> str:
    return _digest(key, iteration, *values)


def head_of(number: int, digest: str) -> str:
    return f"{number} {digest}"


def parsed(head: str | None) -> tuple[int, str]:
    """The number and the digest of the last event. Raises ValueError."""
    number, digest = (head or "").split(" ")
    return int(number), digest


def links(rows: Iterable[Row], after: int, before: str) -> Iterator[Row]:
    """The rows of events after number `after`, whose digest is `before`. Raises ValueError where the chain breaks."""
    for number, when, text, digest in rows:
        if number != after + 1 or digest != chained(before, number, when, text):
            raise ValueError(f"event {after + 1} is not what was kept")
        yield number, when, text, digest
        after, before = number, digest


def prove(connection: sqlite3.Connection) -> None:
    """Put digests to all that a database holds."""
    digest = beginning(dict(connection.execute("SELECT name, value FROM facts")))
    number = 0
    for number, when, text in connection.execute("SELECT id, time, event FROM events ORDER BY id").fetchall():
        digest = chained(digest, number, when, text)
        connection.execute("UPDATE events SET digest = ? WHERE id = ?", (digest, number))
    connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (HEAD, head_of(number, digest)))
    curves = connection.execute("SELECT key, iteration, train_loss, validation_loss, validation_accuracy FROM curves")
    rows = [(of_validation(*row), row[0], row[1]) for row in curves.fetchall()]
    connection.executemany("UPDATE curves SET digest = ? WHERE key = ? AND iteration = ?", rows)


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
