"""A learning rate that falls with the square root of the steps."""

import numpy as np

from engine.registry import schedule


@schedule("inverse-square-root", "divided by the square root of the steps done", source="Vaswani et al. 2017, 5.3")
def inverse_square_root(steps):
    return 1 / np.sqrt(1 + steps)
