"""Statistics over the trials of runs: curves over density, arms against each other, arms on less data. Pure.

A **density** is the P_m of a round, in percent. Arms are compared at equal densities and in trials of the same seed.
A **data sweep** is a set of arms that differ only in their share of the training examples.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from engine.spec import Arm, Study
from engine.store.events import CurvePoint, RoundFinished, SignalKind
from engine.store.state import mean_or_none
from engine.views.run import ArmView, RunView, TrialView
from engine.views.signals import round_marks

WITHIN = 0.15
"""Relative tolerance for matching a round to a requested density."""
SAME_DENSITY = 0.01
"""Relative tolerance for equal densities of two arms."""
ROUNDING = 1e-9
"""Differences up to this, relative to max(1, |values|), are rounding."""

Quantity = Callable[[RoundFinished], float | None]
"""A number of a round; None if it has none."""
Replicates = tuple[TrialView, ...]
"""The networks of an arm in one trial: one, or the controls of one ticket."""


@dataclass(frozen=True)
class StudyRun:
    """A run and its study: the view by arms and trials of the study."""

    view: RunView
    study: Study

    def has(self, arm: str) -> bool:
        """Whether the run has the arm."""
        return any(item.name == arm for item in self.view.arms)

    def trials(self, arm: str) -> tuple[Replicates, ...]:
        """The networks of the arm by trial of the study."""
        copies = self.study.named(arm).copies
        found = self.view.arm(arm).trials
        return tuple(found[start : start + copies] for start in range(0, len(found), copies))

    def densities(self, arm: str) -> dict[int, float]:
        """P_m, percent, by number of the rounds known in any trial."""
        found = {number: item.p_m for trial in self.view.arm(arm).trials for number, item in trial.rounds.items()}
        return dict(sorted(found.items()))

    def by_seed(self, arm: str, number: int, quantity: Quantity) -> dict[int, float]:
        """A quantity in one round, by the seed of the trials that have it; of several controls their mean."""
        seeds = zip(self.study.trial_seeds(), self.trials(arm), strict=False)
        found = {seed: mean_over_copies(copies, number, quantity) for seed, copies in seeds}
        return {seed: value for seed, value in found.items() if value is not None}


def accuracy(item: RoundFinished) -> float | None:
    """Test accuracy at the lowest validation loss, percent."""
    return None if item.result.test_accuracy is None else 100 * item.result.test_accuracy


def early_stop(item: RoundFinished) -> float | None:
    """Iteration of the lowest validation loss."""
    return item.result.early_stop_iteration


def nearest(densities: Mapping[int, float], at: float, within: float = WITHIN) -> int | None:
    """Return the round whose density is nearest to `at`; None if none is within the relative tolerance."""
    number = min(densities, key=lambda number: abs(densities[number] - at), default=None)
    return None if number is None or abs(densities[number] - at) > within * at else number


def matched_rounds(densities: Mapping[int, float], others: Mapping[int, float]) -> dict[int, int]:
    """Return, by round of one arm, the other arm's round at the same density, if there is one."""
    found = {number: nearest(others, p_m, SAME_DENSITY) for number, p_m in densities.items()}
    return {number: its for number, its in found.items() if its is not None}


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing or there are none."""
    return None if None in values else mean_or_none(values)


def mean_over_copies(copies: Replicates, number: int, quantity: Quantity) -> float | None:
    """Return the mean of a quantity in one round over the networks of a trial."""
    return mean([quantity(trial.rounds[number]) if number in trial.rounds else None for trial in copies])


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and standard error; the error of one value is None."""
    average = mean_or_none(values)
    assert average is not None
    return average, None if len(values) < 2 else deviation(values) / math.sqrt(len(values))


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation of two or more values; 0 if they differ by rounding only."""
    if alike(values):
        return 0.0
    average = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - average) ** 2 for value in values) / (len(values) - 1))


def alike(values: Sequence[float]) -> bool:
    """Return whether values differ by rounding only."""
    return max(values) - min(values) <= ROUNDING * max(1.0, *map(abs, values))


# Arms over each other


@dataclass(frozen=True)
class Point:
    """Statistics of `count` trials in round `round`, at `x` percent of the weights (P_m) or of the training examples.

    `error` is the standard error of the mean, None of one trial; `low` and `high` are the least and greatest.
    """

    x: float
    round: int
    mean: float
    error: float | None
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, x: float, number: int, values: Mapping[int, float]) -> Self:
        """Over values by the seed of their trial."""
        found = list(values.values())
        return cls(x, number, *mean_and_error(found), min(found), max(found), len(found))


@dataclass(frozen=True)
class ComparedArm:
    """An arm of one of the compared runs, with a unique name."""

    name: str
    run: StudyRun
    arm: str


def compared_arms(runs: Sequence[StudyRun]) -> tuple[ComparedArm, ...]:
    """Return all arms; with several runs, names are prefixed by the run's number, from 1."""
    return tuple(
        ComparedArm(f"{number} {arm.name}" if len(runs) > 1 else arm.name, run, arm.name)
        for number, run in enumerate(runs, 1)
        for arm in run.view.arms
    )


