"""Problems below a home, and how to repair them."""

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
from engine.store.run_db import DATABASE_FILE, RunFolder, study_in

_IN_USE = 60.0
"""Partial files younger than these seconds may still be in use."""


@dataclass(frozen=True)
class Problem:
    """A problem in words. `remedy`: what `repair` does about it, which raises LabError or OSError where it cannot.
    Where `repair` is None, `remedy` says what a person can do."""

    what: str
    remedy: str
    repair: Callable[[], object] | None


def find_problems(store: Store) -> Iterator[Problem]:
    """Yield every problem. This reads every file of the store."""
    yield from _runs(store)
    yield from _rounds(store)
    yield from _checkpoints(store)
    abandoned = store.round_locks.abandoned()
    if abandoned:
        what = f"{len(abandoned)} locks of rounds are left from processes that have ended"
        yield Problem(what, "removed", store.round_locks.sweep)
    yield from _parts(store.home)


def _runs(store: Store) -> Iterator[Problem]:
    for name in sorted(store.names()):
        folder = store.home / "runs" / name
        try:
            with RunFolder(folder) as run:
                run.check()
        except BadInput as error:
            damage = str(error)
        else:
            continue
        try:
            absent = plugins.absent(folder)
            if absent:
                yield Problem(f"run {name!r}: not checked", absent, None)
                continue
            study_in(folder)
        except BadInput as error:
            advice = "the run cannot be resumed: delete it, or bring its study.toml back"
            yield Problem(damage if damage == str(error) else f"{damage}; {error}", advice, None)
            continue
        aside = free_aside(folder / DATABASE_FILE).name
        remedy = f"moved to {aside}; `lth-tui resume {name}` takes its rounds from the store"
        yield Problem(damage, remedy, partial(RunFolder.renew, folder))


def _rounds(store: Store) -> Iterator[Problem]:
    for key in store.rounds.kept():
        if store.rounds.read(key) is None:
            path = store.rounds.path(key)
            aside = free_aside(path)
            remedy = f"moved to {aside.name}; the round is retrained when a run needs it"
            yield Problem(f"{path}: damaged or incomplete", remedy, partial(path.rename, aside))


def _checkpoints(store: Store) -> Iterator[Problem]:
    for key in store.checkpoints.kept():
        path, remove = store.checkpoints.path(key), partial(store.checkpoints.remove, key)
        if store.rounds.has(key):
            yield Problem(f"{path}: a checkpoint of a finished round", "removed", remove)
        elif not store.checkpoints.sound(key):
            yield Problem(f"{path}: a damaged or incomplete checkpoint", "removed", remove)


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
