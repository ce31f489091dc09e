"""The list of runs, fast for thousands of them: a run is read again only when its files have changed.

Summaries are cached in one SQLite file, which any process may write and nothing depends on. A summary has the status by
events; only for runs that may be training the kernel is asked whether a process holds their lock.
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
from engine.store.locks import holder_of
from engine.store.run_db import ACTIVE, DATABASE_FILE, LOCK_FILE, RunReader
from engine.store.state import RunState
from engine.store.summary import RunSummary, damaged, summarise

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SETTLED = 3.0
"""Resolution of modification times, in seconds: younger entries are not cached."""
_FORMAT = 3
"""Raise it when the summary of the same run changes."""
_REPORT_EVERY = 0.3

Report: TypeAlias = Callable[[list[RunSummary], int], None]
"""Gets the summaries so far, and how many runs are left to read."""
Stamp: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class _CachedSummary:
    """The summary of a run, with the status by its events, when its files had this stamp."""

    stamp: Stamp
    summary: RunSummary


_CACHED = TypeAdapter(_CachedSummary)


class RunIndex:
    """The summaries of the runs in `folder`, cached in the file `cache`."""

    def __init__(self, folder: Path, cache: Path):
        self._folder, self._cache = folder, cache
        self._known: dict[str, _CachedSummary] | None = None
        self._kept: set[str] = set()
        self._states: dict[str, tuple[int, RunState]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all runs, in no order."""
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as found:
            return [entry.name for entry in found if RUN_NAME.fullmatch(entry.name) and entry.is_dir()]

    def all(self, report: Report | None = None) -> list[RunSummary]:
        """Return every run, the newest first, with damaged ones last, which are read every time.

        `report` is called now and then while many are read.
        """
        with self._lock:
            names = self.names()
            if self._known is None:
                self._known = self._load() if names else {}
            stamps = {name: _stamp(self._folder / name) for name in names}
            known = {name: item for name in names if (item := self._known.get(name)) and item.stamp == stamps[name]}
            found = {name: self._now(name, item) for name, item in known.items()}
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
                found[name] = self._now(name, item)
                self._kept.discard(name)
                if now - max(item.stamp[3::3], default=now * 1e9) / 1e9 > SETTLED:
                    known[name] = item
            self._known = known
            self._keep(known, names)
            self._states = {name: state for name, state in self._states.items() if name in found}
            return _sorted(found.values())

    def _read(self, name: str, stamp: Stamp) -> _CachedSummary:
        """Read a run; of one in training, the events since it was last read."""
        inode, state = self._states.pop(name, (0, RunState()))
        if stamp[1:2] != (inode,):
            state = RunState()
        with RunReader(self._folder / name) as run:
            for stamped in run.events(after=state.last_event):
                state.add(stamped)
            told = summarise(state, name, study=run.study_name, title=run.title, note=run.note, created=run.created)
        if told.status in ACTIVE:
            self._states[name] = (stamp[1], state)
        return _CachedSummary(stamp, told)

    def _now(self, name: str, known: _CachedSummary) -> RunSummary:
        """Return the summary with the true status."""
        if known.summary.status in ACTIVE and not self._in_training(name):
            return replace(known.summary, status="interrupted")
        return known.summary

    def _in_training(self, name: str) -> bool:
        return holder_of(self._folder / name / LOCK_FILE) is not None

    # The file

    def _load(self) -> dict[str, _CachedSummary]:
        found: dict[str, _CachedSummary] = {}
        if not self._cache.exists():
            return found
        with suppress(sqlite3.Error, ValueError, TypeError), closing(self._opened()) as connection:
            for name, text in connection.execute("SELECT run, known FROM summaries"):
                with suppress(ValidationError):
                    found[name] = _CACHED.validate_json(text)
        self._kept = set(found)
        return found

    def _keep(self, known: dict[str, _CachedSummary], names: Iterable[str]) -> None:
        """Cache new summaries of runs that are not in training. If that fails, the next process reads more."""
        fresh = known.keys() - self._kept
        new = [name for name in fresh if known[name].summary.status not in ACTIVE or not self._in_training(name)]
        if not new:
            return
        rows = [(name, _CACHED.dump_json(known[name]).decode()) for name in new]
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
        # A lost cache is rebuilt.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE IF NOT EXISTS summaries (run TEXT PRIMARY KEY, known TEXT NOT NULL)")
        return connection


def _sorted(runs: Iterable[RunSummary]) -> list[RunSummary]:
    return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)


def _stamp(folder: Path) -> Stamp:
    """Return inode, size and time of the database in `folder` and of its write-ahead log, which change with the run.
    The time of the database alone stays the same while the log grows."""
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
