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
from engine.paths import log_file
from engine.store import Request, RunFinished, RunFolder, Store
from lth_tui.detach import attach_words, go_on_detached

COLLECT_AFTER = (10_000, 20, 1_000)
"""New objects before the youngest are collected, and how often before the older generations are too."""
SWITCH_INTERVAL = 0.0002
"""Seconds that the engine's Python may keep the interface waiting for the interpreter."""


@dataclass(frozen=True)
class Ended:
    """How the work on a run ended here: its status, "detached" where another process goes on with it, and a message
    where something failed."""

    run: str
    status: str
    message: str

    @property
    def words(self) -> str:
        """That in a line, with what to do."""
        if self.message:
            return self.message
        if self.status == "detached":
            return attach_words(self.run)
        on = f"; to go on where it was: lth-tui resume {self.run}" if self.status == "stopped" else ""
        return f"{self.run}: {self.status}{on}"


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
        self._idle, self._owned, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._idle.set()
        self._owned.set()
        self._over = True
        self._going_on = False
        self._asked: Request | None = None
        self.run: str | None = None
        self.ended: Ended | None = None

    @property
    def active(self) -> bool:
        return not self._idle.is_set()

    @property
    def words(self) -> str:
        """How the last work ended here; '' before any did."""
        return self.ended.words if self.ended else ""

    def start(self, run: str) -> None:
        """Begin to work on `run`. Raises BadInput while another is at work."""
        if self.active:
            raise BadInput(f"{self.run} is still at work here; allowed: one run at a time: wait, or stop it first")
        self._idle.clear()
        self._owned.clear()
        self._over = self._going_on = False
        self.run = run
        threading.Thread(target=self._work, args=(run,), name="lth-engine", daemon=True).start()

    def stop(self) -> None:
        """Ask the run at work here, if any, to stop at a checkpoint."""
        with self._lock:
            if folder := self._at_work():
                self._going_on = False
                with folder:
                    folder.request(Request.STOP)

    def hand_over(self) -> None:
        """The same, and a process without a terminal goes on from there; not where the run is to stop anyway."""
        with self._lock:
            if folder := self._at_work():
                with folder:
                    asked = folder.requested()
                    if asked is not Request.STOP:
                        self._going_on, self._asked = True, asked
                        folder.request(Request.STOP)

    def _at_work(self) -> RunFolder | None:
        # What is asked before the run is owned here would be forgotten, after that it would be another's.
        self._owned.wait()
        return None if self._over or self.run is None else Store(self._home).open(self.run)

    def wait(self, seconds: float | None = None) -> bool:
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
                self._owned.set()
                try:
                    status = self._engine(folder, store)
                except BaseException as error:
                    message = self._told(error)
                    if not isinstance(error, BadInput):
                        _close_events(folder, message, time.time() - began)
                finally:
                    with self._lock:
                        self._over = True
                    folder.release()
            if status == "stopped" and self._going_on:
                go_on_detached(run, self._home, self._asked)
                status = "detached"
        except BaseException as error:
            message = self._told(error)
        finally:
            self.ended = Ended(run, status, message)
            self._over = True
            self._owned.set()
            self._idle.set()
            self._ended(self.ended)

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
