"""Words and numbers as they are shown."""

import math
import time
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.store import UNREADABLE, SignalKind

if TYPE_CHECKING:
    from textual.content import Content

STATUS_MARKS = {
    "new": "○",
    "running": "▶",
    "paused": "‖",
    "done": "✓",
    "stopped": "■",
    "failed": "✗",
    "interrupted": "!",
    **dict.fromkeys(UNREADABLE, "?"),
}
STATUS_STYLES = {
    "running": "$text-success",
    "paused": "$text-warning",
    "done": "$text-success",
    "stopped": "$text-warning",
    "failed": "$text-error",
    "interrupted": "$text-warning",
    **dict.fromkeys(UNREADABLE, "$text-error"),
}


SIGNAL_MARKS: dict[SignalKind, str] = {"stabilised": "✓", "ranks-collapsed": "✗", "early-bird": "e", "collapsed": "!"}
SIGNAL_WORDS: dict[SignalKind, str] = {
    "stabilised": "ranking stabilised",
    "ranks-collapsed": "ranking collapsed",
    "early-bird": "early bird",
    "collapsed": "accuracy at chance",
}
SIGNAL_STYLES: dict[SignalKind, str] = {
    "stabilised": "green",
    "ranks-collapsed": "yellow",
    "early-bird": "green",
    "collapsed": "yellow",
}


def plain(text: str) -> str:
    """`text` on one line with every control and direction character escaped."""
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    return " " if char in "\n\t" else char.encode("unicode_escape", "backslashreplace").decode()


def status_text(status: str, word: str = "") -> "Content":
    """A status as mark, colour, and its word or another."""
    from textual.content import Content  # not above: what is printed needs words, but no window

    words = f"{STATUS_MARKS.get(status, ' ')} {word or status}"
    return Content.styled(words, STATUS_STYLES.get(status, ""))


def duration(seconds: float | None) -> str:
    """Seconds as people say them: `8 s`, `3:05`, `2 h 10 min`, `3.2 days`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{seconds / 86400:.1f} days"


def amount(count: float) -> str:
    """A number with thousands separated."""
    return f"{count:,.0f}"


def percent(share: float | None) -> str:
    """An accuracy in percent."""
    return "-" if share is None else f"{100 * share:.2f}%"


def size(count: float) -> str:
    """Bytes in the unit that fits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def moment(seconds: float) -> str:
    """A time of today as its hour, another as its date."""
    if not seconds:
        return "?"
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d", then)


def sparkline(values: Sequence[float], width: int) -> str:
    """Values from 0 to 1 as blocks, at most `width` of them: the highest is full; a hundredth, or all that there is
    between the lowest and the highest, is the whole height."""
    if len(values) > width > 1:
        values = [values[round(place * (len(values) - 1) / (width - 1))] for place in range(width)]
    if not values or width < 1:
        return ""
    top = max(values)
    span = max(top - min(values), 0.01)
    return "".join("▁▂▃▅▆▇█"[round(6 * (1 - (top - value) / span))] for value in values[-width:])


def bar(fraction: float, width: int) -> str:
    """A bar of eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + ("" if not rest else " ▏▎▍▌▋▊▉"[rest])).ljust(width, "·")
