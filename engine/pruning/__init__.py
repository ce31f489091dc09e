"""Masks: which weights live, exactly how many, and the guards that prove it."""

from engine.pruning import invariants
from engine.pruning.criteria import scores
from engine.pruning.masks import (
    Masks,
    Weights,
    counts_of,
    full_masks,
    magnitudes,
    masked,
    prune,
    random_masks,
    reshuffled,
    with_signs,
)
from engine.pruning.schedule import PruningSchedule, pruning_schedule

__all__ = [
    "Masks",
    "PruningSchedule",
    "Weights",
    "counts_of",
    "full_masks",
    "invariants",
    "magnitudes",
    "masked",
    "prune",
    "pruning_schedule",
    "random_masks",
    "reshuffled",
    "scores",
    "with_signs",
]
