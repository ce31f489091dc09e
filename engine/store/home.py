"""The home folder: runs, rounds, checkpoints, drafts, locks, trash."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from engine.errors import BadInput, Unwritable
from engine.paths import make_folder
from engine.spec import Study, to_toml
from engine.store.drafts import Drafts
from engine.store.files import writing
from engine.store.index import RUN_NAME, Report, RunIndex
from engine.store.locks import RoundLocks
from engine.store.machine import MachineProfile
from engine.store.run_db import STUDY_FILE, RunFolder
from engine.store.summary import RunSummary
from engine.store.tensors import CheckpointStore, RoundStore
from engine.store.trash import Trash

ROOM = 50_000_000
"""Bytes that a run needs for checkpoints, events and compiled programs, besides its rounds."""


class Store:
    """The store below `home`. A folder is made when something is first written to it."""

    def __init__(self, home: Path):
        self.home = home
        self.rounds = RoundStore(home / "rounds")
        self.checkpoints = CheckpointStore(home / "checkpoints")
        self.round_locks = RoundLocks(home / "locks")
        self.drafts = Drafts(home / "drafts")
        self.machine = MachineProfile(home / "machine.json")
        self.trash = Trash(home / "trash", self.checkpoints, self.round_locks)
        self._index = RunIndex(home / "runs", home / "summaries.db")

    def runs(self, report: Report | None = None) -> list[RunSummary]:
        """Return every run, the newest first, with damaged ones last. `report` is called now and then while many are
        read."""
        return self._index.all(report)

    def names(self) -> list[str]:
        """Return the names of all runs, in no order."""
        return self._index.names()

    def newest(self) -> list[str]:
        """Return the names of the three newest runs, the newest first, without reading any."""
        return sorted(self.names(), key=self._made, reverse=True)[:3]

    def open(self, run: str) -> RunFolder:
        """Open the run of that name. Raises BadInput, which names other runs, if there is none."""
        self.check_name(run)
        return RunFolder(self.home / "runs" / run)

    def check_name(self, run: str) -> None:
        """Raises BadInput, which names other runs, if there is no run of that name."""
        if not RUN_NAME.fullmatch(run) or not (self.home / "runs" / run).is_dir():
            newest = ", ".join(self.newest())
            raise BadInput(f"run {run!r}: there is none of that name; allowed: {newest or 'none yet'} (`lth-tui runs`)")

    def _made(self, run: str) -> float:
        """Return when the run's study was written."""
        with suppress(OSError):
            return (self.home / "runs" / run / STUDY_FILE).stat().st_mtime
        return 0.0

    def create(self, study: Study, name: str | None = None) -> RunFolder:
        """Make a run of `study`, called `name` or after the study and the time. Raises BadInput."""
        if name is not None and not RUN_NAME.fullmatch(name):
            raise BadInput(
                f"--name {name!r}: allowed: up to 100 letters, digits, '.', '_' and '-', a letter or digit first"
            )
        for candidate in [name] if name else _names(f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}"):
            folder = self.home / "runs" / candidate
            if not folder.exists():
                try:
                    with writing(folder):
                        return RunFolder.create(folder, study, to_toml(study))
                except Unwritable as error:
                    if not folder.exists():
                        raise BadInput(str(error)) from None
        raise BadInput(f"--name {name!r}: there is a run of that name; allowed: a name not in `lth-tui runs`")

    def delete(self, run: str) -> None:
        """Move a run to the trash, from where `restore` brings it back. Its finished rounds stay in the store, since
        other runs share them. Raises BadInput for an unknown run or while a process writes it, Unwritable."""
        self.check_name(run)
        self.trash.sweep()
        self.trash.add(self.home / "runs" / run)

    def restore(self, run: str | None = None) -> str:
        """Restore the run that was deleted last (of that name) and return its name, with -2 if the old name is taken.

        Raises BadInput if there is none, Unwritable.
        """
        deleted = self.trash.runs()
        found = next((item for item in deleted if run in (None, item.run)), None)
        if found is None:
            names = ", ".join(dict.fromkeys(item.run for item in deleted)) or "none yet"
            what = "there is no deleted run" if run is None else f"run {run!r}: no deleted run has that name"
            raise BadInput(f"{what}; allowed: {names}")
        name = self.free_name(found.run)
        self.trash.restore(found, self.home / "runs" / name)
        return name

    @property
    def free(self) -> int:
        """Free bytes on the disk of the home."""
        return shutil.disk_usage(next(path for path in (self.home, *self.home.parents) if path.exists())).free

    def check_room(self, needed: int) -> None:
        """Raises BadInput if the disk of the home has no room for so many bytes and what a run needs besides."""
        try:
            make_folder(self.home)
            with tempfile.TemporaryFile(dir=self.home):
                pass
        except OSError as error:
            advice = "allowed: a folder that can be, in LTH_TUI_HOME"
            raise BadInput(f"{self.home}: cannot be written: {error.strerror}; {advice}") from None
        free = self.free
        if free < needed + ROOM:
            found = f"{(needed + ROOM) / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
            raise BadInput(f"{self.home}: {found}; allowed: a disk with room, in LTH_TUI_HOME, or a smaller study")

    def free_name(self, name: str) -> str:
        """Return `name`, with -2, -3... appended if it is taken."""
        return next(item for item in _names(name) if not (self.home / "runs" / item).exists())

    def adopt(self, built: Path) -> None:
        """Move the run in the folder `built`, on the same disk, into the store under its name, whole or not at all.

        Raises OSError, also if the name is taken.
        """
        folder = self.home / "runs" / built.name
        make_folder(folder.parent)
        built.rename(folder)


def _names(name: str) -> Iterator[str]:
    """Yield `name`, then `name-2`, `name-3`..., each a valid run name."""
    yield name
    yield from (f"{name[:95]}-{more}" for more in range(2, 10_000))
