"""The runs that are laid over each other, as the store has them. Knows no window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Store
from engine.views import RunView, StudyRun, fold
from screens.lab import Lab


@dataclass(frozen=True)
class Laid:
    """A run as far as it was read. One with a `problem` is left out."""

    run: StudyRun | None = None
    created: float = 0.0
    problem: str = ""


def wanted(lab: Lab) -> tuple[str, ...]:
    """The runs that were picked; with fewer than two of them the followed run before them."""
    followed = () if lab.follower is None or len(lab.picked) > 1 else (lab.follower.run,)
    return tuple(dict.fromkeys((*followed, *lab.picked)))


def read(store: Store, runs: Iterable[str], known: Mapping[str, Laid]) -> dict[str, Laid]:
    """The runs of these names, of those that are known only what is new. Waits for the disk."""
    return {run: _read(store, run, known.get(run, Laid())) for run in runs}


def _read(store: Store, name: str, known: Laid) -> Laid:
    try:
        with store.open(name) as folder:
            created = folder.created
            before = known.run if created == known.created else None
            view = before.view if before else RunView(run=name, study=folder.study_name)
            new = folder.events(after=view.last_event)
            if before and not new:
                return known
            return _laid(fold(view, new), before.study if before else folder.study(), created)
    except BadInput as error:
        return Laid(problem=_short(str(error)))


def followed(lab: Lab) -> Laid:
    """The run that all screens follow, which they have read."""
    follower = lab.follower
    if follower is None or follower.study is None:
        return Laid(problem=_short(follower.problem) if follower else "")
    return _laid(follower.view, follower.study)


def _laid(view: RunView, study: Study, created: float = 0.0) -> Laid:
    if view.arms and [arm.name for arm in view.arms] != [arm.name for arm in study.arm]:
        return Laid(problem=f"run {view.run!r}: its study is not the one that it began with")
    return Laid(StudyRun(view, study), created)


def _short(problem: str) -> str:
    """Without what is allowed instead."""
    return problem.partition("; allowed:")[0]
