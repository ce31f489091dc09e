"""A study becomes a graph of rounds, each with a content key, so that no round is ever trained twice."""

from engine.plan.forecast import Forecast, check_room, forecast
from engine.plan.graph import (
    DatasetMark,
    Dense,
    Final,
    Initial,
    Marked,
    MaskSource,
    Place,
    Plan,
    Pruned,
    RandomLike,
    Round,
    SameAs,
    Shuffled,
    StartSource,
    make_plan,
)

__all__ = [
    "DatasetMark",
    "Dense",
    "Final",
    "Forecast",
    "Initial",
    "Marked",
    "MaskSource",
    "Place",
    "Plan",
    "Pruned",
    "RandomLike",
    "Round",
    "SameAs",
    "Shuffled",
    "StartSource",
    "check_room",
    "forecast",
    "make_plan",
]
