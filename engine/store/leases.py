"""Who trains which round now, over all runs of a home, so that no two runs train the same.

Leases save work, no more: a round that two runs train all the same comes out the same, and is written whole.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engine.paths import make_folder
from engine.store.files import writing
from engine.store.owners import Owner

Found = TypeVar("Found")

_SCHEMA = "CREATE TABLE IF NOT EXISTS leases (key TEXT PRIMARY KEY, holder TEXT NOT NULL, beat REAL NOT NULL)"


@dataclass(frozen=True)
class Lease:
    """A round that a run, in a process, has set out to train. `beat`: its last heartbeat, seconds since the epoch."""

    key: str
    run: str
    owner: Owner
    beat: float

    @property
    def alive(self) -> bool:
        return self.owner.alive(self.beat)


class Leases:
    """The leases in the SQLite file `path`. One that is damaged holds none. Every method raises Unwritable."""

    def __init__(self, path: Path):
        self._path = path

    def all(self) -> list[Lease]:
        """Every lease, those of dead processes too."""
        return self._within(_leases) if self._path.exists() else []

    def take(self, key: str, run: str) -> Lease | None:
        """Lease a round to a run of this process; where another run that lives has it, that one's lease instead. Of
        several that try, one wins."""

        def take(connection: sqlite3.Connection) -> Lease | None:
            holder = _holder(run)
            for lease in _leases(connection, "WHERE key = ? AND holder != ?", key, holder):
                if lease.alive:
                    return lease
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (key, holder, time.time()))
            return None

        return self._within(take)

    def release(self, run: str, key: str = "%") -> None:
        """End all leases of a run of this process."""
        row = (_holder(run), key)
        self._within(lambda connection: connection.execute("DELETE FROM leases WHERE holder = ? AND key LIKE ?", row))

    def beat(self, run: str) -> None:
        """A run of this process lives."""
        row = (time.time(), _holder(run))
        self._within(lambda connection: connection.execute("UPDATE leases SET beat = ? WHERE holder = ?", row))

    def sweep(self) -> None:
        """End the leases of dead processes."""

        def sweep(connection: sqlite3.Connection) -> None:
            dead = [(lease.key,) for lease in _leases(connection) if not lease.alive]
            connection.executemany("DELETE FROM leases WHERE key = ?", dead)

        self._within(sweep)

    def _within(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        """What `work` finds, in a transaction of its own."""
        with writing(self._path):
            try:
                return self._tried(work)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.DatabaseError, ValueError, TypeError):
                # Damaged. Nothing in it is worth more than the time of those who live.
                self._path.unlink(missing_ok=True)
                return self._tried(work)

    def _tried(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        make_folder(self._path.parent)
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            # No lease outlives a power cut.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_SCHEMA)
            found = work(connection)
            connection.execute("COMMIT")
            return found


def _holder(run: str) -> str:
    this = Owner.this()
    return json.dumps([run, this.host, this.pid, this.start])


def _leases(connection: sqlite3.Connection, which: str = "", *values: str) -> list[Lease]:
    rows = connection.execute(f"SELECT key, holder, beat FROM leases {which} ORDER BY key", values)
    found = []
    for key, holder, beat in rows.fetchall():
        run, host, pid, start = json.loads(holder)
        found.append(Lease(key, run, Owner(host, int(pid), start), float(beat)))
    return found
