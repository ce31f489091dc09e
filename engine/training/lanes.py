"""A pack of lanes on its way through one round."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from engine.networks import Snapshot
from engine.pruning import Masks, Weights
from engine.training import step
from engine.training.devices import machine
from engine.training.program import Program

CHUNK_SECONDS = 0.2
"""Aimed at for one call: short enough to obey at once, long enough that Python costs nothing."""

LaneState = dict[str, NDArray[Any]]
"""All that training changes in one lane, by name: `params/...`, `optimizer/...`, `best_params/...`, `iteration`..."""


@dataclass(frozen=True, eq=False)
class Lane:
    """What one lane is to do, all of it values.

    `start`: pruned weights zero; `order`: examples of each step `[iterations, batch]`; `rates`: learning
    rate of each step `[iterations]`; `validation`: indices `[V]`; `mean`, `std`: `[C]`; `seed`: of dropout and crops;
    `bounds`: of each kernel's magnitudes, shaped as it, where the program clamps.
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


@dataclass(frozen=True)
class Evaluation:
    """One validation of one lane. Losses in nats; not finite ones are kept as they are."""

    iteration: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, eq=False)
class LaneResult:
    """What one lane left. `best` are the weights at `best_iteration`, the lowest validation loss (infinite, and
    the starting weights, when no loss was finite); `moments` are the optimizer's, each shaped as the weights."""

    final: Snapshot
    best: Snapshot
    moments: tuple[Weights, ...]
    masks: Masks
    best_loss: float
    best_iteration: int
    test_accuracy: float
    test_accuracy_end: float

    @property
    def finite(self) -> bool:
        """Whether every last weight is a finite number."""
        return self.final.finite


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
    """Lanes that train together, a lane a device or several, through the iterations of one program.

    `width` lanes are trained whatever there are (the first stands in for the missing, unread), so that on
    accelerators the number of real ones changes no bit.
    """

    def __init__(self, program: Program, lanes: Sequence[Lane], data: DataOnDevices, width: int):
        if not lanes or len(lanes) > width or width % data.devices:
            raise ValueError(f"{len(lanes)} lanes do not make a pack of {width} on {data.devices} devices")
        self.program, self.count, self.iteration = program, len(lanes), 0
        self._lanes = [*lanes, *[lanes[0]] * (width - len(lanes))]
        self._data = data
        self._by_lane = step.lane_sharding(data.devices)
        # The number of iterations is in no compiled code: rounds of any length share it.
        self._code = replace(program, iterations=0)
        self._run = step.chunk_program(self._code, data.devices)
        begin = step.begin_program(self._code, data.devices)
        starts = [lane.start for lane in self._lanes]
        self._state = begin(self._stacked([it.params for it in starts]), self._stacked([it.state for it in starts]))
        self._fixed = self._stacked(
            [
                step.LaneConstants(
                    dict(lane.masks),
                    lane.validation,
                    lane.mean,
                    lane.std,
                    np.asarray(lane.seed, np.uint32),
                    dict(lane.bounds),
                )
                for lane in self._lanes
            ]
        )

    def started(self) -> list[Snapshot]:
        """What is on the devices now, by lane."""
        return self._snapshots(self._state.params, self._state.state)

    def tested(self, snapshots: Sequence[Snapshot]) -> list[float]:
        """Test accuracy (0 to 1) of another snapshot for each lane, of the same shapes."""
        test = step.test_program(self._code, self._data.devices)
        _, accuracies = test(
            self._stacked([it.params for it in snapshots]),
            self._stacked([it.state for it in snapshots]),
            self._fixed,
            self._data.test,
        )
        return [float(value) for value in np.asarray(accuracies)[: self.count]]

    def states(self) -> list[LaneState]:
        """All that training has changed in each lane, when everything sent off is done."""
        return self._named(self._state)

    def restore(self, states: Sequence[LaneState]) -> None:
        """Go on from these states of the lanes, all after the same number of steps.

        Raises ValueError where one is of another program or of other shapes, or they are not at one iteration of it.
        """
        lanes = [self._tree(state) for state in states]
        reached = {int(lane.iteration) for lane in lanes}
        if len(reached) > 1 or not 0 <= min(reached) <= self.program.iterations:
            raise ValueError(f"lanes after {sorted(reached)} of {self.program.iterations} steps")
        self._state, (self.iteration,) = self._stacked(lanes), reached

    def dispatch(self, intervals: int, steps: int, evaluate: bool, keep: bool = False) -> "InFlight":
        """Send off `intervals` times `steps` steps, each time with a validation if `evaluate`; does not wait.

        With `keep`, what the lanes are at then stays to be read.
        """
        program, start = self.program, self.iteration
        self.iteration += intervals * steps
        window = slice(start, self.iteration)
        room = program.intervals * program.evaluate_every
        order = np.zeros((len(self._lanes), room, program.batch), np.int32)
        rates = np.zeros((len(self._lanes), room), np.float32)
        for place, lane in enumerate(self._lanes):
            order[place, : self.iteration - start] = lane.order[window]
            rates[place, : self.iteration - start] = lane.rates[window]
        feed = step.Batches(*jax.device_put((order, rates), self._by_lane))
        on_cpu = machine().on_cpu
        turn = step.CallSpec(np.int32(intervals), np.int32(steps) if on_cpu else None, np.bool_(evaluate))
        length = None if on_cpu else steps
        self._state, rows = self._run(self._state, self._fixed, feed, self._data.train, turn, length)
        at = [start + steps * (number + 1) for number in range(intervals)] if evaluate else []
        kept = DeviceSnapshot(self, jax.tree.map(jnp.copy, self._state)) if keep else None
        return InFlight(self.iteration, at, rows, self.count, kept)

    def finish(self, ended: Mapping[int, LaneState] | None = None) -> list[LaneResult]:
        """Test the best and the last weights of each lane, once each, and bring everything back.

        Lanes that `ended` before the others are as they were then.
        """
        if ended:
            lanes = [ended.get(lane, state) for lane, state in enumerate(self.states())]
            self._state = self._stacked([self._tree(state) for state in lanes])
        state = self._state
        test = step.test_program(self._code, self._data.devices)
        _, best_accuracy = test(state.best_params, state.best_state, self._fixed, self._data.test)
        _, end_accuracy = test(state.params, state.state, self._fixed, self._data.test)
        finals = self._snapshots(state.params, state.state)
        bests = self._snapshots(state.best_params, state.best_state)
        moments = [self._unstacked(tree) for tree in _moments(state.optimizer)]
        masks = self._unstacked(self._fixed.masks)
        lane_sharding = (state.best_loss, state.best_iteration, best_accuracy, end_accuracy)
        loss, iteration, best, end = (np.asarray(values) for values in lane_sharding)
        return [
            LaneResult(
                final=finals[lane],
                best=bests[lane],
                moments=tuple(tree[lane] for tree in moments),
                masks=masks[lane],
                best_loss=float(loss[lane]),
                best_iteration=int(iteration[lane]),
                test_accuracy=float(best[lane]),
                test_accuracy_end=float(end[lane]),
            )
            for lane in range(self.count)
        ]

    def _stacked(self, trees: Sequence[Any]) -> Any:
        filled = [*trees, *[trees[0]] * (len(self._lanes) - len(trees))]
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *filled), self._by_lane)

    def _unstacked(self, tree: Any) -> list[Any]:
        host = jax.tree.map(np.asarray, tree)
        return [jax.tree.map(lambda leaf, lane=lane: np.array(leaf[lane]), host) for lane in range(self.count)]

    def _snapshots(self, params: Any, state: Any) -> list[Snapshot]:
        return [Snapshot(*both) for both in zip(self._unstacked(params), self._unstacked(state), strict=True)]

    def _named(self, state: step.State) -> list[LaneState]:
        return [{_name(path): leaf for path, leaf in _leaves(lane)} for lane in self._unstacked(state)]

    def _tree(self, state: LaneState) -> step.State:
        wanted = {_name(path): (leaf.shape[1:], leaf.dtype) for path, leaf in _leaves(self._state)}
        found = {name: (array.shape, array.dtype) for name, array in state.items()}
        if found != wanted:
            raise ValueError(f"the state of a lane of another program: {found}")
        tree: step.State = jax.tree.unflatten(jax.tree.structure(self._state), [state[name] for name in wanted])
        return tree


