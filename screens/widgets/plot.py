"""Lines drawn by plotext: what to draw is data, and it is drawn only when it changed."""

import math
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual_plotext import PlotextPlot

from screens.text import plain
from screens.widgets.sampling import drawable, limits, log_ticks, segments, thin, tick_label, ticks

MARKERS = ("●", "x", "▲", "◆", "+", "■", "*", "o")
COLOURS = (14, 11, 13, 10, 12, 9, 6, 3)
"""Terminal colours of lines, so that a terminal of 16 shows them as they are."""

LEVEL_COLOUR = 7
LEAST_SIZE = (20, 6)


@dataclass(frozen=True)
class Line:
    """A line with its mark and colour. `bars`: (x, low, high), drawn upright."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: int = 0
    bars: tuple[tuple[float, float, float], ...] = ()
    dots: bool = True

    @property
    def marker(self) -> str:
        return MARKERS[self.style % len(MARKERS)]

    @property
    def colour(self) -> int:
        return COLOURS[self.style % len(COLOURS)]


@dataclass(frozen=True)
class Picture:
    """A whole plot. `log_x`: x falls to the right on a logarithmic axis. `level`: a line across, with its name.
    `floor`: what is lower is left out.
    """

    title: str
    lines: tuple[Line, ...] = ()
    log_x: bool = False
    level: tuple[str, float] | None = None
    empty: str = "nothing yet"
    least_height: float = 0.0
    floor: float | None = None

    @property
    def drawable(self) -> bool:
        return any(segments(line.x, line.y, log_x=self.log_x) for line in self.lines)


class LinePlot(PlotextPlot, can_focus=True):
    """A plot of a `Picture`, its title and legend above it."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._picture = Picture("")
        self._cache: tuple[object, Text] | None = None

    @property
    def picture(self) -> Picture:
        """What is drawn."""
        return self._picture

    def show(self, picture: Picture) -> None:
        """Draw `picture`, if it is another."""
        if picture != self._picture:
            self._picture = picture
            self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render(self) -> Text:
        key = (self._picture, self.size, self.has_focus)
        if self._cache is None or self._cache[0] != key:
            self._cache = (key, self._drawn())
        return self._cache[1]

    def _drawn(self) -> Text:
        picture, (width, height) = self._picture, self.size
        heading = _heading(picture, width, focused=self.has_focus)
        height -= len(heading)
        if not picture.drawable or width < LEAST_SIZE[0] or height < LEAST_SIZE[1]:
            words = picture.empty if not picture.drawable else "too small to draw; f makes it fill the screen"
            return Text("\n").join([*heading, Text(""), Text(plain(words), "dim")])
        return Text("\n").join([*heading, Text.from_ansi(self._plot_ansi(width, height).rstrip("\n"))])

    def _plot_ansi(self, width: int, height: int) -> str:
        picture, plt = self._picture, self.plt
        plt.clear_figure()
        plt.plotsize(width, height)
        plt._set_size(width, height)  # plotsize alone is forgotten after a resize
        plt.canvas_color("default")
        plt.axes_color("default")
        plt.ticks_color("default")
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        drawn = [
            (line, [thin(points, 2 * width) for points in segments(line.x, line.y, log_x=picture.log_x)])
            for line in picture.lines
        ]
        sign = -1.0 if picture.log_x else 1.0
        every_x = [sign * x for _, parts in drawn for points in parts for x, _ in points]
        every_y = [y for _, parts in drawn for points in parts for _, y in points]
        bars = [
            (line, x, low, high)
            for line in picture.lines
            for x, low, high in line.bars
            if segments((x,), (low,), log_x=picture.log_x) and drawable(high) and high > low
        ]
        every_y += [end for _, _, *ends in bars for end in ends]
        if picture.level is not None:
            every_y.append(picture.level[1])
        left, right = limits(every_x, pad=0.02)
        if picture.floor is not None and max(every_y) > picture.floor:
            every_y = [max(y, picture.floor) for y in every_y]
        low, high = limits(every_y, least=picture.least_height)
        plt.xlim(left, right)
        plt.ylim(low, high)
        _set_ticks(plt, picture.log_x, (left, right, low, high), width, height)
        for line, x, bottom, top in bars:
            at = -math.log10(x) if picture.log_x else x
            plt.plot([at, at], [bottom, top], marker="│", color=line.colour)
        if picture.level is not None:
            _across(plt, picture.level[1], left, right, width)
        for line, parts in reversed(drawn):
            for points in parts:
                if len(points) > 1:
                    plt.plot([sign * x for x, _ in points], [y for _, y in points], marker="braille", color=line.colour)
        for line, parts in reversed(drawn):  # the first line is drawn last and hidden by none
            for points in parts:
                if line.dots or len(points) == 1:
                    along, up = [sign * x for x, _ in points], [y for _, y in points]
                    plt.scatter(along, up, marker=line.marker, color=line.colour)
        return str(plt.build())


def _across(plt: object, level: float, left: float, right: float, width: int) -> None:
    """A dashed line: dashes apart stay a line without colour, and differ from every arm."""
    count = max(2, width // 2)
    x = [left + (right - left) * number / count for number in range(count + 1)]
    plt.scatter(x, [level] * len(x), marker="-", color=LEVEL_COLOUR)  # type: ignore[attr-defined]


def _set_ticks(plt: object, log_x: bool, ends: tuple[float, float, float, float], width: int, height: int) -> None:
    left, right, low, high = ends
    y = ticks(low, high, max(2, (height - 1) * 2 // 5))
    step = y[1] - y[0] if len(y) > 1 else 1.0
    plt.yticks(y, [tick_label(value, step) for value in y])  # type: ignore[attr-defined]
    most = max(2, (width - 6) // 8)
    if log_x:
        x = log_ticks(10.0**-right, 10.0**-left, most)
        plt.xticks([-math.log10(value) for value in x], [f"{value:g}" for value in x])  # type: ignore[attr-defined]
    else:
        x = ticks(left, right, most)
        step = x[1] - x[0] if len(x) > 1 else 1.0
        plt.xticks(x, [tick_label(value, step) for value in x])  # type: ignore[attr-defined]


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
