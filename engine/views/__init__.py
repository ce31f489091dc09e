"""What is read: a run folded from its events into series, grids and tables ready to draw. Pure."""

from engine.views.grids import MEASURES, Grid, Measure, bird_grid, layer_grid, round_grid
from engine.views.run import ArmView, LogLine, RoundView, RunView, TrialView, fold, summary
from engine.views.series import (
    Curve,
    Series,
    accuracy_series,
    dense_accuracy,
    learning_curves,
    survival_series,
)
from engine.views.signals import KINDS, Finding, bird_epochs, findings, newest_signals, rule_of, signals_of
from engine.views.tables import distance_rows, show_json, table_rows
from engine.views.ticket import LayerTicket, Spread, TicketView, Tiles, spreads, ticket_view

__all__ = [
    "KINDS",
    "MEASURES",
    "ArmView",
    "Curve",
    "Finding",
    "Grid",
    "LayerTicket",
    "LogLine",
    "Measure",
    "RoundView",
    "RunView",
    "Series",
    "Spread",
    "TicketView",
    "Tiles",
    "TrialView",
    "accuracy_series",
    "bird_epochs",
    "bird_grid",
    "dense_accuracy",
    "distance_rows",
    "findings",
    "fold",
    "layer_grid",
    "learning_curves",
    "newest_signals",
    "round_grid",
    "rule_of",
    "show_json",
    "signals_of",
    "spreads",
    "summary",
    "survival_series",
    "table_rows",
    "ticket_view",
]
