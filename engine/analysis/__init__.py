"""What rounds have in common and what they say: ranks, overlap, early birds, distributions, signals."""

from engine.analysis.early_bird import BIRD_RULE, WINDOW, EarlyBirdWatch, mask_distance
from engine.analysis.magnitudes import distance_from_uniform, histogram
from engine.analysis.overlap import chance_jaccard, jaccard
from engine.analysis.ranks import Ranked, spearman, spearman_all
from engine.analysis.signals import (
    CHANCE_RULE,
    COLLAPSE_RULE,
    STABLE_RULE,
    at_chance,
    majority_share,
    ranks_collapsed,
    stabilised,
)

__all__ = [
    "BIRD_RULE",
    "CHANCE_RULE",
    "COLLAPSE_RULE",
    "STABLE_RULE",
    "WINDOW",
    "EarlyBirdWatch",
    "Ranked",
    "at_chance",
    "chance_jaccard",
    "distance_from_uniform",
    "histogram",
    "jaccard",
    "majority_share",
    "mask_distance",
    "ranks_collapsed",
    "spearman",
    "spearman_all",
    "stabilised",
]
