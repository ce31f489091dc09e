"""A run as one file that another machine can open: its study, events and rounds.

Events are JSON and validated as typed events; rounds are read by the round store and written again. No other file
of a bundle enters the store.
"""

import os
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from engine.datasets.folder import shown
from engine.errors import BadInput
from engine.export.archive import EVENTS, STUDY, Bundle, Manifest, Packer, first_problem, round_member
from engine.export.validator import EventLine, EventValidator, Inconsistent
from engine.paths import make_folder
from engine.spec import Study, parse_study, to_toml
from engine.store import Event, RoundStore, RunStarted, Store, StoredRound
from engine.store.files import sync_folder

Report = Callable[[str, float], None]
"""Called with the stage and the fraction done, 0 to 1."""

_BLOCK = 1 << 20
_STAGING, _ABANDONED = ".opening-", 24 * 3600.0


@dataclass(frozen=True)
class ExportReport:
    """The contents of a new bundle: events, points of curves and rounds; `missing` rounds had no valid file.
    `unpacked` and `size` in bytes."""

    run: str
    events: int
    points: int
    rounds: int
    missing: int
    unpacked: int
    size: int


@dataclass(frozen=True)
class ImportReport:
    """An imported run: its name in this store, its `new` rounds and those that the store had. Size in bytes."""

    run: str
    events: int
    new: int
    known: int
    size: int


def write_bundle(run: str, store: Store, path: Path, report: Report) -> ExportReport:
    """Write `run` to the new file `path`, atomically and readable by its owner only.

    Raises BadInput for an unknown or damaged run, and for a path that cannot be written.
    """
    with store.open(run) as folder, _new_file(path) as part:
        study, events = folder.study(), folder.events()
        validator = EventValidator(study)
        points = missing = 0

        def event_lines() -> Iterator[bytes]:
            for stamped in events:
                validator.check(stamped.event)
                yield EventLine(time=stamped.time, event=stamped.event).model_dump_json().encode() + b"\n"

        with part.open("wb") as file:
            packer = Packer(file)
            packer.add(STUDY, [to_toml(study).encode()])
            try:
                packer.add(EVENTS, event_lines())
            except (Inconsistent, ValidationError, sqlite3.Error) as error:
                raise BadInput(f"run {run!r}: its events cannot be believed: {_words(error)}") from None
            for done, key in enumerate(validator.keys):
                report("packing rounds", done / len(validator.keys))
                stored = store.rounds.read(key)
                if stored is None or _inconsistency(validator, stored):
                    missing += 1
                else:
                    points += len(stored.curve)
                    packer.add(round_member(key), _blocks(store.rounds.path(key)))
            manifest = Manifest(
                run=run,
                study=study.hash,
                created=folder.created,
                title=folder.title,
                note=folder.note,
                members=packer.members,
            )
            packer.finish(manifest)
            file.flush()
            os.fsync(file.fileno())
        rounds = len(validator.keys) - missing
        return ExportReport(run, len(events), points, rounds, missing, packer.size, part.stat().st_size)


def open_bundle(path: Path, store: Store, report: Report) -> ImportReport:
    """Bring the run of a bundle into the store, all or nothing, under its own name or that with -2 where it is taken.

    The bundle is untrusted: sizes, names and hashes are checked, events are validated against the study, and rounds
    against their digests and keys. Existing rounds stay. Raises BadInput, and LabError if the disk is full.
    """
    with Bundle(path) as bundle:
        study = _study(bundle)
        with _staging(store) as staging:
            bundle.check_room(staging)
            staged = Store(staging)
            name = store.free_name(bundle.manifest.run)
            events, validator = _restored(bundle, study, staged, name)
            keys = bundle.rounds
            for done, key in enumerate(keys):
                report("checking rounds", done / len(keys))
                _take_round(bundle, key, validator, staged.rounds)
            new = _publish(staged, store, name, keys)
        return ImportReport(name, events, new, len(keys) - new, bundle.unpacked)


