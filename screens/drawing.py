"""Plots as data, and their drawing by plotext: the same in a window and on standard output. Knows no window."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from screens.text import plain
from screens.widgets.sampling import drawable, limits, log_ticks, segments, thin, tick_label, ticks

MARKERS = ("●", "x", "▲", "◆", "+", "■", "*", "o")
COLOURS = (14, 11, 13, 10, 12, 9, 6, 3)
"""Terminal colours of lines, so that a terminal of 16 shows them as they are."""

LEVEL_COLOUR = 7
LEAST_SIZE = (20, 6)
STILL_SIZE = (100, 30)
"""Cells of a plot in a file."""

Lines: TypeAlias = Sequence[Sequence[Segment]]
"""A picture in cells."""


@dataclass(frozen=True)
class Line:
    """A line with its mark and colour, under a name of its own in its picture.

    What there is of a point beside `x` and `y` stands in tuples as long as those; one that is empty says nothing of
    any. `low` and `high` are the ends over the trials, `error` the standard error of their mean (NaN: none), `trials`
    how many they are; `rounds` numbers the point's round; `signs` stand above it. `about` is said of every point.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: int = 0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    error: tuple[float, ...] = ()
    trials: tuple[int, ...] = ()
    rounds: tuple[int, ...] = ()
    signs: tuple[str, ...] = ()
    about: str = ""
    dots: bool = True

    @property
    def marker(self) -> str:
        return MARKERS[self.style % len(MARKERS)]

    @property
    def colour(self) -> int:
        return COLOURS[self.style % len(COLOURS)]


@dataclass(frozen=True)
class Picture:
    """A whole plot. `log_x`: x on a logarithmic axis; `falls`: x falls to the right. `level`: a line across, with its
    name. `floor`: what is lower is left out. `from_zero`: y begins at 0. `signs`: what the signs of points mean.
    """

    title: str
    lines: tuple[Line, ...] = ()
    x_name: str = "x"
    y_name: str = "y"
    log_x: bool = False
    falls: bool = False
    level: tuple[str, float] | None = None
    empty: str = "nothing yet"
    least_height: float = 0.0
    floor: float | None = None
    from_zero: bool = False
    signs: tuple[tuple[str, str], ...] = ()

    @property
    def drawable(self) -> bool:
        return any(segments(line.x, line.y, log_x=self.log_x) for line in self.lines)


def draw(figure: Any, picture: Picture, width: int, height: int, *, focused: bool = False) -> Text:
    """The picture with title and legend in `width` x `height` cells, by a figure of plotext."""
    heading = _heading(picture, width, focused=focused)
    height -= len(heading)
    if not picture.drawable or width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
        words = picture.empty if not picture.drawable else "too small to draw"
        return Text("\n").join([*heading, Text(""), Text(plain(words), "dim")])
    drawn = _plot(figure, picture, width, height).rstrip("\n")
    return Text("\n").join([*heading, Text.from_ansi(drawn)])


def lines_of(figure: Callable[[], Any], picture: Picture) -> Lines:
    """The picture as it is put into a file, by a figure of its own: in any thread."""
    console = Console(width=STILL_SIZE[0], file=io.StringIO(), color_system="truecolor", force_terminal=True)
    return console.render_lines(draw(figure(), picture, *STILL_SIZE), pad=False)


