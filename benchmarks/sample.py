"""Made-up data and half-pruned lanes to train on them."""

import numpy as np
from numpy.typing import NDArray

from engine.networks import Snapshot, build, initial_weights
from engine.pruning import masked, random_masks
from engine.spec import Train
from engine.training import Lane, batch_order, learning_rates

CLASSES = 10
MEAN, STD = 0.5, 0.3
"""Of the pixels, in every channel."""


def noise(image: tuple[int, int, int], examples: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Pictures `[examples, *image]` and labels `[examples]`, at random."""
    draw = np.random.default_rng(0)
    return (
        draw.integers(0, 256, (examples, *image), np.uint8),
        draw.integers(0, CLASSES, examples).astype(np.int32),
    )


def half_lane(network: str, image: tuple[int, int, int], examples: int, recipe: Train, seed: int) -> Lane:
    """A lane with half of its weights, drawn at random, that trains as `recipe` says on all examples."""
    made = build(network, image, CLASSES)
    halves = {layer.parameter: np.arange(layer.size).reshape(layer.shape) % 2 == 0 for layer in made.layers}
    masks = random_masks(halves, seed)
    rows = np.arange(examples, dtype=np.int32)
    return Lane(
        start=Snapshot(masked(initial_weights(made, seed).params, masks)),
        masks=masks,
        order=batch_order(rows, recipe.batch, recipe.iterations, seed),
        rates=learning_rates(recipe),
        validation=rows[:1],
        mean=np.full(image[2], MEAN, np.float32),
        std=np.full(image[2], STD, np.float32),
    )
