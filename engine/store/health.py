"""What is amiss below a home, and how it is mended."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree

from engine.errors import BadInput
from engine.store.database import RunFolder
from engine.store.files import PART, free_aside
from engine.store.reading import DATABASE_FILE, study_in
from engine.store.runs import Store

LEFT_ALONE = 60.0
"""Seconds for which a file that is not whole may be one that is being written."""


@dataclass(frozen=True)
class Amiss:
    """Something amiss, in words; `remedy`: what `mend` does about it, which raises LabError or OSError where it cannot.
    Nothing can be done where `mend` is None, and `remedy` says what else there is."""

    what: str
    remedy: str
    mend: Callable[[], object] | None


def amiss(store: Store) -> Iterator[Amiss]:
    """All that is amiss. Everything that is kept is read, which takes its time."""
    yield from _runs(store)
    yield from _rounds(store)
    yield from _checkpoints(store)
    dead = [lease for lease in store.leases.all() if not lease.alive]
    if dead:
        yield Amiss(f"{len(dead)} rounds are leased to processes that are gone", "released", store.leases.sweep)
    yield from _parts(store.home)


def _runs(store: Store) -> Iterator[Amiss]:
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
            study_in(folder)
        except BadInput as error:
            advice = "nothing is left to take up: delete it, or bring its study.toml back"
            yield Amiss(damage if damage == str(error) else f"{damage}; {error}", advice, None)
            continue
        aside = free_aside(folder / DATABASE_FILE).name
        remedy = f"put aside as {aside}; `lth-tui resume {name}` takes its rounds from the store"
        yield Amiss(damage, remedy, partial(RunFolder.renew, folder))


def _rounds(store: Store) -> Iterator[Amiss]:
    for key in store.rounds.kept():
        if store.rounds.read(key) is None:
            path = store.rounds.path(key)
            aside = free_aside(path)
            remedy = f"put aside as {aside.name}; it is trained again when a run needs it"
            yield Amiss(f"{path}: damaged, or cut short", remedy, partial(path.rename, aside))


def _checkpoints(store: Store) -> Iterator[Amiss]:
    for key in store.checkpoints.kept():
        path, remove = store.checkpoints.path(key), partial(store.checkpoints.remove, key)
        if store.rounds.has(key):
            yield Amiss(f"{path}: a checkpoint of a round that is finished", "removed", remove)
        elif not store.checkpoints.sound(key):
            yield Amiss(f"{path}: a checkpoint that is damaged, or cut short", "removed", remove)


def _parts(home: Path) -> Iterator[Amiss]:
    """What processes left when they died."""
    kept = [home / name for name in ("rounds", "checkpoints", "runs", "trash")]
    for folder in (home, *kept, *(place for parent in kept for place in sorted(parent.glob("[!.]*/")))):
        for path in sorted(folder.glob(f".*{PART}")):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LEFT_ALONE:
                    yield Amiss(f"{path}: left half written", "removed", partial(_remove, path))


def _remove(path: Path) -> None:
    if path.is_dir():
        rmtree(path)
    else:
        path.unlink(missing_ok=True)
