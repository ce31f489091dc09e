"""Numbers made fit to draw: gaps cut out, points thinned, lines smoothed, ticks placed. Pure and deterministic."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from screens.sight import Axis, Span

LARGEST = 1e15
"""What is larger is a gap: a loss on its way to infinity would flatten everything else."""

Numbers: TypeAlias = NDArray[np.float64]


def places(values: Numbers, axis: Axis) -> Numbers:
    """Where values `[n]` are on an axis; NaN for those that cannot be drawn."""
    least = 1 / LARGEST if axis.log else -LARGEST
    drawable = (values > least) & (values < LARGEST)
    if axis.log:
        found = np.log10(values, out=np.full(len(values), np.nan), where=drawable)
    else:
        found = np.where(drawable, values, np.nan)
    return -found if axis.falls else found


def smoothed(y: Numbers, weight: float) -> Numbers:
    """The moving average `[n]` in which each point weighs `weight` times as much as the one after it, as TensorBoard
    draws it: divided by the sum of the weights so far, so that the first points do not count for more than they are.
    What is not finite is left out of it, and stays."""
    if not weight:
        return y
    known = np.isfinite(y)
    sums = accumulate(y[known].tolist(), lambda before, value: weight * before + (1 - weight) * value, initial=0.0)
    averages = np.fromiter(sums, np.float64)[1:]
    found = y.copy()
    found[known] = averages / -np.expm1(math.log(weight) * np.arange(1, len(averages) + 1))
    return found


def stretches(x: Numbers, span: Span) -> list[NDArray[np.intp]]:
    """The points that are seen when `span` of x is, with the neighbours that lines from them lead to: the numbers of
    each stretch without a gap. NaN is a gap."""
    known = np.flatnonzero(~np.isnan(x))
    if not known.size:
        return []
    at = x[known]
    side = (at > span.end).astype(np.int8) - (at < span.start)
    seen = side == 0
    keep = seen.copy()
    joined = (np.diff(known) == 1) & (seen[1:] | seen[:-1] | (side[1:] != side[:-1]))
    keep[1:] |= joined
    keep[:-1] |= joined
    found = known[keep]
    return np.split(found, np.flatnonzero(np.diff(found) != 1) + 1) if found.size else []


def thin(x: Numbers, y: Numbers, span: Span, columns: int) -> NDArray[np.intp]:
    """The numbers of at most four points for each of the columns into which `span` of x is divided: the first, lowest,
    highest and last, so that no extreme is lost. All of them, where they are not many more than that."""
    if columns < 1 or len(x) <= 4 * columns:
        return np.arange(len(x))
    column = np.floor((x - span.start) * (columns / span.width))
    first = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    ends = np.append(first[1:], len(x))
    run = np.repeat(np.arange(len(first)), ends - first)
    kept = [first, ends - 1]
    for extreme in (np.minimum, np.maximum):
        same = np.flatnonzero(y == extreme.reduceat(y, first)[run])
        kept.append(same[np.unique(run[same], return_index=True)[1]])
    return np.unique(np.concatenate(kept))


def limits(values: Sequence[float], pad: float = 0.06, least: float = 0.0) -> tuple[float, float]:
    """Lower and upper end of an axis for `values`: a little room at both, and never no width."""
    low, high = min(values), max(values)
    missing = max(least - (high - low), 0.0)
    low, high = low - missing / 2, high + missing / 2
    room = (high - low) * pad or abs(high) * pad or 1.0
    return low - room, high + room


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between `low` and `high`, at most `most` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 1:
        return []
    power = math.floor(math.log10((high - low) / most))
    for step in (scale * 10.0 ** (power + more) for more in range(3) for scale in (1, 2, 5)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [number * step for number in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten times 1, 2 and 5 between `low` and `high` (both positive), at most `most` of them.

    Between ends so near that fewer than three would be left, round numbers.
    """
    if not 0 < low <= high or most < 1:
        return []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for scales in ((1, 2, 5), (1, 3), (1,)):
        found = [scale * 10.0**power for power in range(first, last + 1) for scale in scales]
        found = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
        if len(found) <= most:
            return found if len(found) > 2 else ticks(low, high, most) or found
    return found[:: math.ceil(len(found) / most)]


def tick_label(value: float, step: float) -> str:
    """A tick's number with as many decimals as its step needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if 0 < step < 1 else 0
    if abs(value) < 1e5:
        return f"{value:.{decimals}f}"
    return f"{value:.{max(2, math.ceil(math.log10(abs(value) / step)) + 1) if step > 0 else 2}g}"
