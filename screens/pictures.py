"""From what the views tell to what the plots draw."""

import math
from collections.abc import Sequence

from engine.store import Magnitudes, SignalKind
from engine.views import (
    KINDS,
    Curve,
    GridLine,
    Measure,
    RunView,
    accuracy_series,
    dense_accuracy,
    measure_words,
)
from screens.plots import Line, Picture
from screens.text import SIGNAL_MARKS, SIGNAL_WORDS

ACCURACY, LEFT = "test accuracy %", "weights left %"

NEAR_DENSE = 3.0
"""Percentage points below dense that are still near it."""


def accuracy_picture(view: RunView) -> Picture:
    """Test accuracy against the weights left, an arm a line, dense across, bars over the trials, and over its point
    what a round signals."""
    lines = []
    found = accuracy_series(view)
    for number, series in enumerate(found):
        line = Line(
            series.name,
            series.x,
            _percent(series.mean),
            number,
            low=_percent(series.low),
            high=_percent(series.high),
            error=_percent(series.error),
            trials=series.count,
            rounds=series.rounds,
            signs=tuple(map(_signs, series.marks)),
        )
        lines.append(line)
    kinds = {kind for series in found for marks in series.marks for kind in marks}
    dense = dense_accuracy(view)
    return Picture(
        f"{ACCURACY} / {LEFT}",
        tuple(lines),
        x_name=LEFT,
        y_name=ACCURACY,
        log_x=True,
        falls=True,
        level=None if dense is None else ("dense", 100 * dense),
        empty="The first rounds are at work; each one finished is a point here." if view.arms else "No rounds yet.",
        least_height=0.5,
        signs=_meanings(kinds),
    )


def near_dense(picture: Picture) -> tuple[float, float] | None:
    """The accuracies from somewhat below the dense one to the highest; None without a dense one."""
    if picture.level is None:
        return None
    dense = picture.level[1]
    values = (value for line in picture.lines for value in (*line.y, *line.high) if math.isfinite(value))
    least = dense - NEAR_DENSE
    return least, max([dense, *values]) + NEAR_DENSE / 10


def loss_picture(curve: Curve | None) -> Picture:
    """Validation and training loss of one round against iterations."""
    if curve is None:
        return Picture("loss", empty="no round chosen")
    x = _floats(curve.iteration)
    return Picture(
        f"loss, {curve.name}",
        (
            Line("validation", x, curve.validation_loss, 0, about=curve.name, dots=False),
            Line("training", x, curve.train_loss, 1, about=curve.name, dots=False),
        ),
        x_name="iteration",
        y_name="loss",
        empty=_why_empty(curve),
    )


def validation_accuracy_picture(curve: Curve | None) -> Picture:
    """Validation accuracy of one round against iterations."""
    if curve is None:
        return Picture("validation accuracy %", empty="no round chosen")
    values = _percent(curve.validation_accuracy)
    return Picture(
        f"val. acc. %, {curve.name}",
        (Line("", _floats(curve.iteration), values, 3, about=curve.name, dots=False),),
        x_name="iteration",
        y_name="validation accuracy %",
        empty=_why_empty(curve),
    )


def correlation_picture(lines: Sequence[GridLine], measure: Measure) -> Picture:
    """A measure of each round, or of how alike it is to the one before, a layer a line, against the weights left."""
    words = measure_words(measure)
    empty = "not measured: it takes two finished rounds"
    return _grid_picture(f"{words} / {LEFT}", lines, LEFT, words, empty=empty, log_x=True, falls=True)


def distance_picture(lines: Sequence[GridLine]) -> Picture:
    """How far the mask moves from epoch to epoch, a round a line."""
    return _grid_picture("mask distance / epoch", lines, "epoch", "mask distance", empty="no distance is known yet")


def _grid_picture(
    title: str, lines: Sequence[GridLine], x: str, y: str, *, empty: str, log_x: bool = False, falls: bool = False
) -> Picture:
    drawn = tuple(
        Line(line.name, line.x, line.y, number, rounds=line.rounds, signs=tuple(map(_signs, line.marks)))
        for number, line in enumerate(lines)
    )
    kinds = {kind for line in lines for marks in line.marks for kind in marks}
    return Picture(title, drawn, x, y, log_x=log_x, falls=falls, empty=empty, least_height=0.02, signs=_meanings(kinds))


def _signs(marks: tuple[SignalKind, ...]) -> str:
    return "".join(SIGNAL_MARKS[kind] for kind in marks)


def _meanings(kinds: set[SignalKind]) -> tuple[tuple[str, str], ...]:
    return tuple((SIGNAL_MARKS[kind], SIGNAL_WORDS[kind]) for kind in KINDS if kind in kinds)


def magnitude_picture(title: str, found: Magnitudes | None, empty: str) -> Picture:
    """How the magnitudes of a layer are spread before and after training, each between 0 and its greatest: beside
    the level that all bins would have, were they uniform."""
    if found is None:
        return Picture(title, empty=empty)
    bins = len(found.end)
    x = tuple(100 * (number + 0.5) / bins for number in range(bins))
    return Picture(
        title,
        (
            Line("before", x, _shares(found.start), 0, note=f", KS {found.start_distance:.3f}"),
            Line("after", x, _shares(found.end), 1, note=f", KS {found.end_distance:.3f}"),
        ),
        x_name="|w|, % of the greatest",
        y_name="weights a bin %",
        level=("uniform", 100 / bins),
        from_zero=True,
    )


def _shares(counts: tuple[int, ...]) -> tuple[float, ...]:
    total = sum(counts) or 1
    return tuple(100 * count / total for count in counts)


def _why_empty(curve: Curve) -> str:
    return "no finite value: the loss diverged" if curve.iteration else "no validation yet"


def _percent(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(100 * value for value in values)


def _floats(values: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(map(float, values))
