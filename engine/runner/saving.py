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


class Saving:
    """Writes the checkpoints of a pack in a thread of its own, those of one moment at a time."""

    def __init__(self, store: CheckpointStore):
        self._store = store
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[None] | None = None
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

    def due(self) -> bool:
        """Whether it is time for the next, and those before are written."""
        return self.since >= CHECKPOINT_SECONDS and (self._writing is None or self._writing.done())

    def save(self, checkpoints: list[Checkpoint]) -> None:
        """Write these in the background, once those before are written. Raises LabError where those could not be."""
        self.settle()
        self._last = time.monotonic()
        self._writing = self._writer.submit(self._write, checkpoints)

    def settle(self) -> None:
        """Wait until all are written. Raises LabError where one could not be."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, checkpoints: list[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            self._store.write(checkpoint)
