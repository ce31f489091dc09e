"""The plot takes whatever numbers come."""

import math

import plotext
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from screens.drawing import draw
from screens.plots import Line, Picture
from screens.widgets.plot import LinePlot

NUMBERS = st.lists(st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e308, 5e-324])), max_size=40)


class Trainer(App[None]):
    AUTO_FOCUS = None

    def compose(self) -> ComposeResult:
        yield LinePlot()


@pytest.fixture
async def plot():
    app = Trainer()
    async with app.run_test(size=(50, 14)):
        yield app.query_one(LinePlot)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=NUMBERS, y=NUMBERS, log_x=st.booleans(), falls=st.booleans())
def test_no_number_breaks_it(plot: LinePlot, x, y, log_x, falls):
    count = min(len(x), len(y))
    values = tuple(y[:count])
    line = Line("[b]arm", tuple(x[:count]), values, low=values, high=values[::-1], signs=("!e",) * count)
    plot.show(Picture("title", (line, Line("two", (), (), 1)), log_x=log_x, falls=falls, level=("dense", 0.5)))
    drawn = plot.render().plain
    assert "title" in drawn.splitlines()[0]
    assert "[b]arm" in drawn


async def test_marks_names_and_level_are_there(plot: LinePlot):
    lines = (
        Line("ticket", (100, 50, 25), (0.9, 0.95, 0.91), 0, low=(0.9, 0.90, 0.91), high=(0.9, 0.99, 0.91)),
        Line("reinit", (50, 25), (0.85, 0.70), 1),
    )
    plot.show(Picture("accuracy", lines, log_x=True, falls=True, level=("dense", 0.9)))
    text = plot.render().plain
    assert text.count("●") == 3 + 1
    assert text.count("x reinit") == 1
    assert "- - dense" in text
    axis = text.splitlines()[-1].split()
    assert axis == ["100", "80", "60", "40"], "weights left fall to the right"
    assert "│" in text


async def test_a_long_curve_is_thinned_and_keeps_its_peak(plot: LinePlot):
    values = [0.0] * 100_000
    values[77_777] = 9.0
    plot.show(Picture("loss", (Line("l", tuple(map(float, range(100_000))), tuple(values), dots=False),)))
    rows = [row for row in plot.render().plain.splitlines()[1:] if any(0x2800 < ord(char) < 0x2900 for char in row)]
    assert len(rows) > 8, "the peak of one point stands"


async def test_it_draws_only_what_changed(plot: LinePlot):
    picture = Picture("t", (Line("l", (1.0, 2.0), (1.0, math.nan)),))
    plot.show(picture)
    first = plot.render()
    plot.show(Picture("t", (Line("l", (1.0, 2.0), picture.lines[0].y),)))
    assert plot.render() is first


@pytest.mark.parametrize(("width", "height"), [(10, 3), (3, 1), (1, 1)])
def test_too_small_says_so(width, height):
    picture = Picture("t", (Line("l", (1.0, 2.0), (1.0, 2.0)),))
    assert "too small" in draw(plotext.active(), picture, width, height).plain


@pytest.mark.parametrize(("width", "height"), [(40, 12), (110, 30)])
async def test_window_and_paper_have_the_same_plot(plot: LinePlot, width, height):
    ends = {"low": (0.9, 0.90, 0.91), "high": (0.9, 0.99, 0.91)}
    line = Line("ticket", (100.0, 50.0, 25.0), (0.9, 0.95, 0.91), 0, **ends, signs=("", "", "!"))
    picture = Picture("accuracy", (line,), log_x=True, falls=True, level=("dense", 0.9), signs=(("!", "at chance"),))
    printed = draw(plotext.active(), picture, width, height)
    assert printed == draw(plot.plt, picture, width, height)
    assert {len(row) for row in printed.plain.splitlines()[-8:]} == {width}, "as wide as asked, whatever the terminal"
    assert len(printed.plain.splitlines()) == height


async def test_a_sign_stands_above_its_point_and_below_at_the_top(plot: LinePlot):
    line = Line("", (1.0, 2.0, 3.0), (0.0, 0.0, 10.0), signs=("", "e!", "?"))
    rows = draw(plot.plt, Picture("t", (line,), signs=(("e", "early"),)), 40, 16).plain.splitlines()
    where = {
        char: (number, row.index(char)) for number, row in enumerate(rows) if number for char in "e!?" if char in row
    }
    points = [(number, at) for number, row in enumerate(rows) for at, char in enumerate(row) if char == "●"]
    (top, right), middle = min(points), sorted(points, key=lambda point: point[1])[1]
    assert where["e"] == (middle[0] - 1, middle[1])
    assert where["!"] == (middle[0] - 2, middle[1])
    assert where["?"] == (top + 1, right)
    assert "e early" in rows[0]
