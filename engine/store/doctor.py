"""Problems below a home, and how to repair them.

Only what is damaged is repaired: what cannot be read now, or belongs to others, is reported and left alone.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree

from engine import plugins
from engine.errors import BadInput
from engine.store.files import PART, free_aside
from engine.store.home import Store
from engine.store.reading import State, Unreadable
from engine.store.run_db import RunReader, rebuild, rescued, restore_study_file

FOLDERS = ("runs", "rounds", "checkpoints", "compiled", "data", "drafts", "locks", "trash")
"""The folders of a home."""
_OTHERS, _WRITE = 0o077, 0o022
_IN_USE = 60.0
"""Partial files younger than these seconds may still be in use."""


@dataclass(frozen=True)
class Problem:
    """A problem in words. `remedy`: what `repair` would do about it, which returns what it did, or None for that, and
    raises LabError or OSError where it cannot. Where `repair` is None, `remedy` says what a person can do."""

    what: str
    remedy: str
    repair: Callable[[], str | None] | None


def find_problems(store: Store) -> Iterator[Problem]:
    """Yield every problem. This reads every file of the store."""
    yield from _access(store)
    yield from _runs(store)
    yield from _rounds(store)
    yield from _checkpoints(store)
    abandoned = store.round_locks.abandoned()
    if abandoned:
        what = f"{len(abandoned)} locks of rounds are left from processes that have ended"
        yield Problem(what, "removed", store.round_locks.sweep)
    yield from _parts(store.home)


def _access(store: Store) -> Iterator[Problem]:
    """Yield the folders that other users can write to or read."""
    for folder in (store.home, *(store.home / name for name in FOLDERS)):
        with suppress(OSError):
            found = folder.stat()
            mode = stat.S_IMODE(found.st_mode)
            if mode & _OTHERS and found.st_uid == os.getuid():
                what = f"{folder}: other users can {'change' if mode & _WRITE else 'read'} it (mode {mode:o})"
                yield Problem(what, "made private", partial(folder.chmod, mode & ~_OTHERS))


def _runs(store: Store) -> Iterator[Problem]:
    for name in sorted(store.names()):
        folder = store.home / "runs" / name
        try:
            with RunReader(folder) as run:
                run.check()
                edited = run.edited()
        except Unreadable as error:
            yield _damaged(folder, error)
            continue
        if edited:
            yield Problem(edited, "written anew from the run's database", partial(restore_study_file, folder))


def _damaged(folder: Path, error: Unreadable) -> Problem:
    if error.state not in (State.DAMAGED, State.ABSENT):
        return Problem(str(error), "left as it is", None)
    try:
        _, events = rescued(folder)
    except BadInput as none:
        if absent := plugins.absent(folder):
            return Problem(f"{error}; its study is not checked", absent, None)
        return Problem(f"{error}; {none}", "the run cannot be resumed", None)
    remedy = f"moved aside; {len(events)} events are proven and kept; `lth-tui resume {folder.name}` adds the others"
    return Problem(str(error), remedy, partial(rebuild, folder))


def _rounds(store: Store) -> Iterator[Problem]:
    for key in store.rounds.kept():
        path = store.rounds.path(key)
        try:
            store.rounds.prove(key)
        except Unreadable as error:
            if error.state is not State.DAMAGED:
                yield Problem(str(error), "left as it is", None)
                continue
            aside = free_aside(path)
            remedy = f"moved to {aside.name}; the round is retrained when a run needs it"
            yield Problem(f"{path}: damaged or incomplete", remedy, partial(_move, path, aside))


def _move(path: Path, aside: Path) -> None:
    path.rename(aside)


def _checkpoints(store: Store) -> Iterator[Problem]:
    for key in store.checkpoints.kept():
        path, remove = store.checkpoints.path(key), partial(store.checkpoints.remove, key)
        if store.rounds.has(key):
            yield Problem(f"{path}: a checkpoint of a finished round", "removed", remove)
            continue
        try:
            store.checkpoints.prove(key)
        except Unreadable as error:
            if error.state is State.DAMAGED:
                yield Problem(f"{path}: a damaged or incomplete checkpoint", "removed", remove)
            else:
                yield Problem(str(error), "left as it is", None)


def _parts(home: Path) -> Iterator[Problem]:
    """Yield the partial files of processes that were killed."""
    kept = [home / name for name in ("rounds", "checkpoints", "runs", "trash")]
    for folder in (home, *kept, *(child for parent in kept for child in sorted(parent.glob("[!.]*/")))):
        for path in sorted(folder.glob(f".*{PART}")):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _IN_USE:
                    yield Problem(f"{path}: a partial file", "removed", partial(_remove, path))


def _remove(path: Path) -> None:
    if path.is_dir():
        rmtree(path)
    else:
        path.unlink(missing_ok=True)
