"""What a run has told before it is taken up again."""

from engine.errors import BadInput
from engine.experiment import Plan, RoundId
from engine.store import Event, RoundFinished, RunFolder
from engine.store.state import RunState


class RunHistory:
    """The events of a run until now.

    `state` after them; `finished`: the rounds reported, by place; `begun`: the keys of those that it set out to train,
    and that it counts as trained by itself once they are stored; `seconds` of work.
    """

    def __init__(self, folder: RunFolder):
        self._run = folder.id
        self.state = RunState()
        for stamped in folder.events():
            self.state.add(stamped)
        progress = folder.progress()
        self.seconds = self.state.worked(progress[0] if progress else 0.0)
        self.started, self.begun, self.status = self.state.started, self.state.begun, self.state.status
        self.finished = {RoundId(*place): event for place, event in self.state.rounds.items()}
        self._said: set[Event] = {*self.state.signals, *self.state.diverged}

    def told(self, event: Event) -> bool:
        """Whether that was reported before."""
        if isinstance(event, RoundFinished):
            return RoundId(event.arm, event.trial, event.round) in self.finished
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
        if any(event.key != plan.round_keys.get(place) for place, event in self.finished.items()):
            raise BadInput(f"{where}: data set {plan.dataset.name} or the engine changed since; allowed: a new run")
