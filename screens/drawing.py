"""Plots drawn by plotext: the same in a window and on standard output. Knows no window."""

import io
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from screens.layout import Layout, Point, Trace, lay_out, under_cursor
from screens.legend import BAR, LEVEL_COLOUR, heading, read_out
from screens.plots import Picture
from screens.sight import Sight
from screens.svg import Lines
from screens.text import plain
from screens.widgets.braille import dotted
from screens.widgets.sampling import Numbers, stretches, thin

LEAST_SIZE = (20, 6)
STILL_SIZE = (100, 30)
"""Cells of a plot in a file."""

ROUGH = "·"
"""What a line is drawn with beside its smoothed one."""

MARK_EVERY = 15
"""Columns from mark to mark on a line whose points are not all marked."""

AS_IT_IS = Sight()

Cells: TypeAlias = dict[tuple[int, int], tuple[str, int | str, str]]
"""By column and row from below: a character, its colour and its style."""


def lines_of(figure: Callable[[], Any], picture: Picture, sight: Sight = AS_IT_IS) -> Lines:
    """The picture as it is put into a file, by a figure of its own: in any thread."""
    console = Console(width=STILL_SIZE[0], file=io.StringIO(), color_system="truecolor", force_terminal=True)
    return console.render_lines(draw(figure(), picture, *STILL_SIZE, sight=sight), pad=False)


class Composed(NamedTuple):
    """A picture as it is looked at, divided into its parts: words `above`, the plot with its ticks of `width` x
    `height` cells, and with the focus a line below for what the cursor reads."""

    picture: Picture
    sight: Sight
    focused: bool
    above: list[Text]
    layout: Layout | None
    width: int
    height: int


def compose(picture: Picture, sight: Sight, width: int, height: int, *, focused: bool = False) -> Composed:
    """The parts of a picture in `width` x `height` cells."""
    height -= focused
    above = heading(picture, sight, width, height - LEAST_SIZE[1], focused=focused)
    height -= len(above)
    return Composed(picture, sight, focused, above, lay_out(picture, sight, width, height), width, height)


def draw(figure: Any, picture: Picture, width: int, height: int, *, sight: Sight = AS_IT_IS) -> Text:
    """The picture with title and legend in `width` x `height` cells, by a figure of plotext."""
    return paint(figure, compose(picture, sight, width, height))


def paint(figure: Any, parts: Composed, keyed: Callable[[str], str] = str) -> Text:
    """What was composed, by a figure of plotext; `keyed` puts keys for the ids of bindings in words."""
    picture, layout, width, height = parts.picture, parts.layout, parts.width, parts.height
    if layout is None or width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        words = picture.empty if layout is None else "too small to draw"
        return Text("\n").join([*parts.above, Text(""), Text(plain(words), "dim")])
    point = under_cursor(layout, parts.sight) if parts.focused else None
    drawn = Text.from_ansi(_plot(figure, picture, layout, point, width, height).rstrip("\n"))
    below = [read_out(picture, parts.sight, point, width, keyed)] if parts.focused else []
    return Text("\n").join([*parts.above, drawn, *below])


def _plot(plt: Any, picture: Picture, layout: Layout, point: Point | None, width: int, height: int) -> str:
    plt.clear_figure()
    plt.plotsize(width, height)
    plt._set_size(width, height)  # plotsize alone keeps within a terminal as large as the first
    plt.canvas_color("default")
    plt.axes_color("default")
    plt.ticks_color("default")
    plt.xaxes(True, False)
    plt.yaxes(True, False)
    plt.xlim(0, layout.columns - 1)
    plt.ylim(0, layout.rows - 1)
    x, y = layout.shown
    across = [(cell[0], tick.label) for tick in layout.x_ticks if (cell := layout.cell((tick.place, y.start)))]
    upwards = [(cell[1], tick.label) for tick in layout.y_ticks if (cell := layout.cell((x.start, tick.place)))]
    plt.xticks([at for at, _ in across], [label for _, label in across])
    plt.yticks([at for at, _ in upwards], [label for _, label in upwards])
    cells = _cells(picture, layout, point) or {(0, 0): (" ", "default", "default")}
    columns, rows = zip(*cells, strict=True)
    markers, colours, styles = zip(*cells.values(), strict=True)
    plt.scatter(list(columns), list(rows), marker=list(markers), color=list(colours), style=list(styles))
    return str(plt.build())


