"""Stabilisation and collapse of a series of numbers, each by a stated rule."""

import math
from collections.abc import Sequence

STABLE, STABLE_RUN = 0.8, 2
COLLAPSED, ONCE = 0.1, 0.3
CHANCE_LEVEL = 0.01

STABLE_RULE = f"rank correlation with the round before at least {STABLE} in {STABLE_RUN} rounds running"
COLLAPSE_RULE = f"rank correlation with the round before at most {COLLAPSED}, after at least {ONCE}"
CHANCE_RULE = f"validation accuracy no better than the largest class, one-sided binomial test at {CHANCE_LEVEL:.0%}"


def stabilised(series: Sequence[float | None]) -> bool:
    """Whether the newest value completes, for the first time, a run of stable ones."""
    stable = [value is not None and value >= STABLE for value in series]
    runs = [all(stable[end - STABLE_RUN : end]) for end in range(STABLE_RUN, len(stable) + 1)]
    return bool(runs) and runs[-1] and not any(runs[:-1])


def ranks_collapsed(series: Sequence[float | None]) -> bool:
    """Whether the newest value is, for the first time, collapsed."""
    highest, fallen = -1.0, [False]
    for value in series:
        fallen.append(value is not None and value <= COLLAPSED and highest >= ONCE)
        highest = max(highest, -1.0 if value is None else value)
    return fallen[-1] and not any(fallen[:-1])


def at_chance(accuracy: float, majority: float, examples: int) -> bool:
    """Return whether an accuracy (0 to 1) on so many examples is no better than always predicting the largest class.

    `majority` is the share of that class. The accuracy is better when a one-sided exact binomial test rejects
    `majority` at 1%.
    """
    return binomial_tail(round(accuracy * examples), examples, majority) > CHANCE_LEVEL


def binomial_tail(successes: int, trials: int, probability: float) -> float:
    """Return the probability of at least so many successes."""
    if successes <= 0 or probability >= 1:
        return 1.0
    constant = math.lgamma(trials + 1)
    success, failure = math.log(probability), math.log1p(-probability)
    return math.fsum(
        math.exp(constant - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * success + (trials - k) * failure)
        for k in range(successes, trials + 1)
    )
