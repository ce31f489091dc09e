"""All runs of a home."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from engine.errors import BadInput, Unwritable
from engine.paths import make_folder
from engine.spec import Study, to_toml
from engine.store.checkpoints import CheckpointStore
from engine.store.database import RunFolder
from engine.store.drafts import Drafts
from engine.store.files import writing
from engine.store.leases import Leases
from engine.store.machine import MachineFacts
from engine.store.reading import STUDY_FILE
from engine.store.rounds import RoundStore
from engine.store.summaries import RUN_NAME, Report, Summaries
from engine.store.summary import RunSummary
from engine.store.trash import Trash

ROOM = 50_000_000
"""Bytes that a run needs beside its rounds: for checkpoints, events and compiled programs."""


class Store:
    """All that is kept below `home`. Nothing is made before it is written."""

    def __init__(self, home: Path):
        self.home = home
        self.rounds = RoundStore(home / "rounds")
        self.checkpoints = CheckpointStore(home / "checkpoints")
        self.leases = Leases(home / "leases.db")
        self.drafts = Drafts(home / "drafts")
        self.machine = MachineFacts(home / "machine.json")
        self.trash = Trash(home / "trash", self.checkpoints, self.leases)
        self._summaries = Summaries(home / "runs", home / "summaries.db")

    def runs(self, report: Report | None = None) -> list[RunSummary]:
        """Every run, the newest first; damaged ones as such. `report` is called in between, where there is much to
        read."""
        return self._summaries.all(report)

    def names(self) -> list[str]:
        """The names of all runs, in no order."""
        return self._summaries.names()

    def newest(self) -> list[str]:
        """The names of the three runs made last, the newest first; none is read for it."""
        return sorted(self.names(), key=self._made, reverse=True)[:3]

    def open(self, run: str) -> RunFolder:
        """The run of that name. Raises BadInput naming those that there are."""
        self.check_name(run)
        return RunFolder(self.home / "runs" / run)

    def check_name(self, run: str) -> None:
        """Raises BadInput, naming those that there are, where there is no run of that name."""
        if not RUN_NAME.fullmatch(run) or not (self.home / "runs" / run).is_dir():
            newest = ", ".join(self.newest())
            raise BadInput(f"run {run!r}: there is none of that name; allowed: {newest or 'none yet'} (`lth-tui runs`)")

    def _made(self, run: str) -> float:
        """When the run was made, as its file tells: no database is opened for it."""
        with suppress(OSError):
            return (self.home / "runs" / run / STUDY_FILE).stat().st_mtime
        return 0.0

    def create(self, study: Study, name: str | None = None) -> RunFolder:
        """A new run of `study`, called `name` or after the study and the time. Raises BadInput."""
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
        """Put a run into the trash, from where `restore` brings it back; its finished rounds stay in the store, where
        others share them. Raises BadInput where it is at work or there is none of that name, Unwritable."""
        self.check_name(run)
        self.trash.sweep()
        self.trash.take(self.home / "runs" / run)

    def restore(self, run: str | None = None) -> str:
        """Bring back a run, the last that was deleted (of that name); what it is called now, with -2 where its name has
        been taken. Raises BadInput where there is none, Unwritable."""
        deleted = self.trash.runs()
        found = next((item for item in deleted if run in (None, item.run)), None)
        if found is None:
            names = ", ".join(dict.fromkeys(item.run for item in deleted)) or "none yet"
            what = "there is no deleted run" if run is None else f"run {run!r}: no deleted run has that name"
            raise BadInput(f"{what}; allowed: {names}")
        name = self.free_name(found.run)
        self.trash.give_back(found, self.home / "runs" / name)
        return name

    @property
    def free(self) -> int:
        """Bytes that are free where the home is, or will be."""
        return shutil.disk_usage(next(path for path in (self.home, *self.home.parents) if path.exists())).free

    def check_room(self, needed: int) -> None:
        """Raises BadInput where so many bytes more, and those of a run at work, cannot be kept below `home`."""
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
        """That name of a run, or with -2, -3... where it is taken."""
        return next(item for item in _names(name) if not (self.home / "runs" / item).exists())

    def adopt(self, built: Path) -> None:
        """Take in the run whose folder was built at `built`, on the same disk, under that folder's name: whole or not
        at all. Raises OSError, also where the name is taken."""
        folder = self.home / "runs" / built.name
        make_folder(folder.parent)
        built.rename(folder)


def _names(name: str) -> Iterator[str]:
    """That name, then with -2, -3..., each one that a run can have."""
    yield name
    yield from (f"{name[:95]}-{more}" for more in range(2, 10_000))
