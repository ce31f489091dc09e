"""Measures of the surviving weights of a round, layer by layer."""

import numpy as np

from engine.analysis.measures.finished import FinishedRound
from engine.registry import measure

ByLayer = dict[str, float]


@measure("distance-from-uniform", "how far |w| is from a uniform distribution after training", low=0.0, high=1.0)
def distance(round: FinishedRound) -> ByLayer:
    """Kolmogorov-Smirnov distance of the survivors' |w| from a uniform distribution between 0 and the greatest."""
    return round.end_distances


@measure("start-distance-from-uniform", "how far |w| is from a uniform distribution before training", low=0.0, high=1.0)
def start_distance(round: FinishedRound) -> ByLayer:
    """The same for the weights that the survivors start from."""
    return round.start_distances


@measure(
    "sign-agreement",
    "share of survivors that keep the sign of their start",
    source="Zhou et al. 2019, Deconstructing lottery tickets",
    low=0.0,
    high=1.0,
)
def sign_agreement(round: FinishedRound) -> ByLayer:
    """Share of survivors whose sign after training is that of their start; NaN without survivors."""
    found = {}
    for layer, start in round.start_weights.items():
        kept = np.count_nonzero(np.sign(start) == np.sign(round.end_weights[layer]))
        found[layer] = kept / start.size if start.size else np.nan
    return found


@measure("distance-from-start", "how far survivors move in training, relative to their start", low=0.0)
def distance_from_start(round: FinishedRound) -> ByLayer:
    """L2 norm of the change of the survivors over that of their start."""
    found = {}
    for layer, start in round.start_weights.items():
        length = _norm(start)
        found[layer] = _norm(round.end_weights[layer] - start) / length if length else np.nan
    return found


@measure("mean-magnitude", "mean |w| of the survivors after training", low=0.0)
def mean_magnitude(round: FinishedRound) -> ByLayer:
    """Mean |w| of the survivors."""
    return {
        layer: float(ranked.values.mean(dtype=np.float64)) if ranked.values.size else np.nan
        for layer, ranked in round.ranked.items()
    }


def _norm(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    return float(np.sqrt(np.einsum("i,i->", values, values, dtype=np.float64)))
