"""Optimizers: the update rules that turn gradients into steps.

An optimizer is one function that returns an `optax.GradientTransformation` without a learning rate. Its keyword-only
parameters are fields of the recipe's `train` table and receive their values:

    @optimizer("sgd", "stochastic gradient descent with momentum")
    def sgd(*, momentum: float = 0.9) -> optax.GradientTransformation: ...

The rate of each step comes from the schedule, and weight decay is added to the gradients before the update rule. A rule
must map zero gradients of a weight that is zero to a zero update: that keeps pruned weights at zero.
"""

from typing import TYPE_CHECKING

from engine.registry import optimizer

if TYPE_CHECKING:
    import optax


@optimizer("adam", "Adam with beta 0.9 and 0.999, epsilon 1e-8", source="Kingma & Ba 2015, algorithm 1")
def adam() -> "optax.GradientTransformation":
    import optax

    return optax.scale_by_adam()


@optimizer("sgd", "stochastic gradient descent with momentum", source="Sutskever et al. 2013, equations 1 to 4")
def sgd(*, momentum: float = 0.9, nesterov: bool = False) -> "optax.GradientTransformation":
    """v = momentum * v + gradient, without dampening; the step is v, or gradient + momentum * v with `nesterov`."""
    import optax

    return optax.trace(momentum, nesterov)
