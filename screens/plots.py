"""Plots as data: lines, and the picture that they are in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from screens.sight import Axis, Bars, Sight
from screens.widgets.sampling import smoothed

MARKERS = ("●", "x", "▲", "◆", "+", "■", "*", "o", "$", "=", "&", "s", "z", "n", "a", "w")
COLOURS = (14, 11, 13, 10, 12, 9, 6, 3)
"""Terminal colours of lines, so that a terminal of 16 shows them as they are."""


@dataclass(frozen=True)
class Line:
    """A line with its mark and colour, under a name of its own in its picture.

    What there is of a point beside `x` and `y` stands in tuples as long as those; one that is empty says nothing of
    any. `low` and `high` are the ends over the trials, `error` the standard error of their mean (NaN: none), `trials`
    how many they are; `rounds` numbers the point's round; `signs` stand above it. `about` is said of every point,
    `note` after the name in the legend.
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
    note: str = ""
    dots: bool = True

    @property
    def marker(self) -> str:
        return MARKERS[self.style % len(MARKERS)]

    @property
    def colour(self) -> int:
        return COLOURS[(self.style + self.style // len(MARKERS)) % len(COLOURS)]  # pairs that differ for long

    @cached_property
    def values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`x` and `y` `[n]`."""
        return np.array(self.x, np.float64), np.array(self.y, np.float64)

    def smooth(self, weight: float) -> NDArray[np.float64]:
        """`y` `[n]` smoothed."""
        if weight not in self._smooth:
            self._smooth[weight] = smoothed(self.values[1], weight)
        return self._smooth[weight]

    @cached_property
    def _smooth(self) -> dict[float, NDArray[np.float64]]:
        return {}

    def has_bars(self, kind: Bars) -> bool:
        """Whether any point has a bar of that kind."""
        ends = self.bars(kind)
        return ends is not None and bool(np.any(ends[0] < ends[1]))

    def bars(self, kind: Bars) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Low and high ends `[n]` of the points' bars; None where there are none of that kind."""
        if kind == "min-max" and self.high:
            return np.array(self.low, np.float64), np.array(self.high, np.float64)
        if kind == "std. error" and self.error:
            error = np.array(self.error, np.float64)
            return self.values[1] - error, self.values[1] + error
        return None


@dataclass(frozen=True)
class Picture:
    """A whole plot. `log_x` and `log_y`: on logarithmic axes; `falls`: x falls to the right. `level`: a line across,
    with its name. `from_zero`: y begins at 0. `signs`: what the signs of points mean.
    """

    title: str
    lines: tuple[Line, ...] = ()
    x_name: str = "x"
    y_name: str = "y"
    log_x: bool = False
    log_y: bool = False
    falls: bool = False
    level: tuple[str, float] | None = None
    empty: str = "nothing yet"
    least_height: float = 0.0
    from_zero: bool = False
    signs: tuple[tuple[str, str], ...] = ()

    def axes(self, sight: Sight) -> tuple[Axis, Axis]:
        """Of x and y, as they are looked at."""
        log_x = self.log_x if sight.log_x is None else sight.log_x
        log_y = self.log_y if sight.log_y is None else sight.log_y
        return Axis(log_x, self.falls), Axis(log_y)
