"""Overlap of two masks, and its value for random masks."""

import numpy as np
from numpy.typing import NDArray


def jaccard(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return survivors of both masks over survivors of either; 1 if both are empty."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def chance_jaccard(first: int, second: int, size: int) -> float:
    """Return the overlap of random masks with `first` and `second` survivors of `size` weights.

    Taken at the mean of the intersection, `first * second / size`, of the hypergeometric distribution.
    """
    both = first * second / size
    either = first + second - both
    return both / either if either else 1.0
