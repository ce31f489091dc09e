"""Files that are whole or absent."""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from engine.errors import Unwritable
from engine.paths import make_folder

PART = ".part"
"""The ending of names of unfinished files."""

_DISK_ERRORS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert I/O errors (disk full, read-only) raised in the block to Unwritable."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written: {error.strerror or error}") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _DISK_ERRORS:
            raise
        raise Unwritable(f"{path}: cannot be written: {error}") from error


def write_atomic(path: Path, *data: bytes | memoryview) -> None:
    """Write `data`, one piece after the other, to `path` in one step.

    A reader sees the old file or the new one, after a power cut too. Raises OSError.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PART}")
    if path.is_dir() and not path.is_symlink():
        path.rename(free_aside(path))
    try:
        with part.open("wb") as file:
            for piece in data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def free_aside(path: Path) -> Path:
    """Return a free name beside `path` for a damaged file."""
    return next(name for more in count(1) if not (name := path.with_name(f"{path.name}.damaged-{more}")).exists())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut, where the platform can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