@dataclass(frozen=True, eq=False)
class DeviceSnapshot:
    """The lanes of a pack as they were at some iteration."""

    pack: LaneBatch
    state: step.State

    def snapshots(self) -> list[Snapshot]:
        """The network of each lane."""
        return self.pack._snapshots(self.state.params, self.state.state)

    def states(self) -> list[LaneState]:
        """All that training had changed in each lane."""
        return self.pack._named(self.state)


@dataclass(frozen=True, eq=False)
class InFlight:
    """A call that was sent off. `iteration` is where its lanes are when it is done."""

    iteration: int
    at: list[int]
    rows: step.Validations
    count: int
    kept: "DeviceSnapshot | None" = None

    def wait(self) -> list[list[Evaluation]]:
        """Wait for it; the validations of each lane."""
        train, loss, accuracy = (np.asarray(row) for row in self.rows)
        return [
            [
                Evaluation(iteration, float(train[lane, row]), float(loss[lane, row]), float(accuracy[lane, row]))
                for row, iteration in enumerate(self.at)
            ]
            for lane in range(self.count)
        ]


@dataclass
class StepTimer:
    """How long a step of one program takes, in seconds, as last seen; it lasts from pack to pack."""

    per_step: float | None = None

    @property
    def fitting(self) -> int:
        """Steps that take about `CHUNK_SECONDS`; one while nothing is known."""
        return 1 if self.per_step is None else max(1, math.floor(CHUNK_SECONDS / self.per_step))


