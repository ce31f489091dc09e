"""What is sent is little, and the terminal shows the same."""

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from lth_tui.frugal import Frugal, Shown

WIDTH, HEIGHT = 24, 3
STYLES = ("none", "red on blue", "bold red on blue", "red", "dim on #102030", "reverse", "underline #ff0000 on blue")
CONSOLE = Console(color_system="truecolor", force_terminal=True, _environ={})

lines = st.lists(st.tuples(st.text("ab  ─数", max_size=9), st.sampled_from(STYLES)), max_size=6)
screens = st.lists(lines, min_size=HEIGHT, max_size=HEIGHT)


def strip_of(line: list[tuple[str, str]]) -> Strip:
    strip = Strip([Segment(text, Style.parse(style)) for text, style in line if text])
    return strip.adjust_cell_length(WIDTH, Style.null())


def cells(screen: pyte.Screen) -> list[list[object]]:
    """What can be seen: of a space no colour, unless it is seen."""
    found: list[list[object]] = []
    for y in range(HEIGHT):
        row = [screen.buffer[y][x] for x in range(WIDTH)]
        plain = [(c.data, c.bg) if c.data == " " and not (c.reverse or c.underscore) else tuple(c) for c in row]
        found.append(plain)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(screens, st.booleans()), min_size=1, max_size=4))
def test_the_terminal_shows_what_it_would_were_everything_sent(updates):
    frugal, plain, shown = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT), Shown()
    for content, whole in updates:
        strips = [strip_of(line) for line in content]
        if whole:
            update = LayoutUpdate([[strip] for strip in strips], Region(0, 0, WIDTH, HEIGHT))
            drawn = range(HEIGHT)
        else:
            drawn = range(1, 2)
            update = ChopsUpdate([{0: strip} for strip in strips], [(1, 0, WIDTH)], [[WIDTH]] * HEIGHT)
        pyte.Stream(frugal).feed(Frugal(update, shown).render_segments(CONSOLE))
        for y in drawn:
            pyte.Stream(plain).feed(f"\x1b[{y + 1};1H" + strips[y].render(CONSOLE))
        assert cells(frugal) == cells(plain)


def test_what_is_shown_already_is_not_sent_again():
    shown = Shown()

    def sent(words: str) -> str:
        strip = strip_of([(words, "red on blue")])
        return Frugal(LayoutUpdate([[strip]], Region(0, 0, WIDTH, 1)), shown).render_segments(CONSOLE)

    assert "iteration 100 of 900" in sent("iteration 100 of 900")
    assert sent("iteration 100 of 900") == ""
    assert sent("iteration 107 of 900") == "\x1b[1;13H\x1b[31;44m7\x1b[0m"
    shown.forget()
    assert "iteration 107 of 900" in sent("iteration 107 of 900")
