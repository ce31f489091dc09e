"""One run's folder: its study, and a SQLite database of events, curves, progress and requests."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from engine.errors import BadInput
from engine.spec import Study, parse_study
from engine.spec.read import read_study_file
from engine.store.events import EVENT, CurvePoint, Event, Progress
from engine.store.owners import Owner

STUDY_FILE = "study.toml"
DATABASE_FILE = "run.db"
FORMAT = 1
LATEST = 253_402_300_800.0
"""Seconds since the epoch at the end of the year 9999, the last that can be shown."""

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, time REAL NOT NULL, event TEXT NOT NULL);
CREATE TABLE curves (
    key TEXT NOT NULL, iteration INTEGER NOT NULL, train_loss REAL, validation_loss REAL, validation_accuracy REAL,
    PRIMARY KEY (key, iteration)
) WITHOUT ROWID;
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), time REAL NOT NULL, progress TEXT NOT NULL);
CREATE TABLE request (one INTEGER PRIMARY KEY CHECK (one = 1), request TEXT NOT NULL);
"""
_SET_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
_OWNER = ("host", "pid", "start", "beat")


class Request(StrEnum):
    """What a person may ask of a run; the runner obeys between two chunks."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True)
class Stamped:
    """An event as kept: its number in the run and its time in seconds since the epoch."""

    id: int
    time: float
    event: Event


class RunFolder:
    """A run as kept. One process writes; any number read, also while it is written.

    Every method opens no more than one statement; use one object per thread.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.id = folder.name
        database = folder / DATABASE_FILE
        if not database.is_file():
            raise BadInput(f"run {folder.name!r}: {database} is missing; allowed: a run that `lth-tui runs` lists")
        self._connection = sqlite3.connect(database, timeout=30, isolation_level=None)
        try:
            found = self._fact("format")
            # A view or trigger would compute what a stranger wants.
            made = self._connection.execute("SELECT type FROM sqlite_schema WHERE type NOT IN ('table', 'index')")
            if made.fetchone() is not None:
                raise sqlite3.DatabaseError("views or triggers in it")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise BadInput(f"run {folder.name!r}: {database} cannot be read ({error})") from None
        if found != str(FORMAT):
            self._connection.close()
            raise BadInput(f"run {folder.name!r}: written in format {found}; allowed: {FORMAT}")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._owned = False

    @classmethod
    def create(cls, folder: Path, study: Study, study_toml: str) -> Self:
        """A new run in `folder`, which must not exist. The folder appears whole or not at all."""
        building = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        building.mkdir(parents=True)
        try:
            (building / STUDY_FILE).write_text(study_toml, encoding="utf-8")
            facts = {"format": str(FORMAT), "created": repr(time.time()), "study": study.name, "hash": study.hash}
            with closing(sqlite3.connect(building / DATABASE_FILE, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
                connection.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            building.rename(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return cls(folder)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What is read

    def study(self) -> Study:
        """The study that the run executes. Raises BadInput when its file is damaged."""
        path = self.folder / STUDY_FILE
        if not path.is_file():
            raise BadInput(f"{path}: cannot be read: missing, or not a file")
        try:
            return parse_study(read_study_file(path), source=str(path))
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from None

    @property
    def created(self) -> float:
        """Seconds since the epoch. Raises BadInput where it is no time."""
        with self._believed("its time"):
            return _moment(float(self._fact("created") or 0))

    @property
    def study_name(self) -> str:
        return str(self._fact("study") or "?")

    def events(self, after: int = 0) -> list[Stamped]:
        """The events numbered above `after`, in order. Raises BadInput when one is damaged."""
        with self._believed("an event"):
            rows = self._connection.execute("SELECT id, time, event FROM events WHERE id > ? ORDER BY id", (after,))
            return [Stamped(number, _moment(when), EVENT.validate_json(text)) for number, when, text in rows]

    def curve(self, key: str, after: int = -1) -> list[CurvePoint]:
        """The validations of the round of that key, past iteration `after`. Raises BadInput when one is damaged."""
        with self._believed("a curve"):
            rows = self._connection.execute(
                "SELECT iteration, train_loss, validation_loss, validation_accuracy FROM curves "
                "WHERE key = ? AND iteration > ? ORDER BY iteration",
                (key, after),
            )
            return [
                CurvePoint(iteration=a, train_loss=b, validation_loss=c, validation_accuracy=d) for a, b, c, d in rows
            ]

    def progress(self) -> tuple[float, Progress] | None:
        """When the runner last said where it is, and what. Raises BadInput when that is damaged."""
        with self._believed("its progress"):
            row = self._connection.execute("SELECT time, progress FROM progress").fetchone()
            return (_moment(row[0]), Progress.model_validate_json(row[1])) if row else None

    def requested(self) -> Request | None:
        """The newest request. Raises BadInput when it is damaged."""
        with self._believed("its request"):
            row = self._connection.execute("SELECT request FROM request").fetchone()
            return Request(row[0]) if row else None

    def owner_alive(self) -> bool:
        """Whether the process that writes the run lives. Raises BadInput when what is known of it is damaged."""
        with self._believed("its owner"):
            owner = self._owner()
            return owner is not None and owner.alive(float(self._fact("beat") or 0))

    def status(self, told: str) -> str:
        """The status that is true, where the events have `told` one: a run whose owner is gone is interrupted."""
        if told in ("new", "running", "paused") and not self.owner_alive():
            return "interrupted"
        return told

    # What the runner writes

    def own(self) -> None:
        """Become the run's owner, once; what was asked of the one before is forgotten. Of several that try, one wins.

        Raises BadInput while another owner lives.
        """
        if self._owned:
            return
        this = Owner.this()
        with self._transaction():
            if self.owner_alive() and (owner := self._owner()) is not None:
                raise BadInput(f"run {self.id!r}: at work in {owner.words}; allowed: once that has ended")
            facts = zip(_OWNER, (this.host, str(this.pid), this.start, repr(time.time())), strict=True)
            self._connection.executemany(_SET_FACT, facts)
            self._connection.execute("DELETE FROM request")
        self._owned = True

    def release(self) -> None:
        """The run is nobody's from here on; does nothing for one that is not this object's."""
        if self._owned:
            self._all_or_none("DELETE FROM facts WHERE name = ?", [(name,) for name in _OWNER])
            self._owned = False

    def append(self, event: Event) -> Stamped:
        """Keep an event; it has happened once this returns."""
        now = time.time()
        cursor = self._connection.execute(
            "INSERT INTO events (time, event) VALUES (?, ?)", (now, event.model_dump_json())
        )
        assert cursor.lastrowid is not None
        return Stamped(cursor.lastrowid, now, event)

    def restore(self, created: float, events: Iterable[tuple[float, Event]]) -> None:
        """Keep what happened elsewhere, in order and with the times that it had there, all or nothing."""
        rows = [(when, event.model_dump_json()) for when, event in events]
        self._all_or_none("INSERT INTO events (time, event) VALUES (?, ?)", rows)
        self._set_facts({"created": repr(created)})

    def append_curve(self, key: str, points: Iterable[CurvePoint]) -> None:
        rows = [(key, p.iteration, p.train_loss, p.validation_loss, p.validation_accuracy) for p in points]
        self._all_or_none("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?)", rows)

    def set_progress(self, progress: Progress) -> None:
        """Say where the run is."""
        self._connection.execute(
            "INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", (time.time(), progress.model_dump_json())
        )

    def beat(self) -> None:
        """Say that the owner lives, whatever it is busy with."""
        self._connection.execute("UPDATE facts SET value = ? WHERE name = 'beat'", (repr(time.time()),))

    # What a person asks

    def request(self, request: Request) -> None:
        self._connection.execute("INSERT OR REPLACE INTO request VALUES (1, ?)", (request.value,))

    @contextmanager
    def _believed(self, what: str) -> Iterator[None]:
        """What a database holds that somebody else wrote is of any type and size."""
        try:
            yield
        except (ValidationError, sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            first = (str(error).splitlines() or [""])[0]
            damage = f"{what} is damaged in {self.folder / DATABASE_FILE}"
            raise BadInput(f"run {self.id!r}: {damage} ({first})") from None

    def _owner(self) -> Owner | None:
        host, pid, start = (self._fact(name) for name in ("host", "pid", "start"))
        return None if host is None or pid is None or start is None else Owner(host, int(pid), start)

    def _fact(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set_facts(self, facts: dict[str, str]) -> None:
        self._all_or_none(_SET_FACT, list(facts.items()))

    def _all_or_none(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction():
            self._connection.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise


def _moment(seconds: float) -> float:
    if not 0 <= seconds < LATEST:
        raise ValueError(f"{seconds!r} is no time")
    return seconds
