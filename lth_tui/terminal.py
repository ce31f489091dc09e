"""The terminal is made ready before Textual or JAX is imported, and given back as it was."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from engine.paths import make_folder
from lth_tui.ascii_only import ERRORS

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


def _lasting(descriptor: int, *, close: bool, ascii: bool = False) -> io.TextIOWrapper:
    raw = io.BufferedWriter(_Lasting(descriptor, "w", closefd=close))
    encoding = "ascii" if ascii else "utf-8"
    return io.TextIOWrapper(raw, encoding=encoding, errors=ERRORS if ascii else "replace", line_buffering=True)


def outlive() -> None:
    """Let what is printed be lost, and this process live, once the terminal that it is printed to has gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            _flush(stream)
            setattr(sys, name, _lasting(stream.fileno(), close=False))


def lose_output() -> None:
    """Let what is still to be printed be lost, also at the end of the interpreter."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def print_what_can_be(*, ascii: bool) -> None:
    """Print ASCII alone, or else what has no place in the encoding of the standard streams as ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if ascii:
                stream.reconfigure(encoding="ascii", errors=ERRORS)
            elif not stream.encoding.lower().startswith("utf"):
                stream.reconfigure(errors=ERRORS)


def is_plain(environment: Mapping[str, str]) -> bool:
    """Whether the terminal shows ASCII alone, as far as can be told: its locale is another than UTF-8, or it is the
    Linux console, whose fonts have little else. A locale that is not given says nothing."""
    if environment.get("TERM") == "linux":
        return True
    # Python itself sets LC_CTYPE where LANG is C.
    names = ("LC_ALL", "LANG") if environment.get("LANG") in ("C", "POSIX") else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next(filter(None, map(environment.get, names)), "UTF-8")
    return not locale.replace("-", "").lower().endswith("utf8")


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of an SSH connection."""
    return bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))


class Terminal:
    """File descriptor 2 points at the log file, `sys.__stderr__` at the terminal, until `restore`.

    Compilers and drivers in native code write to descriptor 2, which is where Textual draws; Textual itself
    writes to `sys.__stderr__`.
    """

    def __init__(self, log: Path, *, ascii: bool):
        self._python_stderr = sys.__stderr__
        self._kept = os.dup(2)
        self._screen: TextIO | None = _lasting(os.dup(2 if os.isatty(2) else 1), close=True, ascii=ascii)
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


def prepare(log: Path, *, ascii: bool = False) -> Terminal:
    """Point descriptor 2 at `log` and keep the terminal for Textual, which writes nothing but ASCII to it if so."""
    return Terminal(log, ascii=ascii)


def is_terminal() -> bool:
    """Whether there is a keyboard to read from and a screen to draw on."""
    return os.isatty(0) and (os.isatty(2) or os.isatty(1))


def can_draw(environment: Mapping[str, str]) -> bool:
    """Whether the terminal can move its cursor, as far as `TERM` says."""
    return environment.get("TERM") not in ("dumb", "unknown", "emacs")


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
