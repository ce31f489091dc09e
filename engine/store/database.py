"""One run's folder as it is written: by one process, its owner, and by people who ask something of it."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from engine import plugins
from engine.errors import BadInput, LabError, Unwritable
from engine.paths import make_folder
from engine.spec import Study
from engine.store import proof
from engine.store.events import CurvePoint, Event, Progress
from engine.store.files import PART, free_aside, writing
from engine.store.owners import Owner
from engine.store.reading import DATABASE_FILE, NOTE, STUDY_FILE, TITLE, Request, RunReader, Stamped, study_in
from engine.store.schema import SET_FACT, new_database

SPARE_FILE = "spare"
SPARE_BYTES = 1_000_000
"""Kept free for what is to be said when the disk is full."""

_OWNER = ("host", "pid", "start", "beat")
_OWNED: set[Path] = set()
"""The runs that objects of this process own."""
_OWNING = threading.Lock()


class RunFolder(RunReader):
    """A run as kept. One process writes; any number read, also while it is written. What writes raises Unwritable."""

    _owned = False

    @classmethod
    def create(cls, folder: Path, study: Study, study_toml: str) -> Self:
        """A new run in `folder`, which must not exist. The folder appears whole or not at all."""
        building = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        make_folder(folder.parent)
        building.mkdir(mode=0o700)
        try:
            (building / STUDY_FILE).write_text(study_toml, encoding="utf-8")
            plugins.record(building, study.model_dump())
            new_database(building / DATABASE_FILE, study, time.time())
            building.rename(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return cls(folder)

    @classmethod
    def renew(cls, folder: Path) -> Path:
        """Give the run in `folder` a new database, made from its study alone; where the old one, if any, was put.

        Raises BadInput where its study cannot be read, Unwritable where that cannot be done.
        """
        study = study_in(folder)
        database = folder / DATABASE_FILE
        aside = free_aside(database)
        with writing(folder):
            part = database.with_name(f".{database.name}{PART}")
            part.unlink(missing_ok=True)
            new_database(part, study, (folder / STUDY_FILE).stat().st_mtime)
            for ending in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    Path(f"{database}{ending}").rename(f"{aside}{ending}")
            part.rename(database)
        return aside

    # What the runner writes

    def own(self) -> None:
        """Become the run's owner, once; what was asked of the one before is forgotten. Of several that try, one wins.

        Raises BadInput while another owner lives.
        """
        if self._owned:
            return
        this = Owner.this()
        with _OWNING:
            with self._transaction():
                owner = self._owner_alive()
                # One of this process that no object here owns could not be released: the disk was full.
                if owner is not None and (owner != this or self.folder in _OWNED):
                    raise BadInput(f"run {self.id!r}: at work in {owner.words}; allowed: once that has ended")
                facts = zip(_OWNER, (this.host, str(this.pid), this.start, repr(time.time())), strict=True)
                self._connection.executemany(SET_FACT, facts)
                self._connection.execute("DELETE FROM request")
            _OWNED.add(self.folder)
        self._owned = True
        self.save_up()

    def release(self) -> None:
        """The run is nobody's from here on; does nothing for one that is not this object's."""
        if self._owned:
            self._owned = False
            with _OWNING:
                with suppress(Unwritable):
                    self._all_or_none("DELETE FROM facts WHERE name = ?", [(name,) for name in _OWNER])
                _OWNED.discard(self.folder)
            self.spend()

    def append(self, event: Event) -> Stamped:
        """Keep an event; it has happened once this returns."""
        now = time.time()
        return Stamped(self._append([(now, event)]), now, event)

    def restore(self, created: float, events: Iterable[tuple[float, Event]]) -> None:
        """Keep what happened elsewhere, in order and with the times that it had there, all or nothing."""
        with self._transaction():
            self._connection.execute(SET_FACT, ("created", repr(created)))
            proof.prove(self._connection)
            self._chain(events)

    def append_curve(self, key: str, points: Iterable[CurvePoint]) -> None:
        rows = [(key, p.iteration, p.train_loss, p.validation_loss, p.validation_accuracy) for p in points]
        proven = [(*row, proof.of_validation(*row)) for row in rows]
        self._all_or_none("INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?, ?)", proven)

    def set_progress(self, progress: Progress) -> None:
        """Say where the run is."""
        with self._writing():
            self._connection.execute(
                "INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", (time.time(), progress.model_dump_json())
            )

    def beat(self) -> None:
        """Say that the owner lives, whatever it is busy with."""
        with self._writing():
            self._connection.execute("UPDATE facts SET value = ? WHERE name = 'beat'", (repr(time.time()),))

    def save_up(self) -> bool:
        """Take some room on the disk, which `spend` gives back; whether there was any."""
        try:
            (self.folder / SPARE_FILE).write_bytes(os.urandom(SPARE_BYTES))
        except OSError:
            self.spend()
            return False
        return True

    def spend(self) -> None:
        """Give back the room that was saved up."""
        with suppress(OSError):
            (self.folder / SPARE_FILE).unlink()

    # What a person asks, says and does

    def move(self, folder: Path) -> None:
        """Put the run, on which nobody may be at work, at `folder` on the same disk. This object is closed then.

        Raises BadInput where it is at work, Unwritable.
        """
        self.own()  # so that nobody takes it up on the way
        self.spend()
        self._owned = False
        self.close()
        now_at = self.folder
        try:
            with writing(folder):
                make_folder(folder.parent)
                now_at = self.folder.rename(folder)
        finally:
            with _OWNING:
                _OWNED.discard(self.folder)
            with suppress(LabError), RunFolder(now_at) as moved:
                moved.own()
                moved.release()

    def request(self, request: Request) -> None:
        """Ask for that. Raises BadInput where it cannot be."""
        try:
            with self._writing():
                self._connection.execute("INSERT OR REPLACE INTO request VALUES (1, ?)", (request.value,))
        except Unwritable as error:
            raise BadInput(f"{error}; allowed: a disk with room") from None

    def describe(self, *, title: str | None = None, note: str | None = None) -> None:
        """Give it a title, a note or both; None leaves one as it is. Raises BadInput where it is too long, or cannot be
        kept."""
        title = None if title is None else " ".join(title.split())
        labels = [("title", title, TITLE), ("note", None if note is None else note.strip(), NOTE)]
        for name, text, most in labels:
            if text is not None and len(text) > most:
                raise BadInput(f"a {name} of {len(text)} characters; allowed: at most {most}")
        try:
            self._all_or_none(SET_FACT, [(name, text) for name, text, _ in labels if text is not None])
        except Unwritable as error:
            raise BadInput(f"{error}; allowed: a disk with room") from None

    def _append(self, events: Iterable[tuple[float, Event]]) -> int:
        with self._transaction():
            return self._chain(events)

    def _chain(self, events: Iterable[tuple[float, Event]]) -> int:
        """Add to the chain of events, in a transaction; the number of the last."""
        with self._believed("the number of its events"):
            number, digest = proof.parsed(self._fact(proof.HEAD))
        for when, event in events:
            text, number = event.model_dump_json(), number + 1
            digest = proof.chained(digest, number, when, text)
            self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (number, when, text, digest))
        self._connection.execute(SET_FACT, (proof.HEAD, proof.head_of(number, digest)))
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
                # SQLite itself may have, where the disk was full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        database = self.folder / DATABASE_FILE
        try:
            with writing(database):
                yield
        except sqlite3.DatabaseError as error:
            advice = "allowed: a sound one; see `lth-tui doctor`"
            raise LabError(f"run {self.id!r}: {database} is damaged ({error}); {advice}") from None
