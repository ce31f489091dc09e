"""Others see that a run lives, whatever it is busy with."""

import contextlib
import sqlite3
import threading
from types import TracebackType
from typing import Self

from engine.errors import LabError
from engine.store import Store

BEAT_SECONDS = 10.0


class Heartbeat:
    """Beats for a run and its leases, in a thread of its own."""

    def __init__(self, run: str, store: Store):
        self._run, self._store = run, store
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            # One that is missed does not matter.
            with contextlib.suppress(LabError, sqlite3.Error, OSError), self._store.open(self._run) as folder:
                folder.beat()
                self._store.leases.beat(self._run)
