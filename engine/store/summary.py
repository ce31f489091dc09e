"""A run in a list."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from engine.store.events import Paused, Resumed, RoundFinished, RunFinished, RunResumed, RunStarted
from engine.store.reading import Stamped

STATUSES = ("new", "running", "paused", "interrupted", "stopped", "failed", "done", "damaged")
"""What a run can be."""
_WHEN = re.compile(r"-\d{8}-\d{6}(-\d+)?$")
"""What the store appends to the name of a study for that of a run."""


class RoundMean(NamedTuple):
    """A round of an arm: P_m in percent, and the mean test and validation accuracy (0 to 1) over the trials that have a
    finite one."""

    round: int
    p_m: float
    accuracy: float
    validation: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """What a list says of a run, as its database had it when the list was read; results are in its events alone.

    `created` in seconds since the epoch; `seconds` of work, None until it ended; `trials` and `rounds` are those of the
    first arm, its finished rounds in their order, with accuracies at the lowest validation loss.
    """

    id: str
    title: str
    note: str
    study: str
    status: str
    dataset: str
    device: str
    arms: tuple[str, ...]
    trials: int
    created: float
    rounds_done: int
    rounds_total: int
    seconds: float | None
    rounds: tuple[RoundMean, ...]

    @property
    def name(self) -> str:
        """What to call it: its title, or its id without the time that is in it."""
        return self.title or _WHEN.sub("", self.id)

    @property
    def dense(self) -> float | None:
        """The accuracy of the first arm's round 0."""
        return self.rounds[0].accuracy if self.rounds and self.rounds[0].round == 0 else None

    @property
    def best(self) -> float | None:
        """The test accuracy of the first arm's round with the highest validation accuracy; test data choose nothing."""
        validated = [(mean.validation, mean.accuracy) for mean in self.rounds if mean.validation is not None]
        return max(validated, key=lambda pair: pair[0])[1] if validated else None

    @property
    def last(self) -> float | None:
        """The accuracy of the first arm's newest round."""
        return self.rounds[-1].accuracy if self.rounds else None


def damaged(run: str) -> RunSummary:
    """A run of which nothing can be believed."""
    return RunSummary(run, "", "", "?", "damaged", "", "", (), 0, 0.0, 0, 0, None, ())


class Tally:
    """What the events of a run say, in short, up to number `last_event`."""

    def __init__(self) -> None:
        self.last_event = 0
        self._status = "new"
        self._dataset = self._device = ""
        self._arms: tuple[str, ...] = ()
        self._trials = self._done = self._total = 0
        self._seconds: float | None = None
        self._rounds: dict[int, tuple[float, dict[int, float], dict[int, float]]] = {}

    def add(self, events: Iterable[Stamped]) -> None:
        """Take the events after the last."""
        for stamped in events:
            self.last_event = stamped.id
            match stamped.event:
                case RunStarted() as event:
                    self._status, self._dataset, self._device = "running", event.dataset.name, event.device
                    self._arms = tuple(arm.name for arm in event.arms)
                    self._trials = len(event.arms[0].seeds) if event.arms else 0
                    self._total = sum(len(arm.seeds) * len(arm.rounds) for arm in event.arms)
                case RunResumed():
                    self._status, self._seconds = "running", None
                case Paused():
                    self._status = "paused"
                case Resumed():
                    self._status = "running"
                case RunFinished() as event:
                    self._status, self._seconds = event.status, event.seconds
                case RoundFinished() as event:
                    self._done += 1
                    accuracy, validation = event.result.test_accuracy, event.result.validation_accuracy
                    if self._arms[:1] == (event.arm,) and accuracy is not None:
                        _, tested, validated = self._rounds.setdefault(event.round, (event.result.p_m, {}, {}))
                        tested[event.trial] = accuracy
                        if validation is not None:
                            validated[event.trial] = validation
                case _:
                    pass

    def summary(self, run: str, *, study: str, title: str, note: str, created: float) -> RunSummary:
        """The run's line in a list, with the status that its events tell."""
        rounds = (
            RoundMean(number, p_m, _mean(tested), _mean(validated) if validated else None)
            for number, (p_m, tested, validated) in sorted(self._rounds.items())
        )
        return RunSummary(
            id=run,
            title=title,
            note=note,
            study=study,
            status=self._status,
            dataset=self._dataset,
            device=self._device,
            arms=self._arms,
            trials=self._trials,
            created=created,
            rounds_done=self._done,
            rounds_total=self._total,
            seconds=self._seconds,
            rounds=tuple(rounds),
        )


def _mean(values: dict[int, float]) -> float:
    return math.fsum(values.values()) / len(values)
