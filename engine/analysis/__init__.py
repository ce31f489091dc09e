"""What rounds have in common: rank correlation of magnitudes, and overlap of masks."""

from engine.analysis.overlap import chance_jaccard, jaccard
from engine.analysis.ranks import Ranked, spearman, spearman_all

__all__ = ["Ranked", "chance_jaccard", "jaccard", "spearman", "spearman_all"]
