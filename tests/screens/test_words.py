"""Words, numbers, ticks and thinning: what is pure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.sight import Axis
from screens.text import bar, duration, moment, plain, size
from screens.widgets.palette import Scale, cell_text, fitted_scale, marked_text, shade
from screens.widgets.sampling import limits, log_ticks, places, tick_label, ticks


def test_control_and_direction_characters_are_escaped():
    assert plain("a\x1b[31m\u202eb\nc\x00") == "a\\x1b[31m\\u202eb c\\x00"
    assert plain("[bold]ünï[/]") == "[bold]ünï[/]"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (math.inf, "?"),
        (3.21, "3.2 s"),
        (42, "42 s"),
        (185, "3:05 min"),
        (7900, "2 h 11 min"),
        (4e5, "4.6 days"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_small_words():
    assert size(999) == "999 bytes"
    assert size(75_000_000) == "75 MB"
    assert moment(0) == "?"
    assert bar(0.5, 4) == "██··"
    assert bar(math.pi, 4) == "████"


def test_what_has_no_place_on_an_axis_is_a_gap():
    values = np.array([100, math.nan, -40, 0, math.inf, 1e16, 20])
    gap = math.nan
    assert places(values, Axis()) == pytest.approx([100, gap, -40, 0, gap, gap, 20], nan_ok=True)
    falling = [-2, gap, gap, gap, gap, gap, -math.log10(20)]
    assert places(values, Axis(log=True, falls=True)) == pytest.approx(falling, nan_ok=True)


@given(st.floats(-1e5, 1e5), st.floats(1e-6, 1e5), st.integers(1, 12))
def test_ticks_are_inside_and_few(low, width, most):
    found = ticks(low, low + width, most)
    assert len(found) <= most
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in found)


def test_ticks_are_round():
    assert ticks(0.93, 0.99, 4) == pytest.approx([0.94, 0.96, 0.98])
    assert log_ticks(1.9, 100, 9) == pytest.approx([2, 5, 10, 20, 50, 100])
    assert log_ticks(64, 100, 5) == pytest.approx([70, 80, 90, 100])
    assert log_ticks(0, 100, 9) == []
    assert ticks(1, 1, 4) == []
    assert tick_label(0.3000001, 0.1) == "0.3"
    assert tick_label(2e6, 1e6) == "2e+06"
    assert (tick_label(123_456, 10), tick_label(123_466, 10)) == ("123456", "123466")


def test_an_axis_never_has_no_width():
    assert limits([3.0]) == pytest.approx((2.82, 3.18))
    assert limits([0.0, 0.0]) == (-1.0, 1.0)
    low, high = limits([97.0, 97.1], least=0.5)
    assert high - low > 0.5


@pytest.mark.parametrize("width", range(1, 8))
@given(value=st.one_of(st.floats(-1, 1), st.just(math.nan)))
def test_a_cell_is_as_wide_as_it_should_be(width, value):
    marked = marked_text(value, "✓", width)
    assert len(cell_text(value, width)) == len(marked) == width
    assert "✓" in marked
    assert " " in (marked[0], marked[-1]) or width == 1, "no mark touches the number of the next cell"


def test_cells_of_three_say_hundredths():
    assert [cell_text(value, 3) for value in (1, 0.934, 0.05, -0.3, -1, math.nan)] == [
        " 1.",
        " 93",
        "  5",
        "-30",
        "-1.",
        " · ",
    ]
    assert [marked_text(0.89, "✓", width) for width in range(1, 7)] == ["✓", "✓ ", " ✓ ", "89✓ ", " .89✓", " .89✓ "]
    assert [marked_text(-0.3, "✓", width) for width in (3, 4, 5)] == [" -✓", " -✓ ", " -30✓"]
    assert [cell_text(value, 1) for value in (1, 0.93, 0.12, -0.3)] == ["#", "9", "1", "-"]


def test_scales_are_fitted_to_what_is_finite():
    assert fitted_scale([0.87, math.nan, 0.99]) == Scale(0.8, 1.0)
    assert fitted_scale([math.nan]) == Scale(0.0, 1.0)
    assert Scale(0.5, 1.0).fraction(0.75) == 0.5
    assert Scale(1.0, 1.0).fraction(0.5) == 1.0


@pytest.mark.parametrize("sixteen", [True, False])
def test_every_shade_can_be_read(sixteen):
    for step in range(101):
        style = shade(step / 100, sixteen=sixteen)
        assert style.color != style.bgcolor
