"""The interface leaves when it is told to, or when its terminal goes away; the run does not end with it."""

import contextlib
import os
import signal
import threading
import time
from types import FrameType

from lth_tui.shell import LabApp

CHECKPOINT_SECONDS = 5.0
"""A run that is told to end may take so long to come to a checkpoint."""
CLOSING_SECONDS = 3.0
"""The interface may take so long to give the terminal back."""


def obey_signals(app: LabApp) -> None:
    """Leave by signal, with 128 and its number as the exit code.

    SIGHUP: the run goes on in a process without a terminal. SIGTERM and SIGINT: it stops at a checkpoint.
    """

    def leave(number: int) -> None:
        try:
            if number == signal.SIGHUP:
                app.worker.hand_over()
                app.worker.wait()
            else:
                app.worker.stop()
                app.worker.wait(CHECKPOINT_SECONDS)
                app.last_words = app.worker.words
        finally:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                # In its loop: what a handler there has begun would fail where the interface ends in the middle of it.
                app.call_later(app.exit, return_code=128 + number)
            time.sleep(CLOSING_SECONDS)
            os._exit(128 + number)

    def handle(number: int, frame: FrameType | None) -> None:
        # In a thread: what this has interrupted may be waiting for good to write to a terminal that is gone.
        threading.Thread(target=leave, args=(number,), name="leaving", daemon=True).start()

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