def train(
    pack: LaneBatch,
    pace: StepTimer,
    between: Callable[[int, list[list[Evaluation]], DeviceSnapshot | None], bool],
    marks: frozenset[int] = frozenset(),
    due: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a pack from where it is to the end of its program, a call ahead of the devices.

    `between(iteration, readings of each lane, what is kept)` is called after each call's work; when it returns
    False the training ends there, and so does this, with False. What the lanes are at is kept at the iterations
    `marks`, and after a call that is sent off when `due()`. `pace` decides how the round is divided into calls,
    which changes no result.
    """
    calls = _calls(pack.program, pack.iteration, pace, marks)
    ahead: list[InFlight] = []

    def send() -> None:
        for intervals, steps, evaluate, marked in islice(calls, 1):
            ahead.append(pack.dispatch(intervals, steps, evaluate, keep=marked or due()))

    send()
    last: tuple[float, int] | None = None
    going = True
    while ahead:
        if going:
            send()
        pending = ahead.pop(0)
        readings = pending.wait()
        now = time.perf_counter()
        if last is not None:
            pace.per_step = (now - last[0]) / (pending.iteration - last[1])
        going = between(pending.iteration, readings, pending.kept) and going
        last = time.perf_counter(), pending.iteration
    return going


def _calls(
    program: Program, done: int, pace: StepTimer, marks: frozenset[int]
) -> Iterator[tuple[int, int, bool, bool]]:
    """(intervals, steps, evaluate, marked) of each call of a round after `done` steps; calls end at every mark."""
    every, on_cpu = program.evaluate_every, machine().on_cpu
    while done < program.iterations:
        end = min((mark for mark in marks if mark > done), default=program.iterations)
        left = min(end, program.iterations) - done
        if done % every == 0 and left >= every and (pace.fitting >= every or not on_cpu):
            steps = every
            intervals = max(1, min(pace.fitting // every, program.intervals, left // every))
        else:
            # Elsewhere than on a CPU a call has whole intervals, and shorter ones only before marks and at the end.
            intervals, to_boundary = 1, min(every - done % every, left)
            steps = min(to_boundary, pace.fitting) if on_cpu else to_boundary
        done += intervals * steps
        yield intervals, steps, done % every == 0 or done == program.iterations, done in marks


def _moments(optimizer: Any) -> list[Any]:
    """The trees in an optimizer's state that have the shape of the weights."""
    return [tree for tree in optimizer if isinstance(tree, dict)]


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    """(path, leaf) of each leaf of a tree, in its order."""
    found: list[tuple[Any, Any]] = jax.tree_util.tree_flatten_with_path(tree)[0]
    return found


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
