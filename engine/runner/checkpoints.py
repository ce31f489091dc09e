"""Checkpoints are written while training goes on."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from engine.store import Checkpoint, CheckpointStore

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints of a round: what a run that is killed loses at the most."""
WORTH_KEEPING = 5.0
"""Seconds of training that are kept also before the test at the end of a round, which can be long."""


class CheckpointWriter:
    """Writes the checkpoints of a pack in a thread of its own, those of one moment at a time."""

    def __init__(self, store: CheckpointStore):
        self._store = store
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[None] | None = None
        self._newest: list[Checkpoint] = []
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown()

    @property
    def since(self) -> float:
        """Seconds since the newest checkpoint, or since the pack began."""
        return time.monotonic() - self._last

    @property
    def failed(self) -> bool:
        """Whether the newest could not be written."""
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def due(self) -> bool:
        """Whether it is time for the next, and those before are written."""
        return self.since >= CHECKPOINT_SECONDS and (self._writing is None or self._writing.done())

    def save(self, checkpoints: list[Checkpoint]) -> None:
        """Write these in the background, once those before are written. Raises Unwritable where those cannot be."""
        self.settle()
        self._last, self._newest = time.monotonic(), checkpoints
        self._writing = self._writer.submit(self._write, checkpoints)

    def settle(self) -> None:
        """Wait until all are written; what could not be is written here and now. Raises Unwritable."""
        if self._writing is not None and self._writing.exception() is not None:
            self._write(self._newest)
        self._writing = None

    def _write(self, checkpoints: list[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            self._store.write(checkpoint)
