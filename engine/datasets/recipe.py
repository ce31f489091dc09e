"""What is known about a data set before any array of it is read."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Report = Callable[[str, float], None]
"""Takes the stage in words and the fraction done, 0 to 1. An exception it raises ends the preparation."""


class Arrays(NamedTuple):
    """Images `[N, H, W, C]` and labels `[N]`."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]


@dataclass(frozen=True)
class Original:
    """A file as its authors publish it: its name, its length in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """How a name becomes arrays. A further data set is one module with one of these.

    `build(recipe, draft, originals, report)` returns the arrays; it may leave files of its own in the folder
    `draft`, and finds the checked `originals` in the folder of that name. A recipe without originals prepares
    itself whenever it is first loaded.

    `source` tells the state of files on this machine that may change: where it differs from what is kept, the
    set is prepared again. `slug` is the name of the kept folder where `name` cannot be one.
    """

    name: str
    about: str
    image_shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    validation_size: int
    build: "Build"
    originals: tuple[Original, ...] = ()
    url: str = ""
    source: str = ""
    slug: str = ""

    @property
    def built_in(self) -> bool:
        """Whether it needs nothing but the installed packages."""
        return not self.originals and not self.source

    @property
    def way(self) -> str:
        """How to prepare it, in words that end a line."""
        command = f"run: lth-tui data prepare {shlex.quote(self.name)}"
        return f"{command}; without a network, {self.how}" if self.originals else command

    @property
    def how(self) -> str:
        """How to prepare it without a network, in words that end a line."""
        files = ", ".join(original.name for original in self.originals)
        return f"put {files} in a folder DIR and run: lth-tui data prepare {self.name} --from DIR"


Build: TypeAlias = Callable[[Recipe, Path, Path, Report], Arrays]


@dataclass(frozen=True)
class Entry:
    """A data set in a list: facts, whether it can be loaded now, and one line of advice ("" when it can).

    `image_shape` is `(H, W, C)`; `train` and `test` count examples, `validation` of them in `train`.
    `fingerprint` is "" until the arrays are kept.
    """

    name: str
    about: str
    image_shape: tuple[int, int, int]
    train: int
    validation: int
    test: int
    classes: int
    fingerprint: str
    ready: bool
    advice: str
