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
"""How the names of files end that are not whole yet."""

_OF_THE_DISK = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What cannot be written within, for no fault of its own, raises Unwritable."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written: {error.strerror or error}") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _OF_THE_DISK:
            raise
        raise Unwritable(f"{path}: cannot be written: {error}") from error


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader sees the old file or the new one, also after a power cut."""
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def free_aside(path: Path) -> Path:
    """A name that is free, beside `path`, for what is damaged."""
    return next(name for more in count(1) if not (name := path.with_name(f"{path.name}.damaged-{more}")).exists())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` last through a power cut, where the platform can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
