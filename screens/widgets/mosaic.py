"""Small pictures beside each other, with a cursor."""

import math
import textwrap
from collections.abc import Callable, Iterator
from functools import cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from engine.views.ticket import Tiles
from screens.svg import Lines
from screens.widgets.palette import CURSOR, Scale, shade
from screens.widgets.tiling import Frame, Pixel, brief, fit, sign

_REVERSE = Style(reverse=True, bold=True)
_QUIET = Style(dim=True)
_SHADES = 60


@cache
def _shade(level: int, sixteen: bool) -> Style:
    return shade(level / _SHADES, sixteen=sixteen)


class Mosaic(Widget, can_focus=True):
    """`Tiles` side by side: colour, and a character or a number in it.

    The cursor goes from pixel to pixel of a single tile, from tile to tile of many; what does not fit scrolls with
    it. Where two rows of pixels share a line they are half blocks, or, without colours enough, the mean of the two.
    """

    BINDINGS = [
        Binding("left,h", "move(0,-1)", "Left", show=False, id="mosaic.left", tooltip="To the left"),
        Binding("right,l", "move(0,1)", "Right", show=False, id="mosaic.right", tooltip="To the right"),
        Binding("up,k", "move(-1,0)", "Up", show=False, id="mosaic.up", tooltip="Up"),
        Binding("down,j", "move(1,0)", "Down", show=False, id="mosaic.down", tooltip="Down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="mosaic.page-up", tooltip="As many rows as are seen"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="mosaic.page-down",
                tooltip="As many rows as are seen"),
        Binding("home", "ends(False)", "First", show=False, id="mosaic.first", tooltip="The first tile or pixel"),
        Binding("end", "ends(True)", "Last", show=False, id="mosaic.last", tooltip="The last tile or pixel"),
    ]  # fmt: skip

    cursor: reactive[Pixel] = reactive(Pixel(0, 0, 0))
    """Where the cursor is. Who watches it is told at once, and draws in the same frame."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._tiles: Tiles | None = None
        self._words = ""
        self._scale, self._signed = Scale(0.0, 0.0), False
        self._line = self._column = 0
        self._fitted: tuple[Size, Frame] | None = None

    @property
    def tiles(self) -> Tiles | None:
        """What is drawn."""
        return self._tiles

    @property
    def blended(self) -> bool:
        """Whether a character is the mean of two pixels, one above the other."""
        frame = self._frame()
        return frame is not None and frame.folded and self._no_shades

    def show(self, tiles: Tiles) -> None:
        """Draw `tiles`. The cursor stays where it is in tiles of the same shape; else it goes to the first one, of a
        single picture to its middle."""
        before, self._tiles = self._tiles, tiles
        self._scale, self._signed = Scale(*tiles.ends), tiles.signed
        shape = tiles.values.shape
        if before is None or before.values.shape != shape:
            first = Pixel(0, shape[1] // 2, shape[2] // 2) if shape[0] == 1 else Pixel(0, 0, 0)
            self.set_reactive(Mosaic.cursor, first)
            self._line = self._column = 0
        self._fitted = None
        self.refresh()

    def say(self, words: str) -> None:
        """Draw no tiles but these words."""
        if self._tiles is not None or words != self._words:
            self._tiles, self._words = None, words
            self.refresh()

    def put_cursor(self, cursor: Pixel) -> None:
        """Move the cursor; outside of the tiles it stays at the edge."""
        if self._tiles is None:
            return
        ends = self._tiles.values.shape
        self.cursor = Pixel(*(max(0, min(place, end - 1)) for place, end in zip(cursor, ends, strict=True)))

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor by pixels or tiles."""
        frame = self._frame()
        if frame is None:
            return
        tile, row, column = self.cursor
        if frame.n == 1:
            self.put_cursor(Pixel(0, row + down, column + right))
        elif 0 <= (to := tile + right + down * frame.per_row) < frame.n:
            self.put_cursor(Pixel(to, row, column))

    def action_page(self, way: int) -> None:
        """Move the cursor by what can be seen."""
        frame = self._frame()
        if frame is None:
            return
        tile, row, column = self.cursor
        if frame.n == 1:
            by = self.size.height * 2 if frame.folded else self.size.height // frame.down
            self.put_cursor(Pixel(0, row + way * by, column))
        else:
            by = max(1, (self.size.height + frame.gap) // frame.period) * frame.per_row
            self.put_cursor(Pixel(tile + way * by, row, column))

    def action_ends(self, last: bool) -> None:
        """To the first or the last tile, or pixel of the row."""
        frame = self._frame()
        if frame is not None:
            far, row = 10**9 if last else 0, self.cursor.row
            self.put_cursor(Pixel(0, row, far) if frame.n == 1 else Pixel(far, row, 0))

    def still(self) -> Callable[[], Lines]:
        """What draws it for a file: as it is shown."""
        lines = [list(self.render_line(y)) for y in range(self.size.height)]
        return lambda: lines

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        frame = self._frame()
        found = frame.pixel(event.y + self._line, event.x + self._column) if frame else None
        if found is not None and frame is not None:
            self.put_cursor(found if frame.n == 1 else Pixel(found.tile, *self.cursor[1:]))

    def _frame(self) -> Frame | None:
        """The layout for the present size, scrolled to the cursor."""
        if self._tiles is None or not self._tiles.values.size or self.size.width < 4 or self.size.height < 1:
            return None
        if self._fitted is None or self._fitted[0] != self.size:
            self._fitted = (self.size, fit(self._tiles, self.size))
        frame = self._fitted[1]
        first, after = frame.lines_of(self.cursor)
        self._line = min(max(self._line, after - self.size.height), first)
        self._line = max(0, min(self._line, frame.lines - self.size.height))
        if frame.n == 1:
            left = self.cursor.column * frame.across
            self._column = min(max(self._column, left + frame.across - self.size.width), left)
        return frame

    def render_line(self, y: int) -> Strip:
        width, frame = self.size.width, self._frame()
        if frame is None:
            lines = textwrap.wrap(self._words, max(1, width)) if self._tiles is None else []
            line = [Segment(lines[y], _QUIET)] if y < len(lines) else []
        else:
            line = list(self._segments(frame, self._line + y, y))
        strip = Strip(line).apply_style(self.rich_style)
        return strip.crop(self._column, self._column + width).adjust_cell_length(width, self.rich_style)

    def _segments(self, frame: Frame, line: int, y: int) -> Iterator[Segment]:
        row, inside = divmod(line, frame.period)
        if row >= frame.rows or inside >= frame.tile_lines:
            return
        first = row * frame.per_row
        if frame.gutter:
            more = (y == 0 and line > 0) or (y == self.size.height - 1 and line < frame.lines - 1)
            label = ("↑" if y == 0 else "↓") if more else str(first) if inside == 0 else ""
            yield Segment(f"{label:>{frame.gutter - 1}}", _QUIET)
            yield Segment(self._side("[", first, frame) if frame.gap else " ")
        for tile in range(first, min(first + frame.per_row, frame.n)):
            for column in range(frame.width):
                yield self._cell(frame, tile, inside, column)
            if frame.gap:
                yield Segment(self._side("]", tile, frame), Style(bold=True))

    def _side(self, bracket: str, tile: int, frame: Frame) -> str:
        """What stands beside a tile: brackets around the one with the cursor."""
        if tile == self.cursor.tile:
            return bracket
        return "[" if bracket == "]" and tile + 1 == self.cursor.tile and (tile + 1) % frame.per_row else " "

    def _cell(self, frame: Frame, tile: int, inside: int, column: int) -> Segment:
        """The part of a pixel, or of two, that is on a line of a tile."""
        assert self._tiles is not None
        picture, single = self._tiles.values[tile], frame.n == 1 or frame.height == 1
        if frame.folded:
            pair = [float(value) for value in picture[2 * inside : 2 * inside + 2, column]]
            cursor = self.cursor
            here = single and cursor.row // 2 == inside and cursor.column == column
            return self._folded(pair, cursor.row % 2 if here else None)
        row = inside // frame.down
        value = float(picture[row, column])
        here = single and self.cursor == (tile, row, column)
        style = self._style(value)
        if inside % frame.down != (frame.down - 1) // 2:
            text = " " * frame.across
        elif frame.numbered:
            number = brief(value, frame.across - 1, whole=self._tiles.whole)
            text = f"{number:>{frame.across - 1}} " if frame.height == 1 else number.center(frame.across)
        else:
            text = self._sign(value) * frame.across
            style = style if self._no_shades else style + _QUIET
        return Segment(text, self._marked(style, here))

    def _folded(self, pair: list[float], cursor: int | None) -> Segment:
        """Two pixels (or the last alone), one above the other, in one cell; `cursor`: which of them it is on."""
        if self._no_shades:
            finite = [value for value in pair if math.isfinite(value)]
            # Of counts, nothing is none; of weights, it is no weight.
            mean = sum(finite) / len(pair if self._tiles and self._tiles.whole else finite) if finite else math.nan
            return Segment(self._sign(mean), self._marked(self._style(mean), cursor is not None))
        nothing = self.rich_style.bgcolor or Color.default()
        colours = [self._style(value).bgcolor or nothing for value in pair] + [nothing]
        if cursor is not None:
            colours[cursor] = CURSOR.bgcolor or nothing
        return Segment("▀", Style.from_color(colours[0], colours[1]))

    def _marked(self, style: Style, here: bool) -> Style:
        if not here:
            return style
        if not self.has_focus:
            return style + Style(bold=True, underline=True)
        return _REVERSE if self.app.no_color else CURSOR

    def _sign(self, value: float) -> str:
        return sign(value, self._scale, signed=self._signed)

    def _style(self, value: float) -> Style:
        if not math.isfinite(value):
            return _QUIET
        return _shade(round(self._scale.fraction(value) * _SHADES), self.few_colours)

    @property
    def few_colours(self) -> bool:
        """Whether the terminal has sixteen colours, or fewer."""
        return self.app.console.color_system in (None, "standard") or self.app.native_ansi_color

    @property
    def _no_shades(self) -> bool:
        """Whether colours alone cannot tell values apart."""
        return self.few_colours or self.app.no_color or self.app.has_class("-ascii")
