"""Overlap of two masks, beside what chance would give."""

import numpy as np
from numpy.typing import NDArray


def jaccard(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Weights alive in both, of those alive in either; 1 when both are empty."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def chance_jaccard(first: int, second: int, size: int) -> float:
    """The overlap of random masks with `first` and `second` of `size` weights alive.

    Taken at the mean of the intersection, `first * second / size`, of the hypergeometric distribution.
    """
    both = first * second / size
    either = first + second - both
    return both / either if either else 1.0
