"""Networks as pure functions of pytrees: Flax NNX modules, split once."""

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from numpy.typing import NDArray

from engine.networks.shapes import LENET_UNITS

Params = dict[str, dict[str, Array]]
Forward = Callable[[Params, Array], Array]


class LeNet(nnx.Module):
    """LeNet-300-100: two hidden dense layers with ReLU and a dense output. `[B, ...]` to logits `[B, classes]`."""

    def __init__(self, inputs: int, classes: int, *, rngs: nnx.Rngs):
        first, second = LENET_UNITS
        init = nnx.initializers.glorot_normal()
        self.dense1 = nnx.Linear(inputs, first, kernel_init=init, rngs=rngs)
        self.dense2 = nnx.Linear(first, second, kernel_init=init, rngs=rngs)
        self.output = nnx.Linear(second, classes, kernel_init=init, rngs=rngs)

    def __call__(self, images: Array) -> Array:
        hidden = nnx.relu(self.dense1(images.reshape(images.shape[0], -1)))
        return self.output(nnx.relu(self.dense2(hidden)))


def _module(network: str, image_shape: tuple[int, int, int], classes: int, seed: int) -> LeNet:
    if network != "lenet-300-100":
        raise ValueError(f"no network {network!r}")
    return LeNet(prod(image_shape), classes, rngs=nnx.Rngs(seed))


def forward(network: str, image_shape: tuple[int, int, int], classes: int) -> Forward:
    """The network as a function of its weights and normalised images `[B, H, W, C]`, to logits `[B, classes]`."""
    graph, state = nnx.split(nnx.eval_shape(lambda: _module(network, image_shape, classes, 0)))

    def apply(params: Params, images: Array) -> Array:
        filled = jax.tree.map(lambda slot: slot, state)
        nnx.replace_by_pure_dict(filled, params)
        return nnx.merge(graph, filled)(images)

    return apply


def initial_weights(
    network: str, image_shape: tuple[int, int, int], classes: int, seed: int
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Fresh weights: layer name to {"kernel", "bias"}; Glorot normal kernels, zero biases.

    Glorot normal is JAX's: a normal of variance 2 / (inputs + outputs), cut at two standard deviations and
    rescaled to that variance. Drawn on the CPU, so that every device starts from the same bits.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        state: Any = nnx.state(_module(network, image_shape, classes, seed), nnx.Param)
        drawn = nnx.to_pure_dict(state)
    return {
        layer: {name: np.asarray(array) for name, array in sorted(tensors.items())} for layer, tensors in drawn.items()
    }
