"""The measures of claims: pure functions of a view that return one value per trial."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.claims.model import (
    Accuracy,
    AtDensity,
    BestGain,
    DistanceFromUniform,
    FractionAboveDense,
    LayerGroup,
    Measure,
    PruningDrop,
    RankAtCollapse,
    RankCorrelation,
    SmallestMatchingDensity,
    SpeedUp,
)
from engine.spec import Study
from engine.store.events import RoundFinished
from engine.views import RunView, StudyRun, TrialView
from engine.views.statistics import Quantity, Replicates, accuracy, matched_rounds, mean, mean_over_copies, nearest


class NotMeasured(Exception):
    """The run lacks data for the measure; the message says which."""


@dataclass(frozen=True)
class Measured:
    """`values[t]` of trial t of the study, None where it has none; `p_m` in percent of the round that was taken."""

    values: tuple[float | None, ...]
    p_m: float | None = None


def measured(measure: Measure, view: RunView, study: Study, deepest: float = 100.0) -> Measured:
    """Return the measure in each trial, in its unit. Raises NotMeasured.

    `deepest`: the P_m, percent, that an arm must have been pruned to for its smallest matching one to be known.

    Controls of one ticket are not independent, so their mean is one value. A trial counts only if all rounds of the
    measure are finished with finite numbers.
    """
    run = StudyRun(view, study)
    match measure:
        case Accuracy():
            return _accuracy(run, measure)
        case PruningDrop():
            return _pruning_drop(run, measure)
        case BestGain():
            return _best_gain(run, measure)
        case SmallestMatchingDensity():
            return _smallest_matching_density(run, measure, deepest)
        case RankCorrelation():
            return _rank_correlation(run, measure)
        case RankAtCollapse():
            return _rank_at_collapse(run, measure)
        case DistanceFromUniform():
            return _distance(run, measure)
        case FractionAboveDense():
            return _fraction_above_dense(run, measure)
        case AtDensity():
            return _at_density(run, measure)


def _round_at(run: StudyRun, arm: str, at: float) -> int:
    """The round of the arm nearest to that P_m."""
    return _nearest(run.densities(arm), arm, at)


def _nearest(densities: dict[int, float], arm: str, at: float) -> int:
    number = nearest(densities, at)
    if number is None:
        raise NotMeasured(f"arm {arm!r} has no round near {at:g}% of the weights")
    return number


def _layers(run: StudyRun, group: LayerGroup) -> tuple[str, ...]:
    names, kinds = tuple(run.view.layers), run.view.kinds
    convolutions = tuple(name for name in names if kinds.get(name) == "conv")
    found = {
        "all": names,
        "output": tuple(name for name in names if kinds.get(name) == "output"),
        "hidden": tuple(name for name in names if kinds.get(name) != "output"),
        "middle": convolutions[1:-1],
    }[group]
    if not found:
        raise NotMeasured(f"the network has no {group} layers")
    return found


def _early_stop(item: RoundFinished) -> float | None:
    """Iterations to the early stop; None for 0, of which there is no ratio."""
    return item.result.early_stop_iteration or None


def _accuracy(run: StudyRun, measure: Accuracy) -> Measured:
    number = _round_at(run, measure.arm, measure.at)
    values = (mean_over_copies(copies, number, accuracy) for copies in run.trials(measure.arm))
    return Measured(tuple(values), run.densities(measure.arm)[number])


def _pruning_drop(run: StudyRun, measure: PruningDrop) -> Measured:
    number = _round_at(run, measure.arm, measure.at)
    before = 0 if run.study.named(measure.arm).kind == "one-shot" else number - 1

    def lost(trial: TrialView) -> float | None:
        if number not in trial.rounds or before not in trial.rounds:
            return None
        pruned, whole = trial.rounds[number].result.test_accuracy_pruned, trial.rounds[before].result.test_accuracy_end
        return None if pruned is None or whole is None else 100 * (pruned - whole)

    values = (mean([lost(trial) for trial in copies]) for copies in run.trials(measure.arm))
    return Measured(tuple(values), run.densities(measure.arm)[number])


# An arm at a P_m against something


def _at_density(run: StudyRun, measure: AtDensity) -> Measured:
    quantity: Quantity = _early_stop if isinstance(measure, SpeedUp) else accuracy
    arm, other = measure.arm, measure.other or measure.arm
    pairs = _pairs(run, measure)
    values: list[float | None] = []
    for mine, its in zip(run.trials(arm), run.trials(other), strict=False):
        found = [
            (mean_over_copies(mine, number, quantity), mean_over_copies(its, against, quantity))
            for number, against in pairs
        ]
        values.append(mean([_compared(measure, *pair) for pair in found]))
        if isinstance(measure, SpeedUp) and values[-1] is not None:
            values[-1] = math.exp(values[-1])
    return Measured(tuple(values), run.densities(arm)[pairs[0][0]] if len(pairs) == 1 else None)


def _compared(measure: AtDensity, value: float | None, other: float | None) -> float | None:
    """The difference, or for a ratio its logarithm."""
    if value is None or other is None:
        return None
    return math.log(other / value) if isinstance(measure, SpeedUp) else value - other


def _pairs(run: StudyRun, measure: AtDensity) -> list[tuple[int, int]]:
    """(round of the arm, round of the other) that are to be compared."""
    arm, densities = measure.arm, run.densities(measure.arm)
    if measure.other is None or measure.other_at is not None:
        against = _round_at(run, measure.other or arm, measure.other_at or 100)
        return [(number, against) for number in _numbers(densities, measure)]
    pairs = matched_rounds(densities, run.densities(measure.other))
    both = {number: densities[number] for number in pairs}
    return [(number, pairs[number]) for number in _numbers(both, measure)]


def _numbers(densities: dict[int, float], measure: AtDensity) -> list[int]:
    if not isinstance(measure.at, tuple):
        return [_nearest(densities, measure.arm, measure.at)]
    low, high = measure.at
    found = [number for number, p_m in densities.items() if low <= p_m <= high]
    if not found:
        raise NotMeasured(f"arm {measure.arm!r} has no round between {low:g} and {high:g}% of the weights")
    return found


# Over all rounds of an arm


def _best_gain(run: StudyRun, measure: BestGain) -> Measured:
    trials = run.trials(measure.arm)
    later = [number for number in run.view.arm(measure.arm).planned if number > 0]
    gains: list[dict[int, float]] = []
    for copies in trials:
        dense = mean_over_copies(copies, 0, accuracy)
        found = {number: mean_over_copies(copies, number, accuracy) for number in later}
        gains.append(
            {} if dense is None else {number: value - dense for number, value in found.items() if value is not None}
        )
    values: list[float | None] = []
    for trial, mine in enumerate(gains):
        others = [gain for place, gain in enumerate(gains) if place != trial and gain] or [mine]
        shared = [number for number in mine if all(number in gain for gain in others)]
        best = max(shared, key=lambda number: math.fsum(gain[number] for gain in others), default=None)
        values.append(None if best is None else mine[best])
    return Measured(tuple(values))


def _smallest_matching_density(run: StudyRun, measure: SmallestMatchingDensity, deepest: float) -> Measured:
    """Where an arm still matches in its last round, the true value is smaller than the one found. That does no harm
    to a P_m when the last round is past every bound of the claim, nor to the arm's side of a ratio."""
    if measure.other is None:
        last = min(run.densities(measure.arm).values(), default=100.0)
        if last > deepest:
            raise NotMeasured(f"arm {measure.arm!r} goes down to {last:.3g}% only, not to {deepest:.3g}%")
        return Measured(tuple(_smallest(run, copies, measure.arm) for copies in run.trials(measure.arm)))
    last = min(run.densities(measure.other).values(), default=100.0)
    ratios: list[float | None] = []
    for mine, its in zip(run.trials(measure.arm), run.trials(measure.other), strict=False):
        small, large = _smallest(run, mine, measure.arm), _smallest(run, its, measure.other)
        if large is not None and large <= last:
            raise NotMeasured(f"arm {measure.other!r} still matches dense in its last round")
        ratios.append(None if small is None or large is None else large / small)
    return Measured(tuple(ratios))


