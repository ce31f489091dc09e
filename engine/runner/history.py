"""What a run has told before it is taken up again."""

from engine.errors import BadInput
from engine.experiment import Place, Plan
from engine.store import (
    Diverged,
    Event,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunFolder,
    RunResumed,
    RunStarted,
    Signal,
)


class RunHistory:
    """The events of a run until now.

    `started`: how it began, None where it has not; `finished`: the rounds told, by place; `begun`: the keys of those
    that it set out to train, and that it counts as trained by itself once they are stored; `seconds` of work.
    """

    def __init__(self, folder: RunFolder):
        self.started: RunStarted | None = None
        self.finished: dict[Place, RoundFinished] = {}
        self.begun: set[str] = set()
        self.seconds = 0.0
        self.status = "new"
        self._run = folder.id
        self._said: set[Event] = set()
        since, now = None, 0.0
        for stamped in folder.events():
            event, before, now = stamped.event, now, stamped.time
            self.status = "running"
            match event:
                case RunStarted() | RunResumed():
                    self.seconds += max(0.0, before - since) if since is not None else 0
                    since = now
                    self.started = event if isinstance(event, RunStarted) else self.started
                case RoundStarted():
                    self.begun.add(event.key)
                case RoundFinished():
                    self.finished[Place(event.arm, event.trial, event.round)] = event
                case Signal() | Diverged():
                    self._said.add(event)
                case RunFinished():
                    self.status, self.seconds, since = event.status, event.seconds, None
                case _:
                    pass
        progress = folder.progress()
        if since is not None and progress is not None:
            self.seconds += max(0.0, max(now, progress[0]) - since)

    def told(self, event: Event) -> bool:
        """Whether that was told of a round before."""
        if isinstance(event, RoundFinished):
            return Place(event.arm, event.trial, event.round) in self.finished
        return event in self._said

    def refuse_unlike(self, plan: Plan, numerics: str) -> None:
        """Raises BadInput where what is to come would not be of one piece with what was told: another study, other
        versions or devices, other data."""
        if self.started is None:
            return
        where = f"run {self._run!r}"
        if self.started.hash != plan.study.hash:
            raise BadInput(
                f"{where}: its study.toml is not the one that it began with; allowed: that one, or a new run"
            )
        if self.started.numerics != numerics:
            then = f"were computed with {self.started.numerics or 'unknown versions'}; here is {numerics}"
            raise BadInput(f"{where}: its rounds so far {then}; allowed: go on there")
        if any(event.key != plan.places.get(place) for place, event in self.finished.items()):
            raise BadInput(f"{where}: data set {plan.mark.name} or the engine changed since; allowed: a new run")
