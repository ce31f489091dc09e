"""A look at what survived: what is drawn of a layer, and in words what it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from engine.views.ticket import Histogram, LayerTicket, TicketView, Tiles
from screens.plots import Line, Picture
from screens.text import amount, plain
from screens.widgets.palette import Scale, shade
from screens.widgets.tiling import NONE, RAMP, SIGNED, Pixel, brief, sign

MEASURES: Mapping[str, tuple[str, ...]] = {
    "inputs": ("weights left", "mean |w|"),
    "units": ("weights in", "weights out", "mean |w| in"),
    "spreads": ("",),
}
"""What each page shows in turn: of the inputs of a layer, of its units, and of its weights."""

_CONSTANT = "Without incoming weights a unit still gives relu(bias); the table counts those without weights in, or out."


@dataclass(frozen=True)
class Look:
    """A page and its measure; `unit`, of the inputs: the weights of that unit alone."""

    page: str
    measure: str
    unit: int | None = None


def tiles_of(layer: LayerTicket, look: Look) -> Tiles | None:
    """What is drawn; None where there is nothing of that kind."""
    match look.page, look.measure:
        case "inputs", _ if look.unit is not None:
            return layer.unit(look.unit)
        case "inputs", "mean |w|":
            return Tiles(layer.means, whole=False)
        case "inputs", _:
            return layer.left_tiles()
        case "units", "weights out":
            return None if layer.outgoing is None else layer.unit_tiles(layer.outgoing)
        case "units", "mean |w| in":
            return Tiles(layer.mean_abs_in[:, None, None], whole=False)
        case _:
            return layer.unit_tiles(layer.incoming)


def title(layer: LayerTicket, before: str, look: Look) -> str:
    """What is drawn, in a line."""
    if look.page == "units":
        return f"{layer.name}: {look.measure} of each unit"
    if look.unit is not None:
        what = {
            "pixels": "from each pixel",
            "places": "from each place, by channel",
            "units": f"from each unit of {before}" if before else "from each input",
            "channels": "by input channel",
        }
        return f"{layer.name}, unit {look.unit}: its weights {what[layer.input_kind]}"
    where = {
        "pixels": "each input pixel",
        "places": "each place of the last pool",
        "units": f"each unit of {before}" if before else "each input",
        "channels": "the kernels of each unit",
    }
    return f"{layer.name}: {look.measure} of {where[layer.input_kind]}"


def about(layer: LayerTicket, before: str, look: Look) -> str:
    """What the picture means."""
    h, w, c, u = layer.weights.shape
    if look.page == "units":
        return f"Each cell is a unit of {layer.name}: {_of_unit(layer, look.measure)}. {_CONSTANT}"
    if look.unit is not None:
        parts = {
            "pixels": "each pixel" + (f", a picture for each of {c} channels" if c > 1 else ""),
            "places": f"each of {h}x{w} places, a picture for each of {c} channels",
            "units": "each unit before it" if before else "each input",
            "channels": f"each of {c} input channels: its 3x3 kernels",
        }
        return f"The weights into unit {look.unit} of {layer.name} from {parts[layer.input_kind]}. {NONE} is pruned."
    what = "the mean |w| of those left" if look.measure == "mean |w|" else "how many are left"
    cells = {
        "pixels": f"Each cell is a pixel of the input, with {amount(c * u)} weights into {layer.name}: {what}.",
        "places": f"Each cell is a place of the last pool, with {amount(c * u)} weights ({c} channels): {what}.",
        "units": f"Each cell is {f'a unit of {before}' if before else 'an input'}, with {amount(u)} weights into "
        f"{layer.name}: {what}.",
        "channels": f"Each tile is a unit of {layer.name}, each cell of it one of 3x3 places, with {amount(c)} weights "
        f"there: {what}.",
    }
    return f"{cells[layer.input_kind]} {NONE} has none."


def _of_unit(layer: LayerTicket, measure: str) -> str:
    if measure == "weights in":
        return f"how many of its {amount(layer.size // layer.units)} incoming weights are left"
    if measure == "weights out":
        return "how many of its weights into the next layer are left"
    return "the mean |w| of its incoming weights that are left"


def cursor_words(layer: LayerTicket, before: str, look: Look, cursor: Pixel) -> Text:
    """What is under the cursor, with its numbers."""
    c, u = layer.weights.shape[2:]
    tile, row, column = cursor
    if look.page == "units":
        return _unit_words(layer, tile)
    if look.unit is not None:
        return _weight_words(layer, before, look.unit, cursor) + Text("\n") + _unit_words(layer, look.unit)
    counts, means = layer.counts[tile], layer.means[tile]
    if layer.input_kind == "channels":
        head = Text.assemble((f"{layer.name} unit {tile}", "bold"))
        return head + Text(f":  {_left(int(counts.sum()), 9 * c)}   mean |w| {_number(layer.mean_abs_in[tile])}")
    where = {
        "pixels": f"pixel in row {row}, column {column}",
        "places": f"place in row {row}, column {column}",
        "units": f"{plain(before)} unit {tile}" if before else f"input {tile}",
    }[layer.input_kind]
    of = u if layer.input_kind == "units" else c * u
    words = f":  {_left(int(counts[row, column]), of)}   mean |w| {_number(means[row, column])}"
    return Text.assemble((where, "bold")) + Text(words)


def _unit_words(layer: LayerTicket, unit: int) -> Text:
    """The numbers of a unit."""
    incoming, bias = int(layer.incoming[unit]), float(layer.bias[unit])
    words = f":  {amount(incoming)} of {amount(layer.size // layer.units)} in"
    if layer.outgoing is not None:
        words += f", {amount(layer.outgoing[unit])} out"
        words += "" if layer.outgoing[unit] else ": nothing reads it"
    if incoming:
        words += f"   mean |w| {_number(layer.mean_abs_in[unit])}   bias {_number(bias)}"
    elif layer.outgoing is None:
        words += f"   it always gives its bias, {_number(bias)}"
    else:
        words += f"   it always gives relu(bias) = {_number(max(0.0, bias))}"
    return Text.assemble((f"{layer.name} unit {unit}", "bold"), words)


def _weight_words(layer: LayerTicket, before: str, unit: int, cursor: Pixel) -> Text:
    """The weight under the cursor, or those of the channel."""
    tile, row, column = cursor
    values = layer.weights[:, :, tile, unit]
    if layer.input_kind == "units" or layer.weights.shape[2] == 1:
        value = values[row, column]
        words = f":  {'pruned' if math.isnan(value) else f'w {value:.3g}'}"
        where = f"{plain(before)} unit {tile}" if before else f"input {tile}"
        where = where if layer.input_kind == "units" else f"row {row}, column {column}"
    else:
        words = f":  {_left(int((~np.isnan(values)).sum()), values.size)}"
        where = f"channel {tile}"
    return Text.assemble((f"from {where}", "bold"), words)


def lens(tiles: Tiles, cursor: Pixel, width: int, height: int) -> Text:
    """The numbers around the cursor, in `height` lines at the most; none where the tiles themselves are numbers."""
    picture = tiles.values[cursor.tile]
    if picture.size == 1 or height < 4:
        return Text()
    cell = max(len(brief(value, 6, whole=tiles.whole)) for value in picture.flat) + 2
    rows = _around(cursor.row, len(picture), height - 1)
    columns = _around(cursor.column, picture.shape[1], width // cell)
    single = len(tiles.values) == 1
    lines = Text.assemble(("around the cursor" if single else "under the cursor", "bold"))
    for row in rows:
        lines.append("\n")
        for column in columns:
            here = single and (row, column) == (cursor.row, cursor.column)
            text = brief(float(picture[row, column]), 6, whole=tiles.whole)
            lines.append(f"[{text}]".rjust(cell) if here else f"{text} ".rjust(cell), "bold" if here else "")
    return lines


def _around(middle: int, count: int, room: int) -> range:
    room = max(1, min(room, count))
    first = max(0, min(middle - room // 2, count - room))
    return range(first, first + room)


def layer_table(view: TicketView, here: str) -> Text:
    """A line a layer: its share of weights left, and what has none."""
    label = max(5, *(len(name) for name in view.layers))
    lines = Text.assemble((f"{'':<{label}}  left without weights", "dim"))
    lines.append(f"\n{'layer':<{label}}     % inputs  in out", "dim")
    for name, layer in view.layers.items():
        no_outputs = "-" if layer.no_outputs is None else str(layer.no_outputs)
        units = f"{layer.unused:>6}{layer.no_inputs:>4}{no_outputs:>4}"
        words = f"\n{name:<{label}} {100 * layer.left / layer.size:5.1f} {units}"
        lines.append(words, "bold" if name == here else "")
    return lines


def tile_legend(tiles: Tiles, *, sixteen: bool) -> Text:
    """The colours and characters with their numbers."""
    scale, signed = Scale(*tiles.ends), tiles.signed
    steps = len(SIGNED if signed else RAMP)
    if tiles.whole:
        steps = min(steps, int(scale.high - scale.low) + 1)
    text = Text.assemble(("colours ", "dim"))
    for number in range(steps):
        value = scale.high - (scale.high - scale.low) * (steps - 1 - number) / max(1, steps - 1)
        value = round(value) if tiles.whole else value
        told = f"{sign(value, scale, signed=signed)}{brief(value, 6, whole=tiles.whole)}"
        text.append(f" {told} ", shade(scale.fraction(value), sixteen=sixteen))
    return text.append(f"  {NONE} {'pruned' if signed else 'none'}", "dim")


def spread_picture(layer: str, number: int, step: float, found: tuple[Histogram, ...], empty: str) -> Picture:
    """How the weights of a layer are spread, each kind a line."""
    heading = f"{layer} r{number}: % of them per {step:g} of |w|"
    lines = tuple(Line(spread.name, spread.x, spread.share, style) for style, spread in enumerate(found))
    return Picture(heading, lines, x_name="|w|", y_name=f"% per {step:g}", empty=empty)


SPREADS = (
    "How |w| is spread. after: the survivors after the last iteration; before: the same ones as the round began; "
    "dense: every weight of the layer as it was drawn for round 0. half<: half of them are smaller; "
    "KS: Kolmogorov-Smirnov distance from uniform, 0 to 1."
)


def spread_table(found: tuple[Histogram, ...]) -> Text:
    """A line a spread: weights, the magnitude that half of them are below, the greatest, distance from uniform."""
    label = max((len(spread.name) for spread in found), default=0)
    lines = Text.assemble((f"{'':<{label}} weights  half<    top   KS", "dim"))
    for spread in found:
        row = f"\n{spread.name:<{label}} {spread.count:>7} {spread.half:6.3f} {spread.top:6.3f} {spread.distance:4.2f}"
        lines.append(row)
    return lines


def _left(count: int, of: int) -> str:
    return f"{amount(count)} of {amount(of)} weights left"


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "none"
