"""One rule for reading: a file that cannot be read is in one of six states, each with one sentence.

Only a digest that differs, or SQLite's own word for corruption, makes a file damaged. A lock, a missing permission or a
failing disk says nothing about what is in it.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from engine.errors import BadInput


class State(StrEnum):
    """Why a file cannot be read."""

    BUSY = "busy"
    READ_ONLY = "read-only"
    FOREIGN = "foreign"
    ABSENT = "absent"
    NEWER = "newer"
    DAMAGED = "damaged"


_SENTENCES = {
    State.BUSY: "cannot be read now ({}); allowed: once that is over",
    State.READ_ONLY: "is on a read-only disk or in a read-only folder ({}); allowed: a folder that can be written",
    State.FOREIGN: "belongs to another user ({}); allowed: a folder of yours, in LTH_TUI_HOME",
    State.ABSENT: "is missing, or not a file; allowed: a run that `lth-tui runs` lists",
    State.NEWER: "has {}; allowed: the version of lth-tui that wrote it",
    State.DAMAGED: "is damaged ({}); allowed: a sound one; see `lth-tui doctor`",
}
_NO_ACCESS = {errno.EACCES, errno.EPERM}
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_NOT_NOW = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL}


class Unreadable(BadInput):
    """`what`, a file or what is in one, cannot be read for the reason `state`."""

    def __init__(self, state: State, what: object, detail: str = ""):
        super().__init__(f"{what} {_SENTENCES[state].format(detail or state.value)}")
        self.state = state


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Turn what fails in the block, which reads `path` (or `what` of it), into Unreadable."""
    try:
        yield
    except BadInput:
        raise
    except sqlite3.ProgrammingError:
        raise
    except (OSError, MemoryError, sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        state, detail = state_of(error, path)
        raise Unreadable(state, what or path, detail) from None


def state_of(error: BaseException, path: Path) -> tuple[State, str]:
    """Return the state of a file, by the error that reading it raised, and the reason in words."""
    detail = (str(error).splitlines() or [""])[0]
    if isinstance(error, OSError):
        return _by_number(error), error.strerror or detail
    if isinstance(error, MemoryError):
        return State.BUSY, "there is too little memory"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _LOCKED:
        return State.BUSY, "another process has locked it"
    if code in _NOT_NOW:
        return State.BUSY, detail
    if code == sqlite3.SQLITE_READONLY:
        return State.READ_ONLY, detail
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as why:
            return _by_number(why), why.strerror or str(why)
        return (State.BUSY if can_write(path.parent) else State.READ_ONLY), detail
    return State.DAMAGED, detail


def can_write(folder: Path) -> bool:
    """Return whether this process may make files in a folder."""
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _by_number(error: OSError) -> State:
    if error.errno in _NO_ACCESS:
        return State.FOREIGN
    if error.errno in _NO_FILE:
        return State.ABSENT
    return State.READ_ONLY if error.errno == errno.EROFS else State.BUSY
