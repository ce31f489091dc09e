"""The state of a run, folded from its events. The runner, the list of runs, screens and imports use this fold."""

import math
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.store.events import (
    ArmPlan,
    Diverged,
    Event,
    InvariantFailed,
    Paused,
    Resumed,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    Signal,
)
from engine.store.run_db import Stamped

ArmTrialRound: TypeAlias = tuple[str, int, int]
"""Arm, trial and round."""


@dataclass
class RunState:
    """The state of a run after its events so far.

    `status`: new, running, paused, done, stopped or failed; the store alone knows whether the owner of a running run
    still lives. `started`: how it began, at `started_at`; `rounds`: the finished ones by place; `training`: those that
    were begun and not finished; `begun`: keys that the run itself set out to train; `signals`, `diverged` and `broken`:
    in the order in which they were reported; `seconds` and `message` of its end, None and empty before. Times are in
    seconds since the epoch.
    """

    status: str = "new"
    started: RunStarted | None = None
    started_at: float | None = None
    rounds: dict[ArmTrialRound, RoundFinished] = field(default_factory=dict)
    training: set[ArmTrialRound] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    signals: list[Signal] = field(default_factory=list)
    diverged: list[Diverged] = field(default_factory=list)
    broken: list[InvariantFailed] = field(default_factory=list)
    seconds: float | None = None
    message: str = ""
    last_event: int = 0
    time: float = 0.0
    _worked: float = 0.0
    _since: float | None = None

    def add(self, stamped: Stamped) -> None:
        """Add the next event from the store."""
        self.apply(stamped.event, stamped.time)
        self.last_event = stamped.id

    def apply(self, event: Event, time: float = 0.0) -> None:
        """Apply the next event, reported at `time`."""
        before, self.time = self.time, time
        match event:
            case RunStarted() | RunResumed():
                if self._since is not None:
                    self._worked += max(0.0, before - self._since)
                self._since = time
                self.status, self.seconds, self.message = "running", None, ""
                self.training = set()
                if isinstance(event, RunStarted):
                    self.started, self.started_at = event, time
            case RoundStarted():
                self.training.add(_place(event))
                self.begun.add(event.key)
            case RoundFinished():
                self.training.discard(_place(event))
                self.rounds[_place(event)] = event
            case Diverged():
                self.training.discard(_place(event))
                self.diverged.append(event)
            case Signal():
                self.signals.append(event)
            case InvariantFailed():
                self.broken.append(event)
            case Paused():
                self.status = "paused"
            case Resumed():
                self.status = "running"
            case RunFinished():
                self.status, self.seconds, self.message = event.status, event.seconds, event.message
                self.training = set()
                self._worked, self._since = event.seconds, None
            case _:
                pass

    def copy(self) -> "RunState":
        """Return an independent copy."""
        twin = copy(self)
        twin.rounds, twin.training, twin.begun = dict(self.rounds), set(self.training), set(self.begun)
        twin.signals, twin.diverged, twin.broken = list(self.signals), list(self.diverged), list(self.broken)
        return twin

    def reported(self, event: Event) -> bool:
        """Return whether an equal signal or divergence, or the same round, was reported before."""
        if isinstance(event, RoundFinished):
            return _place(event) in self.rounds
        return event in self.signals or event in self.diverged

    def worked(self, now: float = 0.0) -> float:
        """Return the seconds of work up to the newest event, or to `now` if that is later."""
        return self._worked + (max(0.0, max(now, self.time) - self._since) if self._since is not None else 0.0)

    @property
    def arms(self) -> tuple[ArmPlan, ...]:
        """The arms; empty before the run started."""
        return self.started.arms if self.started else ()

    @property
    def rounds_total(self) -> int:
        """The rounds that all trials will have."""
        return sum(len(arm.seeds) * len(arm.rounds) for arm in self.arms)

    @property
    def reused(self) -> int:
        """Finished rounds that were taken from another arm or run."""
        return sum(event.reused for event in self.rounds.values())

    @property
    def trained(self) -> int:
        """Finished rounds that this run trained."""
        return len(self.rounds) - self.reused


def mean_or_none(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _place(event: RoundStarted | RoundFinished | Diverged) -> ArmTrialRound:
    return event.arm, event.trial, event.round
