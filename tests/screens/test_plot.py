"""The plot takes whatever numbers come."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from screens.widgets.plot import Line, LinePlot, Picture

NUMBERS = st.lists(st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e308, 5e-324])), max_size=40)


class Bench(App[None]):
    def compose(self) -> ComposeResult:
        yield LinePlot()


@pytest.fixture
async def plot():
    app = Bench()
    async with app.run_test(size=(50, 14)):
        yield app.query_one(LinePlot)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=NUMBERS, y=NUMBERS, log_x=st.booleans())
def test_no_number_breaks_it(plot: LinePlot, x, y, log_x):
    count = min(len(x), len(y))
    bars = tuple((a, b, c) for a, b, c in zip(x, y, y[1:], strict=False))
    line = Line("[b]arm", tuple(x[:count]), tuple(y[:count]), bars=bars)
    plot.show(Picture("title", (line, Line("two", (), (), 1)), log_x=log_x, level=("dense", 0.5)))
    drawn = plot.render().plain
    assert "title" in drawn.splitlines()[0]
    assert "[b]arm" in drawn


async def test_marks_names_and_level_are_there(plot: LinePlot):
    lines = (
        Line("ticket", (100, 50, 25), (0.9, 0.95, 0.91), 0, bars=((50, 0.90, 0.99),)),
        Line("reinit", (50, 25), (0.85, 0.70), 1),
    )
    plot.show(Picture("accuracy", lines, log_x=True, level=("dense", 0.9)))
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


async def test_too_small_says_so(plot: LinePlot):
    plot.styles.height = 4
    plot.show(Picture("t", (Line("l", (1.0, 2.0), (1.0, 2.0)),)))
    await plot.app.animator.wait_for_idle()
    plot._cache = None
    for width, height in ((10, 3), (3, 1), (1, 1)):
        plot._size = plot._size.__class__(width, height)
        plot._cache = None
        assert plot._drawn().plain
