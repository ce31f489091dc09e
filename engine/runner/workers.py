"""Workers train batches of lanes. The scheduler hands one batch at a time to each, and only the scheduler's process
writes the run and the store."""

import gc
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from engine.datasets import Dataset
from engine.experiment import Round
from engine.networks import Snapshot
from engine.pruning import invariants
from engine.runner.epochs import EpochMonitor
from engine.runner.inputs import InputBuilder, RoundInputs
from engine.store import Checkpoint, CurvePoint, EarlyBird
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Evaluation,
    LaneBatch,
    LaneResult,
    LaneState,
    Program,
    StepTimer,
    machine,
    out_of_memory,
    train,
)


@dataclass(frozen=True, eq=False)
class Batch:
    """Rounds of one program to train side by side, with all that training them takes.

    `rewind_points`: the iterations of each round at which others need its weights. `pruned_from`: the network that
    each round was pruned from, under its new masks; None for a round that was not pruned from another. `checkpoints`:
    empty, or one for each round, all after the same number of steps.
    """

    program: Program
    rounds: Sequence[Round]
    inputs: Sequence[RoundInputs]
    rewind_points: Sequence[frozenset[int]]
    pruned_from: Sequence[Snapshot | None]
    checkpoints: Sequence[Checkpoint]


@dataclass(frozen=True, eq=False)
class TrainedRound:
    """What training one round of a batch gave.

    `iterations`: steps of training; `snapshots`: the network at each rewind point; `test_accuracy_pruned`: accuracy,
    0 to 1, of the parent's weights under the new masks, before training; `seconds` of training.
    """

    lane: LaneResult
    curve: list[CurvePoint]
    iterations: int
    snapshots: dict[int, Snapshot]
    early_bird: EarlyBird | None
    test_accuracy_pruned: float | None
    seconds: float


