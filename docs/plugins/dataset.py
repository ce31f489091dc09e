"""A small data set: images of 8x8 pixels with a bright horizontal or vertical bar in noise."""

import numpy as np

from engine.registry import dataset
from engine.rng import permutation, uniform


@dataset("bars", "8x8 images of horizontal and vertical bars", source="an example")
def bars():
    return (*draw(400, seed=0), *draw(100, seed=1))


def draw(count, seed):
    """`count` images `[N, 8, 8]` and their labels, 1 where the bar is vertical."""
    labels = permutation(count, seed) % 2
    images = (100 * uniform(count * 64, seed, 1)).astype(np.uint8).reshape(count, 8, 8)
    for number, label in enumerate(labels):
        image = images[number].T if label else images[number]
        image[number % 8] += 100
    return images, labels
