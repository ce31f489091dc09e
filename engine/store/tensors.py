"""Finished rounds and checkpoints: one safetensors file each, by content key.

A round stores only the values of survivors, and masks as bits. The header of a file holds a digest of each
array and one of itself, so that any part can be read and proven without the rest. A file that is incomplete or does
not match its digests does not count. `docs/file-formats.md` describes the format.

NumPy is imported where it is used: the list of runs does not wait for it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from engine.store.events import CurvePoint, EarlyBird, RoundResult
from engine.store.files import PART, write_atomic, writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.networks import Snapshot

Masks = dict[str, "NDArray[np.bool_]"]
Arrays = dict[str, "NDArray[Any]"]

_KEY = re.compile(r"[0-9a-f]{40}")
_LARGEST_HEADER = 100_000_000
_NO_DIGEST = "0" * 64
_CURVE = ("iteration", "train_loss", "validation_loss", "validation_accuracy")
_DTYPES = {
    "f8": "F64",
    "f4": "F32",
    "f2": "F16",
    "i8": "I64",
    "i4": "I32",
    "i2": "I16",
    "i1": "I8",
    "u8": "U64",
    "u4": "U32",
    "u2": "U16",
    "u1": "U8",
    "b1": "BOOL",
}
_DAMAGE = (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError, ValidationError)


def check_key(key: str) -> None:
    """Raise ValueError for text that is not a key; keys in imported events are untrusted."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key of 40 hex digits: {key!r}")


# Files


def write_tensors(path: Path, arrays: Mapping[str, "NDArray[Any]"], facts: Mapping[str, str]) -> int:
    """Write arrays and facts to one safetensors file, atomically, and return its size in bytes.

    Raises Unwritable.
    """
    import numpy as np

    # The largest items first, so that every array is aligned.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    pieces: list[memoryview] = []
    header: dict[str, Any] = {}
    digests: dict[str, str] = {}
    end = 0
    for name, array in ordered:
        piece = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        dtype = _DTYPES[array.dtype.str[1:]]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (end, end + piece.nbytes)}
        digests[name] = sha256(piece).hexdigest()
        pieces.append(piece)
        end += piece.nbytes
    header["__metadata__"] = {**facts, "digests": json.dumps(digests, separators=(",", ":")), "digest": _NO_DIGEST}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    text = text.replace(_field(_NO_DIGEST), _field(sha256(text).hexdigest()))
    with writing(path):
        write_atomic(path, len(text).to_bytes(8, "little") + text, *pieces)
    return 8 + len(text) + end


class TensorFile:
    """A safetensors file that is open for reading.

    The header is proven when the file is opened, an array when it is read. Raises one of _DAMAGE for a file that is
    missing, incomplete or does not match its digests.
    """

    def __init__(self, path: Path):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LARGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            text = file.read(length)
        self._file = cast(Any, safe_open(path, framework="numpy"))
        facts: dict[str, str] = self._file.metadata()
        digest = facts.pop("digest")
        if sha256(text.replace(_field(digest), _field(_NO_DIGEST), 1)).hexdigest() != digest:
            raise ValueError("another header than was written")
        self._digests: dict[str, str] = json.loads(facts.pop("digests"))
        self.facts = facts
        self.names: list[str] = list(self._file.keys())

    def read(self, name: str) -> "NDArray[Any]":
        """Return the array of that name. Raises KeyError, and ValueError for one that does not match its digest."""
        import numpy as np

        array: NDArray[Any] = self._file.get_tensor(name)
        if sha256(array.reshape(-1).view(np.uint8).data).hexdigest() != self._digests[name]:
            raise ValueError(f"another array {name} than was written")
        return array

    def group(self, group: str) -> Arrays:
        """Return the arrays of a group, by the rest of their names."""
        start = f"{group}/"
        return {name.removeprefix(start): self.read(name) for name in self.names if name.startswith(start)}


def _field(digest: str) -> bytes:
    return f'"digest":"{digest}"'.encode()


@contextmanager
def _none_if_damaged() -> Iterator[None]:
    with suppress(*_DAMAGE):
        yield


