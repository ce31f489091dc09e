"""Masks: which weights live, exactly how many, and the guards that prove it."""

from engine.masks import guards
from engine.masks.criteria import scores
from engine.masks.ladder import Ladder, ladder
from engine.masks.prune import (
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

__all__ = [
    "Ladder",
    "Masks",
    "Weights",
    "counts_of",
    "full_masks",
    "guards",
    "ladder",
    "magnitudes",
    "masked",
    "prune",
    "random_masks",
    "reshuffled",
    "scores",
    "with_signs",
]
