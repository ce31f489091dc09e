"""Finished rounds in memory, as many as fit; the others are read from the store."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable

import psutil

from engine.analysis.measures import FinishedRound
from engine.networks import Snapshot
from engine.runner.lost import Lost
from engine.store import RoundStore, StoredRound

SHARE_OF_MEMORY = 0.125
"""Of the memory that is available when a run begins."""
_BYTES_OF_A_RANK = 16


class FinishedRounds:
    """The finished rounds of a run, by key. All methods may be called from several threads.

    Rounds that are not written yet are always kept; of the others the most recently used ones, up to
    `limit` bytes (default: an eighth of the available memory).
    """

    def __init__(self, store: RoundStore, limit: int | None = None):
        self._store = store
        self._limit = int(psutil.virtual_memory().available * SHARE_OF_MEMORY) if limit is None else limit
        self._lock = threading.RLock()
        self._unwritten: dict[str, StoredRound] = {}
        self._recent: OrderedDict[str, StoredRound] = OrderedDict()
        self._bytes = 0
        self._measurable: OrderedDict[str, tuple[FinishedRound, int]] = OrderedDict()

    def get(self, key: str) -> StoredRound:
        """The round of that key. Raises Lost when it cannot be read from the store."""
        with self._lock:
            found = self._unwritten.get(key) or self._recent.get(key)
            if found is None:
                found = self._store.read(key)
                if found is None:
                    raise Lost(key, self._store.path(key))
                self._remember(found)
            elif key in self._recent:
                self._recent.move_to_end(key)
            return found

    def add(self, stored: StoredRound, *, written: bool) -> None:
        """Keep a round that has just ended, or that was just read or written."""
        with self._lock:
            if not written:
                self._measurable.pop(stored.key, None)
            self._forget(stored.key)
            if written:
                self._unwritten.pop(stored.key, None)
                self._remember(stored)
            else:
                self._unwritten[stored.key] = stored

    def measurable(self, key: str, start: Callable[[], Snapshot] | None = None) -> FinishedRound:
        """The round of that key as measures see it: those of the newest rounds keep what was sorted for them.

        `start` makes the network that the round started from, which comparisons do not need. Raises Lost.
        """
        with self._lock:
            found, size = self._measurable.pop(key, (None, 0))
            if found is None:
                stored = self.get(key)
                found = FinishedRound(stored.masks, stored.final, start or stored.final)
                size = sum(_BYTES_OF_A_RANK * mask.size for mask in stored.masks.values())
            self._measurable[key] = found, size
            while len(self._measurable) > 1 and sum(it[1] for it in self._measurable.values()) > self._limit / 4:
                self._measurable.popitem(last=False)
            return found

    def _remember(self, stored: StoredRound) -> None:
        self._recent[stored.key] = stored
        self._bytes += _bytes_of(stored)
        while self._bytes > self._limit and len(self._recent) > 1:
            self._forget(next(iter(self._recent)))

    def _forget(self, key: str) -> None:
        found = self._recent.pop(key, None)
        if found is not None:
            self._bytes -= _bytes_of(found)


def _bytes_of(stored: StoredRound) -> int:
    snapshots: Iterable[Snapshot] = (stored.final, stored.best, *stored.snapshots.values())
    arrays = [array for one in snapshots for array in (*one.params.values(), *one.state.values())]
    return sum(array.nbytes for array in (*stored.masks.values(), *arrays))
