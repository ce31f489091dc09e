"""How the magnitudes of a layer are distributed."""

import numpy as np
from numpy.typing import NDArray

BINS = 24


def histogram(magnitudes: NDArray[np.float32]) -> tuple[tuple[int, ...], float]:
    """Counts in 24 equal bins from 0 to the greatest, and the greatest, of `[n]` magnitudes."""
    top = float(magnitudes.max(initial=0.0))
    counts, _ = np.histogram(magnitudes, BINS, (0.0, top or 1.0))
    return tuple(int(count) for count in counts), top


def distance_from_uniform(magnitudes: NDArray[np.float32]) -> float:
    """Kolmogorov-Smirnov distance of `[n]` magnitudes from a uniform distribution from 0 to the greatest, 0 to 1."""
    from scipy.stats import kstest  # here: reading a run is not to wait for SciPy

    top = float(magnitudes.max(initial=0.0))
    if not top > 0:
        return 1.0
    return float(kstest(magnitudes.astype(np.float64) / top, "uniform", method="asymp").statistic)
