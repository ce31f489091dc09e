"""Sixteen colours on a light background: bright ones cannot be read there."""

from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Background
from textual.filter import LineFilter

_DARK = {3: 8, 6: 0, 7: 0, 9: 1, 10: 2, 11: 3, 12: 4, 13: 5, 14: 6, 15: 0}
"""Numbers of colours, and of the dark ones in their place: those of lines in plots stay different."""


class Darker(LineFilter):
    """Writes in dark colours what has no background of its own."""

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:
        return [Segment(text, style and _darker(style), control) for text, style, control in segments]


@lru_cache(1024)
def _darker(style: Style) -> Style:
    number = style.color.number if style.color is not None else None
    own = style.bgcolor is not None and not style.bgcolor.is_default
    if number not in _DARK or own or style.reverse:
        return style
    return style + Style(color=Color.from_ansi(_DARK[number]))
