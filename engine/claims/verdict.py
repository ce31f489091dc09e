"""Statistical tests of claims.

The rules, at level 0.05, over one value a trial (ratios as logarithms):

- "at least" c with tolerance d holds when a one-sided one-sample t test shows the mean to be above c - d, and does not
  hold when the test the other way shows it to be below. "At most" mirrors that at c + d.
- "about" c within d holds when two one-sided tests show the mean to be both above c - d and below c + d (TOST), and
  does not hold when one of them, the other way, shows it to be outside.
- Anything else is undecided. Nothing is decided on one trial. Values that are all equal have no spread for a test: from
  three trials on they decide by the side that they are on; two equal ones may be chance.
- Undecided: `more_trials` would decide with power 0.8 if effect and spread stay as seen, from the noncentral t
  distribution; MANY + 1 stands for more than MANY, None for no idea (one trial).

Pairing is in the values: each is a difference, or a ratio, within its trial. Each claim is judged on its own: of twenty
that just fail to be true, one may well hold by chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.claims.model import Direction
from engine.views.statistics import alike, deviation

LEVEL = 0.05
POWER = 0.8
MANY = 100
ALIKE = 3
"""Trials from which values without any spread decide."""

RULE = (
    f"Rule: t test over trials at level {LEVEL}, one-sided at claimed -/+ tolerance ('about': two one-sided tests); "
    f"one trial never decides; more trials for power {POWER} at the effect and spread seen."
)

Outcome = Literal["holds", "does not hold", "undecided", "not measured"]


@dataclass(frozen=True)
class Decision:
    """`p_value` of the test that decided, or of the claim's own where none did; None where there was no test."""

    outcome: Outcome
    p_value: float | None
    more_trials: int | None


def decide(values: Sequence[float], direction: Direction, bounds: tuple[float, ...]) -> Decision:
    """The verdict on `values`, one a trial, against one bound, or for "about" the lower and the upper."""
    if not values:
        return Decision("not measured", None, None)
    if len(values) == 1:
        return Decision("undecided", None, None)
    above = [_p_value(values, bound, "greater") for bound in bounds]
    below = [_p_value(values, bound, "less") for bound in bounds]
    match direction:
        case "at least":
            claim, contrary = above[0], below[0]
        case "at most":
            claim, contrary = below[0], above[0]
        case "about":
            claim, contrary = max(above[0], below[1]), min(below[0], above[1])
    if alike(values) and len(values) < ALIKE:
        return Decision("undecided", None, ALIKE - len(values))
    if claim < LEVEL:
        return Decision("holds", claim, None)
    if contrary < LEVEL:
        return Decision("does not hold", contrary, None)
    return Decision("undecided", claim, more_trials(values, direction, bounds))


def _p_value(values: Sequence[float], bound: float, alternative: Literal["greater", "less"]) -> float:
    """Of the one-sided t test; without spread its limit: 0 on that side, 1 on the other, 0.5 on the bound."""
    if alike(values):
        if alike([*values, bound]):
            return 0.5
        return float((values[0] > bound) != (alternative == "greater"))
    from scipy.stats import ttest_1samp  # slow to import

    return float(ttest_1samp(values, bound, alternative=alternative).pvalue)


def more_trials(values: Sequence[float], direction: Direction, bounds: tuple[float, ...]) -> int:
    """Trials beyond these until a decision at the mean and spread seen; MANY + 1 for more than MANY."""
    import numpy as np
    from scipy.stats import nct, t

    spread = deviation(values)
    if spread == 0:
        return MANY + 1  # all on the bound
    mean = math.fsum(values) / len(values)
    sizes = np.arange(2, len(values) + MANY + 1)
    critical = t.ppf(1 - LEVEL, sizes - 1)

    def power(bound: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        effect = abs(mean - bound) / spread * np.sqrt(sizes)
        found = nct.cdf(critical, sizes - 1, effect)
        # Far out the noncentral distribution underflows to NaN: the test is then as good as sure.
        return np.asarray(1 - np.nan_to_num(found, nan=0.0), np.float64)

    if direction == "about" and bounds[0] < mean < bounds[1]:
        powers = power(bounds[0]) + power(bounds[1]) - 1  # both must succeed; at least this (Bonferroni)
    else:
        powers = power(min(bounds, key=lambda bound: abs(mean - bound)))
    enough = sizes[powers >= POWER]
    return max(1, int(enough[0]) - len(values)) if enough.size else MANY + 1
