"""LeNet-300-100 and Conv-2/4/6: 3x3 convolutions in blocks, a max pool after each, then dense layers.

Frankle & Carbin 2019 (arXiv 1803.03635), figure 2. Weights for 10 classes: LeNet-300-100 266,200 at 28x28x1; Conv-2,
Conv-4 and Conv-6 4,300,992, 2,425,024 and 2,261,184 at 32x32x3. The paper prints 1.7M for Conv-6, which is not what its
architecture has.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.networks.base import LayerShape, Network, Params, State, Training, glorot
from engine.registry import network

if TYPE_CHECKING:
    from jax import Array

PAPER = "Frankle & Carbin 2019, figure 2"
HIDDEN = (256, 256)


@network("lenet-300-100", "two hidden dense layers of 300 and 100 units", source=PAPER, preset="lenet-mnist")
def lenet(image_shape: tuple[int, int, int], classes: int) -> Network:
    return chain("lenet-300-100", image_shape, classes, (), (300, 100))


@network("conv-2", "two convolutions, two hidden dense layers", source=PAPER, preset="conv2-cifar10")
def conv2(image_shape: tuple[int, int, int], classes: int) -> Network:
    return chain("conv-2", image_shape, classes, ((64, 64),), HIDDEN)


@network("conv-4", "four convolutions, two hidden dense layers", source=PAPER, preset="conv4-cifar10")
def conv4(image_shape: tuple[int, int, int], classes: int) -> Network:
    return chain("conv-4", image_shape, classes, ((64, 64), (128, 128)), HIDDEN)


@network("conv-6", "six convolutions, two hidden dense layers", source=PAPER, preset="conv6-cifar10")
def conv6(image_shape: tuple[int, int, int], classes: int) -> Network:
    return chain("conv-6", image_shape, classes, ((64, 64), (128, 128), (256, 256)), HIDDEN)


def chain(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    blocks: tuple[tuple[int, ...], ...],
    hidden: tuple[int, ...],
) -> Network:
    """Convolutions in `blocks` by channels, each block closed by a 2x2 max pool, then `hidden` dense layers by units.

    ReLU after every layer but the output. Dropout falls on the outputs of the hidden dense layers: Frankle & Carbin
    2019 (section 4) name its rate, 0.5, and not the layers; Srivastava et al. 2014 give 0.5 for hidden dense layers.
    Raises ValueError for images whose sides the pools cannot halve.
    """
    height, width, _ = image_shape
    stride = 2 ** len(blocks)
    if height % stride or width % stride:
        raise ValueError(f"{name} halves images: their sides must be multiples of {stride}, not {height}x{width}")
    layers = tuple(_layers(image_shape, classes, blocks, hidden))

    def init(key: "Array") -> tuple[Params, State]:
        return glorot(layers, key), {}

    def apply(params: Params, state: State, images: "Array", training: Training | None) -> tuple["Array", State]:
        import jax

        from engine.networks.ops import conv, dense, dropout, max_pool

        number = 0
        for block in blocks:
            for _ in block:
                number += 1
                images = jax.nn.relu(conv(params, f"conv{number}", images))
            images = max_pool(images)
        values = images.reshape(images.shape[0], -1)
        for number in range(1, len(hidden) + 1):
            values = jax.nn.relu(dense(params, f"dense{number}", values))
            if training is not None:
                values = dropout(values, training.dropout, jax.random.fold_in(training.key, number))
        return dense(params, "output", values), state

    return Network(layers, init, apply)


def _layers(
    image_shape: tuple[int, int, int], classes: int, blocks: tuple[tuple[int, ...], ...], hidden: tuple[int, ...]
) -> Iterator[LayerShape]:
    height, width, channels = image_shape
    number = 0
    reads: tuple[str, ...] = ()
    for block in blocks:
        for outputs in block:
            number += 1
            layer = LayerShape(f"conv{number}", "conv", (3, 3, channels, outputs), height * width, reads)
            yield layer
            channels, reads = outputs, (layer.name,)
        height, width = height // 2, width // 2
    inputs = height * width * channels
    for number, units in enumerate(hidden, 1):
        layer = LayerShape(f"dense{number}", "dense", (inputs, units), 1, reads)
        yield layer
        inputs, reads = units, (layer.name,)
    yield LayerShape("output", "output", (inputs, classes), 1, reads)
