"""From what the views tell to what the plots draw."""

from engine.views import Curve, RunView, accuracy_series, dense_accuracy
from screens.widgets.plot import Line, Picture

NEAR_DENSE = 3.0
"""Percentage points below dense that are shown when looking closely."""


def accuracy_picture(view: RunView, *, close: bool = False) -> Picture:
    """Test accuracy against the weights left, an arm a line, dense across, minimum and maximum as bars.

    `close`: only what is near the dense accuracy.
    """
    lines = []
    for number, series in enumerate(accuracy_series(view)):
        bars = tuple(
            (x, 100 * low, 100 * high)
            for x, low, high, count in zip(series.x, series.low, series.high, series.count, strict=True)
            if count > 1
        )
        lines.append(Line(series.name, series.x, tuple(100 * value for value in series.mean), number, bars))
    dense = dense_accuracy(view)
    return Picture(
        "test accuracy % / weights left %" + (", near dense" if close else ""),
        tuple(lines),
        log_x=True,
        level=None if dense is None else ("dense", 100 * dense),
        empty="The first rounds are at work; each one finished is a point here." if view.arms else "No rounds yet.",
        least_height=0.5,
        floor=100 * dense - NEAR_DENSE if close and dense is not None else None,
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


def _why_empty(curve: Curve) -> str:
    return "no finite value: the loss diverged" if curve.iteration else "no validation yet"


def _floats(values: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(map(float, values))
