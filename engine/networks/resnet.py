"""ResNet-20/32/44/56 for small images: residual blocks of two 3x3 convolutions with batch normalisation.

He et al. 2016 (arXiv 1512.03385), section 4.2, with the shortcuts of open_lth (Frankle et al. 2020): where a block
halves the image, a 1x1 convolution of stride 2 with batch normalisation, He's option B. Kernels of ResNet-20 at 3
channels and 10 classes hold 270,896 weights: 267,696 of 3x3 convolutions, 2,560 of shortcuts, 640 of the output. Papers
print 270,000 to 274,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.networks.base import LayerShape, Network, Params, State, Training
from engine.registry import network

if TYPE_CHECKING:
    from jax import Array

PAPER = "He et al. 2016, section 4.2"
SEGMENTS = 3
FILTERS = 16
"""Channels of the first segment; each further one doubles them."""


@network("resnet-20", "20 layers in residual blocks, batch norm", source=PAPER)
def resnet20(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return resnet("resnet-20", 20, image_shape, classes, width)


@network("resnet-32", "32 layers in residual blocks, batch norm", source=PAPER)
def resnet32(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return resnet("resnet-32", 32, image_shape, classes, width)


@network("resnet-44", "44 layers in residual blocks, batch norm", source=PAPER)
def resnet44(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return resnet("resnet-44", 44, image_shape, classes, width)


@network("resnet-56", "56 layers in residual blocks, batch norm", source=PAPER)
def resnet56(image_shape: tuple[int, int, int], classes: int, *, width: float = 1.0) -> Network:
    return resnet("resnet-56", 56, image_shape, classes, width)


@dataclass(frozen=True)
class Block:
    """A residual block: its two convolutions, the stride of the first, and the shortcut, None for the identity.

    The batch normalisation of `conv3` is `bn3`, that of `shortcut1` is `shortcut_bn1`.
    """

    first: LayerShape
    second: LayerShape
    stride: int
    shortcut: LayerShape | None


def resnet(name: str, depth: int, image_shape: tuple[int, int, int], classes: int, width: float) -> Network:
    """A first convolution, three segments of (depth - 2) / 6 blocks with 16, 32 and 64 channels times `width`, the mean
    of each channel, and the output.

    The first block of the second and third segment has stride 2. Channels of the first segment are rounded, to one at
    the least. Dropout is refused: the sources have none. Raises ValueError for a width that is not positive.
    """
    if not 0 < width < float("inf"):
        raise ValueError(f"{name}: the width must be above 0, not {width}")
    stem, blocks, output = _blocks((depth - 2) // (2 * SEGMENTS), image_shape, classes, max(1, round(FILTERS * width)))
    layers = (stem, *(layer for block in blocks for layer in _layers(block)), output)

    def init(key: "Array") -> tuple[Params, State]:
        import jax

        from engine.networks.blocks import batch_norm_start, he_normal, uniform_bias

        for_kernels, for_norms, for_output = jax.random.split(key, 3)
        params, state = he_normal(layers, for_kernels), State()
        for number, layer in enumerate(layers[:-1]):
            more, statistics = batch_norm_start(norm_of(layer), layer.shape[-1], jax.random.fold_in(for_norms, number))
            params |= more
            state |= statistics
        return params | uniform_bias(output, for_output), state

    def apply(params: Params, state: State, images: "Array", training: Training | None) -> tuple["Array", State]:
        from jax.nn import relu

        from engine.networks.blocks import batch_norm, conv1x1, conv3x3
        from engine.networks.ops import dense

        if training is not None and training.dropout:
            raise ValueError(f"{name} has no dropout")
        after = dict(state)

        def norm(layer: LayerShape, values: "Array") -> "Array":
            values, updates = batch_norm(params, state, norm_of(layer), values, training is not None)
            after.update(updates)
            return values

        values = relu(norm(stem, conv3x3(params, stem.name, images)))
        for block in blocks:
            inner = relu(norm(block.first, conv3x3(params, block.first.name, values, block.stride)))
            inner = norm(block.second, conv3x3(params, block.second.name, inner))
            if block.shortcut is not None:
                values = norm(block.shortcut, conv1x1(params, block.shortcut.name, values, block.stride))
            values = relu(inner + values)
        return dense(params, output.name, values.mean((1, 2))), after

    return Network(layers, init, apply)


def norm_of(layer: LayerShape) -> str:
    """The name of the batch normalisation that follows a convolution."""
    kind, number = layer.name.rstrip("0123456789"), layer.name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return f"bn{number}" if kind == "conv" else f"{kind}_bn{number}"


def _layers(block: Block) -> Iterator[LayerShape]:
    yield block.first
    yield block.second
    if block.shortcut is not None:
        yield block.shortcut


def _blocks(
    each: int, image_shape: tuple[int, int, int], classes: int, filters: int
) -> tuple[LayerShape, list[Block], LayerShape]:
    height, width, channels = image_shape
    stem = LayerShape("conv1", "conv", (3, 3, channels, filters), height * width)
    channels, number, blocks = filters, 1, list[Block]()
    # All layers that add to what the next block reads.
    stream: tuple[str, ...] = (stem.name,)
    for segment in range(SEGMENTS):
        outputs = filters * 2**segment
        for place in range(each):
            stride = 2 if segment and not place else 1
            height, width = -(-height // stride), -(-width // stride)
            positions = height * width
            first = LayerShape(f"conv{number + 1}", "conv", (3, 3, channels, outputs), positions, stream)
            second = LayerShape(f"conv{number + 2}", "conv", (3, 3, outputs, outputs), positions, (first.name,))
            shortcut = None
            if stride > 1:
                shortcut = LayerShape(f"shortcut{segment}", "shortcut", (1, 1, channels, outputs), positions, stream)
            stream = (second.name, shortcut.name) if shortcut is not None else (*stream, second.name)
            blocks.append(Block(first, second, stride, shortcut))
            channels, number = outputs, number + 2
    return stem, blocks, LayerShape("output", "output", (channels, classes), 1, stream)
