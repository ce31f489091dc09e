"""The runs that are laid over each other, as the store has them. Knows no window."""

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Store
from engine.views import RunView, StudyRun, fold
from screens.lab import Follower, Lab

EVERY = 2
"""Times that `Overlay.due` is asked from one look into the store to the next."""


@dataclass(frozen=True)
class Laid:
    """A run as far as it was read, and what to call it. One with a `problem` is left out."""

    name: str
    run: StudyRun | None = None
    created: float = 0.0
    problem: str = ""


class Overlay:
    """The runs that were picked; with fewer than two of them the followed run before them."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._known: dict[str, Laid] = {}
        self._asked: tuple[str, ...] = ()
        self._looks = 0
        self._reading = False

    @property
    def _wanted(self) -> tuple[str, ...]:
        follower, picked = self._lab.follower, self._lab.picked
        own = () if follower is None or len(picked) > 1 else (follower.run,)
        return tuple(dict.fromkeys((*own, *picked)))

    def due(self) -> bool:
        """Whether to read, asked again and again: where other runs are wanted, else every now and then."""
        self._looks += 1
        return not self._reading and (self._wanted != self._asked or self._looks % EVERY == 0)

    async def read(self) -> None:
        """Read what is new of the runs that no other screen reads, in a thread."""
        follower = self._lab.follower
        self._asked, self._reading = self._wanted, True
        others = [run for run in self._asked if follower is None or run != follower.run]
        try:
            self._known = await asyncio.to_thread(read, self._lab.store, others, self._known)
        finally:
            self._reading = False

    def laid(self) -> list[Laid]:
        """The wanted runs as far as they are read."""
        follower = self._lab.follower
        known = self._known | ({} if follower is None else {follower.run: followed(follower)})
        return [known[run] for run in self._wanted if run in known]


def read(store: Store, runs: Iterable[str], known: Mapping[str, Laid]) -> dict[str, Laid]:
    """The runs of these names, of those that are known only what is new. Waits for the disk."""
    return {run: _read(store, run, known.get(run, Laid(run))) for run in runs}


def _read(store: Store, run: str, known: Laid) -> Laid:
    try:
        with store.open(run) as folder:
            name, created = folder.title or run, folder.created
            before = known.run if created == known.created else None
            view = before.view if before else RunView(run=run, study=folder.study_name)
            new = folder.events(after=view.last_event)
            if before and not new:
                return replace(known, name=name)
            return _laid(name, fold(view, new), before.study if before else folder.study(), created)
    except (BadInput, sqlite3.Error, ValueError) as error:
        return Laid(known.name, problem=_short(error))


def followed(follower: Follower) -> Laid:
    """The run that all screens follow, which they have read."""
    try:
        name = follower.folder.title or follower.run
    except (BadInput, sqlite3.Error) as error:
        return Laid(follower.run, problem=_short(error))
    if follower.study is None:
        return Laid(name, problem=_short(follower.problem))
    return _laid(name, follower.view, follower.study)


def _laid(name: str, view: RunView, study: Study, created: float = 0.0) -> Laid:
    if view.arms and [arm.name for arm in view.arms] != [arm.name for arm in study.arm]:
        return Laid(name, problem="its study is not the one that it began with")
    return Laid(name, StudyRun(view, study), created)


def _short(problem: object) -> str:
    """A line without what is allowed instead."""
    return str(problem).partition("\n")[0].partition("; allowed:")[0]
