"""The survivors of a round: masks and weights as small images and counts.

This view needs NumPy, so `engine.views` does not import it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.networks import HostArrays, layer_of
from engine.store.events import Magnitudes
from engine.store.tensors import Masks
from engine.views.run import TrialView
from engine.views.tables import Table

InputKind = Literal["pixels", "places", "units", "channels"]
"""The kind of a layer's inputs: pixels, positions of the last pool, units, or channels (a convolution)."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Small pictures `[n, h, w]`, NaN where there is nothing to show; `whole` tells counts from weights."""

    values: NDArray[np.floating]
    whole: bool

    @property
    def signed(self) -> bool:
        """Whether any value is negative."""
        return bool(np.any(self.values < 0))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value, or with signs as far to both sides of 0; 0 and 0 without any."""
        finite = self.values[np.isfinite(self.values)]
        if not finite.size:
            return 0.0, 0.0
        low, high = float(finite.min()), float(finite.max())
        return (-max(-low, high), max(-low, high)) if low < 0 else (low, high)


@dataclass(frozen=True, eq=False)
class LayerTicket:
    """What is left of a layer with inputs `[h, w, c]` and `u` units.

    `h` and `w` are 3 and 3 in a convolution, the sides of what a dense layer looks at, and 1 and 1 where that is
    units. Then `c` are those units, else channels.

    `weights` `[h, w, c, u]`, after the last iteration, NaN where pruned; `bias` `[u]`. `counts` and `means`
    `[n, h, w]` are the weights left and their mean |w| (NaN without one): of a convolution for each unit, over its
    input channels; of what a layer looks at in one picture, over channels and units; of units for each of them.
    `incoming` `[u]` and `outgoing` `[u]` (None in the last layer) count weights left, `mean_abs_in` `[u]` is the mean
    |w| of the incoming ones. `unused`: inputs (of a convolution: input channels) without a weight.
    """

    name: str
    input_kind: InputKind
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    incoming: NDArray[np.int64]
    mean_abs_in: NDArray[np.float64]
    outgoing: NDArray[np.int64] | None
    inputs: int
    unused: int

    @property
    def size(self) -> int:
        """Its weights, the pruned ones too."""
        return self.weights.size

    @property
    def left(self) -> int:
        """Its weights that are left."""
        return int(self.incoming.sum())

    @property
    def units(self) -> int:
        return len(self.incoming)

    @property
    def no_inputs(self) -> int:
        """Units without incoming weights: they still emit relu(bias)."""
        return int((self.incoming == 0).sum())

    @property
    def no_outputs(self) -> int | None:
        """Units without outgoing weights; None in the last layer."""
        return None if self.outgoing is None else int((self.outgoing == 0).sum())

    def unit(self, number: int) -> Tiles:
        """The weights of one unit, a picture for each `c`."""
        return Tiles(self.weights[..., number].transpose(2, 0, 1), whole=False)

    def left_tiles(self) -> Tiles:
        """`counts`, nothing where none is left."""
        return Tiles(_or_nothing(self.counts), whole=True)

    def unit_tiles(self, counts: NDArray[np.int64]) -> Tiles:
        """A tile a unit for `incoming` or `outgoing`, nothing where none is left."""
        return Tiles(_or_nothing(counts)[:, None, None], whole=True)


@dataclass(frozen=True, eq=False)
class TicketView:
    """What is left in a round, by layer in order of depth."""

    layers: Mapping[str, LayerTicket]

    @property
    def bytes(self) -> int:
        """What it takes in memory, nearly."""
        return sum(layer.weights.nbytes for layer in self.layers.values())


def ticket_view(masks: Masks, params: HostArrays, image_shape: tuple[int, int, int] | None) -> TicketView:
    """The pictures and counts of a round's masks and parameters, for images `[H, W, C]`.

    Without an image shape, or with one that the first layer does not have, pixels are shown as units are.
    """
    found: dict[str, LayerTicket] = {}
    shapes = {name: _shape(masks, name, image_shape) for name in masks}
    names = list(masks)
    for place, name in enumerate(names):
        input_kind, shape = shapes[name]
        mask = masks[name].reshape(shape)
        after = names[place + 1] if place + 1 < len(names) else None
        outgoing = None if after is None else masks[after].reshape(shapes[after][1]).sum((0, 1, 3))
        layer = layer_of(name)
        bias = params.get(f"{layer}/bias", np.zeros(shape[-1], np.float32))
        found[layer] = _layer(layer, input_kind, mask, params[name], bias, outgoing)
    return TicketView(found)


def _shape(masks: Masks, name: str, image: tuple[int, int, int] | None) -> tuple[InputKind, tuple[int, ...]]:
    """What the layer reads, and its kernel's shape as `[h, w, c, u]`."""
    names, kernel = list(masks), masks[name].shape
    if len(kernel) == 4:
        return "channels", kernel
    inputs, units = kernel
    before = masks[names[names.index(name) - 1]].shape if name != names[0] else None
    if before is None:
        if image is not None and math.prod(image) == inputs:
            return "pixels", (*image, units)
    elif len(before) == 4 and inputs % before[-1] == 0:
        places = inputs // before[-1]
        high, wide = image[:2] if image else (1, 1)
        height = math.isqrt(places * high // wide)
        if height and places % height == 0 and height * wide == places // height * high:
            return "places", (height, places // height, before[-1], units)
    return "units", (1, 1, inputs, units)


def _layer(
    name: str,
    input_kind: InputKind,
    mask: NDArray[np.bool_],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    outgoing: NDArray[np.int64] | None,
) -> LayerTicket:
    kernel = np.where(mask, weights.reshape(mask.shape), np.float32(0.0))
    magnitudes = np.abs(kernel)
    over: int | tuple[int, int]
    order: tuple[int, ...]
    if input_kind == "channels":
        over, order = 2, (2, 0, 1)
    elif input_kind == "units":
        over, order = 3, (2, 0, 1)
    else:
        over, order = (2, 3), (0, 1)
    counts = mask.sum(over).transpose(order)
    sums = magnitudes.sum(over, dtype=np.float64).transpose(order)
    if counts.ndim == 2:
        counts, sums = counts[None], sums[None]
    incoming = mask.sum((0, 1, 2))
    alive = mask.any((0, 1, 3)) if input_kind == "channels" else mask.any(3)
    kernel[~mask] = np.nan
    return LayerTicket(
        name=name,
        input_kind=input_kind,
        weights=kernel,
        bias=bias,
        counts=counts,
        means=_mean(sums, counts),
        incoming=incoming,
        mean_abs_in=_mean(magnitudes.sum((0, 1, 2), dtype=np.float64), incoming),
        outgoing=outgoing,
        inputs=alive.size,
        unused=int(alive.size - alive.sum()),
    )


def _mean(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _or_nothing(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(counts > 0, counts, np.nan)


@dataclass(frozen=True)
class Histogram:
    """Histogram of |w| of a layer: `share[i]` percent of the weights per step of |w|, at `x[i]`.

    `half` of them are smaller than that, to a part of a bin; `top` is the greatest; `distance` is Kolmogorov and
    Smirnov's from a uniform distribution up to there.
    """

    name: str
    count: int
    x: tuple[float, ...]
    share: tuple[float, ...]
    half: float
    top: float
    distance: float


def histograms(trial: TrialView, number: int, layer: str) -> tuple[float, tuple[Histogram, ...]]:
    """Return the step of |w|, and the measured histograms: survivors after and before training, and all weights before
    round 0.

    Histograms keep their own bins; shares per step of |w| are comparable.
    """
    found: list[tuple[str, tuple[int, ...], float, float]] = []
    here, dense = (_magnitudes(trial, which, layer) for which in (number, 0))
    if here is not None:
        found.append(("after", here.end, here.end_top, here.end_distance))
        found.append(("before", here.start, here.start_top, here.start_distance))
    if dense is not None and number > 0:
        found.append(("dense", dense.start, dense.start_top, dense.start_distance))
    greatest = max((top for _, _, top, _ in found), default=0.0)
    step = 10.0 ** math.floor(math.log10(greatest / 5)) if greatest > 0 else 1.0
    return step, tuple(_histogram(name, counts, top, distance, step) for name, counts, top, distance in found)


def _magnitudes(trial: TrialView, number: int, layer: str) -> Magnitudes | None:
    item = trial.rounds.get(number)
    return item.result.magnitudes.get(layer) if item else None


def _histogram(name: str, counts: tuple[int, ...], top: float, distance: float, step: float) -> Histogram:
    total, width = sum(counts), top / len(counts)
    below = 0
    half = 0.0
    for place, count in enumerate(counts):
        if below + count >= total / 2 and count:
            half = width * (place + (total / 2 - below) / count)
            break
        below += count
    scale = 100 * step / (total * width) if total and width else 0.0
    x = tuple(width * (place + 0.5) for place in range(len(counts)))
    return Histogram(name, total, x, tuple(scale * count for count in counts), half, top, distance)


def histograms_table(step: float, found: tuple[Histogram, ...]) -> Table:
    """Histograms of |w|, a row a bin."""
    rows = ((item.name, x, share) for item in found for x, share in zip(item.x, item.share, strict=True))
    return Table(("weights", "|w|", f"share per {step:g} of |w| (%)"), tuple(rows))


def tiles_table(tiles: Tiles, measure: str) -> Table:
    """A row a pixel of each tile that has a value."""
    places = np.argwhere(np.isfinite(tiles.values)).tolist()
    rows = ((*place, tiles.values[tuple(place)].item()) for place in places)
    return Table(("tile", "row", "column", measure), tuple(rows))
