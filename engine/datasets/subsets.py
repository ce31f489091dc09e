"""Parts of the training examples: stratified, and at random as their control."""

import math

import numpy as np
from numpy.typing import NDArray

from engine.datasets.dataset import Dataset, Split
from engine.errors import BadInput
from engine.rng import permutation

# Keep these draws apart from each other and from others that are made from the same seed.
_STRATIFIED_STREAM = 0x57A7
_RANDOM_STREAM = 0x5AB5


def stratified_subset(dataset: Dataset, split: Split, fraction: float, seed: int) -> NDArray[np.int32]:
    """Draw `fraction` of `split.train` so that every class keeps its share, to within one example.

    **Arguments:** `fraction`, above 0 and up to 1, which is `split.train` itself; `seed`, zero or more.
    **Returns:** indices into `dataset.train_images`, sorted, none of them of `split.validation`.
    **Raises:** BadInput for a fraction that takes or leaves fewer examples than there are classes.
    """
    size = subset_size(split, fraction)
    if size == len(split.train):
        return split.train
    labels = dataset.train_labels[split.train]
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    for words, found in (("takes", size), ("leaves out", len(labels) - size)):
        if found < len(counts):
            raise BadInput(
                f"fraction {fraction:g} of {len(labels)} training examples {words} {found}, "
                f"fewer than the {len(counts)} classes of {dataset.name}"
            )
    if counts.min() < 2:
        raise BadInput(f"{dataset.name} has a class with one training example: no stratified part can be drawn")

    from sklearn.model_selection import train_test_split

    bits = np.random.MT19937(np.random.SeedSequence(seed, spawn_key=(_STRATIFIED_STREAM,)))
    drawn, _ = train_test_split(split.train, train_size=size, random_state=np.random.RandomState(bits), stratify=labels)
    return np.sort(drawn).astype(np.int32)


def random_subset(split: Split, fraction: float, seed: int) -> NDArray[np.int32]:
    """Draw as many examples as `stratified_subset` does, without regard to their classes.

    **Arguments:** `fraction`, above 0 and up to 1, which is `split.train` itself; `seed`, zero or more.
    **Returns:** indices into `train_images`, sorted, none of them of `split.validation`.
    **Raises:** BadInput for a fraction that takes no example.
    """
    size = subset_size(split, fraction)
    if size == len(split.train):
        return split.train
    return np.sort(split.train[permutation(len(split.train), seed, _RANDOM_STREAM)[:size]])


def subset_size(split: Split, fraction: float) -> int:
    """How many examples are `fraction` of `split.train`, to the nearest. **Raises:** BadInput."""
    if not (math.isfinite(fraction) and 0 < fraction <= 1):
        raise BadInput(f"fraction {fraction:g} of the training examples: above 0 and up to 1 is allowed")
    size = round(fraction * len(split.train))
    if size == 0:
        raise BadInput(f"fraction {fraction:g} of {len(split.train)} training examples takes none")
    return size
