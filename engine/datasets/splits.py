"""The arrays of a data set, how its training examples are divided, and statistics of a part of them.

Every draw is a pure function of its seed, the same on every machine and with every version of NumPy.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import BadInput
from engine.rng import SPLIT_STREAM, SUBSET_STREAM, permutation

if TYPE_CHECKING:
    from jaxtyping import Float32, Int32, Int64, UInt8

_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: images `uint8` `[N, H, W, C]`, labels `int32` `[N]` in `0..classes-1`.

    The arrays are read-only and may be memory-mapped. `split` holds out `validation_size` training examples;
    `fingerprint` is the SHA-256 of the arrays in hexadecimal. With `fixed_validation` the last `validation_size`
    training examples are held out, whatever the seed.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]
    classes: int
    validation_size: int
    fingerprint: str
    fixed_validation: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the training and validation examples: `int32`, sorted, disjoint, together all of `train_images`.

    `majority` is the share of the largest class among the validation examples, 0 to 1: the accuracy of the best
    constant prediction.
    """

    train: NDArray[np.int32]
    validation: NDArray[np.int32]
    majority: float


def split(dataset: Dataset, seed: int) -> Split:
    """Draw `dataset.validation_size` validation examples at random, not stratified, as Frankle and Carbin (2019) do.

    A data set with validation examples of its own keeps them.

    **Arguments:** `seed`, zero or more.
    """
    if dataset.fixed_validation:
        rows = np.arange(len(dataset.train_labels), dtype=np.int32)
        train, validation = np.split(rows, [len(rows) - dataset.validation_size])
        return Split(train, validation, majority(dataset.train_labels, validation, dataset.classes))
    order = permutation(len(dataset.train_labels), seed, SPLIT_STREAM)
    validation = np.sort(order[: dataset.validation_size])
    train = np.sort(order[dataset.validation_size :])
    return Split(train, validation, majority(dataset.train_labels, validation, dataset.classes))


def majority(labels: Int32[NDArray[np.int32], " N"], rows: Int32[NDArray[np.int32], " n"], classes: int) -> float:
    """Return the share of the largest of `classes` classes among the examples `rows`, 0 to 1; 0 for no examples."""
    counts = np.bincount(labels[rows], minlength=classes)
    return float(counts.max() / max(len(rows), 1))


def stratified_subset(dataset: Dataset, split: Split, fraction: float, seed: int) -> Int32[NDArray[np.int32], " n"]:
    """Draw `fraction` of `split.train` such that every class keeps its share, to within one example.

    Shares are rounded by the method of the largest remainder; of equal remainders the lower label goes first.

    **Arguments:** `fraction`, above 0 and up to 1, which returns `split.train` itself; `seed`, zero or more.
    **Returns:** sorted indices into `dataset.train_images`.
    **Raises:** BadInput where the fraction is fewer examples than there are classes.
    """
    size = subset_size(split, fraction)
    total = len(split.train)
    if size == total:
        return split.train
    labels = dataset.train_labels[split.train]
    counts = np.bincount(labels, minlength=dataset.classes)
    classes = int((counts > 0).sum())
    if size < classes:
        raise BadInput(
            f"fraction {fraction:g} of {total} training examples is {size}, "
            f"fewer than the {classes} classes of {dataset.name}"
        )
    drawn = [
        split.train[
            np.flatnonzero(labels == label)[permutation(int(counts[label]), seed, SUBSET_STREAM, label)[:share]]
        ]
        for label, share in enumerate(_shares(counts, size))
    ]
    return np.sort(np.concatenate(drawn))


def _shares(counts: NDArray[np.intp], size: int) -> list[int]:
    """Divide `size` in proportion to `counts`, in whole numbers, exactly."""
    total = int(counts.sum())
    whole, rest = zip(*(divmod(int(count) * size, total) for count in counts), strict=True)
    by_remainder = sorted(range(len(counts)), key=lambda label: -rest[label])
    more = set(by_remainder[: size - sum(whole)])
    return [share + (label in more) for label, share in enumerate(whole)]


def random_subset(split: Split, fraction: float, seed: int) -> Int32[NDArray[np.int32], " n"]:
    """Draw as many examples as `stratified_subset` does, without regard to their classes.

    **Arguments:** `fraction`, above 0 and up to 1, which returns `split.train` itself; `seed`, zero or more.
    **Returns:** sorted indices into `train_images`.
    **Raises:** BadInput where the fraction is no example.
    """
    size = subset_size(split, fraction)
    if size == len(split.train):
        return split.train
    return np.sort(split.train[permutation(len(split.train), seed, SUBSET_STREAM)[:size]])


def subset_size(split: Split, fraction: float) -> int:
    """Return how many examples `fraction` of `split.train` is, to the nearest. **Raises:** BadInput."""
    if not (math.isfinite(fraction) and 0 < fraction <= 1):
        raise BadInput(f"fraction {fraction:g} of the training examples; allowed: above 0 and up to 1")
    size = round(fraction * len(split.train))
    if size == 0:
        raise BadInput(f"fraction {fraction:g} of {len(split.train)} training examples is none")
    return size


def statistics(
    images: UInt8[NDArray[np.uint8], "N H W C"], rows: Int32[NDArray[np.int32], " n"]
) -> tuple[Float32[NDArray[np.float32], " C"], Float32[NDArray[np.float32], " C"]]:
    """Return mean and population standard deviation of each channel over the images `rows`, in units of `pixel / 255`.

    Sums are whole numbers, so the result depends on no order of summation. For read-only images the sums of each image
    are kept as long as the array lives: after the first call, a call costs `len(rows)` additions.

    **Arguments:** `images`, `[N, H, W, C]`; `rows`, indices, `[n]` with n above 0.
    **Returns:** `float32` `[C]` and `float32` `[C]`.
    """
    sums, squares = _image_sums(images)
    pixels = len(rows) * images.shape[1] * images.shape[2]
    total, total_squares = sums[rows].sum(axis=0), squares[rows].sum(axis=0)
    # Exact up to here: n * sum(p^2) - sum(p)^2 in Python's integers.
    variance = [
        (pixels * int(square) - int(value) ** 2) / (255 * pixels) ** 2
        for value, square in zip(total, total_squares, strict=True)
    ]
    return (total / (255 * pixels)).astype(np.float32), np.sqrt(variance).astype(np.float32)


_SUMS: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}


def _image_sums(
    images: UInt8[NDArray[np.uint8], "N H W C"],
) -> tuple[Int64[NDArray[np.int64], "N C"], Int64[NDArray[np.int64], "N C"]]:
    """The sum of the pixels of each image and channel, and of their squares, `[N, C]` each."""
    key = id(images)
    if key in _SUMS:
        return _SUMS[key]
    found = _sum(images)
    if not images.flags.writeable:
        _SUMS[key] = found
        weakref.finalize(images, _SUMS.pop, key, None)
    return found


def _sum(
    images: UInt8[NDArray[np.uint8], "N H W C"],
) -> tuple[Int64[NDArray[np.int64], "N C"], Int64[NDArray[np.int64], "N C"]]:
    count, height, width, channels = images.shape
    sums, squares = np.zeros((2, count, channels), np.int64)
    for start in range(0, count, _CHUNK):
        part = images[start : start + _CHUNK].reshape(-1, height * width, channels)
        for channel in range(channels):
            pixels = np.ascontiguousarray(part[:, :, channel])
            sums[start : start + _CHUNK, channel] = pixels.sum(axis=1, dtype=np.int64)
            squares[start : start + _CHUNK, channel] = np.square(pixels, dtype=np.uint16).sum(axis=1, dtype=np.int64)
    return sums, squares
