"""The prepared form: four `.npy` files and a small JSON beside them, published whole or not at all."""

import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.datasets.dataset import Dataset
from engine.datasets.recipe import Arrays, Recipe
from engine.paths import make_folder

SHEET = "dataset.json"
_DRAFT = ".draft"
_ABANDONED = 24 * 3600.0


class UnpreparedError(Exception):
    """There is no such folder."""


class DamagedError(Exception):
    """The folder is there and cannot be used; the text says which file and why."""


class OutdatedError(DamagedError):
    """The folder was prepared from a source that has changed since."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    dtype: str
    shape: tuple[int, ...]
    bytes: int


class Sheet(BaseModel):
    """The JSON. `source` and `classes` are those of the recipe; sets kept by earlier versions have neither."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    name: str
    fingerprint: str
    source: str = ""
    classes: int = 0
    arrays: dict[str, _File]


def fingerprint(arrays: Arrays) -> str:
    """SHA-256 of names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name, array in _named(arrays):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def dataset(recipe: Recipe, arrays: Arrays, fingerprint: str) -> Dataset:
    """The arrays under their public face, read-only."""
    for array in arrays:
        array.flags.writeable = False
    return Dataset(recipe.name, *arrays, recipe.classes, recipe.validation_size, fingerprint)


def write(folder: Path, recipe: Recipe, arrays: Arrays) -> None:
    """Write the arrays into `folder`, the JSON last."""
    files = {}
    for name, array in _named(arrays):
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files[name] = _File(dtype=array.dtype.str, shape=array.shape, bytes=path.stat().st_size)
    sheet = Sheet(
        name=recipe.name,
        fingerprint=fingerprint(arrays),
        source=recipe.source,
        classes=recipe.classes,
        arrays=files,
    )
    (folder / SHEET).write_text(sheet.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_sheet(folder: Path) -> Sheet:
    """The JSON of a prepared folder. **Raises:** UnpreparedError, DamagedError."""
    try:
        if not folder.exists():
            raise UnpreparedError
        sheet = Sheet.model_validate_json((folder / SHEET).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the JSON of a prepared set"
        raise DamagedError(f"{SHEET}: {reason}") from error
    if set(sheet.arrays) != set(Arrays._fields):
        raise DamagedError(f"{SHEET}: it does not list {', '.join(Arrays._fields)}")
    if any(len(file.shape) != (4 if name.endswith("images") else 1) for name, file in sheet.arrays.items()):
        raise DamagedError(f"{SHEET}: images [N, H, W, C] and labels [N] expected")
    return sheet


def check(folder: Path, recipe: Recipe) -> str:
    """Compare the JSON with the facts and with the sizes of the files; no array is read.

    **Returns:** the fingerprint that was computed at preparation.
    **Raises:** UnpreparedError, DamagedError, OutdatedError.
    """
    sheet = read_sheet(folder)
    if sheet.name != recipe.name:
        raise DamagedError(f"{SHEET}: it is of {sheet.name}")
    if sheet.source != recipe.source:
        raise OutdatedError(f"{SHEET}: prepared from {sheet.source}, found {recipe.source}")
    for name, (dtype, shape) in _expected(recipe).items():
        listed, path = sheet.arrays[name], folder / f"{name}.npy"
        if (listed.dtype, listed.shape) != (dtype, shape):
            raise DamagedError(f"{SHEET}: {name} is {listed.dtype} {listed.shape}, expected {dtype} {shape}")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DamagedError(f"{path.name}: {error.strerror}") from error
        if size != listed.bytes:
            raise DamagedError(f"{path.name}: {size} bytes, expected {listed.bytes}")
    return sheet.fingerprint


def read(folder: Path, recipe: Recipe) -> Dataset:
    """Map the arrays of a prepared folder. **Raises:** UnpreparedError, DamagedError."""
    known = check(folder, recipe)
    arrays = []
    for name, (dtype, shape) in _expected(recipe).items():
        try:
            array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DamagedError(f"{name}.npy: not an array") from error
        if (array.dtype.str, array.shape) != (dtype, shape):
            raise DamagedError(f"{name}.npy: {array.dtype.str} {array.shape}, expected {dtype} {shape}")
        arrays.append(array)
    return dataset(recipe, Arrays(*arrays), known)


def sound(folder: Path, recipe: Recipe) -> bool:
    """Whether every byte is as it was prepared."""
    try:
        found = read(folder, recipe)
    except (UnpreparedError, DamagedError):
        return False
    arrays = Arrays(found.train_images, found.train_labels, found.test_images, found.test_labels)
    return fingerprint(arrays) == found.fingerprint


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """A new folder of one's own beside `folder`, gone at the end unless it was published."""
    make_folder(folder.parent)
    _sweep(folder)
    path = _beside(folder)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(draft: Path, folder: Path, recipe: Recipe) -> None:
    """Give the draft its name. What another process published meanwhile stays, if it is sound."""
    while True:
        try:
            os.replace(draft, folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if sound(folder, recipe):
            return
        _set_aside(folder)


def _named(arrays: Arrays) -> Iterator[tuple[str, NDArray[Any]]]:
    yield from zip(arrays._fields, arrays, strict=True)


def _expected(recipe: Recipe) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array, in the order of `Arrays`."""
    return {
        "train_images": ("|u1", (recipe.train, *recipe.image_shape)),
        "train_labels": ("<i4", (recipe.train,)),
        "test_images": ("|u1", (recipe.test, *recipe.image_shape)),
        "test_labels": ("<i4", (recipe.test,)),
    }


def _beside(folder: Path) -> Path:
    """A name that nobody else uses, on the same file system."""
    return folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{_DRAFT}")


def _set_aside(folder: Path) -> None:
    # A rename first: a reader never sees a folder that is half gone.
    aside = _beside(folder)
    try:
        os.rename(folder, aside)
    except FileNotFoundError:
        return
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    else:
        aside.unlink()


def _sweep(folder: Path) -> None:
    """Remove what killed preparations of this set left behind."""
    for path in folder.parent.glob(f".{folder.name}-*{_DRAFT}"):
        try:
            old = time.time() - path.stat().st_mtime > _ABANDONED
        except OSError:
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
