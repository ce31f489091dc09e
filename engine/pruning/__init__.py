"""Pruning: how many weights survive each round, which ones, and the invariants that prove it.

A *criterion* scores weights, a *schedule* sets the number of survivors of each round, a *mask* marks the survivors, an
*invariant* is a check that every round must pass. Names are imported on first use, so the registry of criteria can be
read without NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.pruning import invariants
    from engine.pruning.criteria.base import LayerWeights, TrainedWeights, scores
    from engine.pruning.masks import (
        Masks,
        Weights,
        counts_of,
        full_masks,
        lowest,
        magnitudes,
        masked,
        prune,
        random_masks,
        reshuffled,
        with_signs,
    )
    from engine.pruning.schedule import PruningSchedule, pruned_layers, pruning_schedule

__all__ = [
    "LayerWeights",
    "Masks",
    "PruningSchedule",
    "TrainedWeights",
    "Weights",
    "counts_of",
    "full_masks",
    "invariants",
    "lowest",
    "magnitudes",
    "masked",
    "prune",
    "pruned_layers",
    "pruning_schedule",
    "random_masks",
    "reshuffled",
    "scores",
    "with_signs",
]


def __getattr__(name: str) -> Any:
    if name == "invariants":
        return import_module("engine.pruning.invariants")
    if name in __all__:
        for module in ("masks", "schedule", "criteria.base"):
            found = vars(import_module(f"engine.pruning.{module}"))
            if name in found:
                globals()[name] = found[name]
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
