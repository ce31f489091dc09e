"""The trials of a run: which networks each has, which rounds of two arms belong together, and mean and spread over
trials. What is compared and what is claimed is measured by these alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.spec import Study
from engine.store.events import RoundFinished
from engine.views.run import RunView, TrialView

WITHIN = 0.15
"""A round stands for a P_m when its own differs from it by no more than this part of it."""
SAME_LEVEL = 0.01
"""Rounds of two arms are at the same P_m when these differ by no more than this part of it."""
ROUNDING = 1e-9
"""Differences, relative to 1 or to the values where these are greater, that are of arithmetic and not of seeds."""

Quantity = Callable[[RoundFinished], float | None]
"""What a round measured; None where it did not."""
Copies = tuple[TrialView, ...]
"""The networks of an arm in one trial of the study: one, or the controls drawn for its ticket."""


@dataclass(frozen=True)
class StudyRun:
    """A run and its study: the view by arms and trials of the study."""

    view: RunView
    study: Study

    def has(self, arm: str) -> bool:
        """Whether the run has told of the arm."""
        return any(item.name == arm for item in self.view.arms)

    def trials(self, arm: str) -> tuple[Copies, ...]:
        """The networks of the arm by trial of the study."""
        copies = self.study.named(arm).copies
        found = self.view.arm(arm).trials
        return tuple(found[start : start + copies] for start in range(0, len(found), copies))

    def levels(self, arm: str) -> dict[int, float]:
        """P_m, percent, by number of the rounds known in any trial."""
        found = {number: item.p_m for trial in self.view.arm(arm).trials for number, item in trial.rounds.items()}
        return dict(sorted(found.items()))

    def by_seed(self, arm: str, number: int, quantity: Quantity) -> dict[int, float]:
        """A quantity in one round, by the seed of the trials that have it; of several controls their mean."""
        seeds = zip(self.study.trial_seeds(), self.trials(arm), strict=False)
        found = {seed: over(copies, number, quantity) for seed, copies in seeds}
        return {seed: value for seed, value in found.items() if value is not None}


def accuracy(item: RoundFinished) -> float | None:
    """Test accuracy at the lowest validation loss, percent."""
    return None if item.result.test_accuracy is None else 100 * item.result.test_accuracy


def early_stop(item: RoundFinished) -> float | None:
    """Iteration of the lowest validation loss."""
    return item.result.early_stop_iteration


def nearest(levels: Mapping[int, float], at: float, within: float = WITHIN) -> int | None:
    """The round whose P_m is nearest to that one; None where none differs by no more than this part of it."""
    number = min(levels, key=lambda number: abs(levels[number] - at), default=None)
    return None if number is None or abs(levels[number] - at) > within * at else number


def partners(levels: Mapping[int, float], others: Mapping[int, float]) -> dict[int, int]:
    """By round of one arm that of the other at the same P_m, where there is one."""
    found = {number: nearest(others, p_m, SAME_LEVEL) for number, p_m in levels.items()}
    return {number: its for number, its in found.items() if its is not None}


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where one is missing or there is none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def over(copies: Copies, number: int, quantity: Quantity) -> float | None:
    """The mean of a quantity in one round over the networks of a trial."""
    return mean([quantity(trial.rounds[number]) if number in trial.rounds else None for trial in copies])


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard error; no error of one value."""
    average = math.fsum(values) / len(values)
    return average, None if len(values) < 2 else deviation(values) / math.sqrt(len(values))


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation of two values or more; 0 of those that differ by rounding."""
    if alike(values):
        return 0.0
    average = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - average) ** 2 for value in values) / (len(values) - 1))


def alike(values: Sequence[float]) -> bool:
    """Whether values differ by no more than rounding, which is no spread to test by."""
    return max(values) - min(values) <= ROUNDING * max(1.0, *map(abs, values))