# Writing


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A file to write that becomes `path` at the end; nothing is left of it after an error."""
    try:
        if path.exists() or path.is_symlink():
            raise BadInput(f"{shown(path)}: it is there already; allowed: the name of a new file")
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield part
            part.rename(path)
            sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"{shown(path)}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


# Opening


def _study(bundle: Bundle) -> Study:
    try:
        text = bundle.read(STUDY).decode("utf-8")
    except UnicodeDecodeError as error:
        raise bundle.wrong(STUDY, f"not UTF-8 at byte {error.start}") from None
    study = parse_study(text, source=f"{bundle.name}: {STUDY}")
    if study.hash != bundle.manifest.study:
        raise bundle.wrong(STUDY, "not the study of the manifest, or one that another version reads differently")
    return study


@contextmanager
def _staging(store: Store) -> Iterator[Path]:
    """A private folder in the store's home, gone at the end."""
    made = not store.home.exists()
    try:
        make_folder(store.home)
        _sweep(store.home)
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=store.home) as folder:
            yield Path(folder)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"{shown(store.home)}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        if made:
            with suppress(OSError):  # it is not empty where the run was taken in
                store.home.rmdir()


def _sweep(home: Path) -> None:
    """Remove what killed processes left behind."""
    for path in home.glob(f"{_STAGING}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _restored(bundle: Bundle, study: Study, staged: Store, name: str) -> tuple[int, EventValidator]:
    """Make the run from its study and events; return the number of its events, and their account."""
    validator = EventValidator(study)
    with staged.create(study, name) as folder:
        events = list(_events(bundle, validator, name))
        folder.restore(bundle.manifest.created, events)
        folder.describe(title=bundle.manifest.title, note=bundle.manifest.note)
    folder.folder.chmod(0o700)
    for path in folder.folder.iterdir():
        path.chmod(0o600)
    return len(events), validator


def _events(bundle: Bundle, validator: EventValidator, name: str) -> Iterator[tuple[float, Event]]:
    for number, text in bundle.lines(EVENTS):
        try:
            line = EventLine.model_validate_json(text)
            event = line.event
            validator.check(event)
        except (Inconsistent, ValidationError) as error:
            raise bundle.wrong(EVENTS, f"line {number}: {_words(error)}") from None
        yield line.time, event.model_copy(update={"run": name}) if isinstance(event, RunStarted) else event


def _take_round(bundle: Bundle, key: str, validator: EventValidator, staged: RoundStore) -> None:
    """Read a round through the round store, in a place of its own, and write it anew into `staged`."""
    member = round_member(key)
    if key not in validator.keys:
        raise bundle.wrong(member, "a round that the events do not know")
    with tempfile.TemporaryDirectory(dir=staged.path(key).parents[2]) as apart:
        foreign = RoundStore(Path(apart))
        foreign.path(key).parent.mkdir()
        with foreign.path(key).open("wb") as file:
            file.writelines(bundle.blocks(member))
        # A pruned weight takes a bit in the file and four bytes a snapshot in memory.
        needed, free = foreign.dense_bytes(key), psutil.virtual_memory().available
        if needed > free:
            raise bundle.wrong(member, f"it takes {needed} bytes of memory to open, {free} are free")
        stored = foreign.read(key)
    if stored is None:
        raise bundle.wrong(member, "not a round of that key, or damaged")
    if problem := _inconsistency(validator, stored):
        raise bundle.wrong(member, problem)
    staged.write(stored)
    staged.path(key).chmod(0o600)


def _publish(staged: Store, store: Store, name: str, keys: list[str]) -> int:
    """Move rounds, then the run, into the store; return the number of new rounds."""
    added: list[Path] = []
    try:
        for key in keys:
            path = store.rounds.path(key)
            make_folder(path.parent)
            with suppress(FileExistsError):
                # Unlike a rename, a link never takes the place of a file that is there.
                os.link(staged.rounds.path(key), path)
                added.append(path)
        store.adopt(staged.home / "runs" / name)
    except BaseException:
        for path in added:
            path.unlink(missing_ok=True)
        raise
    return len(added)


def _inconsistency(validator: EventValidator, stored: StoredRound) -> str:
    """Return why a round is inconsistent with the events; empty if it is consistent."""
    try:
        validator.check_round(stored)
    except Inconsistent as error:
        return _words(error)
    return ""


def _words(error: Exception) -> str:
    return first_problem(error) if isinstance(error, ValidationError) else str(error)
