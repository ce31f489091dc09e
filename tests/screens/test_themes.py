"""In every theme everything can be read."""

import pytest
from driving import lab_app
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from lth_tui.darker import Darker
from lth_tui.themes import SIXTEEN, THEMES
from screens.plots import COLOURS
from screens.widgets.palette import CURSOR

WORDS = ("foreground", "text-muted", "text-success", "text-warning", "text-error", "text-primary", "text-accent")
KEYS = (("footer-key-foreground", "footer-background"), ("footer-foreground", "footer-background"))
BLOCKS = (("block-cursor-foreground", "block-cursor-background"), ("button-color-foreground", "success"))


def luminance(colour: Color) -> float:
    red, green, blue = ((c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4) for c in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def on(back: Color, words: str) -> Color:
    """A colour of the theme as it is on a background; `auto`, with its share, is black or white."""
    if words.startswith("auto"):
        share = float(words.removeprefix("auto").strip().rstrip("%") or 100) / 100
        return back.blend(back.get_contrast_text(1.0), share)
    return back + Color.parse(words)


@pytest.mark.parametrize("name", [name for name in THEMES if name not in SIXTEEN])
def test_text_stands_out_from_what_it_is_on(name: str, tmp_path):
    app = lab_app(tmp_path)
    app.theme = name
    theme: Theme = app.current_theme
    found = theme.to_color_system().generate()
    background = Color.parse(found["background"])
    pairs = [(word, back) for word in WORDS for back in ("background", "panel", "surface")] + [*KEYS, *BLOCKS]
    least = {}
    for word, back in pairs:
        behind = background + Color.parse(found[back])
        least[word, back] = contrast(on(behind, found[word]), behind)
    least["cell under the cursor"] = contrast(*(Color.parse(colour.name) for colour in (CURSOR.color, CURSOR.bgcolor)))
    ansi = app.ansi_theme
    for number in {*COLOURS, 1, 2, 3, 7}:
        least["terminal colour", number] = contrast(Color(*ansi.ansi_colors[number]), background)
    wanted = 7.0 if name == "high-contrast" else 4.5
    assert {pair: round(ratio, 1) for pair, ratio in least.items() if ratio < wanted} == {}


def test_on_a_light_background_of_sixteen_colours_lines_are_dark():
    styles = [Style(color=f"color({number})") for number in COLOURS]
    kept = Style(color="bright_white", bgcolor="blue")
    found = Darker().apply([Segment("x", style) for style in [*styles, kept]], Color(255, 255, 255))
    numbers = [segment.style.color.number for segment in found[:-1]]
    assert max(numbers) <= 8
    assert len(set(numbers)) == len(numbers)
    assert found[-1].style == kept


def test_lines_have_colours_of_their_own(tmp_path):
    app = lab_app(tmp_path)
    for name in ("dark", "light"):
        app.theme = name
        assert len({app.ansi_theme.ansi_colors[number] for number in COLOURS}) == len(COLOURS)
