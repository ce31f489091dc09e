"""Spearman rank correlation of weight magnitudes between two rounds, in a layer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ranked:
    """A layer in one round: `magnitudes` |w| after training and `mask`, both shaped as the kernel."""

    magnitudes: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @cached_property
    def centred(self) -> NDArray[np.float64]:
        """Ranks of all magnitudes (pruned ones tie at zero, ties share their mean rank), less their mean."""
        return _centred(self.magnitudes.ravel())


def spearman(first: Ranked, second: Ranked) -> float | None:
    """The correlation over the weights alive in both rounds; None for fewer than three, or all equal."""
    both = first.mask & second.mask
    if np.count_nonzero(both) < 3:
        return None
    return _correlation(_centred(first.magnitudes[both]), _centred(second.magnitudes[both]))


def spearman_all(first: Ranked, second: Ranked) -> float | None:
    """The correlation over all weights, pruned ones as ties at zero: masks that agree raise it by themselves."""
    return _correlation(first.centred, second.centred)


def _centred(values: NDArray[np.float32]) -> NDArray[np.float64]:
    from scipy.stats import rankdata  # here: reading a run is not to wait for SciPy

    return np.asarray(rankdata(values), np.float64) - (values.size + 1) / 2


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    scale = np.sqrt(np.dot(first, first) * np.dot(second, second))
    if not scale > 0:
        return None
    return float(np.clip(np.dot(first, second) / scale, -1.0, 1.0))