def _cells(picture: Picture, layout: Layout, point: Point | None) -> Cells:
    """What stands in each cell: the first line is drawn last and hidden by none, and the cursor by nothing."""
    cells: Cells = {}
    for trace in layout.traces:
        _bars(cells, layout, trace)
    if picture.level is not None:
        _across(cells, layout, layout.axes[1].place(picture.level[1]))
    seen = [(trace, stretches(trace.x, layout.shown.x)) for trace in reversed(layout.traces)]
    for trace, parts in seen:
        if trace.smooth is not None:
            _line(cells, layout, trace, trace.y, parts, rough=True)
    for trace, parts in seen:
        _line(cells, layout, trace, trace.y if trace.smooth is None else trace.smooth, parts)
    for trace, parts in seen:
        _signs(cells, layout, trace, parts)
    for number, (trace, parts) in enumerate(seen):
        _dots(cells, layout, trace, parts, number)
    if point is not None:
        _cursor(cells, layout, point)
    return cells


def _line(
    cells: Cells, layout: Layout, trace: Trace, y: Numbers, parts: list[NDArray[np.intp]], *, rough: bool = False
) -> None:
    """Lines from point to point, of each stretch without a gap."""
    edges = []
    for part in parts:
        kept = part[thin(trace.x[part], y[part], layout.shown.x, 2 * layout.columns)]
        across, up = layout.pixels(trace.x[kept], y[kept])
        edges.append((across[:-1], up[:-1], across[1:], up[1:]))
    if not edges:
        return
    x0, y0, x1, y1 = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    dots = dotted((x0, y0, x1, y1), layout.columns, layout.rows)
    rows, columns = np.nonzero(dots)
    style = "dim" if rough else "default"
    for row, column, dot in zip(rows.tolist(), columns.tolist(), dots[rows, columns].tolist(), strict=True):
        cells[column, row] = (ROUGH if rough else chr(0x2800 + dot), trace.line.colour, style)


def _dots(cells: Cells, layout: Layout, trace: Trace, parts: list[NDArray[np.intp]], among: int) -> None:
    """The line's mark on each of its points, where they can be told apart; else on those that stand alone, and among
    other lines now and then, so that it is known without colour."""
    each = trace.line.dots and sum(map(len, parts)) <= layout.columns
    y = trace.y if trace.smooth is None or each else trace.smooth
    for part in parts:
        if len(part) > 1 and not each:
            columns = layout.pixels(trace.x[part], y[part])[0] // 2
            apart = (columns + among * MARK_EVERY // 3) // MARK_EVERY
            part = part[np.unique(apart, return_index=True)[1]] if len(layout.traces) > 1 else part[:0]
        for point in part.tolist():
            if cell := layout.cell((trace.x[point], y[point])):
                cells[cell] = (trace.line.marker, trace.line.colour, "default")


def _bars(cells: Cells, layout: Layout, trace: Trace) -> None:
    """The ends of points' bars joined; those in one column as one."""
    known = np.flatnonzero(~np.isnan(trace.low))
    x, low = layout.pixels(trace.x[known], trace.low[known])
    high = layout.pixels(trace.x[known], trace.high[known])[1]
    columns, rows = np.rint(x) // 2, [np.clip(np.rint(end) // 4, -1, layout.rows) for end in (low, high)]
    ends: dict[int, tuple[int, int]] = {}
    for column, bottom, top in zip(columns.tolist(), *(row.astype(int).tolist() for row in rows), strict=True):
        if 0 <= column < layout.columns:
            least, most = ends.get(int(column), (bottom, top))
            ends[int(column)] = min(least, bottom), max(most, top)
    for column, (bottom, top) in ends.items():
        for row in range(max(0, bottom), min(top, layout.rows - 1) + 1):
            cells[column, row] = (BAR, trace.line.colour, "default")


def _signs(cells: Cells, layout: Layout, trace: Trace, parts: list[NDArray[np.intp]]) -> None:
    """Signs one above the other over a point; below it where there is no room above."""
    for number in (number for part in parts for number in part.tolist()) if trace.line.signs else ():
        signs = trace.line.signs[number]
        if signs and (cell := layout.cell((trace.x[number], trace.y[number]))):
            column, row = cell
            way = 1 if row + len(signs) < layout.rows else -1
            for above, char in enumerate(signs, 1):
                cells[column, row + way * above] = (char, trace.line.colour, "default")


def _across(cells: Cells, layout: Layout, place: float) -> None:
    """A dashed line: dashes apart stay a line without colour, and differ from every arm."""
    cell = layout.cell((layout.shown.x.start, place))
    for column in range(0, layout.columns if cell else 0, 2):
        cells[column, cell[1] if cell else 0] = ("-", LEVEL_COLOUR, "default")


def _cursor(cells: Cells, layout: Layout, point: Point) -> None:
    """The point in reverse, between brackets."""
    if cell := layout.cell(point.place):
        column, row = cell
        for at, char in ((column - 1, "["), (column, point.trace.line.marker), (column + 1, "]")):
            if 0 <= at < layout.columns:
                cells[at, row] = (char, point.trace.line.colour, "inverted" if at == column else "bold")