def _smallest(run: StudyRun, copies: Replicates, arm: str) -> float | None:
    """The geometric mean over the networks of a trial; None until all have done their rounds."""
    planned = run.view.arm(arm).planned
    found: list[float] = []
    for trial in copies:
        last = max(trial.rounds, default=0)
        dense = trial.rounds[0].result.test_accuracy if 0 in trial.rounds else None
        if dense is None or not (
            last == planned[-1] or trial.rounds[last].result.diverged or trial.rounds[last].result.collapsed
        ):
            return None
        gains = {item.p_m: (item.result.test_accuracy or 0) - dense for _, item in sorted(trial.rounds.items())}
        found.append(math.log(_crossing(gains)))
    return math.exp(math.fsum(found) / len(found)) if found else None


def _crossing(gains: Mapping[float, float]) -> float:
    """Return the P_m after which gains stay below 0, estimated from noisy gains in falling P_m.

    That is where their running sum is greatest (ties: the smaller P_m), the least-squares place of a change of sign:
    one lucky round far below the crossing does not outweigh the losses before it, one unlucky round above it is made
    up for by the next.
    """
    totals = dict(zip(gains, itertools.accumulate(gains.values()), strict=True))
    return max(totals, key=lambda p_m: (totals[p_m], -p_m))


def _fraction_above_dense(run: StudyRun, measure: FractionAboveDense) -> Measured:
    arms = [arm for arm in measure.among if run.has(arm)]
    if not arms:
        raise NotMeasured(f"no arm of {', '.join(measure.among)}")
    values: list[float | None] = []
    for trial, dense_copies in enumerate(run.trials(measure.arm)):
        dense = mean_over_copies(dense_copies, 0, accuracy)
        copies = [copy for arm in arms for copy in run.trials(arm)[trial]]
        found = [accuracy(item) for copy in copies for item in copy.rounds.values()]
        known = [value for value in found if value is not None]
        above = None if dense is None or not known else sum(value > dense for value in known) / len(known)
        values.append(None if above is None else 100 * above)
    return Measured(tuple(values))


