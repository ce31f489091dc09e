"""The prunable layers of a network, known without building it."""

import math
from dataclasses import dataclass

from engine.spec import LayerKind

LENET_UNITS = (300, 100)


@dataclass(frozen=True)
class LayerShape:
    """A layer's name, kind and kernel shape, `[inputs, outputs]` for dense ones."""

    name: str
    kind: LayerKind
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Prunable weights: the kernel's; biases are never pruned."""
        return math.prod(self.shape)


def layer_shapes(network: str, image_shape: tuple[int, int, int], classes: int) -> tuple[LayerShape, ...]:
    """The prunable layers in order of depth, for images `[H, W, C]`.

    LeNet-300-100: dense layers of 300 and 100 units and an output layer (Frankle & Carbin 2019, figure 2);
    266,200 weights for 28x28x1 and 10 classes.
    """
    if network != "lenet-300-100":
        raise ValueError(f"no network {network!r}")
    first, second = LENET_UNITS
    return (
        LayerShape("dense1", "dense", (math.prod(image_shape), first)),
        LayerShape("dense2", "dense", (first, second)),
        LayerShape("output", "output", (second, classes)),
    )


def weight_count(layers: tuple[LayerShape, ...]) -> int:
    """Prunable weights of all layers."""
    return sum(layer.size for layer in layers)