class _KeyedFiles:
    """The files in `folder`, one for each content key."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, key: str) -> Path:
        """Return the path for that key. Raises ValueError for text that is not a key."""
        check_key(key)
        return self._folder / key[:2] / f"{key}.safetensors"

    def kept(self) -> list[str]:
        """Return the keys of all files, sorted."""
        return sorted(path.stem for path in self._folder.glob("??/*.safetensors") if _KEY.fullmatch(path.stem))

    def has(self, key: str) -> bool:
        """Return whether there is a file for that key. Only reading proves it."""
        return self.path(key).is_file()

    def _open(self, key: str) -> TensorFile:
        file = TensorFile(self.path(key))
        if file.facts["key"] != key:
            raise ValueError("a file of another key")
        return file


# Parts of files


def _grouped(group: str, arrays: Mapping[str, "NDArray[Any]"]) -> Arrays:
    return {f"{group}/{name}": array for name, array in arrays.items()}


Survivors = dict[str, "NDArray[np.intp] | None"]
"""By parameter, the places of the survivors among the flattened weights; None where all are left."""


def _survivors(masks: Masks) -> Survivors:
    import numpy as np

    return {name: None if mask.all() else np.flatnonzero(mask) for name, mask in masks.items()}


def _packed(group: str, snapshot: "Snapshot", survivors: Survivors) -> Arrays:
    """Return a snapshot as arrays: GROUP/PATH of parameters, of survivors alone where masked, and GROUP.state/PATH."""

    def values(name: str, array: "NDArray[Any]") -> "NDArray[Any]":
        if name not in survivors:
            return array
        left = survivors[name]
        return array.reshape(-1) if left is None else array.reshape(-1).take(left)

    params = {name: values(name, array) for name, array in snapshot.params.items()}
    return _grouped(group, params) | _grouped(f"{group}.state", snapshot.state)


def _unpacked(file: TensorFile, group: str, masks: Masks, survivors: Survivors) -> "Snapshot":
    """Return the snapshot of a group, zero where a weight is pruned."""
    import numpy as np

    from engine.networks import Snapshot

    def dense(name: str, values: "NDArray[Any]") -> "NDArray[Any]":
        if name not in masks:
            return values
        mask, left = masks[name], survivors[name]
        if values.shape != (mask.size if left is None else left.size,):
            raise ValueError(f"{values.shape} values of {name}")
        if left is None:
            return values.reshape(mask.shape)
        weights = np.zeros(mask.shape, values.dtype)
        weights.reshape(-1)[left] = values
        return weights

    params = {name: dense(name, values) for name, values in file.group(group).items()}
    if not params:
        raise KeyError(group)
    return Snapshot(params, file.group(f"{group}.state"))


def _packed_masks(masks: Masks) -> tuple[Arrays, str]:
    import numpy as np

    bits = {name: np.packbits(mask) for name, mask in masks.items()}
    return _grouped("mask", bits), json.dumps({name: mask.shape for name, mask in masks.items()})


def _unpacked_masks(file: TensorFile) -> Masks:
    import numpy as np

    masks: Masks = {}
    shapes: dict[str, list[int]] = json.loads(file.facts["shapes"])
    for name, shape in shapes.items():
        bits = file.read(f"mask/{name}")
        size = 1
        for length in shape:
            if type(length) is not int or length < 1:
                raise ValueError(f"a mask of {shape}")
            size *= length
        if bits.dtype != np.uint8 or bits.shape != ((size + 7) // 8,):
            raise ValueError(f"{bits.shape} bytes for a mask of {shape}")
        masks[name] = np.unpackbits(bits, count=size).view(np.bool_).reshape(shape)
    return masks


def _packed_curve(curve: list[CurvePoint]) -> Arrays:
    """Return a curve as one array `[points, 4]`, NaN for None."""
    import numpy as np

    rows = [[getattr(point, name) for name in _CURVE] for point in curve]
    return {"curve": np.array(rows, np.float64).reshape(-1, len(_CURVE))}


def _unpacked_curve(file: TensorFile) -> list[CurvePoint]:
    rows: list[list[float]] = file.read("curve").tolist()
    curve = []
    for iteration, *values in rows:
        train, loss, accuracy = (None if math.isnan(value) else value for value in values)
        curve.append(
            CurvePoint(iteration=int(iteration), train_loss=train, validation_loss=loss, validation_accuracy=accuracy)
        )
    return curve


def _numbers(text: str) -> list[int]:
    found = json.loads(text)
    if not all(type(number) is int for number in found):
        raise ValueError(f"iterations {found}")
    return list(found)


# Rounds


@dataclass(frozen=True)
class StoredRound:
    """A finished round, with dense arrays.

    `masks`: by parameter in the order of layers, True where a weight is left. `final` and `best`: the network after the
    last iteration and at the lowest validation loss. `snapshots`: the network at each rewind point, by iteration.
    Pruned weights are zero in all of them.
    """

    key: str
    result: RoundResult
    curve: list[CurvePoint]
    masks: Masks
    final: "Snapshot"
    best: "Snapshot"
    snapshots: dict[int, "Snapshot"] = field(default_factory=dict)


def load_round(path: Path) -> StoredRound | None:
    """Return the round in a file, with dense arrays; None if the file is missing or damaged."""
    with _none_if_damaged():
        return _round(TensorFile(path))
    return None


def _round(file: TensorFile) -> StoredRound:
    masks = _unpacked_masks(file)
    survivors = _survivors(masks)
    return StoredRound(
        key=file.facts["key"],
        result=RoundResult.model_validate_json(file.facts["result"]),
        curve=_unpacked_curve(file),
        masks=masks,
        final=_unpacked(file, "final", masks, survivors),
        best=_unpacked(file, "best", masks, survivors),
        snapshots={at: _unpacked(file, f"at{at}", masks, survivors) for at in _numbers(file.facts["rewind_points"])},
    )


class RoundStore(_KeyedFiles):
    """The finished rounds in `folder`. Every method that reads returns None for a round that is missing or damaged."""

    def write(self, stored: StoredRound) -> int:
        """Write a round, atomically, and return its size in bytes. Pruned weights are not kept. Raises Unwritable."""
        survivors = _survivors(stored.masks)
        arrays, shapes = _packed_masks(stored.masks)
        arrays |= _packed("final", stored.final, survivors) | _packed("best", stored.best, survivors)
        for iteration, snapshot in stored.snapshots.items():
            arrays |= _packed(f"at{iteration}", snapshot, survivors)
        facts = {
            "key": stored.key,
            "shapes": shapes,
            "rewind_points": json.dumps(list(stored.snapshots)),
            "result": stored.result.model_dump_json(),
        }
        return write_tensors(self.path(stored.key), arrays | _packed_curve(stored.curve), facts)

    def read(self, key: str) -> StoredRound | None:
        """Return the round of that key."""
        with _none_if_damaged():
            return _round(self._open(key))
        return None

    def dense_bytes(self, key: str) -> int:
        """Return the bytes that a round's masks and dense arrays take in memory, by its header; 0 if it is damaged."""
        with _none_if_damaged():
            facts = self._open(key).facts
            snapshots = 2 + len(_numbers(facts["rewind_points"]))
            shapes: dict[str, list[int]] = json.loads(facts["shapes"])
            return sum(math.prod(shape) for shape in shapes.values()) * (1 + 4 * snapshots)
        return 0

    def read_result(self, key: str) -> RoundResult | None:
        """Return the result of a round; no array is read."""
        with _none_if_damaged():
            return RoundResult.model_validate_json(self._open(key).facts["result"])
        return None

    def read_masks(self, key: str) -> Masks | None:
        """Return the masks of a round; no weight is read."""
        with _none_if_damaged():
            return _unpacked_masks(self._open(key))
        return None

    def read_curve(self, key: str) -> list[CurvePoint] | None:
        """Return the learning curve of a round; no weight is read."""
        with _none_if_damaged():
            return _unpacked_curve(self._open(key))
        return None


