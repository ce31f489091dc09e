"""One run's folder as it is read: its study, and a SQLite database of events, curves, progress and requests."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from engine import plugins
from engine.errors import BadInput
from engine.spec import Study, parse_study
from engine.spec.read import read_study_file
from engine.store import proof
from engine.store.events import EVENT, CurvePoint, Event, Progress
from engine.store.owners import Owner
from engine.store.schema import FORMAT, migrate

STUDY_FILE = "study.toml"
DATABASE_FILE = "run.db"
LATEST = 253_402_300_800.0
"""Seconds since the epoch at the end of the year 9999, the last that can be shown."""
TITLE, NOTE = 100, 2000
"""Characters that a title and a note may have."""
AT_WORK = ("new", "running", "paused")
"""What events tell of a run whose owner, if it lives, is at work on it."""


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


class RunReader:
    """A run as anybody can read it, also while it is written.

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
            # A view or trigger would compute what a stranger wants.
            made = self._connection.execute("SELECT type FROM sqlite_schema WHERE type NOT IN ('table', 'index')")
            if made.fetchone() is not None:
                raise sqlite3.DatabaseError("views or triggers in it")
            if self._fact("format") == "1":
                migrate(self._connection, database)
            found = self._fact("format")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise BadInput(f"run {folder.name!r}: {database} cannot be read ({error})") from None
        except BadInput as error:
            self._connection.close()
            raise BadInput(f"run {folder.name!r}: {error}") from None
        if found != str(FORMAT):
            self._connection.close()
            advice = f"this lth-tui reads 1 and {FORMAT}: one as new as the run's reads it"
            raise BadInput(f"run {folder.name!r}: {database} is of format {found}; {advice}")
        (journal,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        self._connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")

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
        return study_in(self.folder)

    @property
    def created(self) -> float:
        """Seconds since the epoch. Raises BadInput where it is no time."""
        with self._believed("its time"):
            return _moment(float(self._fact("created") or 0))

    @property
    def study_name(self) -> str:
        return str(self._fact("study") or "?")

    @property
    def title(self) -> str:
        """What people call it, in a line; may be empty."""
        return self._label("title", TITLE)

    @property
    def note(self) -> str:
        """What people say of it, in some lines; may be empty."""
        return self._label("note", NOTE)

    def events(self, after: int = 0) -> list[Stamped]:
        """The events numbered above `after`, in order. Raises BadInput when one is damaged."""
        with self._believed("an event"):
            last, rows, before = self._rows(after)
            found = list(proof.links(rows, after, before))
            if (found[-1][0], found[-1][3]) != last if found else (after, before) != last:
                raise ValueError(f"event {last[0]} is the last that was kept, and it is not there")
            return [Stamped(number, _moment(when), EVENT.validate_json(text)) for number, when, text, _ in found]

    def curve(self, key: str, after: int = -1) -> list[CurvePoint]:
        """The validations of the round of that key, past iteration `after`. Raises BadInput when one is damaged."""
        with self._believed("a curve"):
            rows = self._connection.execute(
                "SELECT digest, iteration, train_loss, validation_loss, validation_accuracy FROM curves "
                "WHERE key = ? AND iteration > ? ORDER BY iteration",
                (key, after),
            )
            found = []
            for digest, at, *values in rows:
                if digest != proof.of_validation(key, at, *values):
                    raise ValueError(f"the validation of {key} after {at} iterations is not what was kept")
                train, loss, accuracy = values
                point = CurvePoint(iteration=at, train_loss=train, validation_loss=loss, validation_accuracy=accuracy)
                found.append(point)
            return found

    def check(self) -> None:
        """Read all that is kept of the run. Raises BadInput where anything is damaged."""
        with self._believed("its structure"):
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise ValueError(found)
        if self.study().hash != self._fact("hash"):
            raise BadInput(f"run {self.id!r}: its {STUDY_FILE} is not the one that it began with")
        self.events()
        with self._believed("a curve"):
            keys = [key for (key,) in self._connection.execute("SELECT DISTINCT key FROM curves")]
        for key in keys:
            self.curve(key)
        for read in (self.progress, self.requested, self.owner_alive):
            read()

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

    def owner(self) -> tuple[Owner, float] | None:
        """Who writes the run, dead or alive, and its last heartbeat. Raises BadInput when that is damaged."""
        with self._believed("its owner"):
            host, pid, start = (self._fact(name) for name in ("host", "pid", "start"))
            if host is None or pid is None or start is None:
                return None
            return Owner(host, int(pid), start), float(self._fact("beat") or 0)

    def owner_alive(self) -> bool:
        """Whether the process that writes the run lives. Raises BadInput when what is known of it is damaged."""
        return self._owner_alive() is not None

    def status(self, told: str) -> str:
        """The status that is true, where the events have `told` one: a run whose owner is gone is interrupted."""
        if told in AT_WORK and not self.owner_alive():
            return "interrupted"
        return told

    @contextmanager
    def _believed(self, what: str) -> Iterator[None]:
        """What a database holds that somebody else wrote is of any type and size."""
        try:
            yield
        except (ValidationError, sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            first = (str(error).splitlines() or [""])[0]
            damage = f"{what} is damaged in {self.folder / DATABASE_FILE}"
            raise BadInput(f"run {self.id!r}: {damage} ({first})") from None

    def _owner_alive(self) -> Owner | None:
        found = self.owner()
        return found[0] if found is not None and found[0].alive(found[1]) else None

    def _label(self, name: str, most: int) -> str:
        with self._believed(f"its {name}"):
            return str(self._fact(name) or "")[:most]

    def _fact(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _rows(self, after: int) -> tuple[tuple[int, str], list[proof.Row], str]:
        """Of one moment: number and digest of the last event, the rows of those after number `after`, the digest
        before them."""
        self._connection.execute("BEGIN")
        try:
            facts = dict(self._connection.execute("SELECT name, value FROM facts"))
            rows = self._connection.execute(
                "SELECT id, time, event, digest FROM events WHERE id >= ? ORDER BY id", (after,)
            ).fetchall()
        finally:
            self._connection.execute("COMMIT")
        if after == 0:
            return proof.parsed(facts.get(proof.HEAD)), rows, proof.beginning(facts)
        if not rows or rows[0][0] != after:
            raise ValueError(f"event {after} is not there")
        return proof.parsed(facts.get(proof.HEAD)), rows[1:], rows[0][3]


def study_in(folder: Path) -> Study:
    """The study of the run in `folder`. Raises BadInput when its file is damaged, or names what is in a plug-in that is
    not loaded."""
    path = folder / STUDY_FILE
    if not path.is_file():
        raise BadInput(f"{path}: cannot be read: missing, or not a file")
    try:
        return parse_study(read_study_file(path), source=str(path))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except BadInput as error:
        advice = plugins.absent(folder)
        raise BadInput(f"{error}; {advice}" if advice else str(error)) from None


def _moment(seconds: float) -> float:
    if not 0 <= seconds < LATEST:
        raise ValueError(f"{seconds!r} is no time")
    return seconds
