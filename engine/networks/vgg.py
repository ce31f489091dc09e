"""VGG-11/16/19 with batch normalisation for small images.

Simonyan & Zisserman 2015 (arXiv 1409.1556), table 1, with one output layer after the mean of each channel, as in
open_lth (Frankle et al. 2020) and Frankle & Carbin 2019. Weights of the kernels at 3 channels and 10 classes:
VGG-11 9,222,848, VGG-16 14,715,584, VGG-19 20,024,000, of which the output has 5,120.
"""

from typing import TYPE_CHECKING

from engine.networks.base import LayerShape, Network, Params, State, Training
from engine.registry import network

if TYPE_CHECKING:
    from jax import Array

PAPER = "Simonyan & Zisserman 2015, table 1"
FILTERS = (64, 128, 256, 512, 512)
"""Channels of the five blocks; a 2x2 max pool stands between two blocks."""
PLANS = {11: (1, 1, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions of each block, by depth."""


@network("vgg-11", "eight convolutions, batch norm", source=PAPER)
def vgg11(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return vgg("vgg-11", 11, image_shape, classes, width)


@network("vgg-16", "thirteen convolutions, batch norm", source=PAPER)
def vgg16(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return vgg("vgg-16", 16, image_shape, classes, width)


@network("vgg-19", "sixteen convolutions, batch norm", source=PAPER)
def vgg19(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return vgg("vgg-19", 19, image_shape, classes, width)


def vgg(name: str, depth: int, image_shape: tuple[int, int, int], classes: int, width: float) -> Network:
    """Five blocks of 3x3 convolutions, each with bias, batch normalisation and ReLU, four max pools between them, the
    mean of each channel, and the output.

    Channels are those of `FILTERS` times `width`, rounded, to one at the least. Dropout is refused: the sources have
    none. Raises ValueError for a width that is not positive, and for images whose sides the pools cannot halve.
    """
    height, across, channels = image_shape
    pools = len(FILTERS) - 1
    if not 0 < width < float("inf"):
        raise ValueError(f"{name}: the width must be above 0, not {width}")
    if height % 2**pools or across % 2**pools:
        raise ValueError(f"{name} halves images: their sides must be multiples of {2**pools}, not {height}x{across}")
    blocks: list[list[LayerShape]] = []
    reads: tuple[str, ...] = ()
    number = 0
    for place, (filters, count) in enumerate(zip(FILTERS, PLANS[depth], strict=True)):
        positions, outputs = (height >> place) * (across >> place), max(1, round(filters * width))
        blocks.append([])
        for _ in range(count):
            number += 1
            layer = LayerShape(f"conv{number}", "conv", (3, 3, channels, outputs), positions, reads)
            blocks[-1].append(layer)
            channels, reads = outputs, (layer.name,)
    output = LayerShape("output", "output", (channels, classes), 1, reads)
    layers = (*(layer for block in blocks for layer in block), output)

    def init(key: "Array") -> tuple[Params, State]:
        import jax

        from engine.networks.blocks import batch_norm_start, he_normal, uniform_bias

        for_kernels, for_norms, for_biases = jax.random.split(key, 3)
        params, state = he_normal(layers, for_kernels), State()
        for number, layer in enumerate(layers, 1):
            params |= uniform_bias(layer, jax.random.fold_in(for_biases, number))
            if layer is not output:
                key = jax.random.fold_in(for_norms, number)
                more, statistics = batch_norm_start(f"bn{number}", layer.shape[-1], key)
                params |= more
                state |= statistics
        return params, state

    def apply(params: Params, state: State, images: "Array", training: Training | None) -> tuple["Array", State]:
        from jax.nn import relu

        from engine.networks.blocks import batch_norm, conv3x3
        from engine.networks.ops import dense, max_pool

        if training is not None and training.dropout:
            raise ValueError(f"{name} has no dropout")
        after, number, values = dict(state), 0, images
        for block in blocks:
            if number:
                values = max_pool(values)
            for layer in block:
                number += 1
                values = conv3x3(params, layer.name, values) + params[f"{layer.name}/bias"]
                values, updates = batch_norm(params, state, f"bn{number}", values, training is not None)
                after.update(updates)
                values = relu(values)
        return dense(params, output.name, values.mean((1, 2))), after

    return Network(layers, init, apply)
