"""From what the views tell to what the plots draw."""

from engine.store import Magnitudes
from engine.views import KINDS, Curve, RunView, accuracy_series, dense_accuracy
from screens.drawing import Line, Picture
from screens.text import SIGNAL_MARKS, SIGNAL_WORDS

NEAR_DENSE = 3.0
"""Percentage points below dense that are shown when looking closely."""


def accuracy_picture(view: RunView, *, close: bool = False) -> Picture:
    """Test accuracy against the weights left, an arm a line, dense across, minimum and maximum as bars, and over
    its point what a round signals.

    `close`: only what is near the dense accuracy.
    """
    lines = []
    found = accuracy_series(view)
    for number, series in enumerate(found):
        bars = tuple(
            (x, 100 * low, 100 * high)
            for x, low, high, count in zip(series.x, series.low, series.high, series.count, strict=True)
            if count > 1
        )
        flags = tuple(
            (x, 100 * mean, "".join(SIGNAL_MARKS[kind] for kind in marks))
            for x, mean, marks in zip(series.x, series.mean, series.marks, strict=True)
            if marks
        )
        lines.append(Line(series.name, series.x, tuple(100 * value for value in series.mean), number, bars, flags))
    kinds = {kind for series in found for marks in series.marks for kind in marks}
    dense = dense_accuracy(view)
    return Picture(
        "test accuracy % / weights left %" + (", near dense" if close else ""),
        tuple(lines),
        log_x=True,
        level=None if dense is None else ("dense", 100 * dense),
        empty="The first rounds are at work; each one finished is a point here." if view.arms else "No rounds yet.",
        least_height=0.5,
        floor=100 * dense - NEAR_DENSE if close and dense is not None else None,
        signs=tuple((SIGNAL_MARKS[kind], SIGNAL_WORDS[kind]) for kind in KINDS if kind in kinds),
    )


def loss_picture(curve: Curve | None) -> Picture:
    """Validation and training loss of one round against iterations."""
    if curve is None:
        return Picture("loss", empty="no round chosen")
    return Picture(
        f"loss, {curve.name}",
        (
            Line("validation", _floats(curve.iteration), curve.validation_loss, 0, dots=False),
            Line("training", _floats(curve.iteration), curve.train_loss, 1, dots=False),
        ),
        empty=_why_empty(curve),
    )


def validation_accuracy_picture(curve: Curve | None) -> Picture:
    """Validation accuracy of one round against iterations."""
    if curve is None:
        return Picture("validation accuracy %", empty="no round chosen")
    values = tuple(100 * value for value in curve.validation_accuracy)
    return Picture(
        f"val. acc. %, {curve.name}",
        (Line("", _floats(curve.iteration), values, 3, dots=False),),
        empty=_why_empty(curve),
    )


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
            Line(f"before, KS {found.start_distance:.3f}", x, _shares(found.start), 0),
            Line(f"after, KS {found.end_distance:.3f}", x, _shares(found.end), 1),
        ),
        level=("uniform", 100 / bins),
        from_zero=True,
    )


def _shares(counts: tuple[int, ...]) -> tuple[float, ...]:
    total = sum(counts) or 1
    return tuple(100 * count / total for count in counts)


def _why_empty(curve: Curve) -> str:
    return "no finite value: the loss diverged" if curve.iteration else "no validation yet"


def _floats(values: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(map(float, values))
