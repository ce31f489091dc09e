"""MNIST's file format, which Fashion-MNIST shares: gzipped IDX."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.datasets.recipe import Arrays, Recipe
from engine.errors import BadInput

_BYTES = 0x08


def read(recipe: Recipe, paths: Sequence[Path]) -> Arrays:
    """Arrays from four files: training images and labels, test images and labels.

    **Raises:** BadInput for a file that is damaged or has other sizes than `recipe` names.
    """
    height, width, _ = recipe.image_shape
    shapes = ((recipe.train, height, width), (recipe.train,), (recipe.test, height, width), (recipe.test,))
    images, labels, test_images, test_labels = map(_read, paths, shapes)
    return Arrays(images[..., None], labels.astype(np.int32), test_images[..., None], test_labels.astype(np.int32))


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """`shape` values after two zeros, the type, the rank, and each size as a big-endian 32-bit number."""
    header = bytes((0, 0, _BYTES, len(shape))) + np.array(shape, ">u4").tobytes()
    wanted = len(header) + int(np.prod(shape))
    try:
        with gzip.open(path) as file:
            data = file.read(wanted + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: damaged ({error})") from error
    if not data.startswith(header) or len(data) != wanted:
        raise BadInput(f"{path}: not the file expected, an IDX array of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)
