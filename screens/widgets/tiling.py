"""Where the pixels of tiles go, and the characters for their values. Pure."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from textual.geometry import Size

from engine.views.ticket import Tiles
from screens.widgets.palette import Scale

RAMP = ":-=+*#%@"
"""From little to much."""

SIGNED = "≡=-+*#"
"""From much below zero to much above."""

NONE = "·"
LARGEST_PIXEL = 4
FOLDED_FROM = 8
"""Rows of pixels from which two of them may share a line."""


class Pixel(NamedTuple):
    """A pixel of a tile."""

    tile: int
    row: int
    column: int


def sign(value: float, scale: Scale, *, signed: bool) -> str:
    """A character for a value's place on the scale."""
    steps = SIGNED if signed else RAMP
    return steps[min(len(steps) - 1, int(scale.fraction(value) * len(steps)))] if math.isfinite(value) else NONE


def brief(value: float, width: int, *, whole: bool) -> str:
    """A number in at most `width` characters; "" where it does not fit."""
    if not math.isfinite(value):
        return NONE
    if whole:
        options = [f"{value:.0f}", f"{value / 1000:.0f}k"]
    else:
        options = [_short(f"{value:.{decimals}f}") for decimals in (3, 2)]
    return next((text for text in options if len(text) <= width), "")


def _short(text: str) -> str:
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


@dataclass(frozen=True)
class Frame:
    """How `n` tiles of `height` x `width` pixels are laid out: a pixel's cells, tiles in a row, the cells between
    tiles, and those left of a row for the number of its first one. `folded`: two rows of pixels share a line;
    `numbered`: every value fits into its pixel."""

    n: int
    height: int
    width: int
    across: int
    down: int
    folded: bool
    numbered: bool
    per_row: int
    gap: int
    gutter: int

    @property
    def rows(self) -> int:
        return math.ceil(self.n / self.per_row)

    @property
    def tile_lines(self) -> int:
        return math.ceil(self.height / 2) if self.folded else self.height * self.down

    @property
    def period(self) -> int:
        """Lines from one row of tiles to the next."""
        return self.tile_lines + self.gap

    @property
    def lines(self) -> int:
        return self.rows * self.period - self.gap

    @property
    def columns(self) -> int:
        return self.gutter + self.per_row * (self.width * self.across + self.gap) - self.gap

    def pixel(self, line: int, column: int) -> Pixel | None:
        """What is drawn there."""
        row, inside = divmod(line, self.period)
        place, offset = divmod(column - self.gutter, self.width * self.across + self.gap)
        tile = row * self.per_row + place
        if column < self.gutter or place >= self.per_row or tile >= self.n or inside >= self.tile_lines:
            return None
        x = offset // self.across
        y = 2 * inside if self.folded else inside // self.down
        return Pixel(tile, y, x) if x < self.width else None

    def lines_of(self, cursor: Pixel) -> tuple[int, int]:
        """First line of what the cursor is on, and the line after it: a tile, or a pixel where there is one tile."""
        top = cursor.tile // self.per_row * self.period
        if self.n > 1:
            return top, top + self.tile_lines
        if self.folded:
            return cursor.row // 2, cursor.row // 2 + 1
        return cursor.row * self.down, (cursor.row + 1) * self.down


def fit(tiles: Tiles, size: Size) -> Frame:
    """The largest pixels with which all can be seen, else the smallest."""
    n, height, width = tiles.values.shape
    gutter = len(str(n - 1)) + 1 if n > 1 else 0
    gap = int(n > 1 and height * width > 1)
    texts = [brief(value, 6, whole=tiles.whole) for value in tiles.values.flat] if height <= FOLDED_FROM else []
    longest = max(map(len, texts), default=0)

    def frame(across: int, down: int, *, folded: bool = False) -> Frame:
        per_row = max(1, min(n, (size.width - gutter) // (width * across + gap)))
        numbered = 0 < longest < across
        return Frame(n, height, width, across, down, folded, numbered, per_row, gap, gutter)

    if not gap and n > 1:
        return frame(longest + 1, 1)
    frames = [frame(2 * pixel, pixel) for pixel in range(LARGEST_PIXEL, 0, -1)]
    if height >= FOLDED_FROM:
        frames.append(frame(1, 1, folded=True))
    return next((each for each in frames if each.lines <= size.height and each.columns <= size.width), frames[-1])
