"""An image folder as a data set: `folder:PATH`, with `train/<class>/*.png` and so on below PATH."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.datasets import pictures
from engine.datasets.listing import listing, shown
from engine.datasets.recipe import Arrays, Recipe, Report
from engine.errors import BadInput
from engine.rng import permutation

PREFIX = "folder:"
SLUG = "folder-"
_WANTED = "expected train/<class>/ with .png, .jpg or .jpeg files, and test/<class>/ or no test/"
_VALIDATION_SHARE = 10
_VALIDATION_MOST = 5_000
# Without test/: one in so many, drawn once for all with this seed, apart from draws made elsewhere with it.
_TEST_SHARE = 6
_TEST_SEED = 0
_TEST_STREAM = 0x7E57


def recipe(name: str) -> Recipe:
    """What the folder that `name` tells holds: names and sizes of its files are read, and one header.

    The classes are the folders below `train/`, by name, the same below `test/`. Without `test/`, one image in
    six of each class, to the nearest and at least one, becomes the test set: a draw that depends on the sorted
    file names only. Hidden files and files of other kinds are passed over; so are other folders beside `train/`.

    **Raises:** BadInput for a folder that is not so, naming the place.
    """
    path = _absolute(name)
    found = _survey(path)
    look = pictures.look(found.train[0].path)
    return Recipe(
        name=PREFIX + path,
        about=f"images of {found.classes} classes in {shown(path)}",
        image_shape=look.shape,
        train=len(found.train),
        test=len(found.test),
        classes=found.classes,
        validation_size=validation_size(len(found.train)),
        build=partial(_build, found),
        source=found.source,
        slug=_slug(path),
    )


def validation_size(train: int) -> int:
    """A tenth of the training images, at least one and at most 5,000."""
    return min(max(train // _VALIDATION_SHARE, 1), _VALIDATION_MOST)


class _Example(NamedTuple):
    path: str
    label: int


class _Survey(NamedTuple):
    """`source` tells number, bytes and newest time of change; that of the folders shows renamed files."""

    train: list[_Example]
    test: list[_Example]
    classes: int
    source: str


class _Class(NamedTuple):
    name: str
    files: list[str]
    bytes: int
    newest: int


def _build(found: _Survey, recipe: Recipe, draft: Path, originals: Path, report: Report) -> Arrays:
    images = pictures.read([example.path for example in found.train + found.test], report)
    if images.shape[1:] != recipe.image_shape:
        raise BadInput(f"{recipe.name}: the images changed while they were read; try again")
    labels = np.array([example.label for example in found.train + found.test], np.int32)
    return Arrays(images[: recipe.train], labels[: recipe.train], images[recipe.train :], labels[recipe.train :])


def _absolute(name: str) -> str:
    given = name.removeprefix(PREFIX)
    if not given:
        raise BadInput(f"dataset {name!r} names no folder: write {PREFIX}PATH; {_WANTED}")
    path = os.path.abspath(os.path.expanduser(given))
    if not path.isprintable():
        raise BadInput(f"{shown(path)}: a name with unprintable characters; give the folder another")
    return path


def _slug(path: str) -> str:
    """A name for the kept folder that is valid anywhere, tells the folder's own, and is no other path's."""
    told = re.sub(r"[^A-Za-z0-9_]+", "-", os.path.basename(path)).strip("-")[:40]
    return f"{SLUG}{told or 'images'}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _survey(path: str) -> _Survey:
    parts = {item.name for item in listing(path, _WANTED) if item.name in ("train", "test")}
    if "train" not in parts:
        raise BadInput(f"{shown(path)}: no train/ in it; {_WANTED}")
    train = list(_classes(os.path.join(path, "train")))
    names = [item.name for item in train]
    if len(names) < 2:
        raise BadInput(f"{shown(os.path.join(path, 'train'))}: {len(names)} class folders, at least 2 are needed")
    test = list(_classes(os.path.join(path, "test"))) if "test" in parts else []
    if test and [item.name for item in test] != names:
        odd = sorted({item.name for item in test} ^ set(names))[0]
        where, other = ("train", "test") if odd in names else ("test", "train")
        raise BadInput(f"{shown(os.path.join(path, where, odd))}: no such class in {other}/; the classes must be equal")
    whole = train + test
    told = f"{sum(len(item.files) for item in whole)} files, {sum(item.bytes for item in whole)} bytes"
    source = f"{told}, newest {max(item.newest for item in whole)} ns"
    if test:
        return _Survey(_examples(train), _examples(test), len(names), source)
    return _Survey(*_divided(train), len(names), source)


def _classes(part: str) -> Iterator[_Class]:
    """The class folders of `train/` or `test/`, by name. **Raises:** BadInput."""
    empty = True
    found, changed = listing(part, _WANTED), _facts(part).st_mtime_ns
    for item in found:
        if item.name.startswith("."):
            continue
        if item.is_dir():
            empty = False
            yield _class(item, changed)
        elif _is_image(item.name):
            raise BadInput(f"{shown(item.path)}: an image outside of a class folder; {_WANTED}")
    if empty:
        raise BadInput(f"{shown(part)}: no class folder in it; {_WANTED}")


def _class(folder: os.DirEntry[str], changed: int) -> _Class:
    files, size, newest = [], 0, max(changed, _facts(folder).st_mtime_ns)
    for item in listing(folder.path, _WANTED):
        if item.name.startswith("."):
            continue
        facts = _facts(item)
        if stat.S_ISDIR(facts.st_mode):
            raise BadInput(f"{shown(item.path)}: a folder among the images; {_WANTED}")
        if not _is_image(item.name):
            continue
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{shown(item.path)}: not a file; {_WANTED}")
        files.append(item.path)
        size += facts.st_size
        newest = max(newest, facts.st_mtime_ns)
    if not files:
        raise BadInput(f"{shown(folder.path)}: no image in it; {_WANTED}")
    return _Class(folder.name, files, size, newest)


def _facts(path: str | os.DirEntry[str]) -> os.stat_result:
    try:
        return path.stat() if isinstance(path, os.DirEntry) else os.stat(path)
    except OSError as error:
        raise BadInput(f"{shown(path)}: cannot be read ({error.strerror})") from error


def _is_image(name: str) -> bool:
    return name.lower().endswith(pictures.SUFFIXES)


def _examples(classes: list[_Class]) -> list[_Example]:
    return [_Example(path, label) for label, item in enumerate(classes) for path in item.files]


def _divided(classes: list[_Class]) -> tuple[list[_Example], list[_Example]]:
    """Training and test examples of a folder without `test/`."""
    train: list[_Example] = []
    test: list[_Example] = []
    for label, item in enumerate(classes):
        total = len(item.files)
        if total < 2:
            raise BadInput(f"{shown(item.files[0])}: the only image of its class; without test/ 2 are needed")
        held = set(permutation(total, _TEST_SEED, _TEST_STREAM, label)[: max(1, round(total / _TEST_SHARE))].tolist())
        for index, path in enumerate(item.files):
            (test if index in held else train).append(_Example(path, label))
    return train, test