def points(run: StudyRun, arm: str, quantity: Quantity) -> tuple[Point, ...]:
    """Return a quantity of an arm by round, in falling density."""
    return _in_rounds(run, arm, {number: run.by_seed(arm, number, quantity) for number in run.densities(arm)})


def gains(run: StudyRun, arm: str, quantity: Quantity) -> tuple[Point, ...]:
    """Return each round minus the dense round of the same trial."""
    dense = run.by_seed(arm, 0, quantity)
    later = (number for number in run.densities(arm) if number > 0)
    return _in_rounds(run, arm, {number: _less(run.by_seed(arm, number, quantity), dense) for number in later})


def margins(run: StudyRun, arm: str, base: StudyRun, its: str, quantity: Quantity) -> tuple[Point, ...]:
    """Return an arm minus another, of any run, at equal densities and in trials of the same seed."""
    pairs = matched_rounds(run.densities(arm), base.densities(its))
    both = {
        number: _less(run.by_seed(arm, number, quantity), base.by_seed(its, other, quantity))
        for number, other in pairs.items()
    }
    return _in_rounds(run, arm, both)


def _less(values: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    return {seed: value - others[seed] for seed, value in values.items() if seed in others}


def _in_rounds(run: StudyRun, arm: str, found: Mapping[int, Mapping[int, float]]) -> tuple[Point, ...]:
    densities = run.densities(arm)
    known = [Point.of(densities[number], number, values) for number, values in found.items() if values]
    return tuple(sorted(known, key=lambda point: -point.x))


def margins_over(found: Sequence[ComparedArm], base: str, quantity: Quantity) -> list[tuple[Point, ...]]:
    """Return the `margins` of each arm over the arm named `base`; empty for itself."""
    over = next(compared for compared in found if compared.name == base)
    return [
        () if compared is over else margins(compared.run, compared.arm, over.run, over.arm, quantity)
        for compared in found
    ]


def same_density(x: float, y: float) -> bool:
    """Return whether two densities are equal within the tolerance."""
    return abs(x - y) <= SAME_DENSITY * y


def aligned(lines: Sequence[Sequence[Point]]) -> list[tuple[float, tuple[Point | None, ...]]]:
    """Lines as rows in falling P_m, a cell a line: each point once, in the row that is nearest.

    The rows are those of the first line; where none stands for the P_m of another line's point, it has its own. So a
    point's P_m may differ from that of its row (`same_density` tells).
    """
    rows: list[tuple[float, dict[int, Point]]] = []
    for column, line in enumerate(lines):
        near = sorted(
            (abs(math.log(point.x / x)), place, number)
            for number, point in enumerate(line)
            for place, (x, _) in enumerate(rows)
            if abs(point.x - x) <= WITHIN * x
        )
        rest = set(range(len(line)))
        for _, place, number in near:
            if number in rest and column not in rows[place][1]:
                rows[place][1][column] = line[number]
                rest.discard(number)
        rows += [(line[number].x, {column: line[number]}) for number in sorted(rest)]
    rows.sort(key=lambda row: -row[0])
    return [(x, tuple(cells.get(column) for column in range(len(lines)))) for x, cells in rows]


# Arms on less data


@dataclass(frozen=True)
class DataSweep:
    """Arms that differ only in their share of the training examples: names by percentage, falling. A ticket found on
    all data and retrained on less belongs to the sweep."""

    name: str
    arms: Mapping[float, str]


@dataclass(frozen=True)
class SweepLine:
    """The arms of a data sweep at one density, or its dense networks; x in percent of the training examples.

    `gains`: each less the dense network of the same trial and budget; empty for dense networks.
    """

    name: str
    points: tuple[Point, ...]
    gains: tuple[Point, ...] = ()


def data_sweeps(study: Study) -> tuple[DataSweep, ...]:
    """Return the data sweeps of a study with two or more sizes."""
    alike: dict[tuple[object, ...], list[Arm]] = {}
    for arm in study.arm:
        if _data_percent(study, arm) < 100:
            alike.setdefault((*_make(study, arm), study.recipe(arm).data.subset), []).append(arm)
    found: dict[str, DataSweep] = {}
    for (*make, _), limited in alike.items():
        arms = {_data_percent(study, arm): arm.name for arm in limited}
        for arm in study.arm:  # all data are no draw of either kind
            percent = _data_percent(study, arm)
            if (percent == 100 and _make(study, arm) == tuple(make)) or _source(study, limited[0]) == arm:
                arms.setdefault(percent, arm.name)
        if len(arms) > 1:
            shared = {arm.name.rstrip("0123456789.-_") for arm in limited}
            name = shared.pop() if len(shared) == 1 else limited[0].kind
            name = limited[0].name if name in found else name
            found[name] = DataSweep(name, dict(sorted(arms.items(), reverse=True)))
    return tuple(found.values())


def _data_percent(study: Study, arm: Arm) -> float:
    return round(100 * study.recipe(arm).data.fraction, 9)


def _make(study: Study, arm: Arm) -> tuple[object, ...]:
    """Return an arm's settings without its share of the data."""
    recipe = study.recipe(arm).model_dump_json(exclude={"data": {"fraction", "subset"}})
    of = _make(study, study.named(arm.of)) if arm.control else ()
    return arm.kind, of, arm.copies, recipe


def _source(study: Study, arm: Arm) -> Arm | None:
    """The arm whose tickets this one trains just as they were trained, but for the data."""
    if arm.kind != "retrain":
        return None
    found = study.named(arm.of)
    return found if _make(study, found)[-1] == _make(study, arm)[-1] else None


def sweep_densities(run: StudyRun) -> tuple[float, ...]:
    """Return the densities, percent, falling, that most of the arms with less data have."""
    limited = {
        arm
        for sweep in data_sweeps(run.study)
        for percent, arm in sweep.arms.items()
        if percent < max(sweep.arms) and run.has(arm)
    }
    found = sorted((p_m for arm in limited for number, p_m in run.densities(arm).items() if number > 0), reverse=True)
    counts: dict[float, int] = {}
    for p_m in found:
        density = next((density for density in counts if same_density(p_m, density)), p_m)
        counts[density] = counts.get(density, 0) + 1
    return tuple(density for density, count in counts.items() if count == max(counts.values()))


def sweep_lines(run: StudyRun, p_m: float, quantity: Quantity) -> tuple[SweepLine, ...]:
    """Dense networks, then the families of the study at that P_m; families with the same dense networks share them."""
    dense: dict[str, SweepLine] = {}
    shown: set[tuple[str, ...]] = set()
    lines: list[SweepLine] = []
    for sweep in data_sweeps(run.study):
        arms = {percent: arm for percent, arm in sweep.arms.items() if run.has(arm)}
        networks = {percent: _dense_keys(run, arm) for percent, arm in arms.items()}
        if not {keys for percent, keys in networks.items() if percent < 100} <= shown:
            name = "dense" if not dense else f"dense, {sweep.name}"
            dense[name] = SweepLine(name, _at(run, arms, 100.0, quantity, gain=False))
        shown |= set(networks.values())
        found = _at(run, arms, p_m, quantity, gain=False)
        lines.append(SweepLine(sweep.name, found, _at(run, arms, p_m, quantity, gain=True)))
    return (*dense.values(), *lines)


def _dense_keys(run: StudyRun, arm: str) -> tuple[str, ...]:
    return tuple(trial.rounds[0].key for trial in run.view.arm(arm).trials if 0 in trial.rounds)


def _at(run: StudyRun, arms: Mapping[float, str], p_m: float, quantity: Quantity, *, gain: bool) -> tuple[Point, ...]:
    """Return, by percent of the data, the arm's point at that density; `gain`, less its dense one."""
    found: list[Point] = []
    for percent, arm in arms.items():
        line = gains(run, arm, quantity) if gain else points(run, arm, quantity)
        here = [point for point in line if same_density(point.x, p_m)]
        found += [Point(percent, it.round, it.mean, it.error, it.low, it.high, it.count) for it in here[:1]]
    return tuple(found)


# Lines


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