class Control(Protocol):
    """What a worker reports of its batch while it trains, and asks."""

    @property
    def paused_seconds(self) -> float:
        """Seconds for which the run was paused so far."""

    def resume(self, iteration: int, curves: list[list[CurvePoint]]) -> None:
        """The batch goes on from checkpoints after `iteration` steps, with the curves that its rounds had then."""

    def advance(self, iteration: int, new_points: list[list[CurvePoint]]) -> bool:
        """The batch has trained `iteration` steps; `new_points` of each round's curve. False: stop. May block while
        the run is paused."""

    def testing(self) -> None:
        """The batch has trained all its steps and is tested."""

    def checkpoint_due(self) -> bool:
        """Whether it is time to save checkpoints."""

    def checkpoint_due_at_end(self) -> bool:
        """Whether a batch that is about to be tested is worth a checkpoint."""

    def save(self, make: Callable[[], list[Checkpoint]]) -> None:
        """Make checkpoints and write them in the background."""

    def remove(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Remove checkpoints that do not fit."""


class WorkerLost(Exception):
    """A worker is gone, and its batch with it."""


class Worker(Protocol):
    """Trains batches. Each worker is called from one thread of its own."""

    def width(self, program: Program) -> int:
        """Rounds that a batch of this program may hold."""

    def narrow(self) -> bool:
        """Halve the batches from here on, after OutOfMemory; False when they cannot be halved."""

    def train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
        """Train a batch; None when it was stopped, after its checkpoints were saved.

        Raises InvariantViolated, OutOfMemory, and WorkerLost when the worker cannot be reached any more.
        """


class LocalWorker:
    """Trains on the devices of this process, batches of as many lanes as suit `most_at_once` rounds."""

    def __init__(self, dataset: Dataset, inputs: InputBuilder, most_at_once: int):
        self._dataset, self._inputs = dataset, inputs
        self._width = machine().width(most_at_once)
        self._data = cache(self._put)
        self._timers: defaultdict[Program, StepTimer] = defaultdict(StepTimer)

    def width(self, program: Program) -> int:
        return self._width

    def narrow(self) -> bool:
        least = 1 if machine().on_cpu else machine().devices
        if self._width == least:
            return False
        self._width = max(least, self._width // 2)
        gc.collect()  # frees what the batch left on the devices
        return True

    def train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
        with out_of_memory():
            return self._train(batch, control)

    def _train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
        begun, paused = time.perf_counter(), control.paused_seconds
        # Accelerators train the same number of lanes whatever the number of rounds: that number can change bits.
        width = len(batch.rounds) if machine().on_cpu else self._width
        data = self._data(min(width, machine().devices))
        lanes = LaneBatch(batch.program, [each.lane for each in batch.inputs], data, width)
        for item, each, started in zip(batch.rounds, batch.inputs, lanes.started(), strict=True):
            invariants.starts_from(started.params, each.named.params, each.lane.masks, item.number)
        accuracies = _just_pruned(batch, lanes)
        monitor = EpochMonitor(self._inputs, list(batch.rounds), list(batch.inputs), list(batch.rewind_points))
        before, curves = _restored(batch, lanes, monitor, control)

        def seconds() -> float:
            return before + time.perf_counter() - begun - (control.paused_seconds - paused)

        def save(states: Callable[[], list[LaneState]]) -> None:
            control.save(lambda: monitor.checkpoints(states(), curves, seconds()))

        def between(iteration: int, evaluations: list[list[Evaluation]], kept: DeviceSnapshot | None) -> bool:
            new = [
                points(monitor.open(lane, found), item.start_iteration)
                for lane, (item, found) in enumerate(zip(batch.rounds, evaluations, strict=True))
            ]
            for curve, added in zip(curves, new, strict=True):
                curve.extend(added)
            going = control.advance(iteration, new)
            if kept is not None:
                monitor.observe(iteration, kept)
                if control.checkpoint_due():
                    save(kept.states)
            return going and not monitor.over

        train(lanes, self._timers[batch.program], between, monitor.iterations, control.checkpoint_due)
        finished = lanes.iteration == lanes.iterations or monitor.over
        if not finished or control.checkpoint_due_at_end():
            save(lanes.states)
        if not finished:
            return None
        control.testing()
        ends = lanes.finish(monitor.ended)
        return [
            TrainedRound(
                end,
                curve,
                monitor.trained(lane),
                monitor.snapshots[lane],
                monitor.early_bird(lane),
                accuracy,
                seconds(),
            )
            for lane, (end, curve, accuracy) in enumerate(zip(ends, curves, accuracies, strict=True))
        ]

    def _put(self, devices: int) -> DataOnDevices:
        data = self._dataset
        return DataOnDevices.put(devices, (data.train_images, data.train_labels), (data.test_images, data.test_labels))


def _just_pruned(batch: Batch, lanes: LaneBatch) -> list[float | None]:
    """Test accuracy of the networks that rounds were pruned from, under the new masks and not trained again."""
    if not any(batch.pruned_from):
        return [None] * len(batch.rounds)
    snapshots = [parent or each.lane.start for parent, each in zip(batch.pruned_from, batch.inputs, strict=True)]
    found = zip(batch.pruned_from, lanes.tested(snapshots), strict=True)
    return [accuracy if parent else None for parent, accuracy in found]


def _restored(
    batch: Batch, lanes: LaneBatch, monitor: EpochMonitor, control: Control
) -> tuple[float, list[list[CurvePoint]]]:
    """Put the lanes where the checkpoints say, unless they do not fit: seconds trained until then, and the curves."""
    if not batch.checkpoints:
        return 0.0, [[] for _ in batch.rounds]
    try:
        lanes.restore([checkpoint.state for checkpoint in batch.checkpoints])
    except ValueError:
        control.remove(batch.checkpoints)
        return 0.0, [[] for _ in batch.rounds]
    monitor.restore(list(batch.checkpoints))
    curves = [list(checkpoint.curve) for checkpoint in batch.checkpoints]
    control.resume(lanes.iteration, curves)
    return max(checkpoint.seconds for checkpoint in batch.checkpoints), curves


def points(evaluations: Sequence[Evaluation], first: int) -> list[CurvePoint]:
    """Evaluations of a round that starts at iteration `first` as points of its curve: None for what is not finite."""
    return [
        CurvePoint(
            iteration=first + evaluation.iteration,
            train_loss=_finite(evaluation.train_loss),
            validation_loss=_finite(evaluation.validation_loss),
            validation_accuracy=_finite(evaluation.validation_accuracy),
        )
        for evaluation in evaluations
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
