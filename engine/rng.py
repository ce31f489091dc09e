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

    drawn, places = _drawn(size, seed, stream)
    drawn.sort()
    return (drawn & places).astype(np.int32)


def sample(size: int, count: int, seed: int, *stream: int) -> "NDArray[np.int32]":
    """The first `count` of `permutation(size, seed, *stream)` in no order, `[count]`, in less time."""
    import numpy as np

    drawn, places = _drawn(size, seed, stream)
    if 0 < count < size:
        drawn.partition(count - 1)
    return (drawn[:count] & places).astype(np.int32)


def _drawn(size: int, seed: int, stream: tuple[int, ...]) -> "tuple[NDArray[np.uint64], np.uint64]":
    """Random numbers with their own place `0..size-1` in the lowest bits, and the mask of these bits. All differ, so
    every way of sorting gives the same order."""
    import numpy as np

    drawn = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)).random_raw(size)
    places = np.uint64((1 << size.bit_length()) - 1)
    drawn &= ~places
    drawn |= np.arange(size, dtype=np.uint64)
    return drawn, places


def uniform(size: int, seed: int, *stream: int) -> "NDArray[np.float32]":
    """Return `[size]` numbers in [0, 1), drawn from `seed` and `stream` like `permutation`."""
    import numpy as np

    bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream))
    return ((bits.random_raw(size) >> np.uint64(40)) / np.float32(1 << 24)).astype(np.float32)
