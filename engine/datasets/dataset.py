"""Arrays of one data set, and the division of its training examples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.rng import permutation

# Keeps this draw apart from others that are made from the same seed.
_SPLIT_STREAM = 0x5B117
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: images `uint8` `[N, H, W, C]`, labels `int32` `[N]` in `0..classes-1`.

    The arrays are read-only and may be memory-mapped. `validation_size` training examples are to be held out
    by `split`; `fingerprint` is the SHA-256 of the content in hexadecimal.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]
    classes: int
    validation_size: int
    fingerprint: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into `train_images`, `int32`, sorted, disjoint and together complete; and how to normalise.

    `mean` and `std` are `float32` `[C]` in units of `pixel / 255`, taken from the examples of `train` only.
    """

    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]


def split(dataset: Dataset, seed: int) -> Split:
    """Draw `dataset.validation_size` training examples at random, not stratified, as in the paper.

    **Arguments:** `seed`, zero or more; a seed gives the same split on every machine and version of NumPy.
    """
    total = len(dataset.train_labels)
    order = permutation(total, seed, _SPLIT_STREAM)
    validation = np.sort(order[: dataset.validation_size])
    train = np.sort(order[dataset.validation_size :])
    mean, std = statistics(dataset.train_images, train)
    return Split(train, validation, mean, std)


def statistics(images: NDArray[np.uint8], rows: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and population standard deviation of each channel, `[C]` and `[C]`, in `pixel / 255`.

    Counting pixel values is exact: the result depends on no order of summation.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(rows), _CHUNK):
        pixels = images[rows[start : start + _CHUNK]].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(pixels[:, channel], minlength=256)
    weights = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = weights @ values
    variance = (weights * (values - mean[:, None]) ** 2).sum(axis=1)
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)
