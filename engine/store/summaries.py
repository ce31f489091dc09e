"""The list of runs, quick also where there are thousands: a run is read again only when its files have changed.

What is known of a run is kept in one SQLite file, which any process may write and nothing depends on. Who owns a run is
kept with it, so that a status is true without opening the run: whether the owner lives is asked every time.
"""

import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from engine.errors import BadInput, Unwritable
from engine.store.files import writing
from engine.store.owners import Owner
from engine.store.reading import AT_WORK, DATABASE_FILE, RunReader
from engine.store.state import RunState
from engine.store.summary import RunSummary, damaged, summarise

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SETTLED = 3.0
"""Seconds after which a file that is changed again has another time: clocks of file systems are coarse."""
_FORMAT = 2
"""Raise it when summaries come to say something else of the same run."""
_REPORT_EVERY = 0.3

Report: TypeAlias = Callable[[list[RunSummary], int], None]
"""Told the runs that are known so far, and how many are still to be read."""
Stamp: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class _Known:
    """What was read of a run while its files had this stamp; `told` has the status that its events tell. `owner`: who
    writes it, with the last heartbeat."""

    stamp: Stamp
    told: RunSummary
    owner: tuple[Owner, float] | None

    @property
    def at_work(self) -> bool:
        """Whether its owner lives."""
        return self.owner is not None and self.owner[0].alive(self.owner[1])

    def summary(self) -> RunSummary:
        """With the status that is true now."""
        if self.told.status in AT_WORK and not self.at_work:
            return replace(self.told, status="interrupted")
        return self.told


_KNOWN = TypeAdapter(_Known)


class Summaries:
    """The summaries of the runs in `folder`, kept in the file `cache`."""

    def __init__(self, folder: Path, cache: Path):
        self._folder, self._cache = folder, cache
        self._known: dict[str, _Known] | None = None
        self._kept: set[str] = set()
        self._states: dict[str, tuple[int, RunState]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The runs that there are, in no order."""
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as found:
            return [entry.name for entry in found if RUN_NAME.fullmatch(entry.name) and entry.is_dir()]

    def all(self, report: Report | None = None) -> list[RunSummary]:
        """Every run, the newest first; damaged ones as such, which are read anew every time.

        `report` is called in between, where there is much to read.
        """
        with self._lock:
            names = self.names()
            if self._known is None:
                self._known = self._load() if names else {}
            stamps = {name: _stamp(self._folder / name) for name in names}
            known = {name: item for name in names if (item := self._known.get(name)) and item.stamp == stamps[name]}
            found = {name: item.summary() for name, item in known.items()}
            unread = [name for name in names if name not in known]
            said = time.monotonic()
            for place, name in enumerate(unread):
                if report is not None and time.monotonic() - said > _REPORT_EVERY:
                    self._keep(known, names)
                    report(_sorted(found.values()), len(unread) - place)
                    said = time.monotonic()
                now = time.time()
                try:
                    item = self._read(name, stamps[name])
                except BadInput:
                    if (self._folder / name).is_dir():
                        found[name] = damaged(name)
                    continue
                found[name] = item.summary()
                self._kept.discard(name)
                if now - max(item.stamp[3::3], default=now * 1e9) / 1e9 > SETTLED:
                    known[name] = item
            self._known = known
            self._keep(known, names)
            self._states = {name: state for name, state in self._states.items() if name in found}
            return _sorted(found.values())

    def _read(self, name: str, stamp: Stamp) -> _Known:
        """Read a run: what happened since it was last read, where it is at work."""
        inode, state = self._states.pop(name, (0, RunState()))
        if stamp[1:2] != (inode,):
            state = RunState()
        with RunReader(self._folder / name) as run:
            owner = run.owner()
            for stamped in run.events(after=state.last_event):
                state.take(stamped)
            told = summarise(state, name, study=run.study_name, title=run.title, note=run.note, created=run.created)
        found = _Known(stamp, told, owner)
        if found.at_work:
            self._states[name] = (stamp[1], state)
        return found

    # The file

    def _load(self) -> dict[str, _Known]:
        found: dict[str, _Known] = {}
        if not self._cache.exists():
            return found
        with suppress(sqlite3.Error, ValueError, TypeError), closing(self._opened()) as connection:
            for name, text in connection.execute("SELECT run, known FROM summaries"):
                with suppress(ValidationError):
                    found[name] = _KNOWN.validate_json(text)
        self._kept = set(found)
        return found

    def _keep(self, known: dict[str, _Known], names: Iterable[str]) -> None:
        """Write down what is new and of runs that are not at work; where that cannot be, the next reader reads more."""
        new = [name for name in known.keys() - self._kept if not known[name].at_work]
        if not new:
            return
        rows = [(name, _KNOWN.dump_json(known[name]).decode()) for name in new]
        try:
            with writing(self._cache), closing(self._opened()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO summaries VALUES (?, ?)", rows)
                there = set(names)
                gone = [row for row in connection.execute("SELECT run FROM summaries") if row[0] not in there]
                connection.executemany("DELETE FROM summaries WHERE run = ?", gone)
        except Unwritable:
            return
        except sqlite3.Error:
            with suppress(OSError):
                self._cache.unlink()
            return
        self._kept.update(new)

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._cache, timeout=1)
        # It is made anew when it is lost.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS summaries (run TEXT PRIMARY KEY, known TEXT NOT NULL)")
        return connection


def _sorted(runs: Iterable[RunSummary]) -> list[RunSummary]:
    return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)


def _stamp(folder: Path) -> Stamp:
    """What changes when the run in `folder` does: of its database, and of the log beside it where there is one, inode,
    size and time. The time of the database alone stays while the log takes what is written."""
    stamp: list[int] = [_FORMAT]
    for ending in ("", "-wal"):
        try:
            found = os.stat(f"{folder}/{DATABASE_FILE}{ending}")
        except OSError:
            continue
        # Readers make an empty log and remove it.
        if found.st_size:
            stamp += (found.st_ino, found.st_size, found.st_mtime_ns)
    return tuple(stamp)
