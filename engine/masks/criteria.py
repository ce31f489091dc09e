"""What weights are ranked by: the lowest scores go."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.draws import permutation
from engine.masks.prune import Weights
from engine.spec import Criterion

# Keeps these draws apart from others that are made from the same seed.
_SCORE_STREAM = 0x5C02E

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


def scores(criterion: Criterion, start: Weights, end: Weights, seed: int) -> dict[str, Kernel]:
    """Scores of every kernel, shaped as it, from a round's first weights and its last.

    The criteria of Zhou et al. 2019 (figure 3; the joint ones with alpha 1): `magnitude` is their large_final, the
    lottery ticket paper's; `largest`, their small_final, prunes the largest weights first. `random` draws an order
    from `seed`, another one in each layer.
    """
    if criterion == "random":
        return {
            name: permutation(part["kernel"].size, seed, _SCORE_STREAM, depth)
            .reshape(part["kernel"].shape)
            .astype(np.float32)
            for depth, (name, part) in enumerate(end.items())
        }
    return {name: _OF_WEIGHTS[criterion](start[name]["kernel"], part["kernel"]) for name, part in end.items()}
