"""Random choices that are the same on every machine and with every version of NumPy."""

import numpy as np
from numpy.typing import NDArray


def permutation(size: int, seed: int, *stream: int) -> NDArray[np.int32]:
    """`0..size-1` in an order drawn from `seed`; different `stream` numbers give independent draws, `[size]`.

    NumPy promises a bit generator's raw output and a stable sort for good, but not `Generator.permutation`.
    """
    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream))
    return np.argsort(bits.random_raw(size), kind="stable").astype(np.int32)


def uniform(size: int, seed: int, *stream: int) -> NDArray[np.float32]:
    """`[size]` numbers in [0, 1), drawn from `seed` and `stream` as `permutation` does."""
    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream))
    return ((bits.random_raw(size) >> np.uint64(40)) / np.float32(1 << 24)).astype(np.float32)
