"""How a plot is looked at: which part of it, on what scales, which lines, and where the cursor is. Pure numbers.

Zooming and panning go by places on the axes: a place is a value, or its logarithm, and rises to the right and upwards.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, TypeVar

Step = TypeVar("Step")
Way: TypeAlias = Literal["x", "y"]
Bars: TypeAlias = Literal["min-max", "std. error", ""]

BARS: tuple[Bars, ...] = ("min-max", "std. error", "")
SMOOTHING = (0.0, 0.6, 0.9, 0.97, 0.99)
"""Weights of what was before in the moving average; 0 is none."""

NEAREST, FARTHEST = 1e-9, 16.0
"""Parts of the whole axis that can be shown at least and at most."""

_FINEST = 1e-12
"""The least width that can be told beside a place of 1."""


class Span(NamedTuple):
    """A stretch of an axis; its width is above 0."""

    start: float
    width: float

    @property
    def end(self) -> float:
        return self.start + self.width

    @property
    def middle(self) -> float:
        return self.start + self.width / 2

    def fraction(self, place: float) -> float:
        """Where a place is: 0 at the start, 1 at the end."""
        return (place - self.start) / self.width


class Frame(NamedTuple):
    """A part of the plane."""

    x: Span
    y: Span


@dataclass(frozen=True)
class Axis:
    """Values and their places: logarithms where `log`, turned around where the values fall."""

    log: bool = False
    falls: bool = False

    def place(self, value: float) -> float:
        """NaN for a value that has no logarithm."""
        if self.log:
            value = math.log10(value) if value > 0 else math.nan
        return -value if self.falls else value

    def value(self, place: float) -> float:
        """The value at a place; infinite where it is too large."""
        place = -place if self.falls else place
        if not self.log:
            return place
        return 10.0**place if place < 300 else math.inf


@dataclass(frozen=True)
class Sight:
    """What a person has chosen of a plot.

    `x` and `y` are the parts of the axes that are shown, None all of what there is, also when there comes more.
    `log_x` and `log_y` None are as the picture has them. `hidden` lines stay in the legend; `line` is the one that is
    chosen there, None the first that is shown, and `at` the x value of the cursor on it.
    """

    x: Span | None = None
    y: Span | None = None
    log_x: bool | None = None
    log_y: bool | None = None
    smoothing: float = SMOOTHING[0]
    bars: Bars = BARS[0]
    hidden: frozenset[str] = frozenset()
    line: str | None = None
    at: float | None = None

    @property
    def zoomed(self) -> bool:
        return self.x is not None or self.y is not None


def zoomed(sight: Sight, factor: float, about: tuple[float, float], shown: Frame, whole: Frame, ways: str) -> Sight:
    """`factor` times as much of the axes in `ways` ("xy", "x" or "y"), the places `about` staying where they are."""
    for way, place, span, limit in zip(("x", "y"), about, shown, whole, strict=True):
        if way in ways:
            sight = _with(sight, way, _scaled(span, factor, place, limit))
    return sight


def _scaled(span: Span, factor: float, place: float, whole: Span) -> Span:
    width = max(whole.width * NEAREST, min(span.width * factor, whole.width * FARTHEST))
    width = max(width, _FINEST * max(abs(place), abs(span.start), abs(span.end)))
    return Span(place - (place - span.start) * (width / span.width), width)


def panned(sight: Sight, by: tuple[float, float], shown: Frame, whole: Frame) -> Sight:
    """Shown moved by fractions of itself, to the right and upwards; its middle stays in the whole."""
    for way, part, span, limit in zip(("x", "y"), by, shown, whole, strict=True):
        if part:
            start = max(limit.start, min(span.middle + part * span.width, limit.end)) - span.width / 2
            sight = _with(sight, way, Span(start, span.width))
    return sight


def revealing(sight: Sight, place: tuple[float, float], shown: Frame) -> Sight:
    """Moved as little as brings a place into what is shown, a little from the edge."""
    for way, at, span in zip(("x", "y"), place, shown, strict=True):
        if getattr(sight, way) is not None and not span.start <= at <= span.end:
            start = at - span.width * (0.1 if at < span.start else 0.9)
            sight = _with(sight, way, Span(start, span.width))
    return sight


def whole(sight: Sight) -> Sight:
    """All of both axes."""
    return replace(sight, x=None, y=None)


def rescaled(sight: Sight, way: Way, before: Axis, after: Axis) -> Sight:
    """The other scale of an axis, showing the same values as far as they have places there, or else all."""
    span: Span | None = getattr(sight, way)
    if span is not None:
        ends = sorted(after.place(before.value(place)) for place in (span.start, span.end))
        fits = all(map(math.isfinite, ends)) and ends[1] - ends[0] > _FINEST * max(map(abs, ends))
        span = Span(ends[0], ends[1] - ends[0]) if fits else None
    return replace(_with(sight, way, span), **{f"log_{way}": after.log})


def smoother(sight: Sight) -> Sight:
    """The next step of smoothing, after the last one none."""
    return replace(sight, smoothing=_next(SMOOTHING, sight.smoothing))


def other_bars(sight: Sight) -> Sight:
    """The next kind of bars, or none."""
    return replace(sight, bars=_next(BARS, sight.bars))


def turned(sight: Sight, line: str) -> Sight:
    """The line hidden, or shown again."""
    return replace(sight, hidden=sight.hidden ^ {line})


def _with(sight: Sight, way: str, span: Span | None) -> Sight:
    return replace(sight, x=span) if way == "x" else replace(sight, y=span)


def _next(steps: tuple[Step, ...], now: Step) -> Step:
    return steps[(steps.index(now) + 1) % len(steps)] if now in steps else steps[0]