# Checkpoints


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a round needs to resume bit for bit.

    `state`: what training changes, after `iteration` steps, under the names of the lanes; `ended`: likewise for a round
    that ended early, None while it trains. `seconds` of training and the `curve` so far; `snapshots`: the network at
    each rewind point, by iteration. Where masks are drawn after each epoch, `early_bird` is their comparison and
    `recent` are the newest ones.
    """

    key: str
    iteration: int
    seconds: float
    state: Arrays
    ended: Arrays | None
    curve: list[CurvePoint]
    snapshots: dict[int, "Snapshot"]
    early_bird: EarlyBird | None
    recent: list[Masks]


class CheckpointStore(_KeyedFiles):
    """The checkpoints in `folder`. `seconds`: the time that writing the newest ones took."""

    seconds = 0.0

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint of a round, atomically. Raises Unwritable."""
        arrays = _grouped("state", checkpoint.state) | _packed_curve(checkpoint.curve)
        if checkpoint.ended is not None:
            arrays |= _grouped("ended", checkpoint.ended)
        for iteration, snapshot in checkpoint.snapshots.items():
            arrays |= _packed(f"at{iteration}", snapshot, {})
        for index, masks in enumerate(checkpoint.recent):
            arrays |= _grouped(f"mask{index}", masks)
        bird = checkpoint.early_bird
        facts = {
            "key": checkpoint.key,
            "iteration": str(checkpoint.iteration),
            "seconds": repr(checkpoint.seconds),
            "rewind_points": json.dumps(list(checkpoint.snapshots)),
            "early_bird": "" if bird is None else bird.model_dump_json(),
            "recent": str(len(checkpoint.recent)),
        }
        write_tensors(self.path(checkpoint.key), arrays, facts)

    def sound(self, key: str) -> bool:
        """Return whether the checkpoint of that round is whole."""
        return self._read(key) is not None

    def read(self, key: str) -> Checkpoint | None:
        """Return the checkpoint of that round; None if it is missing or damaged, in which case its file is removed."""
        found = self._read(key)
        if found is None:
            self.remove(key)
        return found

    def remove(self, key: str) -> None:
        """Remove the checkpoint of a round. One that cannot be removed does no harm."""
        path = self.path(key)
        for left in (path, *path.parent.glob(f".{path.name}.*{PART}")):
            with suppress(OSError):
                left.unlink()

    def _read(self, key: str) -> Checkpoint | None:
        with _none_if_damaged():
            file = self._open(key)
            facts = file.facts
            return Checkpoint(
                key=key,
                iteration=int(facts["iteration"]),
                seconds=float(facts["seconds"]),
                state=file.group("state"),
                ended=file.group("ended") or None,
                curve=_unpacked_curve(file),
                snapshots={at: _unpacked(file, f"at{at}", {}, {}) for at in _numbers(facts["rewind_points"])},
                early_bird=EarlyBird.model_validate_json(facts["early_bird"]) if facts["early_bird"] else None,
                recent=[file.group(f"mask{index}") for index in range(int(facts["recent"]))],
            )
        return None