def _plot(plt: Any, picture: Picture, width: int, height: int) -> str:
    plt.clear_figure()
    plt.plotsize(width, height)
    plt._set_size(width, height)  # plotsize alone keeps within a terminal as large as the first
    plt.canvas_color("default")
    plt.axes_color("default")
    plt.ticks_color("default")
    plt.xaxes(True, False)
    plt.yaxes(True, False)
    drawn = [
        (line, [thin(points, 2 * width) for points in segments(line.x, line.y, log_x=picture.log_x)])
        for line in picture.lines
    ]
    sign = -1.0 if picture.falls else 1.0
    every_x = [sign * x for _, parts in drawn for points in parts for x, _ in points]
    every_y = [y for _, parts in drawn for points in parts for _, y in points]
    bars = [
        (line, x, low, high)
        for line in picture.lines
        for x, low, high in zip(line.x, line.low, line.high, strict=False)
        if segments((x,), (low,), log_x=picture.log_x) and drawable(high) and high > low
    ]
    every_y += [end for _, _, *ends in bars for end in ends]
    if picture.level is not None:
        every_y.append(picture.level[1])
    left, right = limits(every_x, pad=0.02)
    if picture.floor is not None and max(every_y) > picture.floor:
        every_y = [max(y, picture.floor) for y in every_y]
    low, high = limits(every_y, least=picture.least_height)
    low = 0.0 if picture.from_zero else low
    plt.xlim(left, right)
    plt.ylim(low, high)
    _set_ticks(plt, picture, (left, right, low, high), width, height)
    for line, x, bottom, top in bars:
        at = sign * (math.log10(x) if picture.log_x else x)
        plt.plot([at, at], [bottom, top], marker="│", color=line.colour)
    if picture.level is not None:
        _across(plt, picture.level[1], left, right, width)
    for line, parts in reversed(drawn):
        for points in parts:
            if len(points) > 1:
                plt.plot([sign * x for x, _ in points], [y for _, y in points], marker="braille", color=line.colour)
    row = (high - low) / max(1, height - 3)
    for line in reversed(picture.lines):
        for x, y, signs in zip(line.x, line.y, line.signs, strict=False):
            if segments((x,), (y,), log_x=picture.log_x):
                _flag(plt, sign * (math.log10(x) if picture.log_x else x), y, signs, row, high, line.colour)
    for line, parts in reversed(drawn):  # the first line is drawn last and hidden by none
        for points in parts:
            if line.dots or len(points) == 1:
                plt.scatter(
                    [sign * x for x, _ in points], [y for _, y in points], marker=line.marker, color=line.colour
                )
    return str(plt.build())


def _flag(plt: Any, x: float, y: float, signs: str, row: float, top: float, colour: int) -> None:
    """Signs one above the other over a point; below it where there is no room above."""
    way = 1 if y + len(signs) * row <= top else -1
    for number, char in enumerate(signs, 1):
        plt.scatter([x], [y + way * number * row], marker=char, color=colour)


def _across(plt: Any, level: float, left: float, right: float, width: int) -> None:
    """A dashed line: dashes apart stay a line without colour, and differ from every arm."""
    count = max(2, width // 2)
    x = [left + (right - left) * number / count for number in range(count + 1)]
    plt.scatter(x, [level] * len(x), marker="-", color=LEVEL_COLOUR)


def _set_ticks(plt: Any, picture: Picture, ends: tuple[float, float, float, float], width: int, height: int) -> None:
    left, right, low, high = ends
    y = ticks(low, high, max(2, (height - 1) * 2 // 5))
    step = y[1] - y[0] if len(y) > 1 else 1.0
    plt.yticks(y, [tick_label(value, step) for value in y])
    most = max(2, (width - 6) // 8)
    sign = -1.0 if picture.falls else 1.0
    first, last = sorted((sign * left, sign * right))
    if picture.log_x:
        x = log_ticks(10.0**first, 10.0**last, most)
        plt.xticks([sign * math.log10(value) for value in x], [f"{value:g}" for value in x])
    else:
        x = ticks(first, last, most)
        step = x[1] - x[0] if len(x) > 1 else 1.0
        plt.xticks([sign * value for value in x], [tick_label(value, step) for value in x])


def _heading(picture: Picture, width: int, *, focused: bool) -> list[Text]:
    """Title and legend in as few lines as they fit."""
    title = Text.assemble((plain(picture.title), "bold reverse" if focused else "bold"), no_wrap=True)
    entries = [
        Text.assemble((line.marker, Style(color=f"color({line.colour})")), f" {plain(line.name)}")
        for line in picture.lines
        if line.name
    ]
    if picture.level is not None:
        entries.append(Text.assemble(("- -", Style(color=f"color({LEVEL_COLOUR})")), f" {plain(picture.level[0])}"))
    entries += [Text.assemble((char, "bold"), f" {words}") for char, words in picture.signs]
    rows = [title]
    for entry in entries:
        if rows[-1].cell_len + entry.cell_len + 2 > width:
            rows.append(Text(no_wrap=True))
        if rows[-1].cell_len:
            rows[-1].append("  ")
        rows[-1].append_text(entry)
    for row in rows:
        row.truncate(max(1, width), overflow="ellipsis")
    return rows
