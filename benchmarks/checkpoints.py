"""What checkpoints cost: two lanes that train for some seconds with one checkpoint, against the same without.

The share of the training time is that of the interval between two checkpoints of a run.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.sample import CLASSES, half_lane, noise
from benchmarks.sides import Sides, Spread, line
from engine.runner.checkpoints import CHECKPOINT_SECONDS, CheckpointWriter
from engine.spec import Train
from engine.store import Checkpoint, CheckpointStore
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Evaluation,
    LaneBatch,
    Program,
    StepTimer,
    machine,
    prepare_jax,
    train,
)

NETWORKS = {"lenet-300-100": (28, 28, 1), "conv-2": (32, 32, 3)}
EXAMPLES, BATCH, LANES = 5_000, 60, 2
STEPS = 200_000
"""More than are ever trained here."""
SECONDS = 8.0
ROUNDS = 7
TARGET = 2.0


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        prepare_jax(Path(folder))
        print(f"checkpoints: {LANES} lanes, batch {BATCH}, masked Adam, {machine().words}")
        met = [_cost(network, CheckpointStore(Path(folder) / network)) for network in NETWORKS]
    return all(met)


def _cost(network: str, store: CheckpointStore) -> bool:
    segment = _segments(network, store)
    sides = Sides({"without": lambda: segment(False), "with": lambda: segment(True)}, ROUNDS)
    for name in ("without", "with"):
        line(f"{network} {name}, iterations/s of all lanes", sides.rate(name))
    share = 100 * SECONDS / CHECKPOINT_SECONDS
    lost = sides.ratio("without", "with")
    cost = Spread(*(share * (value - 1) for value in (lost.median, lost.low, lost.high)))
    return line(f"{network}: of the time, every {CHECKPOINT_SECONDS:.0f} s", cost, TARGET, at_most=True, unit=" %")


def _segments(network: str, store: CheckpointStore) -> Callable[[bool], float]:
    """Trains for some seconds, with a checkpoint or without; iterations a second."""
    pack, pace = _pack(network), StepTimer()

    def run(saved: bool) -> float:
        begun, before, left = time.perf_counter(), pack.iteration, int(saved)

        def due() -> bool:
            nonlocal left
            if not left or time.perf_counter() - begun < SECONDS / 4:
                return False
            left -= 1
            return True

        with CheckpointWriter(store) as saving:

            def between(iteration: int, readings: list[list[Evaluation]], kept: DeviceSnapshot | None) -> bool:
                if kept is not None:
                    states = kept.states
                    saving.save(lambda: [_checkpoint(lane, state) for lane, state in enumerate(states())])
                return time.perf_counter() - begun < SECONDS

            train(pack, pace, between, due=due)
            saving.flush()
        return LANES * (pack.iteration - before) / (time.perf_counter() - begun)

    return run


def _checkpoint(lane: int, state: dict[str, np.ndarray]) -> Checkpoint:
    return Checkpoint(f"{lane:040x}", int(state["iteration"]), 0.0, state, None, [], {}, None, [])


def _pack(network: str) -> LaneBatch:
    image = NETWORKS[network]
    recipe = Train(iterations=STEPS, batch=BATCH, evaluate_every=STEPS)
    pixels, labels = noise(image, EXAMPLES)
    data = DataOnDevices.put(min(LANES, machine().devices), (pixels, labels), (pixels[:100], labels[:100]))
    program = Program.of(network, image, CLASSES, recipe)
    return LaneBatch(program, [half_lane(network, image, EXAMPLES, recipe, seed) for seed in range(LANES)], data, LANES)
