"""The input of criteria, and the scores of a whole network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine import registry
from engine.errors import LabError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.networks import LayerShape
    from engine.pruning.masks import Masks, Weights

    Kernel = NDArray[np.float32]

EXAMPLES = 1000
"""Default number of training examples that a gradient is averaged over."""


@dataclass(frozen=True, eq=False)
class TrainedWeights:
    """The weights of one round, from which the masks of round `number` are made.

    **Arguments:** `layers` that have a mask, in order of depth; `start` and `end` give the weights that the round
    started from and ended with; `gradient(n)` gives the gradient at `end` of the mean loss over `n` training examples,
    by parameter, float32. All three are called only when a criterion asks for them.
    """

    layers: "tuple[LayerShape, ...]"
    masks: "Masks"
    number: int
    seed: int
    start: "Callable[[], Weights]"
    end: "Callable[[], Weights]"
    gradient: "Callable[[int], Weights]"


class LayerWeights:
    """One layer at the end of a round: `w` of a criterion.

    Attributes: `layer`, its shape and kind; `depth`, its index among the layers that have a mask; `mask`,
    the survivors; `seed` of the trial; `round`, the number of the round whose masks are made. `start`, `end` and
    `gradient` are computed when they are first read.
    """

    def __init__(self, weights: TrainedWeights, depth: int):
        self._weights, self.depth = weights, depth
        self.layer, self.seed, self.round = weights.layers[depth], weights.seed, weights.number

    @property
    def mask(self) -> "NDArray[np.bool_]":
        """The survivors, in the kernel's shape."""
        return self._weights.masks[self.layer.parameter]

    @cached_property
    def start(self) -> "Kernel":
        """The kernel that the round started from."""
        return self._weights.start()[self.layer.parameter]

    @cached_property
    def end(self) -> "Kernel":
        """The kernel that the round ended with; pruned weights are zero."""
        return self._weights.end()[self.layer.parameter]

    @property
    def gradient(self) -> "Kernel":
        """The gradient at `end` of the mean loss over 1,000 training examples."""
        return self.gradient_over(EXAMPLES)

    def gradient_over(self, examples: int) -> "Kernel":
        """The gradient at `end` of the mean loss over so many of the arm's training examples, or all if it has
        fewer; the examples are drawn from `seed` and are the same for every layer."""
        return self._weights.gradient(examples)[self.layer.parameter]

    def uniform(self) -> "Kernel":
        """Numbers in [0, 1) shaped as the kernel, drawn from the seed for this layer and round."""
        from engine.rng import SCORE_STREAM, uniform

        return uniform(self.layer.size, self.seed, SCORE_STREAM, self.round, self.depth).reshape(self.layer.shape)


def scores(criterion: str, weights: TrainedWeights, parameters: Mapping[str, Any] | None = None) -> "Weights":
    """Return the scores of every masked parameter, float32 in its shape; the lowest are pruned first.

    Raises KeyError for an unregistered criterion, LabError for scores of a wrong shape or NaN scores.
    """
    import numpy as np

    score = registry.criterion[criterion]
    found = {}
    for depth, layer in enumerate(weights.layers):
        w = LayerWeights(weights, depth)
        kernel = np.asarray(score(w, **(parameters or {})), np.float32)
        if kernel.shape != layer.shape:
            raise LabError(
                f"criterion {criterion!r}: scores of layer {layer.name} are {kernel.shape}, not {layer.shape}"
            )
        if np.isnan(kernel[w.mask]).any():
            raise LabError(f"criterion {criterion!r}: scores of layer {layer.name} are not a number")
        found[layer.parameter] = kernel
    return found