# Ranks and magnitudes


def _rank_correlation(run: StudyRun, measure: RankCorrelation) -> Measured:
    numbers = measure.rounds or (_round_at(run, measure.arm, measure.at or 100),)
    layers = _layers(run, measure.layers)
    others = _layers(run, measure.minus_layers or measure.layers)
    values: list[float | None] = []
    for copies in run.trials(measure.arm):
        value = _rank(copies, numbers, layers, measure.variant)
        if measure.minus_layers is not None or measure.minus_rounds is not None:
            minus = _rank(copies, measure.minus_rounds or numbers, others, measure.variant)
            value = None if value is None or minus is None else value - minus
        values.append(value)
    if all(value is None for value in values):
        raise NotMeasured(f"arm {measure.arm!r} has no rank correlation in those rounds")
    return Measured(tuple(values), run.densities(measure.arm)[numbers[0]] if measure.at else None)


def _rank(copies: Replicates, numbers: tuple[int, ...], layers: tuple[str, ...], variant: str) -> float | None:
    """The mean over rounds and layers of the correlation with the round before."""

    def rank(item: RoundFinished) -> float | None:
        return mean([_similar(item, name, variant) for name in layers])

    return mean([mean_over_copies(copies, number, rank) for number in numbers])


def _similar(item: RoundFinished, layer: str, variant: str) -> float | None:
    if layer not in item.similarity:
        return None
    found: float | None = getattr(item.similarity[layer], variant)
    return found


def _rank_at_collapse(run: StudyRun, measure: RankAtCollapse) -> Measured:
    layers = _layers(run, measure.layers)
    values: list[float | None] = []
    for copies in run.trials(measure.arm):
        collapsed = [
            number for copy in copies for number, item in copy.rounds.items() if number > 0 and item.result.collapsed
        ]
        values.append(_rank(copies, (min(collapsed),), layers, measure.variant) if collapsed else None)
    if all(value is None for value in values):
        raise NotMeasured(f"the accuracy of arm {measure.arm!r} never fell to chance")
    return Measured(tuple(values))


def _distance(run: StudyRun, measure: DistanceFromUniform) -> Measured:
    layers = _layers(run, measure.layers)

    def distance(item: RoundFinished) -> float | None:
        return mean(
            [item.result.magnitudes[name].end_distance if name in item.result.magnitudes else None for name in layers]
        )

    mine = [mean_over_copies(copies, 0, distance) for copies in run.trials(measure.arm)]
    if measure.other is None:
        return Measured(tuple(mine), 100.0)
    its = [mean_over_copies(copies, 0, distance) for copies in run.trials(measure.other)]
    pairs = zip(mine, its, strict=False)
    return Measured(tuple(None if a is None or b is None else a - b for a, b in pairs), 100.0)
