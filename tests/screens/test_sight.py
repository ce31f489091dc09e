"""How a plot is looked at: numbers in, numbers out, and no window."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from engine.views import Point
from screens.base import seen
from screens.comparing import Course
from screens.layout import across, along, first_point, lay_out, outermost, pointed, under_cursor
from screens.legend import heading, read_out
from screens.plots import Line, Picture
from screens.sheets import Sheet, level_words
from screens.sight import Axis, Frame, Sight, Span, panned, rescaled, revealing, turned, whole, zoomed
from screens.widgets.braille import dotted
from screens.widgets.sampling import smoothed, stretches, thin

PLACES = st.floats(-1e6, 1e6)
SPANS = st.builds(Span, PLACES, st.floats(1e-3, 1e6))
FRAMES = st.builds(Frame, SPANS, SPANS)
ARMS = Picture(
    "accuracy",
    (
        Line(
            "ticket",
            (100.0, 50.0, 25.0),
            (90.0, 95.0, 91.0),
            0,
            low=(89.0, 93.0, 91.0),
            high=(91.0, 97.0, 91.0),
            error=(0.5, 1.25, math.nan),
            trials=(3, 3, 1),
            rounds=(0, 1, 2),
            signs=("", "e", ""),
        ),
        Line("reinit", (50.0, 25.0), (85.0, 70.0), 1),
    ),
    x_name="weights left %",
    y_name="test accuracy %",
    log_x=True,
    falls=True,
    signs=(("e", "early bird"),),
)


# What is shown


@given(frame=FRAMES, factor=st.floats(0.1, 10), part=st.floats(0, 1), ways=st.sampled_from(["x", "y", "xy"]))
def test_zooming_in_and_out_is_nothing_and_what_is_pointed_at_stays(frame, factor, part, ways):
    about = (frame.x.start + part * frame.x.width, frame.y.start + part * frame.y.width)
    near = zoomed(Sight(), factor, about, frame, frame, ways)
    for way, place, before in zip("xy", about, frame, strict=True):
        after = getattr(near, way)
        assert (after is None) == (way not in ways)
        if after is not None:
            assert after.width == pytest.approx(factor * before.width, rel=1e-9)
            assert after.fraction(place) == pytest.approx(before.fraction(place), abs=1e-6)
    shown = Frame(near.x or frame.x, near.y or frame.y)
    back = zoomed(near, 1 / factor, about, shown, frame, ways)
    for way, before in zip("xy", frame, strict=True):
        if way in ways:
            tiny = 1e-9 * (before.width + abs(before.start))
            assert getattr(back, way) == pytest.approx(before, rel=1e-9, abs=tiny)
    assert whole(near) == Sight()


@given(frame=FRAMES, by=st.tuples(st.floats(-3, 3), st.floats(-3, 3)), parts=st.tuples(SPANS, SPANS))
def test_panning_keeps_the_width_and_never_loses_the_plot(frame, by, parts):
    sight = panned(Sight(x=parts[0], y=parts[1]), by, Frame(*parts), frame)
    for way, part, before, limit in zip("xy", by, parts, frame, strict=True):
        after = getattr(sight, way)
        assert after.width == before.width
        if part:
            slack = 1e-9 * (abs(limit.start) + limit.width + before.width)
            assert limit.start - slack <= after.middle <= limit.end + slack


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(1e-6, 1e6), st.floats(0, 1)),
        st.tuples(st.just("pan"), st.floats(-5, 5), st.floats(-5, 5)),
        st.tuples(st.just("scale"), st.sampled_from("xy"), st.booleans()),
        st.tuples(st.just("reveal"), PLACES, PLACES),
    ),
    max_size=12,
)


@given(frame=FRAMES, steps=STEPS, falls=st.booleans())
def test_what_is_shown_is_never_empty_or_turned_around(frame, steps, falls):
    sight, axes = Sight(), {"x": Axis(falls=falls), "y": Axis()}
    for what, one, other in steps:
        shown = Frame(sight.x or frame.x, sight.y or frame.y)
        if what == "zoom":
            about = (shown.x.start + other * shown.x.width, shown.y.start + other * shown.y.width)
            sight = zoomed(sight, one, about, shown, frame, "xy")
        elif what == "pan":
            sight = panned(sight, (one, other), shown, frame)
        elif what == "reveal":
            sight = revealing(sight, (one, other), shown)
        else:
            after = replace(axes[one], log=other)
            sight, axes[one] = rescaled(sight, one, axes[one], after), after
        for span in (sight.x, sight.y):
            assert span is None or (span.width > 0 and span.end > span.start and math.isfinite(span.end))


def test_the_other_scale_shows_the_same_values_or_all():
    linear, log = Axis(), Axis(log=True)
    sight = rescaled(Sight(x=Span(10.0, 990.0)), "x", linear, log)
    assert (sight.x, sight.log_x) == (Span(1.0, 2.0), True)
    assert rescaled(sight, "x", log, linear).x == pytest.approx((10.0, 990.0))
    assert rescaled(Sight(x=Span(-10.0, 20.0)), "x", linear, log).x is None
    falling = Axis(log=True, falls=True)
    assert rescaled(Sight(x=Span(-2.0, 1.0)), "x", falling, Axis(falls=True)).x == pytest.approx((-100.0, 90.0))


def test_a_zoom_stays_while_the_line_grows_and_without_one_all_is_shown():
    def drawn(count, sight):
        line = Line("l", tuple(map(float, range(count))), tuple(map(float, range(count))))
        return lay_out(Picture("t", (line,)), sight, 60, 20)

    sight = Sight(x=Span(2.0, 3.0), line="l", at=4.0)
    for count in (10, 1000):
        layout = drawn(count, sight)
        assert layout.shown.x == sight.x
        assert layout.shown.y.start > 1.5, "y is what there is in that part of x"
        assert layout.shown.y.end < 5.5
        assert under_cursor(layout, sight).number == 4
    assert drawn(10, Sight()).shown.x.end < 10
    assert drawn(1000, Sight()).shown.x.end > 999


# Lines


def test_smoothing_is_the_debiased_moving_average():
    assert smoothed(np.array([1.0, 3.0]), 0.5) == pytest.approx([1.0, 1.75 / 0.75])
    values = np.array([2.0, math.nan, 2.0, math.inf, 2.0])
    assert smoothed(values, 0.99) == pytest.approx(values, nan_ok=True)
    assert smoothed(values, 0.0) is values


def test_only_what_is_seen_and_a_neighbour_at_both_sides_is_drawn():
    x = np.array([0.0, 1, 2, math.nan, 4, 5, 6, 7, 20])
    assert [part.tolist() for part in stretches(x, Span(1.5, 3.0))] == [[1, 2], [4, 5]]
    assert [part.tolist() for part in stretches(x, Span(8.0, 5.0))] == [[7, 8]], "a line across all that is shown"
    assert [part.tolist() for part in stretches(x, Span(30.0, 5.0))] == []
    assert [part.tolist() for part in stretches(x, Span(-1.0, 50.0))] == [[0, 1, 2], [4, 5, 6, 7, 8]]
    assert stretches(np.array([math.nan]), Span(0.0, 1.0)) == []


@given(
    values=st.lists(st.integers(-50, 50), min_size=1, max_size=400),
    columns=st.integers(1, 20),
    ends=st.tuples(st.integers(0, 399), st.integers(1, 400)),
)
def test_no_extreme_in_what_is_shown_is_thinned_away(values, columns, ends):
    span = Span(ends[0] - 0.25, ends[1] - 0.5)
    x, y = np.arange(len(values), dtype=float), np.array(values, float)
    for part in stretches(x, span):
        kept = part[thin(x[part], y[part], span, columns)]
        assert sorted(kept.tolist()) == kept.tolist()
        assert (kept[0], kept[-1]) == (part[0], part[-1])
        assert len(kept) <= 4 * (columns + 2)
        column = np.floor((x - span.start) * (columns / span.width))
        for number in set(column[part].tolist()):
            there = part[column[part] == number]
            assert {y[there].min(), y[there].max()} <= set(y[np.intersect1d(kept, there)].tolist())


def test_zooming_in_shows_more_of_a_long_line():
    x = np.arange(100_000.0)
    y = np.sin(x)
    everything, part = Span(0.0, 1e5), Span(500.0, 200.0)
    (kept,) = stretches(x, part)
    assert kept[[0, -1]].tolist() == [499, 701]
    assert len(thin(x[kept], y[kept], part, 120)) == 203
    shown = thin(x, y, everything, 120)
    assert np.count_nonzero((shown > 499) & (shown < 701)) <= 8


def test_edges_become_dots_and_what_is_outside_costs_nothing():
    up = np.array([[0.0], [0.0], [1.0], [3.0]])
    assert dotted(tuple(up), 1, 1).tolist() == [[0x40 | 0x04 | 0x10 | 0x08]]
    far = tuple(np.array([end]) for end in (-1e12, 1.0, 1e12, 1.0))
    assert dotted(far, 2, 1).tolist() == [[0x04 | 0x20] * 2]
    assert not dotted(tuple(np.array([end]) for end in (0.0, 9.0, 5.0, 9.0)), 2, 1).any()


# The cursor


def test_the_cursor_goes_from_point_to_point_and_from_line_to_line():
    sight = Sight()
    layout = lay_out(ARMS, sight, 60, 20)
    assert under_cursor(layout, sight) is None
    point = first_point(layout, sight)
    assert (point.trace.line.name, point.number) == ("ticket", 2), "weights left fall to the right"
    assert along(layout, point, 1) == point
    point = along(layout, point, -1)
    assert point.number == 1
    below = across(layout, point, -1)
    assert (below.trace.line.name, below.number) == ("reinit", 0)
    assert across(layout, below, -1) == below
    assert across(layout, below, 1) == point
    assert outermost(point, -1).number == 0
    near = pointed(layout, (below.place[0] + 0.01, below.place[1] - 1))
    assert (near.trace.line.name, near.number) == ("reinit", 0)
    hidden = turned(Sight(line="ticket", at=50.0), "ticket")
    layout = lay_out(ARMS, hidden, 60, 20)
    assert under_cursor(layout, hidden) is None
    assert layout.whole.y.end < 90, "what is hidden takes no room"
    assert first_point(layout, hidden).trace.line.name == "reinit"


def test_among_more_points_than_columns_the_cursor_goes_a_column_on():
    line = Line("l", tuple(map(float, range(10_000))), (1.0,) * 10_000)
    layout = lay_out(Picture("t", (line,)), Sight(), 60, 20)
    point = first_point(layout, Sight())
    far = along(layout, point, -1)
    assert 100 < point.number - far.number < 300
    near = Sight(x=Span(9000.0, 20.0), line="l", at=9010.0)
    layout = lay_out(Picture("t", (line,)), near, 60, 20)
    assert along(layout, under_cursor(layout, near), -1).number == 9009


def read(sight, width):
    return read_out(ARMS, sight, under_cursor(lay_out(ARMS, sight, 60, 20), sight), width, str).plain


def test_the_point_is_read_out_in_full_and_in_short():
    sight = Sight(line="ticket", at=50.0)
    told = "● ticket  round 1  weights left % 50  test accuracy % 95  3 trials  min-max 93 to 97  e early bird"
    assert read(sight, 120) == told
    assert read(sight, 47) == "● ticket  r1  x 50  y 95  n 3  93 to 97  e"
    assert read(sight, 35) == "●  r1  x 50  y 95  n 3  93 to 97  e"
    assert read(sight, 20) == "●  r1  x 50  y 95"
    assert "std. error 1.25" in read(replace(sight, bars="std. error"), 120)
    assert "no std. error" in read(Sight(line="ticket", at=25.0, bars="std. error"), 120)
    assert "smoothed 93.125" in read(replace(sight, smoothing=0.6), 120)
    near = replace(sight, x=Span(-2.0, 1.0))
    assert read(near, 160) == f"{told}  {{plot.whole}} shows all"
    assert read(near, 47) == read(sight, 47)
    assert read(Sight(x=near.x), 200).startswith(
        "{plot.whole} shows all  {plot.left} {plot.right} {plot.up} {plot.down} "
    )
    assert read(turned(Sight(line="reinit", at=25.0), "reinit"), 80) == "reinit is hidden: {plot.turn} shows it"


def test_the_chosen_line_is_in_view_in_the_legend_and_in_the_numbers():
    names = [f"{number} arm" for number in range(16)]
    several = Picture("accuracy", tuple(Line(name, (1.0, 2.0), (1.0, 2.0), place) for place, name in enumerate(names)))
    points = [(Point(50.0, 1, 90.0, None, 90.0, 90.0, 1),)] * 16
    sheet = Sheet("", tuple(map(Course, names, points, [1] * 16)), "", "", (50.0,))
    for name in names:
        for height in range(2, 9):
            rows = [row.plain for row in heading(several, Sight(line=name), 40, height, focused=True)]
            assert len(rows) <= height
            assert any(re.search(f"›. {name}", row) for row in rows), (name, height)
        told = level_words(sheet, 50.0, (60, 3), chosen=name, more=": . goes on").plain
        assert len(told.splitlines()) <= 3
        assert max(map(len, told.splitlines())) <= 60
        assert f" {name} " in told
        assert int(re.search(r"\+(\d+): . goes on$", told)[1]) == 16 - told.count("arm")
    line = [Text(f"{name}  ") for name in names]
    assert seen(line[:5], 4, 40).plain == "".join(map(str, line[:5]))
    assert seen(line, 9, 30).plain.startswith("‹6 arm  7 arm  8 arm  9 arm  10 arm")


def test_the_legend_says_how_it_is_looked_at():
    def words(sight, width=200, height=9, focused=True):
        return "|".join(row.plain for row in heading(ARMS, sight, width, height, focused=focused))

    assert words(Sight(), focused=False) == "accuracy  ● ticket  x reinit  │ min-max  e early bird"
    sight = Sight(
        x=Span(0.0, 1.0), log_x=False, log_y=True, smoothing=0.9, bars="std. error", hidden=frozenset({"reinit"})
    )
    told = "accuracy  zoomed  linear x  log y  smoothed 0.9  ›● ticket  ( ) reinit  │ std. error  e early bird"
    assert words(sight) == told
    assert "│" not in words(Sight(bars=""))
    assert words(Sight(line="reinit"), width=30) == "accuracy  ● ticket  ›x reinit|│ min-max  e early bird"
    assert words(Sight(), width=30, height=1) == "accuracy  ›● ticket  x reinit…"
