"""The prepared form of a data set, and the published files that it is made from.

A prepared data set is a folder of four `.npy` files and a JSON file with their types, shapes and the SHA-256 of their
values. It is published by one rename: complete or absent. Published files are verified before they are read.
"""

import errno
import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.datasets.folder import listing
from engine.datasets.source import NOTES, Arrays, Original, Report, Source
from engine.datasets.splits import Dataset
from engine.errors import BadInput
from engine.paths import make_folder

MANIFEST = "dataset.json"
_DRAFT = ".draft"
_ABANDONED_S = 24 * 3600.0
_PROBE_S = 2.5
_TIMEOUT_S = (5.0, 20.0)
_BLOCK = 1 << 18


class NotPrepared(Exception):
    """There is no such folder."""


class Damaged(Exception):
    """The folder exists and cannot be used; the text names the file and the reason."""


class Outdated(Damaged):
    """What the folder was prepared from has changed since."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    dtype: str
    shape: tuple[int, ...]
    bytes: int


class Manifest(BaseModel):
    """The JSON file; `state` and `classes` are those of the source.

    `notes` says what its images were converted from; `digest` is the SHA-256 of all other fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[2] = 2
    name: str
    fingerprint: str
    state: str
    classes: int
    arrays: dict[str, _File]
    notes: tuple[str, ...] = ()
    digest: str = ""

    def signed(self) -> Self:
        """Return a copy with its digest."""
        facts = self.model_dump_json(exclude={"digest"})
        return self.model_copy(update={"digest": hashlib.sha256(facts.encode()).hexdigest()})


def fingerprint(arrays: Arrays, validation: int = 0) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hexadecimal, and of the number of the training examples
    that are for validation, if that is fixed."""
    digest = hashlib.sha256(f"validation {validation}\n".encode() if validation else b"")
    for name, array in _named(arrays):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()


def dataset(source: Source, arrays: Arrays, fingerprint: str) -> Dataset:
    """Return the arrays, made read-only, as a `Dataset`."""
    for array in arrays:
        array.flags.writeable = False
    size, fixed = source.validation_size, source.fixed_validation
    return Dataset(source.name, *arrays, source.classes, size, fingerprint, fixed)


def fingerprint_of(source: Source, arrays: Arrays) -> str:
    """Return the fingerprint of the arrays of `source`."""
    return fingerprint(arrays, source.validation_size if source.fixed_validation else 0)


def write(folder: Path, source: Source, arrays: Arrays) -> None:
    """Write the arrays into `folder`, the JSON file last, which takes the place of `NOTES`."""
    files, notes = {}, folder / NOTES
    for name, array in _named(arrays):
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        files[name] = _File(dtype=array.dtype.str, shape=array.shape, bytes=path.stat().st_size)
    manifest = Manifest(
        name=source.name,
        fingerprint=fingerprint_of(source, arrays),
        state=source.state,
        classes=source.classes,
        arrays=files,
        notes=tuple(notes.read_text(encoding="utf-8").splitlines()) if notes.exists() else (),
    ).signed()
    notes.unlink(missing_ok=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the JSON file of a prepared folder. **Raises:** NotPrepared, Damaged."""
    try:
        if not folder.exists():
            raise NotPrepared
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the JSON of a prepared data set"
        raise Damaged(f"{MANIFEST}: {reason}") from error
    if manifest.digest != manifest.signed().digest:
        raise Damaged(f"{MANIFEST}: it is not what was written")
    if set(manifest.arrays) != set(Arrays._fields):
        raise Damaged(f"{MANIFEST}: it does not list {', '.join(Arrays._fields)}")
    if any(len(file.shape) != (4 if name.endswith("images") else 1) for name, file in manifest.arrays.items()):
        raise Damaged(f"{MANIFEST}: images [N, H, W, C] and labels [N] expected")
    return manifest


def check(folder: Path, source: Source) -> Manifest:
    """Compare the JSON file with `source` and with the sizes of the files; no array is read.

    **Returns:** the JSON file.
    **Raises:** NotPrepared, Damaged, Outdated.
    """
    manifest = read_manifest(folder)
    if manifest.name != source.name:
        raise Damaged(f"{MANIFEST}: made for {manifest.name}")
    if manifest.state != source.state:
        raise Outdated(f"{MANIFEST}: prepared from {manifest.state}, found {source.state}")
    for name, (dtype, shape) in _expected(source).items():
        listed, path = manifest.arrays[name], folder / f"{name}.npy"
        if (listed.dtype, listed.shape) != (dtype, shape):
            raise Damaged(f"{MANIFEST}: {name} is {listed.dtype} {listed.shape}, expected {dtype} {shape}")
        try:
            size = path.stat().st_size
        except OSError as error:
            raise Damaged(f"{path.name}: {error.strerror}") from error
        if size != listed.bytes:
            raise Damaged(f"{path.name}: {size} bytes, expected {listed.bytes}")
    return manifest


def read(folder: Path, source: Source) -> Dataset:
    """Map the arrays of a prepared folder, once every byte is as it was prepared.

    Each process reads the files in whole once, and again when their size, times or inodes have changed.

    **Raises:** NotPrepared, Damaged.
    """
    digest = check(folder, source).fingerprint
    arrays = _mapped(folder, source)
    marks = _marks(folder)
    if _VERIFIED.get(folder) != (digest, marks):
        if fingerprint_of(source, arrays) != digest:
            raise Damaged("the arrays are not those that were prepared")
        _VERIFIED[folder] = digest, marks
    return dataset(source, arrays, digest)


_VERIFIED: dict[Path, tuple[str, tuple[tuple[int, ...], ...]]] = {}
"""The fingerprint of each folder that this process has read in whole, and the marks of its files before."""


