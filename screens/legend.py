"""The words of a plot: what is above it, and what the cursor reads."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rich.style import Style
from rich.text import Text

from screens.layout import Point
from screens.plots import Line, Picture
from screens.sight import Sight
from screens.text import plain

LEVEL_COLOUR = 7
BAR = "│"

LINE = "line"
"""In the meta of a legend's words: the line that they name."""

ROOMY = 60
"""Columns from which the point under the cursor leaves room for the way back to the whole plot."""

HINT = (
    "read points  {plot.zoom-in} {plot.zoom-out} zoom  "
    "{plot.line} {plot.turn} hide lines  {plot.bars} bars  {plot.smooth} smooth  {plot.log-y} log  {help} keys"
)


def heading(picture: Picture, sight: Sight, width: int, height: int, *, focused: bool) -> list[Text]:
    """Title and legend in as few lines as they fit, and not more than `height`: of those the ones about the chosen line
    of the legend."""
    title = Text.assemble((plain(picture.title), "bold reverse" if focused else "bold"), no_wrap=True)
    entries = [Text.assemble((words, "bold")) for words in _chosen(picture, sight)]
    shown = [line for line in picture.lines if line.name not in sight.hidden]
    chosen = sight.line if sight.line is not None else next((line.name for line in shown), None)
    several = len(picture.lines) > 1
    at = here = 0
    for line in picture.lines:
        if line.name or line not in shown:
            at = len(entries) if line.name == chosen else at
            entries.append(_entry(picture, line, sight, chosen=focused and several and line.name == chosen))
    if picture.level is not None:
        entries.append(Text.assemble(("- -", Style(color=f"color({LEVEL_COLOUR})")), f" {plain(picture.level[0])}"))
    if any(line.has_bars(sight.bars) for line in shown):
        entries.append(Text.assemble((BAR, "bold"), f" {sight.bars}"))
    entries += [Text.assemble((char, "bold"), f" {words}") for char, words in picture.signs]
    rows = [title]
    for number, entry in enumerate(entries):
        if rows[-1].cell_len + entry.cell_len + 2 > width:
            rows.append(Text(no_wrap=True))
        if rows[-1].cell_len:
            rows[-1].append("  ")
        rows[-1].append_text(entry)
        here = len(rows) - 1 if number == at else here
    if len(rows) > (most := max(1, height)):
        if most > 1:
            del rows[1 : max(1, here - most + 2 + (here < len(rows) - 1 and most > 2))]
        rows[most - 1 :] = [Text("  ").join(rows[most - 1 :])]
    for row in rows:
        row.truncate(max(1, width), overflow="ellipsis")
    return rows


def _chosen(picture: Picture, sight: Sight) -> list[str]:
    """What differs from the plot as it is by itself."""
    words = ["zoomed"] if sight.zoomed else []
    for name, axis, own in zip("xy", picture.axes(sight), (picture.log_x, picture.log_y), strict=True):
        if axis.log != own:
            words.append(f"{'log' if axis.log else 'linear'} {name}")
    return [*words, f"smoothed {sight.smoothing:g}"] if sight.smoothing else words


def _entry(picture: Picture, line: Line, sight: Sight, *, chosen: bool) -> Text:
    """A line's mark and name; `( )` for a mark is hidden, and `›` before it is the one that keys are for."""
    hidden = line.name in sight.hidden
    mark = ("( )", "dim") if hidden else (line.marker, Style(color=f"color({line.colour})"))
    name = plain(f"{line.name or picture.y_name}{line.note}")
    entry = Text.assemble("›" if chosen else "", mark, " ", (name, "dim" if hidden else "bold" if chosen else ""))
    entry.apply_meta({LINE: line.name})
    return entry


class _Part(NamedTuple):
    """Something known of a point, in full and in short; of the greatest `rank` is what is left out first."""

    rank: int
    full: Text
    short: Text


