"""The terminal is made ready before Textual or JAX is imported, and given back as it was."""

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from engine.places import make_folder

LOG_LIMIT = 4_000_000
"""Bytes after which the log file begins anew."""


class _Lasting(io.FileIO):
    """A terminal that may go away: what is written to it then is lost, and that is no error."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


def _lasting(descriptor: int, *, close: bool) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_Lasting(descriptor, "w", closefd=close))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="replace", line_buffering=True)


def outlive() -> None:
    """Let what is printed be lost, and this process live, once the terminal that it is printed to has gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            _flush(stream)
            setattr(sys, name, _lasting(stream.fileno(), close=False))


class Terminal:
    """File descriptor 2 points at the log file, `sys.__stderr__` at the terminal, until `restore`.

    Compilers and drivers in native code write to descriptor 2, which is where Textual draws; Textual itself
    writes to `sys.__stderr__`.
    """

    def __init__(self, log: Path):
        self._python_stderr = sys.__stderr__
        self._kept = os.dup(2)
        self._screen: TextIO | None = _lasting(os.dup(2 if os.isatty(2) else 1), close=True)
        sys.__stderr__ = self._screen  # type: ignore[misc]
        _flush(sys.stderr)
        target = _open_log(log)
        os.dup2(target, 2)
        os.close(target)

    def restore(self) -> None:
        """Give descriptor 2 and `sys.__stderr__` back; a second call does nothing."""
        if self._screen is None:
            return
        _flush(sys.stderr)
        os.dup2(self._kept, 2)
        os.close(self._kept)
        sys.__stderr__ = self._python_stderr  # type: ignore[misc]
        with contextlib.suppress(OSError):
            self._screen.close()
        self._screen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


def prepare(log: Path) -> Terminal:
    """Point descriptor 2 at `log` and keep the terminal for Textual."""
    return Terminal(log)


def is_terminal() -> bool:
    """Whether there is a keyboard to read from and a screen to draw on."""
    return os.isatty(0) and (os.isatty(2) or os.isatty(1))


def can_be_lost() -> bool:
    """Whether any of the standard streams is a terminal."""
    return any(os.isatty(descriptor) for descriptor in (0, 1, 2))


def _open_log(log: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        make_folder(log.parent)
        if log.is_file() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".old.log"))
        return os.open(log, flags, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _flush(stream: TextIO | None) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.flush()  # type: ignore[union-attr]
