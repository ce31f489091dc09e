"""Lines to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.store.events import CurvePoint, RoundFinished, SignalKind
from engine.views.run import ArmView, RunView
from engine.views.signals import round_marks
from engine.views.trials import mean_and_error


@dataclass(frozen=True)
class Series:
    """A line with bars over the trials: parallel tuples, a point a round, in falling P_m.

    `x` is P_m in percent; `mean`, `low` and `high` are over the `count` trials that have a finite value; `error` is
    the standard error of that mean, NaN of a single trial; `marks` is what the round signals in any of them.
    """

    name: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    error: tuple[float, ...]
    count: tuple[int, ...]
    rounds: tuple[int, ...]
    marks: tuple[tuple[SignalKind, ...], ...]


@dataclass(frozen=True)
class Curve:
    """A learning curve: parallel tuples, NaN as gaps."""

    name: str
    iteration: tuple[int, ...] = ()
    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    validation_accuracy: tuple[float, ...] = ()


def accuracy_series(view: RunView) -> list[Series]:
    """Test accuracy at the lowest validation loss (0 to 1) against P_m, one line an arm."""
    return [_over_trials(arm) for arm in view.arms]


def dense_accuracy(view: RunView) -> float | None:
    """Mean test accuracy of the dense rounds of the first arm; None before there is one."""
    if not view.arms:
        return None
    points = accuracy_series(view)[0]
    return points.mean[0] if points.rounds and points.rounds[0] == 0 else None


def _over_trials(arm: ArmView) -> Series:
    points: list[tuple[float, list[float], int, tuple[SignalKind, ...]]] = []
    for number in arm.planned:
        rounds: list[RoundFinished] = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        values = [item.result.test_accuracy for item in rounds if item.result.test_accuracy is not None]
        if values:
            marks = dict.fromkeys(kind for item in rounds for kind in round_marks(item))
            points.append((rounds[0].p_m, values, number, tuple(sorted(marks))))
    return Series(
        name=arm.name,
        x=tuple(p_m for p_m, _, _, _ in points),
        mean=tuple(mean_and_error(values)[0] for _, values, _, _ in points),
        low=tuple(min(values) for _, values, _, _ in points),
        high=tuple(max(values) for _, values, _, _ in points),
        error=tuple(_nan(mean_and_error(values)[1]) for _, values, _, _ in points),
        count=tuple(len(values) for _, values, _, _ in points),
        rounds=tuple(number for _, _, number, _ in points),
        marks=tuple(marks for _, _, _, marks in points),
    )


def survival_series(view: RunView, arm: str, trial: int) -> dict[str, list[tuple[int, float]]]:
    """Per layer, (round, percent of its weights left) of a trial."""
    rounds = view.arm(arm).trials[trial].rounds.values()
    return {
        name: [
            (item.round, 100 * item.result.layers[name].survivors / item.result.layers[name].size) for item in rounds
        ]
        for name in view.layers
    }


def extended(curve: Curve, points: Sequence[CurvePoint]) -> Curve:
    """The curve with the points that follow it; itself without any."""
    if not points:
        return curve
    return Curve(
        curve.name,
        curve.iteration + tuple(point.iteration for point in points),
        curve.train_loss + tuple(_nan(point.train_loss) for point in points),
        curve.validation_loss + tuple(_nan(point.validation_loss) for point in points),
        curve.validation_accuracy + tuple(_nan(point.validation_accuracy) for point in points),
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
