"""Which rounds of a plan can be trained now: bookkeeping alone, in time proportional to the number of rounds."""

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum, auto
from typing import Generic, TypeVar

from engine.errors import LabError
from engine.experiment import Round


class _State(Enum):
    WAITING = auto()
    READY = auto()
    RUNNING = auto()
    FINISHED = auto()
    DROPPED = auto()


_Entry = tuple[int, int, str]
"""Round number, position in the plan, key: entries sort in the order of training."""


Group = TypeVar("Group", bound=Hashable)


class Scheduler(Generic[Group]):
    """Orders the rounds of a plan: a round is ready once all rounds that it depends on are finished.

    Ready rounds are handed out by round number, then in the order of the plan. A batch holds rounds of one `group`.
    Rounds whose key is in `stored` are handed out by `next_stored`, in the order of the plan, until `train` puts them
    among the rounds to train. Rounds below a diverged one, or below a collapsed one where their recipe asks for it,
    are dropped.
    """

    def __init__(
        self, rounds: Mapping[str, Round], group: Callable[[Round], Group], stored: Iterable[str] = ()
    ) -> None:
        self._rounds, self._group, self._stored = rounds, group, set(stored)
        self._position = {key: position for position, key in enumerate(rounds)}
        self._state = dict.fromkeys(rounds, _State.WAITING)
        self._children: dict[str, list[str]] = {key: [] for key in rounds}
        self._unmet: dict[str, int] = {}
        self._ready: dict[Group, list[_Entry]] = {}
        self._ready_stored: list[tuple[int, str]] = []
        self._lost: set[str] = set()
        self.open = len(rounds)
        """Rounds that are neither finished nor dropped."""
        for key, item in rounds.items():
            needed = item.dependencies
            self._unmet[key] = len(needed)
            for dependency in needed:
                if dependency in self._children:
                    self._children[dependency].append(key)
            if not needed:
                self._enqueue(key)

    def next_stored(self) -> Round | None:
        """The next ready round that is stored, or None. It then counts as running."""
        while self._ready_stored:
            _, key = heapq.heappop(self._ready_stored)
            if self._state[key] is _State.READY:
                self._state[key] = _State.RUNNING
                return self._rounds[key]
        return None

    def train(self, rounds: Iterable[Round]) -> None:
        """Put running rounds back among the ready ones: a batch that was lost, or a stored round that is of no use."""
        for item in rounds:
            self._stored.discard(item.key)
            self._enqueue(item.key)

    def next_batch(self, width: Callable[[Group], int], take: Callable[[Round], bool]) -> list[Round]:
        """The next ready rounds of one group, at most `width(group)`; empty when there are none.

        Rounds that `take` refuses stay ready. The others then count as running.
        """
        batch: list[Round] = []
        refused: list[tuple[Group, _Entry]] = []
        chosen: Group | None = None
        while chosen is None or len(batch) < width(chosen):
            group = self._first_group() if chosen is None else chosen
            if group is None or not self._prune(self._ready[group]):
                break
            entry = heapq.heappop(self._ready[group])
            item = self._rounds[entry[2]]
            self._state[item.key] = _State.RUNNING
            if take(item):
                chosen = group
                batch.append(item)
            else:
                refused.append((group, entry))
        for group, entry in refused:
            self._state[entry[2]] = _State.READY
            heapq.heappush(self._ready[group], entry)
        return batch

    def upcoming(self, width: Callable[[Group], int]) -> list[Round]:
        """The rounds that the next batch is likely to hold; they stay ready."""
        group = self._first_group()
        if group is None:
            return []
        found = heapq.nsmallest(width(group), self._ready[group])
        return [self._rounds[key] for _, _, key in found if self._state[key] is _State.READY]

    def finished(self, key: str, *, diverged: bool = False, collapsed: bool = False) -> None:
        """A round is finished: what depends on it may become ready, or is dropped."""
        self._state[key] = _State.FINISHED
        self.open -= 1
        for child in self._children[key]:
            if self._state[child] is not _State.WAITING:
                continue
            item = self._rounds[child]
            if item.parent is not None and (diverged or (collapsed and item.stop_on_collapse)):
                self._drop(child)
                continue
            self._unmet[child] -= 1
            if self._unmet[child] == 0:
                self._enqueue(child)

    def lost(self, key: str) -> bool:
        """A finished round can no longer be read: train it again. False when that happens for the second time."""
        if key in self._lost:
            return False
        self._lost.add(key)
        self.open += 1
        for child in self._children[key]:
            if self._state[child] in (_State.WAITING, _State.READY):
                self._state[child] = _State.WAITING
                self._unmet[child] += 1
        self._stored.discard(key)
        self._enqueue(key)
        return True

    def was_lost(self, key: str) -> bool:
        """Whether the round was trained, or is to be trained, a second time."""
        return key in self._lost

    def check_end(self) -> None:
        """Raise LabError when rounds are left that can never become ready. Call when nothing is ready or running."""
        if self.open:
            left = [key for key, state in self._state.items() if state not in (_State.FINISHED, _State.DROPPED)]
            item = self._rounds[left[0]]
            absent = sorted(dependency for dependency in item.dependencies if dependency not in self._rounds)
            why = f"depends on {absent[0]}, which is not in the plan" if absent else "never became ready"
            raise LabError(f"{len(left)} rounds cannot be trained: round {item.number} ({left[0]}) {why}")

    def _enqueue(self, key: str) -> None:
        self._state[key] = _State.READY
        item = self._rounds[key]
        if key in self._stored:
            heapq.heappush(self._ready_stored, (self._position[key], key))
        else:
            entry = (item.number, self._position[key], key)
            heapq.heappush(self._ready.setdefault(self._group(item), []), entry)

    def _first_group(self) -> Group | None:
        """The group of the first ready round."""
        heads = [(heap[0], group) for group, heap in self._ready.items() if self._prune(heap)]
        return min(heads, key=lambda head: head[0])[1] if heads else None

    def _prune(self, heap: list[_Entry]) -> bool:
        """Remove entries of rounds that are no longer ready from the top; whether any entry is left."""
        while heap and self._state[heap[0][2]] is not _State.READY:
            heapq.heappop(heap)
        return bool(heap)

    def _drop(self, key: str) -> None:
        waiting = [key]
        while waiting:
            dropped = waiting.pop()
            if self._state[dropped] is _State.WAITING:
                self._state[dropped] = _State.DROPPED
                self.open -= 1
                waiting.extend(self._children[dropped])
