"""Networks as pure functions of pytrees: a Flax NNX module, split once."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from numpy.typing import NDArray

from engine.networks.convolution import convolve, max_pool
from engine.networks.shapes import architecture, layer_shapes

Params = dict[str, dict[str, Array]]


class Forward(Protocol):
    """A network as a function of its weights and of normalised images `[B, H, W, C]`, to logits `[B, classes]`.

    With a key it is the network in training, its dropout drawn from the key; without, in evaluation.
    """

    def __call__(self, params: Params, images: Array, key: Array | None = None) -> Array: ...


class Convolution(nnx.Module):
    """A 3x3 convolution with zero padding, and a bias. `[B, H, W, C]` to `[B, H, W, D]`."""

    def __init__(self, inputs: int, outputs: int, *, kernel_init: nnx.Initializer, rngs: nnx.Rngs):
        self.kernel = nnx.Param(kernel_init(rngs.params(), (3, 3, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(self, images: Array) -> Array:
        return convolve(images, self.kernel[...]) + self.bias[...]


_LAYER = {"conv": Convolution, "dense": nnx.Linear, "output": nnx.Linear}


class Network(nnx.Module):
    """An `Architecture` with ReLU after every layer but the output; a layer is an attribute of its name.

    Dropout falls on the outputs of the hidden dense layers. Frankle & Carbin 2019 (section 4) name its rate, 0.5,
    and not the layers; Srivastava et al. 2014 give 0.5 as the rate for hidden dense layers.
    """

    output: nnx.Linear

    def __init__(
        self, network: str, image_shape: tuple[int, int, int], classes: int, dropout: float, *, rngs: nnx.Rngs
    ):
        self.made_of = architecture(network)
        self.dropout = nnx.Dropout(dropout)
        init = nnx.initializers.glorot_normal()
        for layer in layer_shapes(network, image_shape, classes):
            inputs, outputs = layer.shape[-2:]
            setattr(self, layer.name, _LAYER[layer.kind](inputs, outputs, kernel_init=init, rngs=rngs))

    def __call__(self, images: Array, key: Array | None = None) -> Array:
        number = 0
        for block in self.made_of.blocks:
            for _ in block:
                number += 1
                images = nnx.relu(getattr(self, f"conv{number}")(images))
            images = max_pool(images)
        hidden = images.reshape(images.shape[0], -1)
        for number in range(1, len(self.made_of.dense) + 1):
            hidden = nnx.relu(getattr(self, f"dense{number}")(hidden))
            if key is not None:
                hidden = self.dropout(hidden, rngs=jax.random.fold_in(key, number))
        return self.output(hidden)


def forward(network: str, image_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> Forward:
    """The network's function for images `[H, W, C]`; `dropout` is the chance that a unit is left out of a step."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}, allowed is 0 or more and less than 1")
    built = nnx.eval_shape(lambda: Network(network, image_shape, classes, dropout, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(built)

    def apply(params: Params, images: Array, key: Array | None = None) -> Array:
        filled = jax.tree.map(lambda slot: slot, state)
        nnx.replace_by_pure_dict(filled, params)
        return nnx.merge(graph, filled)(images, key)

    return apply


def initial_weights(
    network: str, image_shape: tuple[int, int, int], classes: int, seed: int
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Fresh weights: layer name to {"kernel", "bias"}; Glorot normal kernels, zero biases.

    Glorot normal is JAX's: a normal of variance 2 / (inputs + outputs), nine times as many of both in a 3x3
    convolution, cut at two standard deviations and rescaled to that variance. Drawn on the CPU, so that every
    device starts from the same bits.
    """
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        state: Any = nnx.state(Network(network, image_shape, classes, 0.0, rngs=nnx.Rngs(seed)), nnx.Param)
        drawn = nnx.to_pure_dict(state)
    return {
        layer: {name: np.asarray(array) for name, array in sorted(tensors.items())} for layer, tensors in drawn.items()
    }
