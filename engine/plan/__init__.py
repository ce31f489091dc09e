"""A study becomes a graph of rounds, each with a content key, so that no round is ever trained twice."""

from engine.plan.forecast import Forecast, forecast
from engine.plan.graph import (
    DatasetMark,
    Dense,
    MaskSource,
    Place,
    Plan,
    Pruned,
    RandomLike,
    Round,
    SameAs,
    make_plan,
)

__all__ = [
    "DatasetMark",
    "Dense",
    "Forecast",
    "MaskSource",
    "Place",
    "Plan",
    "Pruned",
    "RandomLike",
    "Round",
    "SameAs",
    "forecast",
    "make_plan",
]
