"""A study becomes a graph of rounds, each with a content key, so that no round is ever trained twice."""

from engine.plan.forecast import Forecast, bytes_of, check_room, forecast, rate_name
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
    "bytes_of",
    "check_room",
    "forecast",
    "make_plan",
    "rate_name",
]
