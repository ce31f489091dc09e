"""Where the lines of a picture are, how much of it is shown in how many cells, and the points around a cursor.

A cell of the canvas has 2 x 4 pixels, numbered from the lower left. Knows no window.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from screens.plots import Line, Picture
from screens.sight import Axis, Frame, Sight, Span
from screens.widgets.sampling import Numbers, limits, log_ticks, places, tick_label, ticks

FAR = 10.0**300


class Trace(NamedTuple):
    """A line on its axes: the places `[n]` of its points, NaN for those that cannot be drawn; `smooth` those of y
    smoothed, `low` and `high` those of the ends of bars, NaN without one."""

    line: Line
    x: Numbers
    y: Numbers
    smooth: Numbers | None
    low: Numbers
    high: Numbers


class Point(NamedTuple):
    """A point of a line, by its number."""

    trace: Trace
    number: int

    @property
    def place(self) -> tuple[float, float]:
        return float(self.trace.x[self.number]), float(self.trace.y[self.number])


class Tick(NamedTuple):
    """A label at a place of an axis."""

    place: float
    label: str


def traces(picture: Picture, sight: Sight) -> list[Trace]:
    """The lines that are not hidden."""
    axes = picture.axes(sight)
    return [_trace(line, axes, sight) for line in picture.lines if line.name not in sight.hidden]


def _trace(line: Line, axes: tuple[Axis, Axis], sight: Sight) -> Trace:
    count = min(len(line.x), len(line.y))
    x, y = places(line.values[0][:count], axes[0]), places(line.values[1][:count], axes[1])
    gap = np.isnan(x) | np.isnan(y)
    x, y = np.where(gap, np.nan, x), np.where(gap, np.nan, y)
    smooth = np.where(gap, np.nan, places(line.smooth(sight.smoothing)[:count], axes[1])) if sight.smoothing else None
    ends = line.bars(sight.bars)
    low, high = (places(end[:count], axes[1]) for end in ends) if ends else (y, y)
    none = gap | ~(low < high)
    return Trace(line, x, y, smooth, np.where(none, np.nan, low), np.where(none, np.nan, high))


@dataclass(frozen=True)
class Layout:
    """What is shown of a picture, on a canvas of `columns` x `rows` cells beside and above its ticks."""

    traces: list[Trace]
    axes: tuple[Axis, Axis]
    shown: Frame
    whole: Frame
    columns: int
    rows: int
    x_ticks: list[Tick]
    y_ticks: list[Tick]

    @cached_property
    def left(self) -> int:
        """Columns to the left of the canvas."""
        return 1 + max((len(tick.label) for tick in self.y_ticks), default=0)

    def pixels(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Places in pixels, not rounded."""
        (left, width), (low, height) = self.shown
        return (x - left) * ((2 * self.columns - 1) / width), (y - low) * ((4 * self.rows - 1) / height)

    def cell(self, place: tuple[float, float]) -> tuple[int, int] | None:
        """The column and row, from below, in which a place is; None where it is not shown."""
        across, up = self.shown.x.fraction(place[0]), self.shown.y.fraction(place[1])
        if not (-1e-9 <= across <= 1 + 1e-9 and -1e-9 <= up <= 1 + 1e-9):
            return None
        return round(across * (2 * self.columns - 1)) // 2, round(up * (4 * self.rows - 1)) // 4

    def place(self, column: float, row: float) -> tuple[float, float]:
        """The place at the middle of a cell, whose row is counted from below."""
        (left, width), (low, height) = self.shown
        return left + width * (column + 0.5) / self.columns, low + height * (row + 0.5) / self.rows


