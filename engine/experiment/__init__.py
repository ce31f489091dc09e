"""A study becomes a graph of rounds, each with a content key, so that no round is ever trained twice."""

from engine.experiment.forecast import Forecast, bytes_of, check_room, forecast, rate_name
from engine.experiment.graph import (
    DatasetInfo,
    FinalWeights,
    FullMask,
    InitialWeights,
    MaskSource,
    Place,
    Plan,
    Pruned,
    RandomMask,
    Round,
    ShuffledWeights,
    SnapshotWeights,
    StartSource,
    TicketMask,
    make_plan,
)

__all__ = [
    "DatasetInfo",
    "FinalWeights",
    "Forecast",
    "FullMask",
    "InitialWeights",
    "MaskSource",
    "Place",
    "Plan",
    "Pruned",
    "RandomMask",
    "Round",
    "ShuffledWeights",
    "SnapshotWeights",
    "StartSource",
    "TicketMask",
    "bytes_of",
    "check_room",
    "forecast",
    "make_plan",
    "rate_name",
]
