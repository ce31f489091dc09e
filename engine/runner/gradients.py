"""Gradients of a trained network, which some criteria score weights by."""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from engine.networks import HostArrays, Network, Snapshot

BLOCK = 250
"""Examples that are differentiated at once."""


def mean_gradient(
    network: Network,
    weights: Snapshot,
    images: NDArray[np.uint8],
    labels: NDArray[np.int32],
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
) -> HostArrays:
    """The gradient of the mean cross-entropy at `weights`, by parameter, float32, in evaluation (no dropout).

    **Arguments:** `images` `[N, H, W, C]`; `labels` `[N]`; `mean` and `std` `[C]` of `pixel / 255`.
    """
    total: HostArrays = {name: np.zeros(array.shape, np.float32) for name, array in weights.params.items()}
    for start in range(0, len(labels), BLOCK):
        part = images[start : start + BLOCK], labels[start : start + BLOCK], mean, std
        for name, gradient in _program(network)(weights.params, weights.state, *part).items():
            total[name] += np.asarray(gradient)
    return {name: gradient / np.float32(len(labels)) for name, gradient in total.items()}


@lru_cache(4)
def _program(network: Network) -> Callable[..., dict[str, jax.Array]]:
    def loss(params: dict[str, jax.Array], state: dict[str, jax.Array], *batch: jax.Array) -> jax.Array:
        images, labels, mean, std = batch
        logits, _ = network.apply(params, state, (images.astype(jnp.float32) / 255 - mean) / std, None)
        total: jax.Array = optax.softmax_cross_entropy_with_integer_labels(logits, labels).sum()
        return total

    return jax.jit(jax.grad(loss))