def read_out(picture: Picture, sight: Sight, point: Point | None, width: int, keyed: Callable[[str], str]) -> Text:
    """The point under the cursor in one line: what there is no room for in full is told in short, or left out.

    `keyed` puts keys for the ids of bindings in words.
    """
    if point is not None:
        back = keyed("  {plot.whole} shows all") if sight.zoomed and width >= ROOMY else ""
        found = _fitted(_parts(picture, sight, point), width - len(back)) + Text(back, "dim")
    elif sight.line is not None and sight.line in sight.hidden:
        name = plain(sight.line or picture.y_name)
        found = Text(f"{name} is hidden: {keyed('{plot.turn}')} shows it", "dim")
    else:
        arrows = [keyed(f"{{plot.{way}}}") for way in ("left", "right", "up", "down")]
        words = ("" if all(len(key) == 1 for key in arrows) else " ").join(arrows)
        back = keyed("{plot.whole} shows all  ") if sight.zoomed else ""
        found = Text(f"{back}{words} {keyed(HINT)}", "dim")
    found.truncate(max(1, width), overflow="ellipsis")
    found.no_wrap = True
    return found


def _fitted(parts: list[_Part], width: int) -> Text:
    """As much as fits: first what ranks low is told in short, the axes with their letters before the line without its
    name; then it is left out."""
    ranks = range(max(part.rank for part in parts), -1, -1)
    found = _joined(part.full for part in parts)
    for least in ranks:
        if found.cell_len > width:
            found = _joined(part.short if (part.rank or 2) >= least else part.full for part in parts)
    for least in ranks:
        if found.cell_len > width:
            found = _joined(part.short for part in parts if part.rank <= least)
    return found


def _joined(words: Iterable[Text]) -> Text:
    return Text("  ").join(part for part in words if part)


def _parts(picture: Picture, sight: Sight, point: Point) -> list[_Part]:
    """What is known of a point, in the order in which it is told."""
    line, number = point.trace.line, point.number
    mark = Text.assemble((line.marker, Style(color=f"color({line.colour})", bold=True)))
    parts = [_Part(1, mark + Text(plain(f" {line.name}").rstrip()), mark)]
    if line.about:
        parts.append(_part(5, plain(line.about)))
    if line.rounds:
        parts.append(_part(2, f"round {line.rounds[number]}", f"r{line.rounds[number]}"))
    for name, short, value in (
        (picture.x_name, "x", brief(line.x[number], 4)),
        (picture.y_name, "y", brief(line.y[number])),
    ):
        parts.append(_Part(0, *(Text.assemble(f"{word} ", (value, "bold")) for word in (plain(name), short))))
    if point.trace.smooth is not None:
        smooth = brief(float(line.smooth(sight.smoothing)[number]))
        parts.append(_part(3, f"smoothed {smooth}", f"~{smooth}"))
    if line.trials:
        count = line.trials[number]
        parts.append(_part(4, f"{count} trial{'s' if count > 1 else ''}", f"n {count}"))
    if sight.bars == "min-max" and line.high and line.high[number] > line.low[number]:
        ends = f"{brief(line.low[number])} to {brief(line.high[number])}"
        parts.append(_part(3, f"min-max {ends}", ends))
    if sight.bars == "std. error" and line.error:
        known, error = math.isfinite(line.error[number]), brief(line.error[number], 3)
        parts.append(_part(3, f"std. error {error}" if known else "no std. error", f"±{error}" if known else ""))
    meaning = dict(picture.signs)
    for char in line.signs[number] if line.signs else "":
        parts.append(_part(3, f"{char} {meaning.get(char, '')}".rstrip(), char))
    return parts


def _part(rank: int, full: str, short: str = "") -> _Part:
    return _Part(rank, Text(full), Text(short or full))


def brief(value: float, digits: int = 5) -> str:
    """A number as it is read out: whole ones whole, others with so many digits."""
    whole = math.isfinite(value) and value == math.floor(value) and abs(value) < 1e9
    return f"{value:.0f}" if whole else f"{value:.{digits}g}"
