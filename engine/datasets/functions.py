"""A function as a data set: how a plug-in adds one.

    @registry.dataset("stripes", "8x8 images of vertical and horizontal stripes")
    def stripes():
        ...
        return train_images, train_labels, test_images, test_labels

Sizes and classes are those of the arrays that it returns. Images are `uint8` `[N, H, W, C]`, or `[N, H, W]` for one
channel; labels count from 0. The arrays are kept like those of every data set: the function is called when the data
set is first used, and again when its plug-in has changed.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets.prepared import Damaged, NotPrepared, read_manifest
from engine.datasets.source import Arrays, Source, validation_size
from engine.errors import BadInput, LabError
from engine.registry import Entry

_FIELDS = "train images, train labels, test images, test labels"
_KEPT_PREFIX = "function-"


def function_source(entry: Entry[Callable[[], Any]], data: Path) -> Source:
    """Describe the data set that a registered function returns.

    The sizes are read from what is prepared below `data`, else the function is called.

    **Raises:** BadInput where the function fails or returns other than four arrays that belong together.
    """
    state = f"{entry.origin.name} {entry.origin.digest}" if entry.origin.digest else ""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", entry.name).strip("-")[:40]
    folder = f"{_KEPT_PREFIX}{readable}-{hashlib.sha256(entry.name.encode()).hexdigest()[:12]}"
    try:
        manifest = read_manifest(data / folder)
        if manifest.state != state or manifest.name != entry.name:
            raise NotPrepared
        train, *shape = manifest.arrays["train_images"].shape
        (test,) = manifest.arrays["test_labels"].shape
        classes, arrays = manifest.classes, None
    except (NotPrepared, Damaged):
        arrays = _call(entry)
        train, *shape = arrays.train_images.shape
        test, classes = len(arrays.test_labels), int(arrays.train_labels.max()) + 1
    height, width, channels = shape
    return Source(
        name=entry.name,
        about=entry.help,
        image_shape=(height, width, channels),
        train=train,
        test=test,
        classes=classes,
        validation_size=validation_size(train),
        build=lambda *_: arrays or _call(entry),
        state=state,
        folder=folder,
    )


def _call(entry: Entry[Callable[[], Any]]) -> Arrays:
    try:
        found = entry.value()
    except LabError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())
        raise BadInput(f"dataset {entry.name!r}: its function raised {type(error).__name__}: {words}") from error
    try:
        train_images, train_labels, test_images, test_labels = map(np.asarray, found)
    except (TypeError, ValueError):
        raise _unlike(entry, f"a {type(found).__name__}", f"four arrays: {_FIELDS}") from None
    arrays = []
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise _unlike(entry, f"images {images.dtype} {list(images.shape)}", "uint8 [N, H, W, C]")
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1] or len(labels) < 2 or labels.min() < 0:
            found = f"labels {labels.dtype} {list(labels.shape)} for {len(images)} images"
            raise _unlike(entry, found, "a whole number from 0 up for each of at least 2 images")
        arrays += [images if images.ndim == 4 else images[..., None], labels.astype(np.int32)]
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise _unlike(entry, f"images of {arrays[0].shape[1:]} and {arrays[2].shape[1:]}", "one shape")
    if arrays[3].max() > arrays[1].max() or arrays[1].max() < 1:
        raise _unlike(entry, f"classes to {arrays[1].max()}", "at least 2 classes, all among the training labels")
    return Arrays(*map(np.ascontiguousarray, arrays))


def _unlike(entry: Entry[Any], found: str, allowed: str) -> BadInput:
    return BadInput(f"dataset {entry.name!r}: its function returned {found}; allowed: {allowed}")
