"""Schedules of the learning rate.

A schedule is one function from the steps `[S]`, counted from 0, to the factors `[S]` that multiply the recipe's
learning rate. Its keyword-only parameters are fields of the recipe's `train` table and receive their values. Warm-up
multiplies any schedule.
"""

from typing import TYPE_CHECKING

from engine.registry import schedule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@schedule("constant", "the same learning rate in every step")
def constant(steps: "NDArray[np.int64]") -> "NDArray[np.float64]":
    import numpy as np

    return np.ones(len(steps))


@schedule("step", "multiplied by `decay` at each of `milestones`")
def step(steps: "NDArray[np.int64]", *, milestones: tuple[int, ...] = (), decay: float = 0.1) -> "NDArray[np.float64]":
    import numpy as np

    factors = np.ones(len(steps))
    for milestone in milestones:
        factors[steps >= milestone] *= decay
    return factors


@schedule("cosine", "half a cosine, to zero at the last iteration", source="Loshchilov & Hutter 2017, equation 5")
def cosine(steps: "NDArray[np.int64]", *, iterations: int) -> "NDArray[np.float64]":
    """(1 + cos(pi * i / iterations)) / 2 for step i: 1 in the first step, 0 once all `iterations` are done."""
    import numpy as np

    return (1 + np.cos(np.pi * steps / iterations)) / 2
