"""Numbers made fit to draw: gaps cut out, points thinned, ticks placed. Pure and deterministic."""

import math
from collections.abc import Sequence

LARGEST = 1e15
"""What is larger is a gap: a loss on its way to infinity would flatten everything else."""

Points = list[tuple[float, float]]


def segments(x: Sequence[float], y: Sequence[float], *, log_x: bool = False) -> list[Points]:
    """The stretches of points that can be drawn; what is not finite (or has no logarithm) parts them."""
    found: list[Points] = [[]]
    for a, b in zip(x, y, strict=True):
        if drawable(a) and drawable(b) and (a > 1 / LARGEST or not log_x):
            found[-1].append((math.log10(a) if log_x else a, b))
        elif found[-1]:
            found.append([])
    return [points for points in found if points]


def drawable(value: float) -> bool:
    """Whether a number can be put on an axis."""
    return math.isfinite(value) and abs(value) < LARGEST


def thin(points: Points, columns: int) -> Points:
    """At most four points a column: its first, lowest, highest and last, so that no extreme is lost."""
    if columns < 1 or len(points) <= 4 * columns:
        return points
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    width = (high - low) / columns or 1.0
    buckets: dict[int, list[int]] = {}
    for number, (x, _) in enumerate(points):
        buckets.setdefault(min(columns - 1, int((x - low) / width)), []).append(number)
    kept: set[int] = set()
    for bucket in buckets.values():
        kept |= {
            bucket[0],
            min(bucket, key=lambda number: points[number][1]),
            max(bucket, key=lambda number: points[number][1]),
            bucket[-1],
        }
    return [points[number] for number in sorted(kept)]


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
    text = f"{value:.{decimals}f}"
    return text if abs(value) < 1e5 else f"{value:.2g}"
