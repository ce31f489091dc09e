"""Cells as SVG. It loads nothing: text is in the fonts of the machine that shows it, lines and blocks are shapes."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TypeAlias

from rich.cells import cell_len
from rich.color import Color, blend_rgb
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme

Lines: TypeAlias = Sequence[Sequence[Segment]]
"""A picture in cells."""

WIDTH, HEIGHT, FONT, BASE = 12, 23, 20, 18
"""Of a cell, of the font, and of its baseline, in pixels."""

FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
DIM = 0.5

_BLOCKS = {"▀": (0.0, 0.0, 1.0, 0.5), "▄": (0.0, 0.5, 1.0, 1.0), "▐": (0.5, 0.0, 1.0, 1.0)} | {
    char: (0.0, 0.0, eighths / 8, 1.0) for eighths, char in enumerate("▏▎▍▌▋▊▉█", 1)
}
"""Left, top, right and bottom of what a character fills, in cells."""

_BRAILLE = range(0x2800, 0x2900)
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of the dots of a braille character, by bit."""


def svg_of(lines: Lines, theme: TerminalTheme) -> str:
    """The picture with a cell of room on all sides; `theme` has the colours that go by names."""
    width = max((sum(segment.cell_length for segment in line) for line in lines), default=0) + 2
    size = f"{width * WIDTH} {(len(lines) + 2) * HEIGHT}"
    shapes: list[str] = []
    words: list[str] = []
    for y, line in enumerate(lines, 1):
        x = 1
        for text, style, control in Segment.simplify(line):
            if control:
                continue
            ink, paper = _colours(style or Style.null(), theme)
            if paper != theme.background_color.hex:
                shapes.append(_box(x, y, cell_len(text), 1, paper))
            for kind, group in groupby(text, _kind):
                run = "".join(group)
                if kind == "text":
                    words.append(_text(x, y, run, style or Style.null(), ink))
                elif kind == "shape":
                    shapes += _shapes(x, y, run, ink)
                x += cell_len(run)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}">',
            f'<rect width="100%" height="100%" fill="{theme.background_color.hex}"/>',
            '<g shape-rendering="crispEdges">',
            *shapes,
            f'</g>\n<g font-family="{FONTS}" font-size="{FONT}">',
            *words,
            "</g>\n</svg>\n",
        )
    )


def _kind(char: str) -> str:
    if char.isspace():
        return "space"
    return "shape" if char in _BLOCKS or ord(char) in _BRAILLE else "text"


def _colours(style: Style, theme: TerminalTheme) -> tuple[str, str]:
    """The colour of what is written, and of what it is written on."""

    ink = (style.color or Color.default()).get_truecolor(theme)
    paper = (style.bgcolor or Color.default()).get_truecolor(theme, foreground=False)
    if style.reverse:
        ink, paper = paper, ink
    return (blend_rgb(ink, paper, DIM) if style.dim else ink).hex, paper.hex


def _text(x: int, y: int, run: str, style: Style, ink: str) -> str:
    looks = {"font-weight": style.bold and "bold", "font-style": style.italic and "italic"}
    looks["text-decoration"] = style.underline and "underline"
    told = "".join(f' {name}="{value}"' for name, value in looks.items() if value)
    place = f'x="{x * WIDTH}" y="{y * HEIGHT + BASE}" textLength="{cell_len(run) * WIDTH}"'
    return f'<text {place} fill="{ink}"{told}>{escape(run)}</text>'


def _shapes(x: int, y: int, run: str, ink: str) -> Iterator[str]:
    """Blocks, neighbours of a kind as one, and the dots of braille."""
    for char, group in groupby(run):
        count = len(list(group))
        if char in _BLOCKS:
            left, top, right, bottom = _BLOCKS[char]
            if right - left == 1.0:
                yield _box(x, y + top, count, bottom - top, ink)
            else:
                yield from (_box(x + place + left, y + top, right - left, bottom - top, ink) for place in range(count))
        else:
            dots = [dot for bit, dot in enumerate(_DOTS) if ord(char) >> bit & 1]
            path = "".join(
                f"M{(x + place + column / 2 + 0.25) * WIDTH:g} {(y + row / 4 + 0.125) * HEIGHT:g}h0"
                for place in range(count)
                for column, row in dots
            )
            yield (
                f'<path d="{path}" stroke="{ink}" stroke-width="4.5" stroke-linecap="round" '
                'shape-rendering="geometricPrecision"/>'
            )
        x += count


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    place = f'x="{x * WIDTH:g}" y="{y * HEIGHT:g}" width="{width * WIDTH:g}" height="{height * HEIGHT:g}"'
    return f'<rect {place} fill="{colour}"/>'
