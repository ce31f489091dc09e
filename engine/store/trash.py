"""Deleted runs, while they can be restored."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from engine.errors import BadInput, LabError
from engine.paths import make_folder
from engine.store.events import RoundFinished, RoundStarted
from engine.store.files import PART, writing
from engine.store.index import RUN_NAME
from engine.store.locks import RoundLocks
from engine.store.run_db import RunFolder
from engine.store.tensors import CheckpointStore

KEPT_DAYS = 30
"""Days after which a deleted run is removed for good, when another is deleted or the interface is opened."""
_PLACE = re.compile(rf"(\d{{19}})-({RUN_NAME.pattern})")
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Deleted:
    """A run in the trash; `when` it was deleted, in seconds since the epoch."""

    run: str
    when: float
    folder: Path


class Trash:
    """The deleted runs in `folder`, each with the checkpoints of its unfinished rounds. Finished rounds stay in the
    store."""

    def __init__(self, folder: Path, checkpoints: CheckpointStore, round_locks: RoundLocks):
        self._folder, self._checkpoints, self._round_locks = folder, checkpoints, round_locks

    def runs(self) -> list[Deleted]:
        """Return the deleted runs, the last deleted first."""
        found = [(_PLACE.fullmatch(path.name), path) for path in self._folder.glob("[0-9]*-*/")]
        known = [Deleted(match[2], int(match[1]) / 1e9, path) for match, path in found if match]
        return sorted(known, key=lambda item: item.folder.name, reverse=True)

    def add(self, folder: Path) -> None:
        """Move the run in `folder` to the trash. Raises BadInput while a process writes it, Unwritable."""
        place = self._folder / f"{time.time_ns():019d}-{folder.name}"
        in_training = self._round_locks.holders()
        if any(holder.run == folder.name for holder in in_training.values()):
            raise BadInput(f"run {folder.name!r}: in use; allowed: once that has ended")
        try:
            run = RunFolder(folder)
        except BadInput:  # damaged
            with writing(folder):
                make_folder(place.parent)
                folder.rename(place)
            return
        with run:
            begun = _unfinished(run)
            run.move(place)
        for key in begun - in_training.keys():
            with suppress(ValueError):  # no key
                path = self._checkpoints.path(key)
                _carry(path, place / _CHECKPOINTS / path.name)

    def restore(self, deleted: Deleted, folder: Path) -> None:
        """Move a run from the trash to `folder`. Raises Unwritable."""
        for path in sorted(deleted.folder.glob(f"{_CHECKPOINTS}/*")):
            with suppress(ValueError):
                _carry(path, self._checkpoints.path(path.stem))
        rmtree(deleted.folder / _CHECKPOINTS, ignore_errors=True)
        try:
            run = RunFolder(deleted.folder)
        except BadInput:  # damaged
            with writing(folder):
                deleted.folder.rename(folder)
            return
        with run:
            run.move(folder)

    def sweep(self) -> None:
        """Remove for good the runs that were deleted more than KEPT_DAYS ago."""
        for item in self.runs():
            if time.time() - item.when > KEPT_DAYS * 24 * 3600:
                with suppress(OSError):  # another process was first
                    going = item.folder.with_name(f".{item.folder.name}{PART}")
                    item.folder.rename(going)
                    rmtree(going)


def _carry(checkpoint: Path, to: Path) -> None:
    """Move a checkpoint, if there is one and none at `to`. A lost one costs time, no more."""
    with suppress(OSError):
        if checkpoint.is_file() and not to.exists():
            make_folder(to.parent)
            checkpoint.rename(to)


def _unfinished(run: RunFolder) -> set[str]:
    """Return the keys of the rounds that a run began and did not finish; none of a damaged run."""
    with suppress(LabError):
        events = [stamped.event for stamped in run.events()]
        begun = {event.key for event in events if isinstance(event, RoundStarted)}
        return begun - {event.key for event in events if isinstance(event, RoundFinished)}
    return set()
