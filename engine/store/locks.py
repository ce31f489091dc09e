"""Locks that the kernel holds for a process: it releases them when the process ends, also after SIGKILL.

A lock is a file under `flock`, which excludes other processes and other objects of the same process. The holder writes
its name into the file, for messages alone. A file system without locks (some network file systems) is refused. On NFS
the lock excludes other processes, on other hosts too, but not other objects of one process.
"""

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import BadInput, LabError
from engine.paths import make_folder
from engine.store.files import writing
from engine.store.tensors import check_key

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A file of a stranger may be a link or a pipe."""
_LONGEST_NAME = 1000


class LockLost(LabError):
    """The lock file of this process was removed or replaced: another process may hold the lock."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, and the run that it holds it for. Empty where it has not yet said so."""

    run: str = ""
    host: str = ""
    pid: int = 0

    @property
    def words(self) -> str:
        """Such as "process 12 on host"."""
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


class Lock:
    """The lock in the file `path`. An object takes it once; a child process does not inherit it."""

    def __init__(self, path: Path):
        self.path = path
        self._handle: int | None = None

    def take(self, run: str) -> Holder | None:
        """Take the lock; return its holder if there is another one, else None.

        Raises Unwritable, and BadInput on a file system without locks.
        """
        with writing(self.path):
            if not self.path.parent.is_dir():
                make_folder(self.path.parent)
            while True:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
                try:
                    if not _exclude(handle, self.path):
                        return _named(handle)
                    # The holder before may have removed the file since it was opened.
                    if _same(handle, self.path):
                        os.ftruncate(handle, 0)
                        text = json.dumps(asdict(Holder(run, socket.gethostname(), os.getpid())))
                        os.pwrite(handle, text.encode(), 0)
                        self._handle, handle = handle, -1
                        return None
                finally:
                    if handle >= 0:
                        os.close(handle)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock and the file is still its own."""
        return self._handle is not None and _same(self._handle, self.path)

    def release(self) -> None:
        """Release the lock, if this object holds it, and remove its file."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with suppress(OSError):
                if _same(handle, self.path):
                    self.path.unlink()
            os.close(handle)


def holder_of(path: Path) -> Holder | None:
    """Return who holds the lock in the file `path`; None if nobody does, or there is no such file."""
    try:
        handle = os.open(path, os.O_RDONLY | _SAFELY)
    except OSError:
        return None
    try:
        return None if _locked(handle, fcntl.LOCK_SH, path) else _named(handle)
    except BadInput:
        return None
    finally:
        os.close(handle)


class RoundLocks:
    """Locks on rounds, one file each in `folder`, so that no two runs of a home train the same round.

    They save work, no more: a round that two runs train comes out the same, and is written whole. An object owns the
    locks that it takes.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._taken: dict[str, tuple[str, Lock]] = {}

    def take(self, key: str, run: str) -> Holder | None:
        """Lock a round for a run; return who holds it if that is another run, else None.

        Raises Unwritable, and BadInput on a file system without locks.
        """
        check_key(key)
        taken_for, mine = self._taken.get(key, ("", None))
        if mine is not None and mine.held:
            return None if taken_for == run else Holder(taken_for, socket.gethostname(), os.getpid())
        lock = Lock(self._folder / f"{key}.lock")
        holder = lock.take(run)
        if holder is None:
            self._taken[key] = run, lock
        return holder

    def release(self) -> None:
        """Release all locks of this object."""
        while self._taken:
            _, (_, lock) = self._taken.popitem()
            lock.release()

    def holders(self) -> dict[str, Holder]:
        """Return who holds which round, by key."""
        found = {path.stem: holder_of(path) for path in sorted(self._folder.glob("*.lock"))}
        return {key: holder for key, holder in found.items() if holder is not None}

    def abandoned(self) -> list[Path]:
        """Return the lock files of processes that have ended."""
        return [path for path in sorted(self._folder.glob("*.lock")) if holder_of(path) is None]

    def sweep(self) -> None:
        """Remove the lock files of processes that have ended."""
        for path in self.abandoned():
            lock = Lock(path)
            if lock.take("") is None:
                lock.release()


def _exclude(handle: int, path: Path) -> bool:
    """Take the lock of an open file for this object alone; return whether that was possible."""
    while not _locked(handle, fcntl.LOCK_EX, path):
        # Whoever asks for the holder shares the lock for a moment; a holder does not.
        if not _locked(handle, fcntl.LOCK_SH, path):
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def _locked(handle: int, kind: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        advice = "allowed: a file system with locks, in LTH_TUI_HOME"
        raise BadInput(f"{path}: cannot be locked: {error.strerror}; {advice}") from None
    return True


def _same(handle: int, path: Path) -> bool:
    """Return whether `path` is still the open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False


def _named(handle: int) -> Holder:
    try:
        found = json.loads(os.pread(handle, _LONGEST_NAME, 0))
        return Holder(str(found["run"]), str(found["host"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Holder()
