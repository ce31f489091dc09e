"""Random numbers that are the same on every machine and with every version of NumPy.

NumPy guarantees the raw output of a bit generator and a stable sort across versions, but not `Generator.permutation`.
Each kind of draw has its own *stream*, so two draws from one seed are independent.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INIT_STREAM = 0x171
STEP_STREAM = 0x57E9
ORDER_STREAM = 0xDA7A
SPLIT_STREAM = 0x5B117
TEST_STREAM = 0x7E57
SUBSET_STREAM = 0x5B5E7
SCORE_STREAM = 0x5C02E
MASK_STREAM = 0x3A5C
SHUFFLE_STREAM = 0x5F1E
BOUND_STREAM = 0xC1A3
GRADIENT_STREAM = 0x6EAD


def permutation(size: int, seed: int, *stream: int) -> "NDArray[np.int32]":
    """Return a permutation of `0..size-1`, `[size]`, drawn from `seed`. Different `stream` numbers are independent."""
    import numpy as np

    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream))
    return np.argsort(bits.random_raw(size), kind="stable").astype(np.int32)


def uniform(size: int, seed: int, *stream: int) -> "NDArray[np.float32]":
    """Return `[size]` numbers in [0, 1), drawn from `seed` and `stream` like `permutation`."""
    import numpy as np

    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream))
    return ((bits.random_raw(size) >> np.uint64(40)) / np.float32(1 << 24)).astype(np.float32)
