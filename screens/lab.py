"""What the screens share: the store, and the run that they follow."""

import sqlite3
from dataclasses import dataclass

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Progress, Request, RunFolder, Store
from engine.views import RunView, fold

RESUMABLE = ("stopped", "interrupted", "failed")
"""What runs are that can go on where they were."""


class Follower:
    """A run as read from the store, kept up to date by `poll`; the same for a run at work and an old one."""

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self.run = folder.id
        self.view = RunView(run=folder.id)
        self.progress: Progress | None = None
        self.status = "new"
        self.requested: Request | None = None
        self.problem = ""
        try:
            self.study: Study | None = folder.study()
        except BadInput as error:
            self.study, self.problem = None, str(error)

    def poll(self) -> None:
        """Read what is new."""
        try:
            new = self.folder.events(after=self.view.last_event)
            if new:
                self.view = fold(self.view, new)
            found = self.folder.progress()
            self.progress = found[1] if found else None
            self.requested = self.folder.requested()
            self.status = self.folder.status(self.view.status)
        except (BadInput, sqlite3.Error, ValueError) as error:
            self.problem = str(error).splitlines()[0]

    @property
    def at_work(self) -> bool:
        """Whether requests will be heard."""
        return self.status in ("new", "running", "paused")

    @property
    def taken_up(self) -> bool:
        """Whether it was stopped only to go on in another process, which has yet to say so."""
        return self.status == "stopped" and self.requested in (Request.RESUME, Request.PAUSE)

    @property
    def pausing(self) -> bool:
        """Whether it is paused, or will be at the next chunk of work."""
        return self.status == "paused" or self.requested is Request.PAUSE

    def close(self) -> None:
        self.folder.close()


@dataclass
class Lab:
    """`study`, from `source` and in the words of `toml` where it has any, is what Configure opens with; `active` is
    the run that this process works on; `picked` are the runs to be laid over each other, in the order in which they
    were picked; `slow` is the terminal's line; `first`: what to do first is told."""

    store: Store
    study: Study
    source: str
    toml: str = ""
    follower: Follower | None = None
    active: str | None = None
    picked: tuple[str, ...] = ()
    stopping: bool = False
    slow: bool = False
    first: bool = False

    def follow(self, run: str) -> Follower:
        """Follow a run of the store. Raises BadInput."""
        folder = self.store.open(run)
        if self.follower is not None:
            self.follower.close()
        self.follower = Follower(folder)
        self.follower.poll()
        return self.follower

    def state(self) -> str:
        """The state of the followed run in one word, as true as it can be told."""
        follower = self.follower
        if follower is None:
            return ""
        if self.active == follower.run:
            if self.stopping:
                return "stopping"
            if follower.status in ("new", *RESUMABLE):
                return "starting"
        if follower.taken_up:
            return "starting"
        if follower.at_work and follower.requested is Request.STOP:
            return "stopping"
        if follower.status == "running" and follower.pausing:
            return "pausing"
        if follower.status == "running" and follower.progress is not None:
            return follower.progress.state
        return follower.status
