"""From what the views tell to what the plots draw."""

from engine.store import Magnitudes
from engine.views import KINDS, Curve, RunView, accuracy_series, dense_accuracy
from screens.drawing import Line, Picture
from screens.text import SIGNAL_MARKS, SIGNAL_WORDS

ACCURACY, LEFT = "test accuracy %", "weights left %"

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
            signs=tuple("".join(SIGNAL_MARKS[kind] for kind in marks) for marks in series.marks),
        )
        lines.append(line)
    kinds = {kind for series in found for marks in series.marks for kind in marks}
    dense = dense_accuracy(view)
    return Picture(
        f"{ACCURACY} / {LEFT}" + (", near dense" if close else ""),
        tuple(lines),
        x_name=LEFT,
        y_name=ACCURACY,
        log_x=True,
        falls=True,
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
