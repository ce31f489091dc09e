"""What the host takes while devices train: work a round, the share of the time that devices are busy, and scheduling.

Devices are emulated by a worker that sleeps and returns networks with the right masks; all else is the product's.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.sample import noise
from benchmarks.sides import Spread, line
from engine import registry
from engine.experiment import Round
from engine.networks import Snapshot
from engine.pruning import masked
from engine.runner import run
from engine.runner import train as experiment
from engine.runner.scheduler import Scheduler
from engine.runner.workers import Batch, Control, TrainedRound
from engine.spec import Study, load_study, parse_study
from engine.store import CurvePoint, RoundFinished, Stamped, Store
from engine.training import LaneResult, Program, machine, prepare_jax

HOST_MS, HOST_SHARE, BUSY, CONV_SECONDS, SCHEDULING_MS = 25.0, 8.0, 90.0, 1.0, 2.0
LANES, BATCH_SECONDS = 64, 8.0

WIDE = """
name = "wide"
trials = {trials}
[base.data]
name = "noise-28"
[base.train]
iterations = 20000
batch = 60
evaluate_every = 1000
[base.prune]
rounds = {rounds}
rate = 0.2
[[arm]]
name = "ticket"
[[arm]]
name = "reinit"
per_ticket = 4
[[arm]]
name = "random-mask"
per_ticket = 4
"""
"""Nine rounds a trial and number."""

LARGE = """
name = "large"
trials = 2
[base.network]
name = "conv-2"
[base.data]
name = "noise-32"
[base.train]
iterations = 2000
batch = 60
evaluate_every = 100
[base.prune]
rounds = {rounds}
rate = 0.1
[[arm]]
name = "ticket"
[[arm]]
name = "random-mask"
"""


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    return _measure(trials=10, rounds=20)


def measure_quick() -> bool:
    """The same with fewer rounds."""
    return _measure(trials=4, rounds=6)


def _measure(trials: int, rounds: int) -> bool:
    _register("noise-28", (28, 28, 1), 2_000)
    _register("noise-32", (32, 32, 3), 2_000)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        prepare_jax(home / "compiled")
        print(f"host: {machine().words}")
        met = [_scheduling(), _quickstart(home), _busy(home, trials, rounds), _large(home)]
    return all(met)


def _quickstart(home: Path) -> bool:
    """The quickstart with one iteration a round, compiled before, beside the whole."""
    one = load_study("quickstart", ("base.train.iterations=1",))
    _timed(load_study("quickstart", ("base.train.iterations=1", "base.prune.rounds=2", "trials=2")), home)
    seconds, finished = _timed(one, home / "one")
    whole, _ = _timed(load_study("quickstart"), home / "whole")
    rounds = len({event.key for event in finished})
    each, share = 1000 * seconds / rounds, 100 * seconds / whole
    return all(
        [
            line(f"quickstart, one iteration a round ({rounds} rounds)", _one(each), HOST_MS, at_most=True, unit=" ms"),
            line(f"of the whole quickstart ({whole:.0f} s)", _one(share), HOST_SHARE, at_most=True, unit=" %"),
        ]
    )


def _busy(home: Path, trials: int, rounds: int) -> bool:
    """The share of the time for which a device that trains 64 LeNet lanes in 8 s is busy."""
    worker = Sleeper(LANES, BATCH_SECONDS)
    with _only(worker):
        seconds, finished = _timed(parse_study(WIDE.format(trials=trials, rounds=rounds), source="wide"), home / "wide")
    count = len({event.key for event in finished})
    share = 100 * worker.seconds / (worker.ended - worker.begun)
    what = f"device busy in {count} rounds of LeNet at 28x28, {LANES} lanes in {BATCH_SECONDS:g} s"
    print(f"  {what}: {worker.batches} batches in {seconds:.0f} s")
    return line("device busy", _one(share), BUSY, unit=" %")


def _large(home: Path) -> bool:
    """CPU seconds a round of Conv-2, and whether they grow with the number of rounds."""
    marks: list[tuple[float, int]] = []
    with _only(Sleeper(4, 0.0)):
        seen: set[str] = set()

        def report(stamped: Stamped) -> None:
            if isinstance(stamped.event, RoundFinished):
                seen.add(stamped.event.key)
                marks.append((time.process_time(), len(seen)))

        _timed(parse_study(LARGE.format(rounds=12), source="large"), home / "large", report)

    def between(first: int, last: int) -> float:
        (begun, before), (ended, after) = marks[first], marks[last]
        return (ended - begun) / (after - before)

    third = len(marks) // 3
    each, early, late = between(0, -1), between(third, 2 * third), between(2 * third, -1)
    line("conv-2, CPU of the host a round, second third of the rounds", _one(early), unit=" s")
    line("conv-2, CPU of the host a round, last third of the rounds", _one(late), unit=" s")
    return line("conv-2, CPU of the host a round", _one(each), CONV_SECONDS, at_most=True, unit=" s")


def _scheduling() -> bool:
    """Milliseconds of scheduling a round, in a small and in a large plan."""
    few, many = _scheduled(2_000), _scheduled(20_000)
    line("scheduling, 2,000 rounds, a round", _one(few), SCHEDULING_MS, at_most=True, unit=" ms")
    return line("scheduling, 20,000 rounds, a round", _one(many), SCHEDULING_MS, at_most=True, unit=" ms")


def _scheduled(count: int) -> float:
    rounds: dict[str, Any] = {}
    for number in range(count):
        parent = f"{number - 1}" if number % 20 else None
        rounds[f"{number}"] = SimpleNamespace(
            key=f"{number}",
            number=number % 20,
            needs=frozenset({parent} if parent else ()),
            parent=parent,
            stop_on_collapse=False,
        )
    begun, done = time.perf_counter(), 0
    scheduler = Scheduler(cast("dict[str, Round]", rounds), lambda item: 0)
    while batch := scheduler.next_batch(lambda program: 2, lambda item: True):
        for item in batch:
            scheduler.finished(item.key)
            done += 1
    scheduler.check_end()
    assert done == count
    return 1000 * (time.perf_counter() - begun) / count


class Sleeper:
    """A worker that sleeps for as long as a device would train."""

    def __init__(self, lanes: int, seconds: float):
        self._lanes, self._each = lanes, seconds
        self._noise: dict[str, NDArray[np.float32]] = {}
        self.begun = self.ended = self.seconds = 0.0
        self.batches = 0

    def width(self, program: Program) -> int:
        return self._lanes

    def narrow(self) -> bool:
        return False

    def train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
        now = time.perf_counter()
        self.begun = self.begun or now
        steps = batch.rounds[0].iterations
        end = now + self._each
        for part in range(1, 11):
            time.sleep(max(0.0, end - self._each * (1 - part / 10) - time.perf_counter()))
            iteration = steps * part // 10
            curve = [_point(item, iteration) for item in batch.rounds]
            if not control.advance(iteration, [[point] for point in curve]):
                return None
        # The results are not the device's work, but a device that waits for them is busy all the same.
        self.seconds += self._each
        self.batches += 1
        self.ended = time.perf_counter()
        return [self._trained(item, each.lane, control) for item, each in zip(batch.rounds, batch.inputs, strict=True)]

    def _trained(self, item: Round, lane: Any, control: Control) -> TrainedRound:
        params = {name: array + self._changes(name, array) for name, array in lane.start.params.items()}
        final = Snapshot(masked(params, lane.masks), lane.start.state)
        result = LaneResult(
            final=final,
            best=final,
            masks=lane.masks,
            nonzero_pruned={},
            finite=True,
            best_loss=0.5,
            best_iteration=item.iterations,
            test_accuracy=0.9,
            test_accuracy_end=0.9,
        )
        curve = [_point(item, item.iterations * part // 10) for part in range(1, 11)]
        return TrainedRound(result, curve, item.iterations, {}, None, 0.5 if item.parent else None, self._each)

    def _changes(self, name: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
        if name not in self._noise:
            self._noise[name] = np.random.default_rng(0).normal(0, 0.02, array.shape).astype(np.float32)
        return self._noise[name]


def _point(item: Round, iteration: int) -> CurvePoint:
    return CurvePoint(iteration=item.first + iteration, train_loss=0.5, validation_loss=0.5, validation_accuracy=0.9)


@contextmanager
def _only(worker: Sleeper) -> Iterator[None]:
    """Runs have this worker alone within."""
    before = experiment.Trainer.workers
    experiment.Trainer.workers = lambda trainer: [worker]  # type: ignore[method-assign]
    try:
        yield
    finally:
        experiment.Trainer.workers = before  # type: ignore[method-assign]


def _timed(
    study: Study, home: Path, report: Callable[[Stamped], None] = lambda stamped: None
) -> tuple[float, list[RoundFinished]]:
    """Seconds of a run from its first event on, and its finished rounds."""
    store, finished, begun = Store(home), list[RoundFinished](), list[float]()

    def take(stamped: Stamped) -> None:
        begun.append(time.perf_counter())
        if isinstance(stamped.event, RoundFinished):
            finished.append(stamped.event)
        report(stamped)

    with redirect_stderr(StringIO()), store.create(study) as folder:
        status = run(folder, store, take)
    if status != "done":
        sys.exit(f"{study.name}: {status}")
    return time.perf_counter() - begun[0], finished


def _one(value: float) -> Spread:
    return Spread(value, value, value)


def _register(name: str, image: tuple[int, int, int], examples: int) -> None:
    if name not in registry.dataset:

        @registry.dataset(name, "random pixels and labels")
        def made() -> tuple[Any, ...]:
            return (*noise(image, examples), *noise(image, examples // 4))
