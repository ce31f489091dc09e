"""The accelerator's path on a CPU: vmapped lanes, few widths and lengths of calls, padding, checkpoints."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.networks import Snapshot, build, initial_weights
from engine.pruning import masked
from engine.rng import permutation
from engine.spec import Train
from engine.training import (
    DataOnDevices,
    Evaluation,
    Lane,
    LaneBatch,
    LaneResult,
    Machine,
    Program,
    StepTimer,
    batch_order,
    learning_rates,
    train,
)

pytestmark = pytest.mark.usefixtures("jax_ready")

SHAPE, CLASSES = (8, 8, 3), 3
CASES = {
    "lenet-300-100": Train(iterations=12, batch=6, optimizer="sgd", learning_rate=0.05, dropout=0.2, evaluate_every=6),
    "conv-2": Train(iterations=6, batch=4, optimizer="sgd", learning_rate=0.02, evaluate_every=3),
}
Ends = list[tuple[LaneResult, list[Evaluation]]]


@pytest.fixture(params=[pytest.param("lenet-300-100", marks=pytest.mark.slow), "conv-2"])
def network(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def data(jax_ready: None) -> DataOnDevices:
    """Forty images with a bright stripe whose place is the label."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 120, (40, *SHAPE), np.uint8), np.arange(40, dtype=np.int32) % CLASSES
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 120
    return DataOnDevices.put(1, (images, labels), (images, labels))


def lane_of(network: str, seed: int) -> Lane:
    """A lane with half of its weights."""
    recipe, made = CASES[network], build(network, SHAPE, CLASSES)
    masks = {
        layer.parameter: (permutation(layer.size, seed, depth) < layer.size // 2).reshape(layer.shape)
        for depth, layer in enumerate(made.layers)
    }
    start = initial_weights(made, seed)
    return Lane(
        start=Snapshot(masked(start.params, masks), start.state),
        masks=masks,
        order=batch_order(np.arange(30, dtype=np.int32), recipe.batch, recipe.iterations, seed),
        rates=learning_rates(recipe),
        validation=np.arange(30, 40, dtype=np.int32),
        mean=np.full(3, 0.4, np.float32),
        std=np.full(3, 0.3, np.float32),
        seed=seed,
    )


def batch_of(network: str, lanes: list[Lane], data: DataOnDevices, width: int) -> LaneBatch:
    return LaneBatch(Program.of(network, SHAPE, CLASSES, CASES[network]), lanes, data, width)


def trained(batch: LaneBatch, marks: frozenset[int] = frozenset()) -> Ends:
    curves: list[list[Evaluation]] = [[] for _ in range(batch.count)]

    def between(iteration: int, readings: list[list[Evaluation]], _: object) -> bool:
        for curve, new in zip(curves, readings, strict=True):
            curve.extend(new)
        return True

    assert train(batch, StepTimer(1.0), between, marks)
    return list(zip(batch.finish(), curves, strict=True))


@pytest.fixture
def lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps of each interval that is sent to the devices."""
    sent: list[int] = []
    dispatch = LaneBatch.dispatch

    def recording(self: LaneBatch, intervals: int, steps: int, *rest: bool, **named: bool) -> object:
        sent.append(steps)
        return dispatch(self, intervals, steps, *rest, **named)

    monkeypatch.setattr(LaneBatch, "dispatch", recording)
    return sent


def test_vmapped_lanes_are_those_of_a_cpu(
    network: str,
    data: DataOnDevices,
    lengths: list[int],
    request: pytest.FixtureRequest,
) -> None:
    """Three lanes padded to four end as each does alone on a CPU; calls are whole intervals or powers of two."""
    lanes = [lane_of(network, seed) for seed in (1, 2, 3)]
    alone = [trained(batch_of(network, [lane], data, 1))[0] for lane in lanes]
    machine: Machine = request.getfixturevalue("accelerator")
    lengths.clear()
    width = machine.width(len(lanes))
    together = trained(batch_of(network, lanes, data, width), frozenset({8}))
    assert width == 4
    assert len(together) == 3
    assert {length for length in lengths if length & (length - 1)} <= {CASES[network].evaluate_every}
    for lane, (end, curve), (expected, expected_curve) in zip(lanes, together, alone, strict=True):
        same_curves(curve, expected_curve)
        close(end.final, expected.final)
        close(end.best, expected.best)
        assert end.best_iteration == expected.best_iteration
        assert end.test_accuracy_end == pytest.approx(expected.test_accuracy_end, abs=1 / 40 + 1e-6)
        assert not any(end.nonzero_pruned.values())
        for name, mask in lane.masks.items():
            np.testing.assert_array_equal(end.masks[name], mask)


def test_padding_changes_no_bit(network: str, data: DataOnDevices, accelerator: Machine) -> None:
    lanes = [lane_of(network, seed) for seed in (1, 2, 3, 4)]
    full, padded = (trained(batch_of(network, lanes[:count], data, 4)) for count in (4, 3))
    assert len(padded) == 3
    for one, other in zip(padded, full, strict=False):
        same_bits(one, other)


def test_a_batch_continues_from_its_checkpoint(network: str, data: DataOnDevices, accelerator: Machine) -> None:
    recipe, lanes = CASES[network], [lane_of(network, seed) for seed in (1, 2, 3)]
    whole = trained(batch_of(network, lanes, data, 4))
    interrupted = batch_of(network, lanes, data, 4)
    begun = interrupted.dispatch(1, recipe.evaluate_every, True).wait()
    states = interrupted.states()
    resumed = batch_of(network, lanes, data, 4)
    resumed.restore(states)
    assert resumed.iteration == recipe.evaluate_every
    for (end, rest), before, expected in zip(trained(resumed), begun, whole, strict=True):
        same_bits((end, [*before, *rest]), expected)


def same_curves(found: list[Evaluation], expected: list[Evaluation]) -> None:
    assert [it.iteration for it in found] == [it.iteration for it in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=1e-4)


def close(found: Snapshot, expected: Snapshot) -> None:
    for name, array in expected.params.items():
        np.testing.assert_allclose(found.params[name], array, rtol=0, atol=1e-5, err_msg=name)


def same_bits(one: tuple[LaneResult, list[Evaluation]], other: tuple[LaneResult, list[Evaluation]]) -> None:
    assert one[1] == other[1]
    pairs: list[Callable[[LaneResult], Snapshot]] = [lambda end: end.final, lambda end: end.best]
    for part in pairs:
        for name, array in part(one[0]).params.items():
            assert array.tobytes() == part(other[0]).params[name].tobytes()
    assert one[0].test_accuracy_end == other[0].test_accuracy_end
