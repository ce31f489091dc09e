"""The one thread in which the engine works while the interface draws."""

import contextlib
import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadInput, LabError
from engine.places import log_file
from engine.store import RunFinished, RunFolder, Store

COLLECT_AFTER = (10_000, 20, 1_000)
"""New objects before the youngest are collected, and how often before the older generations are too."""
SWITCH_INTERVAL = 0.0002
"""Seconds that the engine's Python may keep the interface waiting for the interpreter."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, and a message when it failed."""

    run: str
    status: str
    message: str


Engine = Callable[[RunFolder, Store], str]


def execute(folder: RunFolder, store: Store) -> str:
    """Run the study; JAX is first imported here, in the worker's thread."""
    from engine.runner import run

    # JAX brings a million objects that live as long as the process. A full collection that looks at them all holds
    # the interpreter, and with it the interface, for a third of a second.
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    return run(folder, store)


class Worker:
    """Runs one study at a time in a daemon thread of its own; `ended` is called in that thread.

    A daemon, so that no exit ever waits for it; `active` tells whether it still works.
    """

    def __init__(
        self,
        home: Path,
        ended: Callable[[Ended], object],
        engine: Engine = execute,
    ):
        self._home, self._ended, self._engine = home, ended, engine
        self._idle = threading.Event()
        self._idle.set()
        self.run: str | None = None

    @property
    def active(self) -> bool:
        return not self._idle.is_set()

    def start(self, run: str) -> None:
        """Begin to work on `run`. Raises BadInput while another is at work."""
        if self.active:
            raise BadInput(f"{self.run} is still at work here; allowed: one run at a time: wait, or stop it first")
        self._idle.clear()
        self.run = run
        threading.Thread(target=self._work, args=(run,), name="lth-engine", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread to end its work; whether it did."""
        return self._idle.wait(seconds)

    def _work(self, run: str) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        began = time.time()
        status, message = "failed", ""
        try:
            store = Store(self._home)
            with store.open(run) as folder:
                folder.own()
                try:
                    status = self._engine(folder, store)
                except BaseException as error:
                    message = self._told(error)
                    if not isinstance(error, BadInput):
                        _close_events(folder, message, time.time() - began)
                finally:
                    folder.release()
        except BaseException as error:
            message = self._told(error)
        finally:
            self._idle.set()
            self._ended(Ended(run, status, message))

    def _told(self, error: BaseException) -> str:
        if isinstance(error, LabError):
            return str(error)
        log = log_file(self._home)
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return f"the engine failed ({words}); the traceback is in {log}"


def _close_events(folder: RunFolder, message: str, seconds: float) -> None:
    """Tell the end of a run that the engine could not tell."""
    events = folder.events()
    if not events or not isinstance(events[-1].event, RunFinished):
        folder.append(RunFinished(status="failed", trained=0, reused=0, seconds=seconds, message=message))
