"""What weights are ranked by: the lowest scores go."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.pruning.masks import Masks, Weights
from engine.rng import SCORE_STREAM, uniform
from engine.spec import Criterion

Kernel = NDArray[np.float32]

_OF_WEIGHTS: Mapping[str, Callable[[Kernel, Kernel], Kernel]] = {
    "magnitude": lambda start, end: np.abs(end),
    "largest": lambda start, end: -np.abs(end),
    "large-init": lambda start, end: np.abs(start),
    "small-init": lambda start, end: -np.abs(start),
    "large-init-large-final": lambda start, end: np.minimum(np.abs(start), np.abs(end)),
    "small-init-small-final": lambda start, end: -np.maximum(np.abs(start), np.abs(end)),
    "magnitude-increase": lambda start, end: np.abs(end) - np.abs(start),
    "movement": lambda start, end: np.abs(end - start),
}


def scores(criterion: Criterion, start: Weights, end: Weights, masks: Masks, seed: int) -> dict[str, Kernel]:
    """Scores of every parameter that has a mask, shaped as it, from a round's first weights and its last.

    The criteria of Zhou et al. 2019 (figure 3; the joint ones with alpha 1): `magnitude` is their large_final, the
    lottery ticket paper's; `largest`, their small_final, prunes the largest weights first. `random` draws scores from
    `seed`. Scores can be compared across layers, as global scope does.
    """
    if criterion == "random":
        return {
            name: uniform(mask.size, seed, SCORE_STREAM, depth).reshape(mask.shape)
            for depth, (name, mask) in enumerate(masks.items())
        }
    return {name: _OF_WEIGHTS[criterion](start[name], end[name]) for name in masks}
