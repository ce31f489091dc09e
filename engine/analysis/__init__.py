"""Pure functions of finished rounds: ranks, overlap of masks, early birds, distributions, signals.

A **measure** is a number, or a number by layer, of one round (`engine.analysis.measures`); a **similarity** compares
two rounds; a **signal** is a rule that a series of numbers meets.
"""

from engine.analysis.early_bird import BIRD_RULE, WINDOW, EarlyBirdWatch, mask_distance
from engine.analysis.magnitudes import distance_from_uniform, histogram
from engine.analysis.overlap import chance_jaccard, jaccard
from engine.analysis.ranks import Correlations, RankedLayer, correlations, spearman, spearman_all
from engine.analysis.signals import (
    CHANCE_RULE,
    COLLAPSE_RULE,
    STABLE_RULE,
    at_chance,
    ranks_collapsed,
    stabilised,
)

__all__ = [
    "BIRD_RULE",
    "CHANCE_RULE",
    "COLLAPSE_RULE",
    "STABLE_RULE",
    "WINDOW",
    "Correlations",
    "EarlyBirdWatch",
    "RankedLayer",
    "at_chance",
    "chance_jaccard",
    "correlations",
    "distance_from_uniform",
    "histogram",
    "jaccard",
    "mask_distance",
    "ranks_collapsed",
    "spearman",
    "spearman_all",
    "stabilised",
]
