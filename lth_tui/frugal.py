"""Nothing is sent to the terminal that it shows already: of a widget that is redrawn often a digit differs."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

NEAR = 6
"""Cells that are alike between two that differ are sent too, up to so many: to go past them costs as much."""

Cell = tuple[str, Style | None]


@lru_cache(4096)
def _seen(style: Style | None) -> Style | None:
    """What is to be seen of a space in that style."""
    if style is None or style.reverse or style.underline or style.underline2 or style.strike or style.overline:
        return style
    return style.background_style


class _Looks(NamedTuple):
    """A style in the numbers of terminals: of its attributes, its colour and its background."""

    attributes: str
    colour: str
    background: str


_NONE = _Looks("", "", "")
_PLAIN = Style.null()
_RESET = "\x1b[0m"


@lru_cache(4096)
def _looks(style: Style, system: ColorSystem | None) -> _Looks:
    if system is None:
        return _NONE

    def numbers(colour: Color | None, *, foreground: bool) -> str:
        if colour is None or colour.is_default:
            return ""
        return ";".join(colour.downgrade(system).get_ansi_codes(foreground))

    attributes = style.without_color._make_ansi_codes(system)
    return _Looks(attributes, numbers(style.color, foreground=True), numbers(style.bgcolor, foreground=False))


@lru_cache(4096)
def _turn(before: _Looks, after: _Looks) -> str:
    """What turns one into the other."""
    if before.attributes != after.attributes:
        codes = ["0", *after]
    else:
        codes = [after.colour or "39"] if before.colour != after.colour else []
        codes += [after.background or "49"] if before.background != after.background else []
    return f"\x1b[{';'.join(filter(None, codes))}m"


class Shown:
    """The cells of the terminal as they were sent."""

    def __init__(self) -> None:
        self._lines: dict[int, list[Cell | None]] = {}

    def forget(self) -> None:
        """The terminal may show anything."""
        self._lines.clear()

    def changes(self, y: int, x: int, strip: Strip) -> Iterator[tuple[int, Strip]]:
        """The parts of the strip at (x, y) that the terminal does not show, each with its column; now it does."""
        cells: list[Cell] = [
            (char, _seen(segment.style) if char == " " else segment.style) for segment in strip for char in segment.text
        ]
        line = self._lines.setdefault(y, [])
        if len(cells) != strip.cell_length:  # some take two columns or none: nothing is known about them
            line[x:] = []
            yield x, strip
            return
        line.extend([None] * (x + len(cells) - len(line)))
        differing = [place for place, cell in enumerate(cells) if cell != line[x + place]]
        line[x : x + len(cells)] = cells
        start = last = None
        for place in differing:
            if start is None or last is None:
                start = place
            elif place - last > NEAR:
                yield x + start, strip.crop(start, last + 1)
                start = place
            last = place
        if start is not None and last is not None:
            yield x + start, strip.crop(start, last + 1)


class _Pen:
    """Writes strips, and of each style what differs from the one before."""

    def __init__(self, console: Console):
        self._console = console
        self._parts: list[str] = []
        self._looks = _NONE

    def write(self, x: int, y: int, strip: Strip) -> None:
        """Write a strip at (x, y)."""
        self._parts.append(f"\x1b[{y + 1};{x + 1}H")
        system = self._console._color_system
        for text, style, control in strip:
            if control:
                continue
            looks = _looks(style or _PLAIN, system)
            if looks != self._looks:
                self._parts.append(_turn(self._looks, looks))
                self._looks = looks
            self._parts.append(text)

    def written(self) -> str:
        """All of it, after which the terminal writes plainly again."""
        return "".join(self._parts) + (_RESET if self._looks != _NONE else "")


class Frugal(CompositorUpdate):
    """An update of which only the changes are sent."""

    def __init__(self, update: LayoutUpdate | ChopsUpdate, shown: Shown):
        self._update, self._shown = update, shown

    def render_segments(self, console: Console) -> str:
        """What is written to the terminal."""
        pen = _Pen(console)
        for x, y, strip in self._strips():
            for column, part in self._shown.changes(y, x, strip):
                pen.write(column, y, part)
        return pen.written()

    def _strips(self) -> Iterator[tuple[int, int, Strip]]:
        update = self._update
        if isinstance(update, LayoutUpdate):
            for y, strips in enumerate(update.strips, update.region.y):
                yield update.region.x, y, Strip.join(list(strips))
            return
        for y, first, last in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < last and end > first:
                    begin = max(x, first)
                    yield begin, y, strip.crop(begin - x, min(end, last) - x)
