"""Checkpoints are written while training continues, in at most 3% of the time."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from engine.store import Checkpoint, CheckpointStore

CHECKPOINT_SECONDS = 60.0
"""The shortest interval between two checkpoints of a round."""
MIN_SECONDS = 5.0
"""The shortest training that is also checkpointed before the test at the end of a round, which can be long."""
CHECKPOINT_SHARE = 0.03
"""The largest share of the time that checkpoints take."""


class CheckpointWriter:
    """Writes the checkpoints of a batch of lanes in a thread of its own, those of one moment at a time.

    What the newest ones took, copies from the devices included, is kept in `store.seconds` for later batches.
    """

    def __init__(self, store: CheckpointStore, clock: Callable[[], float] = time.monotonic):
        self._store, self._clock = store, clock
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._writing: Future[None] | None = None
        self._newest: list[Checkpoint] = []
        self._last = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait until nothing is being written, and end the thread."""
        self._writer.shutdown()

    @property
    def failed(self) -> bool:
        """Whether the newest checkpoints could not be written."""
        return self._writing is not None and self._writing.done() and self._writing.exception() is not None

    def due(self) -> bool:
        """Whether the next checkpoints are due, and those before are written."""
        return self._over(CHECKPOINT_SECONDS) and (self._writing is None or self._writing.done())

    def due_at_end(self) -> bool:
        """Whether a round that is about to be tested is worth a checkpoint."""
        return self._over(MIN_SECONDS)

    def save(self, make: Callable[[], list[Checkpoint]]) -> None:
        """Make checkpoints and write them in the background, once those before are written.

        Raises Unwritable if those before cannot be written.
        """
        self.flush()
        begun = self._clock()
        self._newest = make()
        self._last = self._clock()
        self._writing = self._writer.submit(self._write, self._newest, self._last - begun)

    def flush(self) -> None:
        """Wait until all are written, and write again those that failed. Raises Unwritable."""
        if self._writing is not None and self._writing.exception() is not None:
            self._write(self._newest, 0.0)
        self._writing = None

    def _over(self, least: float) -> bool:
        return self._clock() - self._last >= max(least, self._store.seconds / CHECKPOINT_SHARE)

    def _write(self, checkpoints: list[Checkpoint], seconds: float) -> None:
        begun = self._clock()
        for checkpoint in checkpoints:
            self._store.write(checkpoint)
        self._store.seconds = seconds + self._clock() - begun
