"""Train a batch of lanes through one round."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from engine.networks import Snapshot
from engine.pruning import Masks
from engine.training import step
from engine.training.devices import machine
from engine.training.program import Program

CHUNK_SECONDS = 0.2
"""Target duration of a call: short enough to react to requests, long enough to hide the cost of Python."""
FEED_NUMBERS = 2**17
"""Order and learning-rate values of a lane that are on the device at once: 512 KiB per lane."""

LaneState = dict[str, NDArray[Any]]
"""The training state of one lane, by name: `params/...`, `optimizer/...`, `best_params/...`, `iteration`..."""


@dataclass(frozen=True, eq=False)
class Lane:
    """The inputs of one lane.

    **Arguments:** `start`, with pruned weights at zero; `order`, examples of each step `[iterations, batch]`; `rates`,
    learning rate of each step `[iterations]`; `validation`, indices `[V]`; `mean`, `std`, `[C]`; `seed` of dropout and
    crops; `bounds` of each kernel's magnitudes, shaped as it, where the recipe clamps; `first`, the iteration of the
    recipe that step 0 is: dropout and crops of a rewound round continue there, as its order and rates do.
    """

    start: Snapshot
    masks: Masks
    order: NDArray[np.int32]
    rates: NDArray[np.float32]
    validation: NDArray[np.int32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    seed: int = 0
    bounds: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True)
class Evaluation:
    """One validation of one lane after `iteration` steps of the round. Losses in nats; they may be infinite or NaN."""

    iteration: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, eq=False)
class LaneResult:
    """The result of one lane.

    **Arguments:** `best`, the network after `best_iteration` steps of the round, where the validation loss was lowest
    (the start, and an infinite loss, when no loss was finite); `masks` as they were on the device; `nonzero_pruned`,
    how many pruned values of the final and best weights and of the optimizer's moments are not exactly zero, by
    "weights dense1/kernel" or "optimizer moments dense1/kernel", counted on the device; `finite`, whether all final
    values are finite numbers; test accuracies from 0 to 1, of the best and of the final network.
    """

    final: Snapshot
    best: Snapshot
    masks: Masks
    nonzero_pruned: dict[str, int]
    finite: bool
    best_loss: float
    best_iteration: int
    test_accuracy: float
    test_accuracy_end: float


@dataclass(frozen=True, eq=False)
class DataOnDevices:
    """Training and test examples, on each of the first `devices` devices."""

    devices: int
    train: step.Examples
    test: step.Examples

    @classmethod
    def put(
        cls,
        devices: int,
        train: tuple[NDArray[np.uint8], NDArray[np.int32]],
        test: tuple[NDArray[np.uint8], NDArray[np.int32]],
    ) -> "DataOnDevices":
        everywhere = step.replicated(devices)
        return cls(
            devices,
            step.Examples(*(jax.device_put(np.asarray(part), everywhere) for part in train)),
            step.Examples(*(jax.device_put(np.asarray(part), everywhere) for part in test)),
        )


class LaneBatch:
    """Lanes of one program that train together through a round of `iterations` steps, one or more on each device.

    The batch is padded to `width` lanes with copies of the first, so on accelerators results do not depend on the
    number of real lanes. `iteration` counts the steps of the round that were sent to the devices.
    """

    def __init__(self, program: Program, lanes: Sequence[Lane], data: DataOnDevices, width: int):
        if not lanes or len(lanes) > width or width % data.devices:
            raise ValueError(f"{len(lanes)} lanes do not make a batch of {width} on {data.devices} devices")
        lengths = sorted({len(lane.order) for lane in lanes})
        if len(lengths) > 1:
            raise ValueError(f"the lanes of a batch take equally many steps, not {lengths}")
        self.program, self.count, self.iteration = program, len(lanes), 0
        (self.iterations,) = lengths
        self._lanes = [*lanes, *[lanes[0]] * (width - len(lanes))]
        self._data = data
        self._by_lane = step.lane_sharding(data.devices)
        self._shapes = step.shapes_of(program)
        self._run = step.chunk_program(program, data.devices)
        self._feed: step.Batches | None = None
        self._fed = range(0)
        begin = step.begin_program(program, data.devices)
        self._state, self._fixed = begin(self._put(step.Rows(self._floats(), self._bits(), self._ints())))

    @property
    def most_steps(self) -> int:
        """Steps of one call at most."""
        return max(1, FEED_NUMBERS // (self.program.batch + 1))

    def started(self) -> list[Snapshot]:
        """Return the current network of each lane."""
        return self._snapshots(self._state)

    def tested(self, snapshots: Sequence[Snapshot]) -> list[float]:
        """Return the test accuracy (0 to 1) of the given network for each lane."""
        rows = np.empty((len(self._lanes), step.length(self._shapes[0]) + step.length(self._shapes[1])), np.float32)
        for row, snapshot in zip(rows, snapshots, strict=False):
            self._write(row, snapshot)
        rows[len(snapshots) :] = rows[0]
        test = step.test_program(self.program, self._data.devices)
        accuracies = test(self._put(rows), self._fixed, self._data.test)
        return [float(value) for value in np.asarray(accuracies)[: self.count]]

    def states(self) -> list[LaneState]:
        """Return the training state of each lane after all calls have ended."""
        return self._named(self._state)

    def restore(self, states: Sequence[LaneState]) -> None:
        """Continue from the states of all lanes, which must be at the same step.

        Raises ValueError for states of another program, of other shapes, or after different numbers of steps.
        """
        lanes = [self._tree(state) for state in states]
        reached = {int(lane.iteration) for lane in lanes}
        if len(reached) > 1 or not 0 <= min(reached) <= self.iterations:
            raise ValueError(f"lanes after {sorted(reached)} of {self.iterations} steps")
        self._state, (self.iteration,) = self._stacked(lanes), reached

    def dispatch(self, intervals: int, steps: int, evaluate: bool, keep: bool = False) -> "InFlight":
        """Send `intervals` times `steps` steps, each interval with a validation if `evaluate`, without waiting.

        With `keep` a copy of the lanes after the call stays on the devices.
        """
        start = self.iteration
        self.iteration += intervals * steps
        feed = self._feeding(start, self.iteration)
        on_cpu = machine().on_cpu
        turn = step.CallSpec(
            np.int32(start - self._fed.start),
            np.int32(intervals),
            np.int32(steps) if on_cpu else None,
            np.bool_(evaluate),
        )
        self._state, rows = self._run(self._state, self._fixed, feed, self._data.train, turn, None if on_cpu else steps)
        at = [start + steps * (number + 1) for number in range(intervals)] if evaluate else []
        kept = DeviceSnapshot(self, step.copy_program()(self._state)) if keep else None
        return InFlight(self.iteration, at, rows, self.count, kept)

    def finish(self, ended: Mapping[int, LaneState] | None = None) -> list[LaneResult]:
        """Test the best and the final network of each lane once and bring everything back.

        Lanes that `ended` early use their state at that time.
        """
        if ended:
            lanes = [ended.get(lane, state) for lane, state in enumerate(self.states())]
            self._state = self._stacked([self._tree(state) for state in lanes])
        finish = step.finish_program(self.program, self._data.devices)
        outcome = jax.device_get(finish(self._state, self._fixed, self._data.test))
        labels, masks_of = step.counted(self.program), self._shapes[2]
        results = []
        for lane in range(self.count):
            best_iteration, finite, *counts = outcome.counts[lane].tolist()
            best_loss, test_accuracy, test_accuracy_end = outcome.numbers[lane].tolist()
            bits = np.unpackbits(outcome.bits[lane], count=step.length(masks_of)).view(np.bool_)
            (masks,) = step.split_row(bits, masks_of)
            masks = {name: mask for name, mask in masks.items() if name in self._lanes[lane].masks}
            results.append(
                LaneResult(
                    final=self._snapshot(outcome.final[lane]),
                    best=self._snapshot(outcome.best[lane]),
                    masks=masks,
                    nonzero_pruned=dict(zip(labels, counts, strict=True)),
                    finite=bool(finite),
                    best_loss=best_loss,
                    best_iteration=best_iteration,
                    test_accuracy=test_accuracy,
                    test_accuracy_end=test_accuracy_end,
                )
            )
        return results

    def _floats(self) -> NDArray[np.float32]:
        """The rows `floats` of all lanes, see `step.Rows`."""
        lanes, channels = self._lanes, self.program.image_shape[-1]
        plain = step.length(self._shapes[0]) + step.length(self._shapes[1])
        bounded = step.length(self._shapes[2]) if lanes[0].bounds else 0
        rows = np.empty((len(lanes), plain + 2 * channels + bounded), np.float32)
        for row, lane in zip(rows, lanes, strict=True):
            self._write(row[:plain], lane.start)
            row[plain : plain + channels] = lane.mean
            row[plain + channels : plain + 2 * channels] = lane.std
            if bounded:
                np.concatenate(step.joined(lane.bounds, self._shapes[2]), out=row[plain + 2 * channels :])
        return rows

    def _bits(self) -> NDArray[np.uint8]:
        # A layer that is never pruned has no mask; on the device it has one of ones.
        masks_of = self._shapes[2]
        ones = {name: np.ones(shape, np.bool_) for name, shape in masks_of}
        return np.stack([np.packbits(np.concatenate(step.joined(ones | lane.masks, masks_of))) for lane in self._lanes])

    def _ints(self) -> NDArray[np.int32]:
        rows = np.empty((len(self._lanes), 2 + len(self._lanes[0].validation)), np.int32)
        rows[:, 0] = np.array([lane.seed for lane in self._lanes], np.uint32).view(np.int32)
        for row, lane in zip(rows, self._lanes, strict=True):
            row[1], row[2:] = lane.first, lane.validation
        return rows

    def _write(self, row: NDArray[np.float32], snapshot: Snapshot) -> None:
        params, state, _ = self._shapes
        np.concatenate([*step.joined(snapshot.params, params), *step.joined(snapshot.state, state)], out=row)

    def _feeding(self, start: int, end: int) -> step.Batches:
        """Return the order and rates on the devices for the steps `start` to `end`, uploading many steps at once."""
        if self._feed is None or start not in self._fed or end > self._fed.stop:
            room = self.most_steps
            if end - start > room:
                raise ValueError(f"a call takes at most {room} steps, not {end - start}")
            order = np.zeros((len(self._lanes), room, self.program.batch), np.int32)
            rates = np.zeros((len(self._lanes), room), np.float32)
            for place, lane in enumerate(self._lanes):
                rows = lane.order[start : start + room]
                order[place, : len(rows)] = rows
                rates[place, : len(rows)] = lane.rates[start : start + room]
            self._feed, self._fed = step.Batches(*self._put((order, rates))), range(start, start + room)
        return self._feed

    def _put(self, tree: Any) -> Any:
        return jax.device_put(tree, self._by_lane)

    def _stacked(self, trees: Sequence[Any]) -> Any:
        filled = [*trees, *[trees[0]] * (len(self._lanes) - len(trees))]
        return self._put(jax.tree.map(lambda *leaves: np.stack(leaves), *filled))

    def _snapshot(self, row: NDArray[np.float32]) -> Snapshot:
        params, state, _ = self._shapes
        return Snapshot(*step.split_row(row.copy(), params, state))

    def _snapshots(self, state: step.State) -> list[Snapshot]:
        rows = np.asarray(step.snapshot_program(self.program)(state.params, state.state))
        return [self._snapshot(row) for row in rows[: self.count]]

    def _named(self, state: step.State) -> list[LaneState]:
        leaves = [(_name(path), leaf) for path, leaf in _leaves(jax.device_get(state))]
        return [{name: np.array(leaf[lane]) for name, leaf in leaves} for lane in range(self.count)]

    def _tree(self, state: LaneState) -> step.State:
        wanted = {_name(path): (leaf.shape[1:], leaf.dtype) for path, leaf in _leaves(self._state)}
        found = {name: (array.shape, array.dtype) for name, array in state.items()}
        if found != wanted:
            raise ValueError(f"the state of a lane of another program: {found}")
        tree: step.State = jax.tree.unflatten(jax.tree.structure(self._state), [state[name] for name in wanted])
        return tree


@dataclass(frozen=True, eq=False)
class DeviceSnapshot:
    """The lanes of a batch at one iteration, on the devices."""

    batch: LaneBatch
    state: step.State

    def snapshots(self) -> list[Snapshot]:
        """The network of each lane."""
        return self.batch._snapshots(self.state)

    def states(self) -> list[LaneState]:
        """Return the training state of each lane."""
        return self.batch._named(self.state)


@dataclass(frozen=True, eq=False)
class InFlight:
    """A dispatched call. After it the lanes are at `iteration`."""

    iteration: int
    at: list[int]
    rows: jax.Array
    count: int
    kept: "DeviceSnapshot | None" = None

    def wait(self) -> list[list[Evaluation]]:
        """Wait for the call and return the evaluations of each lane."""
        rows = np.asarray(self.rows)
        return [
            [Evaluation(iteration, *rows[lane, number].tolist()) for number, iteration in enumerate(self.at)]
            for lane in range(self.count)
        ]


@dataclass
class StepTimer:
    """The latest duration of a step of one program, shared by its batches."""

    per_step: float | None = None

    @property
    def fitting(self) -> int:
        """Return the number of steps that take about `CHUNK_SECONDS`; one before the first measurement."""
        return 1 if self.per_step is None else max(1, math.floor(CHUNK_SECONDS / self.per_step))


def train(
    batch: LaneBatch,
    timer: StepTimer,
    between: Callable[[int, list[list[Evaluation]], DeviceSnapshot | None], bool],
    rewind_points: frozenset[int] = frozenset(),
    due: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a batch to the end of its round, one call ahead of the devices.

    `between(iteration, evaluations of each lane, snapshot)` runs after each call; when it returns False training ends
    there, and `train` returns False. A snapshot is taken at each of the `rewind_points`, and after a call that is sent
    while `due()`. The timer decides how the round is divided into calls, which changes no result.
    """
    calls = _calls(batch, timer, rewind_points)
    ahead: list[InFlight] = []

    def send() -> None:
        for intervals, steps, evaluate, marked in islice(calls, 1):
            ahead.append(batch.dispatch(intervals, steps, evaluate, keep=marked or due()))

    send()
    last: tuple[float, int] | None = None
    going = True
    while ahead:
        if going:
            send()
        pending = ahead.pop(0)
        evaluations = pending.wait()
        now = time.perf_counter()
        if last is not None:
            timer.per_step = (now - last[0]) / (pending.iteration - last[1])
        going = between(pending.iteration, evaluations, pending.kept) and going
        last = time.perf_counter(), pending.iteration
    return going


