"""One run's folder: its study, and a SQLite database of events, unfinished curves, progress and requests.

Any process can read a run (`RunReader`), also while it is written. One process writes it (`RunFolder`): the holder of
the lock in its folder. The curve of a finished round is in the round's file; until then it is in the database.

SQLite does not detect changed bytes, so events form a hash chain: the digest of each covers the digest
before it, the first one the facts of the run, and the fact `head` is the number and digest of the last. A changed,
missing or added event is detected.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from engine import plugins
from engine.errors import BadInput, LabError, Unwritable
from engine.paths import make_folder
from engine.spec import Study, parse_study
from engine.spec.read import read_study_file
from engine.store.events import EVENT, CurvePoint, Event, Progress, RoundFinished
from engine.store.files import PART, free_aside, writing
from engine.store.locks import Holder, Lock, LockLost, holder_of
from engine.store.tensors import RoundStore

STUDY_FILE = "study.toml"
DATABASE_FILE = "run.db"
LOCK_FILE = "run.lock"
LATEST = 253_402_300_800.0
"""The end of the year 9999, the last valid time, in seconds since the epoch."""
TITLE, NOTE = 100, 2000
"""The greatest number of characters of a title and of a note."""
ACTIVE = ("new", "running", "paused")
"""The statuses by events of a run that a process may be training."""

_FORMAT = 3
_HEAD = "head"
_PROVEN = ("created", "study", "hash")
_SET_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, time REAL NOT NULL, event TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE curves (
    key TEXT NOT NULL, iteration INTEGER NOT NULL, train_loss REAL, validation_loss REAL, validation_accuracy REAL,
    PRIMARY KEY (key, iteration)
) WITHOUT ROWID;
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), time REAL NOT NULL, progress TEXT NOT NULL);
CREATE TABLE request (one INTEGER PRIMARY KEY CHECK (one = 1), request TEXT NOT NULL);
"""

_unwritten: dict[Path, tuple[float, Progress]] = {}
"""By folder, the newest progress that this process could not write; its readers get this one."""

_Row = tuple[int, float, str, str]
"""An event: number, time, JSON and digest."""


