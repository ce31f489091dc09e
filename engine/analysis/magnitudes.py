"""The distribution of the magnitudes of a layer, from sorted magnitudes."""

import numpy as np
from numpy.typing import NDArray

BINS = 24
_BLOCK = 1024


def histogram(ordered: NDArray[np.float32]) -> tuple[tuple[int, ...], float]:
    """Return counts in 24 equal bins from 0 to the greatest of `[n]` magnitudes in rising order, and the greatest."""
    top = float(ordered[-1]) if ordered.size else 0.0
    edges = np.linspace(0.0, top or 1.0, BINS + 1, dtype=np.float32)
    places = np.searchsorted(ordered, edges)
    places[-1] = ordered.size
    return tuple(np.diff(places).tolist()), top


def distance_from_uniform(ordered: NDArray[np.float32]) -> float:
    """Return the Kolmogorov-Smirnov distance (0 to 1) of `[n]` magnitudes in rising order from a uniform distribution
    between 0 and the greatest; 1 without any above 0.

    The greatest difference lies in few blocks of values: the others are ruled out by their ends.
    """
    count = ordered.size
    if not count or not ordered[-1] > 0:
        return 1.0
    top = float(ordered[-1])
    if count <= _BLOCK:
        return _greatest(ordered, top, 0, count)
    starts = np.arange(0, count, _BLOCK)
    ends = np.minimum(starts + _BLOCK, count)
    first, last = (ordered[at].astype(np.float64) / top for at in (starts, ends - 1))
    bounds = np.maximum(ends / count - first, last - starts / count)
    greatest = 0.0
    for block in np.argsort(-bounds):
        if bounds[block] <= greatest:
            break
        greatest = max(greatest, _greatest(ordered[starts[block] : ends[block]], top, starts[block], count))
    return greatest


def _greatest(values: NDArray[np.float32], top: float, first: int, count: int) -> float:
    """The greatest difference at `values`, the magnitudes from number `first` on of `count`."""
    share = values.astype(np.float64) / top
    steps = np.arange(first, first + values.size + 1) / count
    return max(float((steps[1:] - share).max()), float((share - steps[:-1]).max()))