def _calls(batch: LaneBatch, timer: StepTimer, rewind_points: frozenset[int]) -> Iterator[tuple[int, int, bool, bool]]:
    """(intervals, steps, evaluate, marked) of each call of the rest of a round; calls end at every mark.

    On accelerators each number of steps is a compilation: there they are a whole interval, or a power of two.
    """
    every, on_cpu, done = batch.program.evaluate_every, machine().on_cpu, batch.iteration
    while done < batch.iterations:
        end = min((point for point in rewind_points if point > done), default=batch.iterations)
        left = min(end, batch.iterations) - done
        if done % every == 0 and every <= min(left, batch.most_steps) and (timer.fitting >= every or not on_cpu):
            steps = every
            most = min(timer.fitting, batch.most_steps, left) // every
            intervals = max(1, min(most, step.MAX_INTERVALS))
        else:
            intervals, boundary = 1, min(every - done % every, left, batch.most_steps)
            steps = min(boundary, timer.fitting) if on_cpu else 1 << (boundary.bit_length() - 1)
        done += intervals * steps
        yield intervals, steps, done % every == 0 or done == batch.iterations, done in rewind_points


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    """(path, leaf) of each leaf of a tree, in its order."""
    found: list[tuple[Any, Any]] = jax.tree_util.tree_flatten_with_path(tree)[0]
    return found


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
