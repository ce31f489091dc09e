"""Runs that go on without a terminal."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

from engine.errors import BadInput, LabError
from engine.store import Request, RunFolder, Store

LOG = "detached.log"
"""In the run's folder: what a process without a terminal has to say."""

_HOUSE = Path(__file__).resolve().parents[1]
_POLL = 0.05


def attach_words(run: str) -> str:
    """Where a run is now, and how to see it."""
    return f"{run} goes on without this terminal; to follow it: lth-tui attach {run}"


def go_on_detached(run: str, home: Path, asked: Request | None = None) -> None:
    """Let a process without a terminal go on with a run that is nobody's. It has begun to work when this returns.

    `asked`: what was asked of the run before; one that was paused stays so. Raises BadInput where the run cannot go on,
    and LabError where the process ends before it begins.
    """
    with Store(home).open(run) as folder:
        folder.request(Request.RESUME)
        try:
            with open(folder.folder / LOG, "ab", opener=_private) as log:
                _begin(folder, home, log, asked)
        except OSError as error:
            folder.request(Request.STOP)
            raise LabError(f"run {run!r}: cannot go on without a terminal: {error}") from None
        except BaseException:
            folder.request(Request.STOP)
            raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _begin(folder: RunFolder, home: Path, log: BinaryIO, asked: Request | None) -> None:
    before, told = folder.progress(), log.tell()
    process = subprocess.Popen(
        [sys.executable, "-m", "lth_tui", "resume", folder.id],
        # Where this package is: the folder that one happens to be in may hold modules of the same names.
        cwd=_HOUSE,
        env={**os.environ, "LTH_TUI_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    owned = False
    while process.poll() is None and folder.progress() == before:
        if not owned and folder.owner_alive():
            # Those who follow the run know by this that it goes on; its new owner has forgotten what was asked.
            owned = True
            folder.request(Request.PAUSE if asked is Request.PAUSE else Request.RESUME)
        time.sleep(_POLL)
    if process.poll() and folder.progress() == before:
        lines = Path(log.name).read_bytes()[told:].decode("utf-8", "replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "no word").removeprefix("lth-tui: ")
        if process.returncode == 2:
            raise BadInput(last)
        raise LabError(f"run {folder.id!r}: its process ended with code {process.returncode}: {last}")
    # Nobody else would take note of its end, and it would seem to live for as long as this process does.
    threading.Thread(target=process.wait, name="detached", daemon=True).start()