def lay_out(picture: Picture, sight: Sight, width: int, height: int) -> Layout | None:
    """What is drawn in `width` x `height` cells, ticks and all; None where there is no point that could be."""
    found = traces(picture, sight)
    axes = picture.axes(sight)
    some = any(_seen(trace).any() for trace in found)
    measured = found if some else traces(picture, replace(sight, hidden=frozenset()))
    ends = _ends(picture, measured, axes[1], None)
    if ends is None:
        return None
    whole = Frame(*ends)
    x = sight.x or whole.x
    y = sight.y
    if y is None:  # all that there is in that part of x
        part = _ends(picture, measured, axes[1], x) if sight.x else None
        y = part[1] if part else whole.y
    rows = max(1, height - 2)
    y_ticks = _ticks(y, axes[1], max(2, (height - 1) * 2 // 5))
    columns = max(1, width - 1 - max((len(tick.label) for tick in y_ticks), default=0))
    x_ticks = _ticks(x, axes[0], max(2, (width - 6) // 8))
    return Layout(found, axes, Frame(x, y), whole, columns, rows, x_ticks, y_ticks)


def _seen(trace: Trace, span: Span | None = None) -> NDArray[np.bool_]:
    if span is None:
        return ~np.isnan(trace.x)
    return (trace.x >= span.start) & (trace.x <= span.end)


def _ends(picture: Picture, found: list[Trace], axis: Axis, span: Span | None) -> tuple[Span, Span] | None:
    """All of x, and of y all that there is in `span` of x."""
    xs: list[float] = []
    ys: list[float] = []
    for trace in found:
        seen = _seen(trace, span)
        if seen.any():
            x = trace.x[seen]
            xs += [float(x.min()), float(x.max())]
            ys += [float(np.fmin(trace.y, trace.low)[seen].min()), float(np.fmax(trace.y, trace.high)[seen].max())]
    if not xs:
        return None
    if picture.level is not None and math.isfinite(level := axis.place(picture.level[1])):
        ys.append(level)
    left, right = limits(xs, pad=0.02)
    low, high = limits(ys, least=0.0 if axis.log else picture.least_height)
    if picture.from_zero and not axis.log:
        low = min(0.0, low) if min(ys) < 0 else 0.0
    return Span(left, right - left), Span(low, high - low)


def _ticks(span: Span, axis: Axis, most: int) -> list[Tick]:
    ends = sorted((axis.value(span.start), axis.value(span.end)))
    if axis.log:
        low, high = (max(1 / FAR, min(end, FAR)) for end in ends)
        return [Tick(axis.place(value), f"{value:g}") for value in log_ticks(low, high, most)]
    values = ticks(ends[0], ends[1], most)
    step = values[1] - values[0] if len(values) > 1 else span.width
    return [Tick(axis.place(value), tick_label(value, step)) for value in values]


# The cursor


def under_cursor(layout: Layout, sight: Sight) -> Point | None:
    """The point nearest to the cursor along x, of the chosen line; None without a cursor or where that is hidden."""
    trace = chosen(layout, sight)
    if sight.at is None or trace is None:
        return None
    return _nearest(trace, layout.axes[0].place(sight.at))


def chosen(layout: Layout, sight: Sight) -> Trace | None:
    """The chosen line; None where it is hidden or has no point."""
    drawn = [trace for trace in layout.traces if _seen(trace).any()]
    if sight.line is None:
        return next(iter(drawn), None)
    return next((trace for trace in drawn if trace.line.name == sight.line), None)


def _nearest(trace: Trace, x: float) -> Point | None:
    return None if math.isnan(x) else Point(trace, int(np.nanargmin(np.abs(trace.x - x))))


def first_point(layout: Layout, sight: Sight) -> Point | None:
    """Where a cursor begins: the last point that is shown of the chosen line, or of another."""
    for trace in filter(None, (chosen(layout, sight), *layout.traces)):
        shown = np.flatnonzero(_seen(trace, layout.shown.x))
        if shown.size:
            return Point(trace, int(shown[np.argmax(trace.x[shown])]))
    return None


def along(layout: Layout, point: Point, by: int) -> Point:
    """The next point to the right, or with -1 to the left; where there are more of them than can be told apart, the
    next one a column on."""
    x, here = point.trace.x * by, point.place[0] * by
    crowded = np.count_nonzero(_seen(point.trace, layout.shown.x)) > 2 * layout.columns
    step = layout.shown.x.width / layout.columns if crowded else 0.0
    for least in (here + step, here):
        beyond = np.flatnonzero(x > least)
        if beyond.size:
            return Point(point.trace, int(beyond[np.argmin(x[beyond])]))
    return point


def outermost(point: Point, by: int) -> Point:
    """The last point of the line to the right, or with -1 to the left."""
    return Point(point.trace, int(np.nanargmax(point.trace.x * by)))


def across(layout: Layout, point: Point, by: int) -> Point:
    """The nearest point of the next line above, or with -1 below."""
    near = [found for trace in layout.traces if _seen(trace).any() and (found := _nearest(trace, point.place[0]))]
    ranked = sorted(near, key=lambda found: found.place[1])
    place = next(at for at, found in enumerate(ranked) if found.trace.line.name == point.trace.line.name)
    return ranked[max(0, min(place + by, len(ranked) - 1))]


def pointed(layout: Layout, place: tuple[float, float]) -> Point | None:
    """The point that is nearest on the screen, of those that are shown."""
    return min(_near(layout, place), key=lambda found: found[0], default=(0.0, None))[1]


def _near(layout: Layout, place: tuple[float, float]) -> Iterator[tuple[float, Point]]:
    px, py = layout.pixels(*(np.array([value]) for value in place))
    for trace in layout.traces:
        shown = np.flatnonzero(_seen(trace, layout.shown.x))
        if shown.size:
            x, y = layout.pixels(trace.x[shown], trace.y[shown])
            far = (x - px) ** 2 + (y - py) ** 2
            yield float(far.min()), Point(trace, int(shown[np.argmin(far)]))
