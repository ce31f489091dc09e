"""What is read: a run folded from its events into series, grids and tables ready to draw. Pure."""

from engine.views.grids import MEASURES, Grid, Measure, layer_grid, round_grid
from engine.views.run import ArmView, LogLine, RoundView, RunView, TrialView, fold, summary
from engine.views.series import (
    Curve,
    Series,
    accuracy_series,
    dense_accuracy,
    learning_curves,
    survival_series,
)
from engine.views.tables import show_json, table_rows

__all__ = [
    "MEASURES",
    "ArmView",
    "Curve",
    "Grid",
    "LogLine",
    "Measure",
    "RoundView",
    "RunView",
    "Series",
    "TrialView",
    "accuracy_series",
    "dense_accuracy",
    "fold",
    "layer_grid",
    "learning_curves",
    "round_grid",
    "show_json",
    "summary",
    "survival_series",
    "table_rows",
]
