"""The networks as plain shapes: what they are made of and which weights may be pruned, known without JAX."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engine.spec import LayerKind


@dataclass(frozen=True)
class Architecture:
    """3x3 convolutions in blocks, each block closed by a 2x2 max pool; then hidden dense layers; then the output.

    `blocks`: the channels of each block's convolutions; `dense`: the units of each hidden dense layer.
    """

    blocks: tuple[tuple[int, ...], ...]
    dense: tuple[int, ...]

    @property
    def stride(self) -> int:
        """Pixels a side of the input behind one pixel of the last pool."""
        return int(2 ** len(self.blocks))


ARCHITECTURES = {
    "lenet-300-100": Architecture((), (300, 100)),
    "conv-2": Architecture(((64, 64),), (256, 256)),
    "conv-4": Architecture(((64, 64), (128, 128)), (256, 256)),
    "conv-6": Architecture(((64, 64), (128, 128), (256, 256)), (256, 256)),
}
"""Frankle & Carbin 2019 (arXiv 1803.03635), figure 2."""


@dataclass(frozen=True)
class LayerShape:
    """A layer's name, kind and kernel shape: `[inputs, outputs]`, of convolutions `[3, 3, inputs, outputs]`."""

    name: str
    kind: LayerKind
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Prunable weights: the kernel's; biases are never pruned."""
        return math.prod(self.shape)


def architecture(network: str) -> Architecture:
    """The network of that name."""
    if network not in ARCHITECTURES:
        raise ValueError(f"no network {network!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[network]


def image_problem(network: str, image_shape: tuple[int, int, int]) -> str | None:
    """Why the network cannot take images `[H, W, C]`, in a line; None where it can."""
    height, width, _ = image_shape
    stride = architecture(network).stride
    if height % stride == 0 == width % stride:
        return None
    return f"{network} halves images: their sides must be multiples of {stride}, not {height}x{width}"


def layer_shapes(network: str, image_shape: tuple[int, int, int], classes: int) -> tuple[LayerShape, ...]:
    """The prunable layers in order of depth, for images `[H, W, C]` that `image_problem` has none with.

    Weights for 10 classes: LeNet-300-100 266,200 at 28x28x1; Conv-2, Conv-4 and Conv-6 4,300,992, 2,425,024 and
    2,261,184 at 32x32x3. The paper prints 1.7M for Conv-6, which is not what its architecture has.
    """
    if problem := image_problem(network, image_shape):
        raise ValueError(problem)
    return tuple(_layers(architecture(network), image_shape, classes))


def weight_count(layers: tuple[LayerShape, ...]) -> int:
    """Prunable weights of all layers."""
    return sum(layer.size for layer in layers)


def computed(network: str, image_shape: tuple[int, int, int], classes: int) -> list[tuple[int, int]]:
    """For each layer, the numbers that it puts out for one example, before pooling, and the multiplications in them."""
    height, width, _ = image_shape
    sides = [2**halved for halved, block in enumerate(architecture(network).blocks) for _ in block]
    found = []
    for place, layer in enumerate(layer_shapes(network, image_shape, classes)):
        places = (height // sides[place]) * (width // sides[place]) if layer.kind == "conv" else 1
        found.append((places * layer.shape[-1], places * layer.size))
    return found


def _layers(made_of: Architecture, image_shape: tuple[int, int, int], classes: int) -> Iterator[LayerShape]:
    height, width, channels = image_shape
    convolutions = (outputs for block in made_of.blocks for outputs in block)
    for number, outputs in enumerate(convolutions, 1):
        yield LayerShape(f"conv{number}", "conv", (3, 3, channels, outputs))
        channels = outputs
    inputs = (height // made_of.stride) * (width // made_of.stride) * channels
    for number, units in enumerate(made_of.dense, 1):
        yield LayerShape(f"dense{number}", "dense", (inputs, units))
        inputs = units
    yield LayerShape("output", "output", (inputs, classes))