def _marks(folder: Path) -> tuple[tuple[int, ...], ...]:
    """What changes when a file does: size, time of change of content and of inode, inode and device."""
    try:
        found = [(folder / f"{name}.npy").stat() for name in Arrays._fields]
    except OSError as error:
        raise Damaged(f"{folder.name}: {error.strerror}") from error
    return tuple((item.st_size, item.st_mtime_ns, item.st_ctime_ns, item.st_ino, item.st_dev) for item in found)


def _mapped(folder: Path, source: Source) -> Arrays:
    """The arrays of a prepared folder as they are. **Raises:** Damaged."""
    arrays = []
    for name, (dtype, shape) in _expected(source).items():
        try:
            array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except Exception as error:  # NumPy raises whatever its parser of headers raises
            raise Damaged(f"{name}.npy: not an array") from error
        if (array.dtype.str, array.shape) != (dtype, shape):
            raise Damaged(f"{name}.npy: {array.dtype.str} {array.shape}, expected {dtype} {shape}")
        arrays.append(array)
    return Arrays(*arrays)


def sound(folder: Path, source: Source) -> bool:
    """Return whether every byte is as it was prepared."""
    try:
        read(folder, source)
    except (NotPrepared, Damaged):
        return False
    return True


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """Make a new folder beside `folder`, removed at the end unless it was published."""
    make_folder(folder.parent)
    _sweep(folder)
    path = _beside(folder)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(draft: Path, folder: Path, source: Source) -> None:
    """Rename the draft to `folder`. What another process published meanwhile stays, if it is sound."""
    while True:
        try:
            os.replace(draft, folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if sound(folder, source):
            return
        _set_aside(folder)


def _named(arrays: Arrays) -> Iterator[tuple[str, NDArray[Any]]]:
    yield from zip(arrays._fields, arrays, strict=True)


def _expected(source: Source) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array, in the order of `Arrays`."""
    return {
        "train_images": ("|u1", (source.train, *source.image_shape)),
        "train_labels": ("<i4", (source.train,)),
        "test_images": ("|u1", (source.test, *source.image_shape)),
        "test_labels": ("<i4", (source.test,)),
    }


def _beside(folder: Path) -> Path:
    """Return a new name on the same file system."""
    return folder.with_name(f".{folder.name}-{uuid.uuid4().hex}{_DRAFT}")


def _set_aside(folder: Path) -> None:
    # Rename first: a reader never sees a half-removed folder.
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
    """Remove the drafts of killed preparations of this data set."""
    for path in folder.parent.glob(f".{folder.name}-*{_DRAFT}"):
        try:
            old = time.time() - path.stat().st_mtime > _ABANDONED_S
        except OSError:
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)


def check_folder(folder: Path, source: Source) -> None:
    """Verify every original of `source` in `folder`.

    **Raises:** BadInput that names the first problem, what was found and what is expected.
    """
    wanted = f"expected a folder with {', '.join(original.name for original in source.originals)}"
    present = {found.name for found in listing(folder, wanted)}
    missing = [original.name for original in source.originals if original.name not in present]
    if missing:
        found = len(source.originals) - len(missing)
        raise BadInput(f"{folder}: {', '.join(missing)} missing, {found} of {len(source.originals)} files found")
    for original in source.originals:
        check_file(folder / original.name, original)


def check_file(path: Path, original: Original) -> None:
    """Compare length and SHA-256. **Raises:** BadInput."""
    try:
        size = path.stat().st_size
        if size != original.size:
            raise BadInput(f"{path}: {size} bytes, expected {original.size}; cut short, or not the published file")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected a file") from error
    if digest != original.sha256:
        raise BadInput(
            f"{path}: SHA-256 {digest[:12]}..., expected {original.sha256[:12]}...; damaged, or not the published file"
        )


def reachable(url: str) -> bool:
    """Return whether `url` answers within a few seconds, through the proxies of the environment."""
    answers: list[bool] = []

    def ask() -> None:
        import requests

        try:
            answers.append(requests.head(url, timeout=_PROBE_S, allow_redirects=True).ok)
        except (requests.RequestException, OSError):
            answers.append(False)

    # The timeout of a request does not cover the DNS lookup, which can hang for minutes.
    thread = threading.Thread(target=ask, name="data probe", daemon=True)
    thread.start()
    thread.join(_PROBE_S + 0.5)
    return bool(answers and answers[0])


def download(source: Source, folder: Path, report: Report) -> None:
    """Download every original into `folder` and verify it, after a quick check that the server can be reached.

    **Raises:** BadInput that says how to prepare the data set without a network.
    """
    if not reachable(source.url + source.originals[0].name):
        raise BadInput(f"{source.name} is not prepared and {source.url} cannot be reached: {source.offline_command}")
    total = sum(original.size for original in source.originals)
    done = 0
    for original in source.originals:
        _fetch(source, original, folder / original.name, report, done, total)
        try:
            check_file(folder / original.name, original)
        except BadInput as error:
            raise BadInput(
                f"{source.url}{original.name} arrived damaged ({error}): {source.offline_command}"
            ) from error
        done += original.size


def _fetch(source: Source, original: Original, path: Path, report: Report, done: int, total: int) -> None:
    import requests

    stage = f"downloading {original.name}"
    report(stage, done / total)
    try:
        with requests.get(source.url + original.name, stream=True, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
            with path.open("wb") as file:
                for block in response.iter_content(_BLOCK):
                    file.write(block)
                    done += len(block)
                    report(stage, min(done / total, 1.0))
    except requests.RequestException as error:
        raise BadInput(
            f"{source.url}{original.name} could not be downloaded ({type(error).__name__}): {source.offline_command}"
        ) from error
