"""Summaries of runs for lists."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engine.store.events import ArmPlan
from engine.store.state import RunState, mean_or_none

STATUSES = ("new", "running", "paused", "interrupted", "stopped", "failed", "done", "damaged")
"""The statuses of a run."""
_WHEN = re.compile(r"-\d{8}-\d{6}(-\d+)?$")
"""The suffix that the store appends to the study's name."""


class RoundMean(NamedTuple):
    """A round of an arm: P_m in percent, and the mean test and validation accuracy (0 to 1) over the trials that have a
    finite one."""

    round: int
    p_m: float
    accuracy: float
    validation: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """One run in a list, at the time of reading.

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
    """Return the summary of a damaged run."""
    return RunSummary(run, "", "", "?", "damaged", "", "", (), 0, 0.0, 0, 0, None, ())


def summarise(state: RunState, run: str, *, study: str, title: str, note: str, created: float) -> RunSummary:
    """Return the summary of a run, with the status by its events."""
    first = state.arms[0] if state.arms else None
    return RunSummary(
        id=run,
        title=title,
        note=note,
        study=study,
        status=state.status,
        dataset=state.started.dataset.name if state.started else "",
        device=state.started.device if state.started else "",
        arms=tuple(arm.name for arm in state.arms),
        trials=len(first.seeds) if first else 0,
        created=created,
        rounds_done=len(state.rounds),
        rounds_total=state.rounds_total,
        seconds=state.seconds,
        rounds=tuple(_means(state, first)) if first else (),
    )


def _means(state: RunState, arm: ArmPlan) -> Iterator[RoundMean]:
    for number in arm.rounds:
        places = ((arm.name, trial, number) for trial in range(len(arm.seeds)))
        found = [state.rounds[place] for place in places if place in state.rounds]
        accuracy = mean_or_none(event.result.test_accuracy for event in found)
        validation = mean_or_none(event.result.validation_accuracy for event in found)
        if accuracy is not None:
            yield RoundMean(number, found[0].p_m, accuracy, validation)
