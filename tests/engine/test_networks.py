"""LeNet-300-100: its shape, its Glorot start, and the function it computes; and networks from Flax."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import linen

from engine import registry
from engine.networks import HostArrays, Network, Snapshot, Training, build, initial_weights, weight_count
from engine.networks.linen import from_linen
from engine.pruning import masked
from engine.spec import Train
from engine.training import DataOnDevices, Lane, LaneBatch, Program, batch_order

pytestmark = pytest.mark.usefixtures("jax_ready")

LENET = "lenet-300-100"
ROOT = Path(__file__).resolve().parents[2]


class Normalised(linen.Module):
    classes: int

    @linen.compact
    def __call__(self, images: jax.Array, train: bool) -> jax.Array:
        values = linen.Conv(4, (3, 3), name="first")(images)
        values = linen.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(values)
        return linen.Dense(self.classes, name="output")(linen.relu(values).mean((1, 2)))


def normalised(image_shape: tuple[int, int, int], classes: int) -> Network:
    return from_linen(Normalised(classes), image_shape)


@pytest.fixture
def small() -> Network:
    return normalised((4, 4, 1), 3)


@pytest.fixture
def registered() -> Iterator[str]:
    """The name of that network in the registry."""
    origin = registry.Origin("this test", "0")
    with registry.registering(origin):
        registry.network.add("normalised", "with batch statistics", normalised)
    yield "normalised"
    registry.network.forget(origin)


def drawn_from(seed: int, image_shape: tuple[int, int, int], classes: int = 10) -> HostArrays:
    return initial_weights(build(LENET, image_shape, classes), seed).params


@pytest.mark.parametrize(
    ("image_shape", "classes", "weights"),
    [((28, 28, 1), 10, 266_200), ((8, 8, 1), 10, 50_200), ((4, 3, 3), 2, 41_000)],
)
def test_the_layers_are_known_without_building_them(
    image_shape: tuple[int, int, int], classes: int, weights: int
) -> None:
    layers = build(LENET, image_shape, classes).layers
    drawn = drawn_from(1, image_shape, classes)
    assert weight_count(layers) == weights
    assert [layer.kind for layer in layers] == ["dense", "dense", "output"]
    shapes = {name: array.shape for name, array in drawn.items()}
    kernels = {layer.parameter: layer.shape for layer in layers}
    assert shapes == kernels | {f"{layer.name}/bias": layer.shape[-1:] for layer in layers}


def test_kernels_start_glorot_normal_and_biases_at_zero() -> None:
    drawn = drawn_from(1, (28, 28, 1))
    for layer in build(LENET, (28, 28, 1), 10).layers:
        kernel, bias = drawn[layer.parameter], drawn[f"{layer.name}/bias"]
        deviation = np.sqrt(2 / sum(layer.shape))
        assert kernel.dtype == bias.dtype == np.float32
        assert kernel.std() == pytest.approx(deviation, rel=3 / np.sqrt(2 * layer.size))
        assert abs(kernel.mean()) < 4 * deviation / np.sqrt(layer.size)
        assert 2 < np.abs(kernel).max() / deviation < 2.001 / 0.8796, "normal, cut at two standard deviations"
        assert not bias.any()


def test_a_seed_gives_the_same_bits_and_another_gives_others() -> None:
    first, again, other = (drawn_from(seed, (8, 8, 1)) for seed in (1, 1, 2))
    for layer in build(LENET, (8, 8, 1), 10).layers:
        name = layer.parameter
        assert first[name].tobytes() == again[name].tobytes()
        assert (first[name] != other[name]).mean() > 0.99


def test_the_network_computes_what_it_says() -> None:
    network, rng = build(LENET, (8, 8, 1), 10), np.random.default_rng(0)
    params = {
        name: rng.standard_normal(array.shape, "f4") if name.endswith("/bias") else array
        for name, array in drawn_from(3, (8, 8, 1)).items()
    }
    images = rng.standard_normal((5, 8, 8, 1), "f4")
    hidden = images.reshape(5, 64).astype(np.float64)
    for name in ("dense1", "dense2"):
        hidden = np.maximum(hidden @ params[f"{name}/kernel"] + params[f"{name}/bias"], 0)
    expected = hidden @ params["output/kernel"] + params["output/bias"]
    logits, state = network.apply(params, {}, images, None)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert state == {}


# Networks from Flax


def test_a_linen_module_with_batch_statistics_is_a_network(small: Network) -> None:
    layers = small.layers
    assert [(it.name, it.kind, it.shape, it.positions, it.reads) for it in layers] == [
        ("first", "conv", (3, 3, 1, 4), 16, ()),
        ("output", "output", (4, 3), 1, ("first",)),
    ]
    snapshot = initial_weights(small, 1)
    assert sorted(snapshot.params) == [
        "first/bias",
        "first/kernel",
        "norm/bias",
        "norm/scale",
        "output/bias",
        "output/kernel",
    ]
    assert sorted(snapshot.state) == ["norm/mean", "norm/var"]


def test_batch_statistics_change_in_training_and_not_in_evaluation(small: Network) -> None:
    """In training a batch is normalised by itself, in evaluation by the running statistics: by hand."""
    snapshot, rng = initial_weights(small, 1), np.random.default_rng(0)
    images = rng.standard_normal((5, 4, 4, 1), "f4")
    _, same = small.apply(snapshot.params, snapshot.state, images, None)
    assert all((same[name] == array).all() for name, array in snapshot.state.items())
    logits, changed = small.apply(snapshot.params, snapshot.state, images, Training(jax.random.key(0)))
    params = {name: np.float64(array) for name, array in snapshot.params.items()}
    around = np.pad(np.float64(images), ((0, 0), (1, 1), (1, 1), (0, 0)))
    convolved = sum(
        around[:, down : down + 4, right : right + 4] @ params["first/kernel"][down, right]
        for down in range(3)
        for right in range(3)
    )
    mean, variance = convolved.mean((0, 1, 2)), convolved.var((0, 1, 2))
    np.testing.assert_allclose(changed["norm/mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(changed["norm/var"], 0.9 + 0.1 * variance, rtol=1e-4)
    hidden = np.maximum((convolved - mean) / np.sqrt(variance + 1e-5), 0).mean((1, 2))
    np.testing.assert_allclose(logits, hidden @ params["output/kernel"], rtol=1e-3, atol=1e-4)


def test_the_best_state_of_a_lane_is_that_of_its_best_iteration(small: Network, registered: str) -> None:
    """Weights are trained with their statistics, kept with them at the best iteration, and masked ones stay zero."""
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (40, 4, 4, 1), np.uint8), rng.integers(0, 3, 40).astype(np.int32)
    recipe = Train(iterations=6, batch=8, learning_rate=0.1, evaluate_every=2)
    masks = {layer.parameter: rng.random(layer.shape) < 0.5 for layer in small.layers}
    start = initial_weights(small, 1)
    lane = Lane(
        start=Snapshot(masked(start.params, masks), start.state),
        masks=masks,
        order=batch_order(np.arange(30, dtype=np.int32), 8, 6, 1),
        rates=np.array([0.01, 0.01, 1e3, 1e3, 1e3, 1e3], np.float32),
        validation=np.arange(30, 40, dtype=np.int32),
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
    )
    data = DataOnDevices.put(1, (images, labels), (images, labels))
    batch = LaneBatch(Program.of(registered, (4, 4, 1), 3, recipe), [lane], data, 1)
    batch.dispatch(1, 2, True).wait()
    (after_two,) = batch.started()
    batch.dispatch(2, 2, True).wait()
    (end,) = batch.finish()
    assert end.best_iteration == 2
    for name, array in after_two.state.items():
        np.testing.assert_array_equal(end.best.state[name], array)
        assert (end.final.state[name] != array).all()
        assert (array != start.state[name]).all()
    for name, array in after_two.params.items():
        np.testing.assert_array_equal(end.best.params[name], array)
    assert not any(end.nonzero_pruned.values())


def test_building_a_network_from_flax_starts_no_device() -> None:
    """Devices are configured later, by `prepare_jax`."""
    code = """
import jax
from engine.networks.linen import from_linen
from flax import linen
class Net(linen.Module):
    @linen.compact
    def __call__(self, images, train):
        hidden = linen.Dense(4)(images.reshape(len(images), -1))
        return linen.Dense(3)(hidden)
found = from_linen(Net(), (2, 2, 1))
assert [layer.parameter for layer in found.layers] == ["Dense_0/kernel", "Dense_1/kernel"], found.layers
jax.config.update("jax_num_cpu_devices", 3)
assert len(jax.devices("cpu")) == 3
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
