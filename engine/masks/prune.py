"""Which weights go. Pure NumPy on the host, exact to the weight."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.draws import permutation
from engine.masks.ladder import Ladder
from engine.networks import LayerShape

# Keep these draws apart from others that are made from the same seed.
_MASK_STREAM = 0x3A5C
_SHUFFLE_STREAM = 0x5F1E

Masks = dict[str, NDArray[np.bool_]]
Weights = dict[str, dict[str, NDArray[np.float32]]]


def full_masks(layers: tuple[LayerShape, ...]) -> Masks:
    """Every weight alive."""
    return {layer.name: np.ones(layer.shape, np.bool_) for layer in layers}


def counts_of(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, int]:
    """Weights alive in each layer."""
    return {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}


def masked(weights: Weights, masks: Mapping[str, NDArray[np.bool_]]) -> Weights:
    """The weights with the kernels' dead ones at exactly (positive) zero; biases as they are."""
    return {
        name: {**tensors, "kernel": np.where(masks[name], tensors["kernel"], np.float32(0))}
        for name, tensors in weights.items()
    }


def magnitudes(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """|w| of every kernel."""
    return {name: np.abs(tensors["kernel"]) for name, tensors in weights.items()}


def prune(scores: Mapping[str, NDArray[np.float32]], masks: Masks, ladder: Ladder, number: int) -> Masks:
    """The masks of round `number`: in each group the lowest scores go until the ladder's count is left.

    Ties go in order of depth and then of place (row-major), the first first. Scores of dead weights are not read.
    """
    pruned = {name: mask.copy() for name, mask in masks.items()}
    for group, target in zip(ladder.groups, ladder.survivors[number], strict=True):
        alive = np.concatenate([masks[name].ravel() for name in group])
        score = np.concatenate([scores[name].ravel() for name in group])
        places = np.flatnonzero(alive)
        order = np.argsort(score[places], kind="stable")
        alive[places[order[: len(places) - target]]] = False
        start = 0
        for name in group:
            size = masks[name].size
            pruned[name] = alive[start : start + size].reshape(masks[name].shape)
            start += size
    return pruned


def reshuffled(weights: Weights, masks: Masks, seed: int) -> Weights:
    """The survivors' weights in other places of the same layer, drawn from `seed`; the dead stay as they are.

    The multiset of survivors of each layer is the same (Zhou et al. 2019, section 4).
    """
    shuffled = {}
    for depth, (name, tensors) in enumerate(weights.items()):
        kernel = tensors["kernel"].copy()
        alive = kernel[masks[name]]
        kernel[masks[name]] = alive[permutation(alive.size, seed, _SHUFFLE_STREAM, depth)]
        shuffled[name] = {**tensors, "kernel": kernel}
    return shuffled


def with_signs(weights: Weights, signs: Weights) -> Weights:
    """The kernels of `weights` in magnitude, of `signs` in sign; biases as they are."""
    return {
        name: {**tensors, "kernel": np.copysign(tensors["kernel"], signs[name]["kernel"])}
        for name, tensors in weights.items()
    }


def random_masks(like: Masks, seed: int) -> Masks:
    """Masks with as many weights alive in each layer as `like`, in places drawn at random."""
    drawn = {}
    for depth, (name, mask) in enumerate(like.items()):
        chosen = np.zeros(mask.size, np.bool_)
        chosen[permutation(mask.size, seed, _MASK_STREAM, depth)[: np.count_nonzero(mask)]] = True
        drawn[name] = chosen.reshape(mask.shape)
    return drawn
