"""Spearman rank correlation of weight magnitudes between two rounds.

A layer of a round is sorted once (`RankedLayer`). Ranks are kept where the weights are in the flat layer, so that a
correlation is one product of two arrays. Pruned weights are never sorted: over all weights they tie at zero, before
every survivor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Float64

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankedLayer:
    """The survivors of a layer in rising |w|.

    `mask [size]`, True where a weight is left; `values [n]`, the magnitudes of the survivors in rising order, and
    `order [n]`, where they are in the flat layer.
    """

    mask: NDArray[np.bool_]
    values: NDArray[np.float32]
    order: NDArray[np.intp]

    @classmethod
    def of(cls, survivors: Float32[NDArray[np.float32], " n"], mask: Bool[NDArray[np.bool_], " ..."]) -> RankedLayer:
        """Sort the `survivors [n]` that a mask of any shape and at most 2^32 weights leaves, in the order of the flat
        layer."""
        flat = mask.ravel()
        places = np.flatnonzero(flat)
        # Bits of floats without a sign are in the order of the floats: one sort gives values and places.
        keys = np.abs(survivors).view(np.uint32).astype(np.uint64)
        keys <<= np.uint64(32)
        keys |= places.view(np.uint64)
        keys.sort()
        order = keys.astype(np.uint32).astype(np.intp)
        keys >>= np.uint64(32)
        return cls(flat, keys.astype(np.uint32).view(np.float32), order)

    @property
    def size(self) -> int:
        """Weights of the layer, pruned ones too."""
        return self.mask.size

    @property
    def finite(self) -> bool:
        """Whether every magnitude is a finite number."""
        return not self.values.size or bool(np.isfinite(self.values[-1]))

    @cached_property
    def ranks(self) -> Floats:
        """The ranks `[n]` of the survivors among themselves, in rising order, ties at their mean, less their mean."""
        return _mean_ranks(self.values)

    @cached_property
    def placed(self) -> Floats:
        """`above` where the survivors are in the flat layer `[size]`, 0 where a weight is pruned."""
        found = np.empty(self.size) if self.order.size == self.size else np.zeros(self.size)
        found[self.order] = self.above
        return found

    @cached_property
    def above(self) -> Floats:
        """By how much the ranks `[n]` of the survivors among all weights are above `lowest`, in rising order."""
        found = self.ranks + ((self.size - self.values.size) / 2 - self.lowest)
        if self.lowest:
            found[: np.searchsorted(self.values, 0.0, "right")] = 0.0
        return found

    @cached_property
    def lowest(self) -> float:
        """The rank of all zeros, pruned weights among them, less the mean rank; 0 where nothing is pruned."""
        pruned = self.size - self.values.size
        zeros = int(np.searchsorted(self.values, 0.0, "right"))
        return (pruned + zeros - self.size) / 2 if pruned else 0.0

    def among(self, chosen: Bool[NDArray[np.bool_], " size"]) -> RankedLayer:
        """The layer with the survivors alone that are `chosen [size]` too."""
        mine = chosen[self.order]
        return self if mine.all() else RankedLayer(self.mask & chosen, self.values[mine], self.order[mine])


class Correlations(NamedTuple):
    """Spearman correlations of |w|, -1 to 1; None where undefined: fewer than three weights, or all equal.

    `alive`: over the weights that survive in both rounds; `all`: over all weights, pruned ones as ties at zero.
    """

    alive: float | None
    all: float | None


def correlations(first: RankedLayer, second: RankedLayer) -> Correlations:
    """Return the correlations of a layer between two rounds; both None where a magnitude is not finite."""
    if not (first.finite and second.finite):
        return Correlations(None, None)
    everywhere = _over_all(first, second)
    if first.size == first.values.size == second.values.size >= 3:
        return Correlations(everywhere, everywhere)
    one, other = first.among(second.mask), second.among(first.mask)
    if one.values.size < 3:
        return Correlations(None, everywhere)
    placed = np.zeros(other.size)
    placed[other.order] = other.ranks
    return Correlations(
        _correlation(_dot(one.ranks, placed[one.order]), _dot(one.ranks, one.ranks), _dot(other.ranks, other.ranks)),
        everywhere,
    )


def spearman(first: RankedLayer, second: RankedLayer) -> float | None:
    """Return the correlation over the weights that survive in both rounds."""
    return correlations(first, second).alive


def spearman_all(first: RankedLayer, second: RankedLayer) -> float | None:
    """Return the correlation over all weights, pruned ones as ties at zero: equal masks alone raise it."""
    return correlations(first, second).all


def _mean_ranks(values: Float32[NDArray[np.float32], " n"]) -> Float64[NDArray[np.float64], " n"]:
    """Return the positions of sorted `[n]` values, ties at their mean position, less the mean of all."""
    ranks: Floats = np.arange(values.size, dtype=np.float64)
    ranks -= (values.size - 1) / 2
    same = np.flatnonzero(values[1:] == values[:-1])
    if same.size:
        breaks = np.flatnonzero(np.diff(same) != 1)
        starts = same[np.concatenate(([0], breaks + 1))]
        ends = same[np.concatenate((breaks, [same.size - 1]))] + 1
        counts = ends - starts + 1
        shifts = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        ranks[np.arange(shifts.size) + shifts] = np.repeat((ranks[starts] + ranks[ends]) / 2, counts)
    return ranks


def _over_all(first: RankedLayer, second: RankedLayer) -> float | None:
    """Return the correlation over all weights. Ranks less their mean add up to 0, so that with r = above + lowest the
    sum of r s is that of above(r) above(s), which only survivors have, less size * lowest(r) * lowest(s)."""
    fewer, more = (first, second) if first.values.size <= second.values.size else (second, first)
    together = _dot(fewer.above, more.placed[fewer.order]) - first.size * first.lowest * second.lowest
    squares = [_dot(it.above, it.above) - it.size * it.lowest**2 for it in (first, second)]
    return _correlation(together, *squares)


def _correlation(together: float, first: float, second: float) -> float | None:
    """Return the correlation from the sum of products and the two sums of squares."""
    scale = math.sqrt(first * second) if first > 0 and second > 0 else 0.0
    return min(1.0, max(-1.0, together / scale)) if scale > 0 else None


def _dot(first: Float64[NDArray[np.float64], " n"], second: Float64[NDArray[np.float64], " n"]) -> float:
    """The sum of products, in an order that does not depend on the number of threads as that of BLAS does."""
    return float(np.einsum("i,i->", first, second))
