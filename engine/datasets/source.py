"""Descriptions of data sets, available before their arrays are read."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Report = Callable[[str, float], None]
"""Called with the stage and the fraction done, 0 to 1. An exception that it raises ends the preparation."""

NOTES = "notes.txt"
"""A file that a source's `build` may leave in its draft: what was converted, a line each."""

_MOST_VALIDATION = 5_000


class Arrays(NamedTuple):
    """Images `uint8` `[N, H, W, C]` and labels `int32` `[N]`."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int32]


@dataclass(frozen=True)
class Original:
    """A published file: its name, its length in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """Where the arrays of a data set come from.

    **Arguments:**

    - `build(source, draft, originals, report)`: returns the arrays. It may leave files of its own in the folder
      `draft`, and finds the verified `originals` in the folder of that name.
    - `originals`, `url`: the published files and the address that their names are appended to. A source without
      originals is prepared when it is first loaded.
    - `state`: the state of what the arrays are made from, where that may change: the files of an image folder, the code
      of a plug-in. When it differs from the state at preparation, the data set is prepared again.
    - `folder`: the name of its folder below the data folder, where `name` cannot be one.
    - `fixed_validation`: the last `validation_size` training examples are the validation examples; else the study draws
      them.
    - `class_names`: in the order of the labels; empty where classes are numbers.
    - `notes`: what is left out and what is guessed, a line each.
    """

    name: str
    about: str
    image_shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    validation_size: int
    build: Build
    originals: tuple[Original, ...] = ()
    url: str = ""
    state: str = ""
    folder: str = ""
    fixed_validation: bool = False
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def built_in(self) -> bool:
        """Whether it needs only the installed packages."""
        return not self.originals and not self.state

    @property
    def command(self) -> str:
        """How to prepare it, as the end of a message."""
        command = f"run: lth-tui data prepare {shlex.quote(self.name)}"
        return f"{command}; without a network, {self.offline_command}" if self.originals else command

    @property
    def offline_command(self) -> str:
        """How to prepare it without a network, as the end of a message."""
        files = ", ".join(original.name for original in self.originals)
        return f"put {files} in a folder DIR and run: lth-tui data prepare {self.name} --from DIR"


Build: TypeAlias = Callable[[Source, Path, Path, Report], Arrays]


@dataclass(frozen=True)
class DatasetStatus:
    """A data set in a list: its sizes, whether it can be loaded now, and a line of advice if it cannot.

    `image_shape` is `(H, W, C)`; `train` and `test` count examples; `validation` examples of `train` are held out.
    `fingerprint` is the SHA-256 of the prepared arrays, empty before. `notes` says what is left out, converted and
    guessed, a line each; what is converted is known once it is prepared.
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
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """How many examples of each class the parts of a prepared data set have.

    `parts` has "training" and "test", and "validation" where the study does not draw it: examples by class, in the
    order of `classes`, the names. `notes` as in `DatasetStatus`.
    """

    name: str
    classes: tuple[str, ...]
    parts: dict[str, tuple[int, ...]]
    notes: tuple[str, ...]


def validation_size(train: int) -> int:
    """A tenth of `train` training examples, at least one and at most 5,000."""
    return min(max(train // 10, 1), _MOST_VALIDATION)
