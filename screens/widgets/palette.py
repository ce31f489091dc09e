"""Colours of cells, for terminals of any depth; a number or a sign stands beside every one."""

import math
from typing import NamedTuple

from rich.style import Style

# Dark blue to yellow, even in lightness (cividis-like), so that it reads without telling red from green.
_STOPS = ((0, 32, 77), (61, 78, 107), (124, 123, 120), (187, 174, 104), (255, 233, 69))
_SIXTEEN = (
    Style(color="bright_white", bgcolor="black"),
    Style(color="bright_white", bgcolor="blue"),
    Style(color="black", bgcolor="cyan"),
    Style(color="black", bgcolor="green"),
    Style(color="black", bgcolor="yellow"),
    Style(color="black", bgcolor="white"),
)

CURSOR = Style(color="#ffffff", bgcolor="#b00020", bold=True)
"""The cell under the cursor; a theme's own red may be a light one."""


class Scale(NamedTuple):
    """The values at the two ends of the palette."""

    low: float
    high: float

    def fraction(self, value: float) -> float:
        """Where a value lies, 0 to 1."""
        if self.high <= self.low:
            return 1.0
        return max(0.0, min(1.0, (value - self.low) / (self.high - self.low)))


def fitted_scale(values: list[float]) -> Scale:
    """A scale from the tenth below the smallest finite value to 1."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Scale(0.0, 1.0)
    return Scale(max(-1.0, math.floor(min(finite) * 10 + 1e-9) / 10), 1.0)


def distance_scale(values: list[float]) -> Scale:
    """A scale from 0 to the tenth above the greatest finite value."""
    greatest = max((value for value in values if math.isfinite(value)), default=1.0)
    return Scale(0.0, min(1.0, max(0.1, math.ceil(greatest * 10 - 1e-9) / 10)))


def shade(fraction: float, *, sixteen: bool) -> Style:
    """Background for a place on the scale, and a foreground that can be read on it."""
    if sixteen:
        return _SIXTEEN[min(len(_SIXTEEN) - 1, int(fraction * len(_SIXTEEN)))]
    place = fraction * (len(_STOPS) - 1)
    number = min(len(_STOPS) - 2, int(place))
    part = place - number
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(_STOPS[number], _STOPS[number + 1], strict=True))
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    text = "#000000" if light > 120 else "#ffffff"
    return Style(color=text, bgcolor=f"#{red:02x}{green:02x}{blue:02x}")


def marked_text(value: float, mark: str, width: int) -> str:
    """A value and a mark in `width` cells, one of which stays free where there are two; what does not fit is told in
    hundredths, by the sign of a negative value, or not at all."""
    numbers = [cell_text(value, room).strip() for room in (width, 3) if room <= width]
    number = next((text for text in (*numbers, "-" if value < 0 else "") if len(text) + 1 < width), "")
    return f"{number}{mark}".center(width)


def cell_text(value: float, width: int) -> str:
    """A value from -1 to 1 in `width` cells: `.93`, `-.32`, hundredths, or a sign of its tenths."""
    if not math.isfinite(value):
        return "·".center(width)
    hundredths = round(value * 100)
    if width >= 4:
        text = "1.0" if hundredths == 100 else "-1." if hundredths == -100 else f".{abs(hundredths):02d}"
        return (("-" if -100 < hundredths < 0 else "") + text).center(width)
    if width == 3:
        return " 1." if hundredths == 100 else "-1." if hundredths == -100 else f"{hundredths:>3d}"
    tenths = round(value * 10)
    sign = "#" if tenths >= 10 else "-" if tenths < 0 else str(tenths)
    return sign.center(width)
