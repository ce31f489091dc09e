"""Masks: which weights are pruned. Pure NumPy on the host, exact to the weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.networks import LayerShape
from engine.pruning.schedule import PruningSchedule
from engine.rng import MASK_STREAM, SHUFFLE_STREAM, permutation, sample

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32

Masks = dict[str, NDArray[np.bool_]]
"""Masks by parameter, in the kernel's shape; True where the weight survives. Other parameters are never pruned."""
Weights = dict[str, NDArray[np.float32]]
"""Parameters by path."""


def full_masks(layers: tuple[LayerShape, ...]) -> Masks:
    """Return masks that prune nothing."""
    return {layer.parameter: np.ones(layer.shape, np.bool_) for layer in layers}


def counts_of(masks: Mapping[str, Bool[NDArray[np.bool_], " ..."]]) -> dict[str, int]:
    """Return the number of survivors of each parameter."""
    return {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}


def masked(weights: Weights, masks: Mapping[str, Bool[NDArray[np.bool_], " ..."]]) -> Weights:
    """Return the weights with pruned ones set to (positive) zero; parameters without a mask are unchanged."""
    return {
        name: np.where(masks[name], array, np.float32(0)) if name in masks else array for name, array in weights.items()
    }


def magnitudes(weights: Weights, masks: Masks) -> dict[str, Float32[NDArray[np.float32], " ..."]]:
    """Return Return |w| of every parameter that has a mask."""
    return {name: np.abs(weights[name]) for name in masks}


def lowest(scores: Float32[NDArray[np.float32], " N"], count: int) -> Bool[NDArray[np.bool_], " N"]:
    """Return a mask of the `count` lowest `scores` `[N]`; ties go to the earlier ones, as in a stable sort."""
    if count == 0:
        return np.zeros(scores.shape, np.bool_)
    threshold = np.partition(scores, count - 1)[count - 1]
    chosen: NDArray[np.bool_] = scores < threshold
    equal = np.flatnonzero(scores == threshold)
    chosen[equal[: count - np.count_nonzero(chosen)]] = True
    return chosen


def prune(
    scores: Mapping[str, Float32[NDArray[np.float32], " ..."]], masks: Masks, schedule: PruningSchedule, number: int
) -> Masks:
    """Return the masks of round `number`: in each group the lowest scores are pruned down to the schedule's count.

    Ties are pruned in order of layers, row-major within a layer. Scores of pruned weights are ignored; scores must not
    be NaN.
    """
    pruned = {name: mask.copy() for name, mask in masks.items()}
    for group, target in zip(schedule.groups, schedule.survivors[number], strict=True):
        alive = [np.flatnonzero(masks[name]) for name in group]
        score = np.concatenate([scores[name].ravel()[places] for name, places in zip(group, alive, strict=True)])
        chosen = lowest(score, score.size - target)
        start = 0
        for name, places in zip(group, alive, strict=True):
            pruned[name].reshape(-1)[places[chosen[start : start + places.size]]] = False
            start += places.size
    return pruned


def reshuffled(weights: Weights, masks: Masks, seed: int) -> Weights:
    """Shuffle the survivors' weights within each parameter, drawn from `seed`; pruned weights are unchanged.

    The multiset of survivors of each layer is the same (Zhou et al. 2019, section 4).
    """
    shuffled = dict(weights)
    for depth, (name, mask) in enumerate(masks.items()):
        kernel = weights[name].copy()
        survivors = kernel[mask]
        kernel[mask] = survivors[permutation(survivors.size, seed, SHUFFLE_STREAM, depth)]
        shuffled[name] = kernel
    return shuffled


def with_signs(weights: Weights, signs: Weights, masks: Masks) -> Weights:
    """Return `weights` with the signs of `signs` in masked parameters; the others are unchanged."""
    return {name: np.copysign(array, signs[name]) if name in masks else array for name, array in weights.items()}


def random_masks(like: Masks, seed: int) -> Masks:
    """Return random masks with as many survivors in each layer as `like`, drawn from `seed`."""
    drawn = {}
    for depth, (name, mask) in enumerate(like.items()):
        chosen = np.zeros(mask.size, np.bool_)
        chosen[sample(mask.size, int(np.count_nonzero(mask)), seed, MASK_STREAM, depth)] = True
        drawn[name] = chosen.reshape(mask.shape)
    return drawn