class Request(StrEnum):
    """Requests to a run. The runner handles them between two calls to the devices."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True)
class Stamped:
    """An event in a run: its number from 1, and its time in seconds since the epoch."""

    id: int
    time: float
    event: Event


class RunReader:
    """A run, for reading, also while it is written.

    Every method opens at most one statement; use one object per thread.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.id = folder.name
        self._rounds = RoundStore(folder.parent.parent / "rounds")
        database = folder / DATABASE_FILE
        if not database.is_file():
            raise BadInput(f"run {folder.name!r}: {database} is missing; allowed: a run that `lth-tui runs` lists")
        self._connection = sqlite3.connect(database, timeout=30, isolation_level=None)
        try:
            # Views and triggers of an untrusted database could run anything.
            made = self._connection.execute("SELECT type FROM sqlite_schema WHERE type NOT IN ('table', 'index')")
            if made.fetchone() is not None:
                raise sqlite3.DatabaseError("it has views or triggers")
            found = self._fact("format")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise BadInput(f"run {folder.name!r}: {database} cannot be read ({error})") from None
        if found != str(_FORMAT):
            self._connection.close()
            advice = f"allowed: format {_FORMAT}, or the version of lth-tui that wrote the run"
            raise BadInput(f"run {folder.name!r}: {database} has format {found}; {advice}")
        (journal,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        self._connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def study(self) -> Study:
        """Return the study that the run executes. Raises BadInput for a damaged file."""
        return study_in(self.folder)

    @property
    def created(self) -> float:
        """When the run was made, in seconds since the epoch. Raises BadInput if that is not a time."""
        with self._trusting("its time"):
            return _moment(float(self._fact("created") or 0))

    @property
    def study_name(self) -> str:
        """The name of the study."""
        return str(self._fact("study") or "?")

    @property
    def title(self) -> str:
        """The title that people gave the run, one line; may be empty."""
        return self._label("title", TITLE)

    @property
    def note(self) -> str:
        """The note that people wrote on the run, some lines; may be empty."""
        return self._label("note", NOTE)

    def events(self, after: int = 0) -> list[Stamped]:
        """Return the events with numbers above `after`, in order. Raises BadInput if one is damaged."""
        with self._trusting("an event"):
            last, rows, before = self._rows(after)
            found = list(_proven(rows, after, before))
            if (found[-1][0], found[-1][3]) != last if found else (after, before) != last:
                raise ValueError(f"event {last[0]} is the last that was written, and it is missing")
            return [Stamped(number, _moment(when), EVENT.validate_json(text)) for number, when, text, _ in found]

    def curve(self, key: str, after: int = -1) -> list[CurvePoint]:
        """Return the validations of a round past iteration `after`, finished, reused or in training.

        Empty if the round is unknown or its file is damaged. Raises BadInput for a damaged database.
        """
        with suppress(ValueError):
            if self._rounds.has(key) and (curve := self._rounds.read_curve(key)) is not None:
                return [point for point in curve if point.iteration > after]
        with self._trusting("a curve"):
            rows = self._connection.execute(
                "SELECT iteration, train_loss, validation_loss, validation_accuracy FROM curves "
                "WHERE key = ? AND iteration > ? ORDER BY iteration",
                (key, after),
            )
            return [
                CurvePoint(iteration=at, train_loss=train, validation_loss=loss, validation_accuracy=accuracy)
                for at, train, loss, accuracy in rows
            ]

    def check(self) -> None:
        """Read everything. Raises BadInput if anything is damaged."""
        with self._trusting("its structure"):
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise ValueError(found)
        if self.study().hash != self._fact("hash"):
            raise BadInput(f"run {self.id!r}: {STUDY_FILE} is not the study that the run began with")
        self.events()
        with self._trusting("a curve"):
            keys = [key for (key,) in self._connection.execute("SELECT DISTINCT key FROM curves")]
        for key in keys:
            self.curve(key)
        for read in (self.progress, self.requested):
            read()

    def progress(self) -> tuple[float, Progress] | None:
        """Return the newest progress and its time; in the process that writes the run, also where the disk is full.
        Raises BadInput if it is damaged."""
        if (unwritten := _unwritten.get(self.folder)) is not None:
            return unwritten
        with self._trusting("its progress"):
            row = self._connection.execute("SELECT time, progress FROM progress").fetchone()
            return (_moment(row[0]), Progress.model_validate_json(row[1])) if row else None

    def requested(self) -> Request | None:
        """Return the newest request. Raises BadInput if it is damaged."""
        with self._trusting("its request"):
            row = self._connection.execute("SELECT request FROM request").fetchone()
            return Request(row[0]) if row else None

    def owner(self) -> Holder | None:
        """Return the process that writes the run; None if there is none."""
        return holder_of(self.folder / LOCK_FILE)

    def owner_alive(self) -> bool:
        """Return whether a process writes the run."""
        return self.owner() is not None

    def status(self, by_events: str) -> str:
        """Return the true status of a run that has this one by its events: interrupted if no process writes it."""
        if by_events in ACTIVE and not self.owner_alive():
            return "interrupted"
        return by_events

    @contextmanager
    def _trusting(self, what: str) -> Iterator[None]:
        """Turn errors from a damaged or untrusted database into BadInput."""
        try:
            yield
        except (ValidationError, sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            first = (str(error).splitlines() or [""])[0]
            damage = f"{what} is damaged in {self.folder / DATABASE_FILE}"
            raise BadInput(f"run {self.id!r}: {damage} ({first})") from None

    def _label(self, name: str, most: int) -> str:
        with self._trusting(f"its {name}"):
            return str(self._fact(name) or "")[:most]

    def _fact(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _rows(self, after: int) -> tuple[tuple[int, str], list[_Row], str]:
        """Return, of one moment, number and digest of the last event, the rows of the events after number `after`, and
        the digest before them."""
        self._connection.execute("BEGIN")
        try:
            facts = dict(self._connection.execute("SELECT name, value FROM facts"))
            rows = self._connection.execute(
                "SELECT id, time, event, digest FROM events WHERE id >= ? ORDER BY id", (after,)
            ).fetchall()
        finally:
            self._connection.execute("COMMIT")
        if after == 0:
            return _head(facts.get(_HEAD)), rows, _beginning(facts)
        if not rows or rows[0][0] != after:
            raise ValueError(f"event {after} is missing")
        return _head(facts.get(_HEAD)), rows[1:], rows[0][3]


class RunFolder(RunReader):
    """A run, for writing. Methods that write raise Unwritable, and LockLost where this object owned the run and its
    lock was taken away."""

    _lock: Lock | None = None

    @classmethod
    def create(cls, folder: Path, study: Study, study_toml: str) -> Self:
        """Make a run in `folder`, which must not exist. The folder appears whole or not at all. Raises OSError."""
        building = folder.with_name(f".{folder.name}.{os.getpid()}{PART}")
        make_folder(folder.parent)
        building.mkdir(mode=0o700)
        try:
            (building / STUDY_FILE).write_text(study_toml, encoding="utf-8")
            plugins.record(building, study.model_dump())
            _new_database(building / DATABASE_FILE, study, time.time())
            building.rename(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return cls(folder)

    @classmethod
    def renew(cls, folder: Path) -> Path:
        """Make a new database for the run in `folder` from its study; return where the old one, if any, was moved.

        Raises BadInput for an unreadable study or while another process writes the run, Unwritable.
        """
        study = study_in(folder)
        database = folder / DATABASE_FILE
        aside = free_aside(database)
        lock = _lock(folder)
        try:
            with writing(folder):
                part = database.with_name(f".{database.name}{PART}")
                part.unlink(missing_ok=True)
                _new_database(part, study, (folder / STUDY_FILE).stat().st_mtime)
                for ending in ("-wal", "-shm", ""):
                    with suppress(FileNotFoundError):
                        Path(f"{database}{ending}").rename(f"{aside}{ending}")
                part.rename(database)
        finally:
            lock.release()
        return aside

    # The owner

    def own(self) -> None:
        """Take the run's lock, once, and drop old requests. Of several processes or objects that try, one succeeds.

        Raises BadInput if another has it, or on a file system without locks.
        """
        if self._lock is not None:
            return
        self._lock = _lock(self.folder)
        try:
            with self._writing():
                self._connection.execute("DELETE FROM request")
        except BaseException:
            self.release()
            raise

    def still_owned(self) -> bool:
        """Return whether this object owns the run, and its lock file was neither removed nor replaced."""
        return self._lock is not None and self._lock.held

    def release(self) -> None:
        """Release the run's lock, if this object has it."""
        if self._lock is not None:
            _unwritten.pop(self.folder, None)
            lock, self._lock = self._lock, None
            lock.release()

    def move(self, folder: Path) -> None:
        """Move the run to `folder` on the same disk, and close this object.

        Raises BadInput while another process writes the run, Unwritable.
        """
        self.own()
        lock, self._lock = self._lock, None
        assert lock is not None
        self.close()
        try:
            with writing(folder):
                make_folder(folder.parent)
                self.folder.rename(folder)
            lock.path = folder / LOCK_FILE
        finally:
            lock.release()

    # What the runner writes

    def append(self, event: Event) -> Stamped:
        """Write an event. The curve of a finished round, which is in its file, leaves the database."""
        now = time.time()
        with self._transaction():
            if isinstance(event, RoundFinished):
                self._connection.execute("DELETE FROM curves WHERE key = ?", (event.key,))
            return Stamped(self._chain([(now, event)]), now, event)

    def restore(self, created: float, events: Iterable[tuple[float, Event]]) -> None:
        """Write the events of a run from elsewhere, in order and with their times there, all or nothing."""
        with self._transaction():
            self._connection.execute(_SET_FACT, ("created", repr(created)))
            prove(self._connection)
            self._chain(events)

    def append_curve(self, key: str, points: Iterable[CurvePoint]) -> None:
        """Write validations of a round in training."""
        rows = [(key, p.iteration, p.train_loss, p.validation_loss, p.validation_accuracy) for p in points]
        self._all_or_none("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?)", rows)

    def set_progress(self, progress: Progress) -> None:
        """Write where the run is."""
        now = time.time()
        try:
            with self._writing():
                self._connection.execute(
                    "INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", (now, progress.model_dump_json())
                )
        except Unwritable:
            _unwritten[self.folder] = now, progress
            raise
        _unwritten.pop(self.folder, None)

    # What a person asks and writes

    def request(self, request: Request) -> None:
        """Write a request. Raises BadInput if it cannot be written."""
        with self._asked():
            self._connection.execute("INSERT OR REPLACE INTO request VALUES (1, ?)", (request.value,))

    def describe(self, *, title: str | None = None, note: str | None = None) -> None:
        """Set the title, the note or both; None leaves one as it is. Raises BadInput for one that is too long, or if it
        cannot be written."""
        title = None if title is None else " ".join(title.split())
        labels = [("title", title, TITLE), ("note", None if note is None else note.strip(), NOTE)]
        for name, text, most in labels:
            if text is not None and len(text) > most:
                raise BadInput(f"a {name} of {len(text)} characters; allowed: at most {most}")
        with self._asked():
            self._connection.executemany(_SET_FACT, [(name, text) for name, text, _ in labels if text is not None])

    def _chain(self, events: Iterable[tuple[float, Event]]) -> int:
        """Add to the chain of events, in a transaction; return the number of the last."""
        with self._trusting("the number of its events"):
            number, digest = _head(self._fact(_HEAD))
        for when, event in events:
            text, number = event.model_dump_json(), number + 1
            digest = _digest(digest, number, when, text)
            self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (number, when, text, digest))
        self._connection.execute(_SET_FACT, (_HEAD, f"{number} {digest}"))
        return number

    def _all_or_none(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction():
            self._connection.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._writing():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back on some errors of the disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            with self._transaction():
                yield
        except Unwritable as error:
            raise BadInput(f"{error}; allowed: a disk with room") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._lock is not None and not self._lock.held:
            found = f"its lock {self._lock.path} was removed or replaced, so another process may write the run"
            raise LockLost(f"run {self.id!r}: {found}; this process stops")
        database = self.folder / DATABASE_FILE
        try:
            with writing(database):
                yield
        except sqlite3.DatabaseError as error:
            advice = "allowed: a sound one; see `lth-tui doctor`"
            raise LabError(f"run {self.id!r}: {database} is damaged ({error}); {advice}") from None


def _lock(folder: Path) -> Lock:
    """Take the lock of the run in `folder`. Raises BadInput if another object or process has it."""
    lock = Lock(folder / LOCK_FILE)
    holder = lock.take(folder.name)
    if holder is not None:
        raise BadInput(f"run {folder.name!r}: in use by {holder.words}; allowed: once that has ended")
    return lock


def study_in(folder: Path) -> Study:
    """Return the study of the run in `folder`. Raises BadInput for a damaged file, and for a missing plug-in."""
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


def prove(connection: sqlite3.Connection) -> None:
    """Write the digests of all events of a database, in a transaction of the caller."""
    digest = _beginning(dict(connection.execute("SELECT name, value FROM facts")))
    number = 0
    for number, when, text in connection.execute("SELECT id, time, event FROM events ORDER BY id").fetchall():
        digest = _digest(digest, number, when, text)
        connection.execute("UPDATE events SET digest = ? WHERE id = ?", (digest, number))
    connection.execute(_SET_FACT, (_HEAD, f"{number} {digest}"))


def _new_database(path: Path, study: Study, created: float) -> None:
    facts = {"format": str(_FORMAT), "created": repr(created), "study": study.name, "hash": study.hash}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Some network file systems cannot: there SQLite keeps its usual journal.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.executemany(_SET_FACT, facts.items())
        prove(connection)


def _proven(rows: Iterable[_Row], after: int, before: str) -> Iterator[_Row]:
    """Yield the rows of events after number `after`, whose digest is `before`. Raises ValueError where the chain
    breaks."""
    for number, when, text, digest in rows:
        if number != after + 1 or digest != _digest(before, number, when, text):
            raise ValueError(f"event {after + 1} is not the one that was written")
        yield number, when, text, digest
        after, before = number, digest


def _beginning(facts: dict[str, str]) -> str:
    """Return the digest that the chain of a run with these facts begins with."""
    return _digest(*(facts.get(name) for name in _PROVEN))


def _head(text: str | None) -> tuple[int, str]:
    """Return number and digest of the last event. Raises ValueError."""
    number, digest = (text or "").split(" ")
    return int(number), digest


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _moment(seconds: float) -> float:
    if not 0 <= seconds < LATEST:
        raise ValueError(f"{seconds!r} is not a time")
    return seconds
