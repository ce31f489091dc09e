"""ResNet: layers and counts, a plain reference of pass and gradients, batch statistics, training in lanes."""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import registry
from engine.networks import LayerShape, Network, Snapshot, Training, build, initial_weights
from engine.networks.blocks import _convolve_on_cpu, batch_norm, conv1x1, convolve
from engine.networks.resnet import resnet20
from engine.spec import Train
from engine.training import DataOnDevices, Evaluation, Lane, LaneBatch, LaneResult, Program

pytestmark = pytest.mark.usefixtures("jax_ready")

CIFAR, SMALL, CLASSES = (32, 32, 3), (8, 8, 3), 10
Arrays = dict[str, np.ndarray]


def in_training() -> Training:
    return Training(jax.random.key(0))


def counts(network: Network) -> dict[str, int]:
    """Weights by kind of layer."""
    kinds = {layer.kind for layer in network.layers}
    return {kind: sum(layer.size for layer in network.layers if layer.kind == kind) for kind in kinds}


# Layers and counts


@pytest.mark.parametrize(
    ("name", "convolutions", "total"),
    [("resnet-20", 267_696, 272_474), ("resnet-32", 461_232, None), ("resnet-56", 848_304, None)],
)
def test_resnets_have_the_weights_of_the_sources(name: str, convolutions: int, total: int | None) -> None:
    network = build(name, CIFAR, CLASSES)
    assert counts(network) == {"conv": convolutions, "shortcut": 2_560, "output": 640}
    assert len([layer for layer in network.layers if layer.kind == "conv"]) == int(name.split("-")[1]) - 1
    if total is not None:
        assert network.weights == 270_896
        params = jax.eval_shape(lambda: network.init(jax.random.key(0))[0])
        assert sum(array.size for array in params.values()) == total


def test_a_resnet_multiplies_as_often_as_the_paper_says() -> None:
    # He et al. count 40.6 M for ResNet-20 with identity shortcuts.
    network = build("resnet-20", CIFAR, CLASSES)
    assert sum(layer.multiplications for layer in network.layers if layer.kind == "conv") == 40_550_400


def test_the_layers_of_a_resnet_stand_in_order_and_name_what_they_read() -> None:
    layers = {layer.name: layer for layer in build("resnet-20", CIFAR, CLASSES).layers}
    assert list(layers)[:3] == ["conv1", "conv2", "conv3"]
    assert list(layers)[8:12] == ["conv9", "shortcut1", "conv10", "conv11"]
    assert list(layers)[-2:] == ["conv19", "output"]
    assert layers["conv1"] == LayerShape("conv1", "conv", (3, 3, 3, 16), 1024)
    assert layers["conv8"] == LayerShape("conv8", "conv", (3, 3, 16, 32), 256, ("conv1", "conv3", "conv5", "conv7"))
    assert layers["conv9"] == LayerShape("conv9", "conv", (3, 3, 32, 32), 256, ("conv8",))
    assert layers["shortcut1"] == LayerShape("shortcut1", "shortcut", (1, 1, 16, 32), 256, layers["conv8"].reads)
    assert layers["conv10"].reads == ("conv9", "shortcut1")
    assert layers["conv12"].reads == ("conv9", "shortcut1", "conv11")
    assert layers["output"].reads == ("conv15", "shortcut2", "conv17", "conv19")
    assert layers["conv14"].positions == layers["shortcut2"].positions == 64


@pytest.mark.parametrize(("name", "images"), [("resnet-20", (9, 7, 1)), ("resnet-32", SMALL)])
def test_parameters_and_state_are_those_of_the_layers(name: str, images: tuple[int, int, int]) -> None:
    network = build(name, images, 4, width=0.25)
    params, state = jax.eval_shape(lambda: network.init(jax.random.key(0)))
    assert all(params[layer.parameter].shape == layer.shape for layer in network.layers)
    assert sum(key.endswith("/kernel") for key in params) == len(network.layers)
    scales = {key.removesuffix("/scale") for key in params if key.endswith("/scale")}
    assert len(scales) == len(network.layers) - 1
    assert set(state) == {f"{norm}/{part}" for norm in scales for part in ("mean", "var")}
    logits, after = jax.eval_shape(
        lambda *its: network.apply(*its, in_training()), params, state, np.ones((2, *images), "f4")
    )
    assert logits.shape == (2, 4)
    assert {key: array.shape for key, array in after.items()} == {key: it.shape for key, it in state.items()}


def test_width_scales_channels_and_is_a_parameter_of_the_entry() -> None:
    assert registry.network.entry("resnet-20").parameters == {"width": 1.0}
    assert [layer.shape[-1] for layer in build("resnet-20", CIFAR, CLASSES, width=2.0).layers[1::6]] == [
        32,
        64,
        64,
        128,
    ]
    assert build("resnet-20", CIFAR, CLASSES, width=0.01).layers[0].shape == (3, 3, 3, 1)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["resnet-20"])
def test_a_width_that_is_no_factor_is_refused(name: str, width: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: the width must be above 0, not {width}"):
        build(name, CIFAR, CLASSES, width=width)


@pytest.mark.parametrize("name", ["resnet-20"])
def test_dropout_is_refused(name: str) -> None:
    network = build(name, (16, 16, 3), CLASSES, width=0.1)
    with pytest.raises(ValueError, match=f"{name} has no dropout"):
        network.apply({}, {}, jnp.ones((2, 16, 16, 3)), Training(jax.random.key(0), 0.5))


# Initialisation


def test_kernels_start_he_normal_and_norms_as_in_the_sources() -> None:
    network = build("resnet-20", CIFAR, CLASSES)
    start = initial_weights(network, 1)
    for layer in network.layers:
        kernel = start.params[layer.parameter]
        deviation = np.sqrt(2 / (layer.size // layer.shape[-1]))
        assert kernel.dtype == np.float32
        assert kernel.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * layer.size))
    kernel = start.params["conv19/kernel"]
    assert np.abs(kernel).max() / kernel.std() > 3.5, "normal, not cut"
    scales = np.concatenate([array for name, array in start.params.items() if name.endswith("/scale")])
    assert 0 <= scales.min() < 0.02 < 0.98 < scales.max() < 1
    assert scales.mean() == pytest.approx(0.5, abs=0.04)
    assert not any(start.params[name].any() for name in start.params if "bn" in name and name.endswith("/bias"))
    assert 0 < np.abs(start.params["output/bias"]).max() <= 1 / np.sqrt(64)
    assert not any(array.any() for name, array in start.state.items() if name.endswith("/mean"))
    assert all((array == 1).all() for name, array in start.state.items() if name.endswith("/var"))


def test_a_seed_gives_the_same_bits_and_another_gives_others() -> None:
    network = build("resnet-20", SMALL, CLASSES, width=0.25)
    first, again, other = (initial_weights(network, seed).params for seed in (1, 1, 2))
    for name in first:
        assert first[name].tobytes() == again[name].tobytes()
        if not (name.endswith("/bias") and "bn" in name):
            assert (first[name] != other[name]).mean() > 0.99


# The pass and its gradients, by JAX's own convolution and nothing of ours


def plain_convolution(images: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    around = ((kernel.shape[0] // 2,) * 2,) * 2
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), around, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


class Reference:
    """A pass through ResNet-20; `seen` gets the mean and the variance before each normalisation."""

    def __init__(self, params: Arrays, state: Arrays, training: bool):
        self.params, self.state, self.training = params, state, training
        self.seen: dict[str, tuple[jax.Array, jax.Array, int]] = {}

    def norm(self, name: str, values: jax.Array) -> jax.Array:
        rows = values.reshape(-1, values.shape[-1])
        mean = rows.sum(0) / len(rows)
        var = ((rows - mean) ** 2).sum(0) / len(rows)
        self.seen[name] = (mean, var, len(rows))
        if not self.training:
            mean, var = self.state[f"{name}/mean"], self.state[f"{name}/var"]
        return self.params[f"{name}/scale"] * (values - mean) / jnp.sqrt(var + 1e-5) + self.params[f"{name}/bias"]

    def resnet(self, images: jax.Array) -> jax.Array:
        kernels = {name.removesuffix("/kernel"): it for name, it in self.params.items() if name.endswith("/kernel")}
        values = jnp.maximum(self.norm("bn1", plain_convolution(images, kernels["conv1"])), 0)
        for block in range(9):
            stride = 2 if block in (3, 6) else 1
            one, two = 2 * block + 2, 2 * block + 3
            inner = jnp.maximum(self.norm(f"bn{one}", plain_convolution(values, kernels[f"conv{one}"], stride)), 0)
            inner = self.norm(f"bn{two}", plain_convolution(inner, kernels[f"conv{two}"]))
            if stride == 2:
                number = block // 3
                values = plain_convolution(values, kernels[f"shortcut{number}"], 2)
                values = self.norm(f"shortcut_bn{number}", values)
            values = jnp.maximum(inner + values, 0)
        return values.mean((1, 2)) @ self.params["output/kernel"] + self.params["output/bias"]


Case = tuple[Network, Snapshot, np.ndarray, Callable[[Reference, jax.Array], jax.Array]]


@pytest.fixture(scope="module")
def case(jax_ready: None) -> Case:
    """A narrow network, parameters and statistics that are not those of the start, and images."""
    images = (9, 10, 3)
    network = build("resnet-20", images, CLASSES, width=0.2)
    rng = np.random.default_rng(0)
    start = initial_weights(network, 3)
    params = {
        name: array + (0.1 * rng.standard_normal(array.shape, "f4") if array.ndim == 1 else 0)
        for name, array in start.params.items()
    }
    state = {name: array + rng.random(array.shape, "f4") for name, array in start.state.items()}
    return network, Snapshot(params, state), rng.standard_normal((6, *images), "f4"), Reference.resnet


def test_evaluation_uses_the_running_statistics_and_leaves_them(case: Case) -> None:
    network, start, images, plain = case
    logits, after = jax.jit(lambda images: network.apply(start.params, start.state, images, None))(images)
    expected = jax.jit(lambda images: plain(Reference(start.params, start.state, False), images))(images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert after.keys() == start.state.keys()
    for name, array in start.state.items():
        np.testing.assert_array_equal(after[name], array)


def test_training_uses_the_batch_and_moves_the_running_statistics_by_a_tenth(case: Case) -> None:
    network, start, images, plain = case

    def reference(images: jax.Array) -> tuple[jax.Array, dict[str, tuple[jax.Array, jax.Array, int]]]:
        made = Reference(start.params, start.state, True)
        return plain(made, images), made.seen

    logits, after = jax.jit(lambda images: network.apply(start.params, start.state, images, in_training()))(images)
    expected_logits, seen = jax.jit(reference)(images)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4, atol=1e-4)
    assert after.keys() == start.state.keys()
    for name, (mean, var, count) in seen.items():
        moved = {"mean": mean, "var": var * count / (count - 1)}
        for part, now in moved.items():
            expected = 0.9 * start.state[f"{name}/{part}"] + 0.1 * now
            np.testing.assert_allclose(after[f"{name}/{part}"], expected, rtol=1e-4, atol=1e-5)


def test_the_gradients_are_plain_jaxs(case: Case) -> None:
    network, start, images, plain = case

    def ours(params: Arrays) -> jax.Array:
        return jnp.sum(jnp.sin(network.apply(params, start.state, images, in_training())[0]))

    def reference(params: Arrays) -> jax.Array:
        return jnp.sum(jnp.sin(plain(Reference(params, start.state, True), images)))

    found, expected = jax.jit(jax.grad(ours))(start.params), jax.jit(jax.grad(reference))(start.params)
    largest = max(float(np.abs(array).max()) for array in expected.values())
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-3, atol=1e-5 * largest, err_msg=name)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (3, 6, 10, 5), (2, 7, 9, 4), (1, 2, 2, 1), (5, 1, 7, 2), (2, 1, 1, 3)])
def test_the_gradients_of_a_strided_convolution_are_plain_jaxs(shape: tuple[int, int, int, int], stride: int) -> None:
    rng = np.random.default_rng(1)
    images, kernel = rng.standard_normal(shape, "f4"), rng.standard_normal((3, 3, shape[-1], 7), "f4")
    ours, pullback = jax.vjp(lambda *parts: _convolve_on_cpu(*parts, stride), images, kernel)
    expected, pullback_of_plain = jax.vjp(lambda *parts: plain_convolution(*parts, stride), images, kernel)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(convolve(images, kernel, stride), expected)
    above = rng.standard_normal(ours.shape, "f4")
    for found, wanted in zip(pullback(above), pullback_of_plain(above), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (2, 7, 9, 4), (2, 1, 1, 3)])
def test_a_1x1_convolution_and_its_gradients_are_plain_jaxs(shape: tuple[int, int, int, int], stride: int) -> None:
    rng = np.random.default_rng(1)
    images, kernel = rng.standard_normal(shape, "f4"), rng.standard_normal((1, 1, shape[-1], 7), "f4")
    ours, pullback = jax.vjp(
        lambda images, kernel: conv1x1({"it/kernel": kernel}, "it", images, stride), images, kernel
    )
    expected, pullback_of_plain = jax.vjp(lambda *parts: plain_convolution(*parts, stride), images, kernel)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    above = rng.standard_normal(ours.shape, "f4")
    for found, wanted in zip(pullback(above), pullback_of_plain(above), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batched", [(0, 0), (0, None), (None, 0)])
def test_a_strided_convolution_is_right_under_vmap_and_in_a_loop(batched: tuple[int | None, int | None]) -> None:
    rng = np.random.default_rng(2)
    stacked = [rng.standard_normal((3, 4, 6, 2), "f4"), rng.standard_normal((3, 3, 2, 5), "f4")]
    stacked = [
        np.stack([part, 2 - part, 0.5 * part]) if axis == 0 else part
        for part, axis in zip(stacked, batched, strict=True)
    ]

    def gradients(function: Callable) -> Callable:
        return jax.vmap(jax.grad(lambda *parts: jnp.sum(jnp.sin(function(*parts, 2))), (0, 1)), batched)

    @jax.jit
    def looped(images: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = jax.tree.map(jnp.zeros_like, gradients(_convolve_on_cpu)(images, kernel))
        return jax.lax.fori_loop(
            0, 2, lambda _, sums: jax.tree.map(jnp.add, sums, gradients(_convolve_on_cpu)(images, kernel)), start
        )

    expected = gradients(plain_convolution)(*stacked)
    for found, twice, wanted in zip(gradients(_convolve_on_cpu)(*stacked), looped(*stacked), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(twice, 2 * wanted, rtol=1e-4, atol=2e-4)


def test_batch_norm_of_one_value_a_channel_is_finite() -> None:
    params = {"bn/scale": np.ones(3, "f4"), "bn/bias": np.full(3, 0.5, "f4")}
    state = {"bn/mean": np.zeros(3, "f4"), "bn/var": np.ones(3, "f4")}
    values, after = batch_norm(params, state, "bn", jnp.full((1, 1, 1, 3), 7.0), True)
    np.testing.assert_array_equal(values, np.full((1, 1, 1, 3), 0.5, "f4"))
    np.testing.assert_allclose(after["bn/mean"], 0.7, rtol=1e-6)
    np.testing.assert_allclose(after["bn/var"], 0.9, rtol=1e-6)


# In lanes


def lane_of(network: Network, seed: int, examples: int, iterations: int, batch: int) -> Lane:
    """A lane with half of each kernel pruned, that sees random batches of the first examples."""
    rng = np.random.default_rng(seed)
    masks = {layer.parameter: rng.random(layer.shape) < 0.5 for layer in network.layers}
    start = initial_weights(network, seed)
    return Lane(
        start=Snapshot(start.params | {name: start.params[name] * mask for name, mask in masks.items()}, start.state),
        masks=masks,
        order=rng.integers(examples - 20, size=(iterations, batch)).astype(np.int32),
        rates=np.full(iterations, 0.05, np.float32),
        validation=np.arange(examples - 20, examples, dtype=np.int32),
        mean=np.full(3, 0.5, np.float32),
        std=np.full(3, 0.25, np.float32),
        seed=seed,
    )


EXAMPLES = 60
RECIPE = Train(iterations=12, batch=20, optimizer="sgd", learning_rate=0.05, evaluate_every=4)


@pytest.fixture(scope="module")
def narrow(jax_ready: None) -> Iterator[Network]:
    """ResNet-20 of a quarter of its width, under the name `narrow`."""
    origin = registry.Origin("test", "0")
    with registry.registering(origin):
        registry.network.add("narrow", "for a test", partial(resnet20, width=0.25))
    yield build("narrow", SMALL, CLASSES)
    registry.network.forget(origin)


@pytest.fixture(scope="module")
def data(jax_ready: None) -> DataOnDevices:
    """Images whose brightness is their class, with noise."""
    rng = np.random.default_rng(5)
    labels = (np.arange(EXAMPLES) % CLASSES).astype(np.int32)
    images = (20 * labels[:, None, None, None] + rng.integers(60, size=(EXAMPLES, *SMALL))).astype(np.uint8)
    return DataOnDevices.put(1, (images, labels), (images, labels))


def trained(
    network: Network, data: DataOnDevices, lanes: list[Lane]
) -> tuple[list[list[Evaluation]], list[LaneResult]]:
    """Curves and results of lanes that train in one batch on one device."""
    batch = LaneBatch(Program.of("narrow", SMALL, CLASSES, RECIPE), lanes, data, len(lanes))
    curves = batch.dispatch(3, RECIPE.evaluate_every, True).wait()
    return curves, batch.finish()


def test_a_lane_trains_a_resnet_and_keeps_the_statistics_of_its_best(narrow: Network, data: DataOnDevices) -> None:
    lane = lane_of(narrow, 1, EXAMPLES, RECIPE.iterations, RECIPE.batch)
    ((curve,), (end,)) = trained(narrow, data, [lane])
    losses = [reading.train_loss for reading in curve]
    assert losses[-1] < losses[0] - 0.2
    lowest = min(curve, key=lambda reading: reading.validation_loss)
    assert (end.best_iteration, end.best_loss) == (lowest.iteration, lowest.validation_loss)
    assert end.finite
    assert not any(end.nonzero_pruned.values())
    assert end.final.state.keys() == lane.start.state.keys()
    for name, array in end.final.state.items():
        assert (array != lane.start.state[name]).all(), name
    # The best network evaluated anew, with its own statistics, gives the loss that was the lowest.
    images, labels = (np.asarray(part)[lane.validation] for part in (data.train.images, data.train.labels))
    pixels = (images.astype("f4") / 255 - lane.mean) / lane.std
    logits, _ = jax.jit(lambda pixels: narrow.apply(end.best.params, end.best.state, pixels, None))(pixels)
    loss = -np.asarray(jax.nn.log_softmax(logits))[np.arange(len(labels)), labels].mean()
    assert loss == pytest.approx(end.best_loss, abs=1e-4)


def test_lanes_side_by_side_have_statistics_of_their_own(narrow: Network) -> None:
    """The statistics after one pass over a batch of each lane's own."""
    rng = np.random.default_rng(7)
    starts = [initial_weights(narrow, seed) for seed in (1, 2)]
    batches = rng.standard_normal((2, 20, *SMALL), "f4") * np.array([1, 3], "f4")[:, None, None, None, None]

    def statistics(params: Arrays, state: Arrays, images: jax.Array) -> dict[str, jax.Array]:
        return narrow.apply(params, state, images, in_training())[1]

    params, state = (
        jax.tree.map(lambda *parts: np.stack(parts), *(getattr(start, part) for start in starts))
        for part in ("params", "state")
    )
    together, alone = jax.jit(jax.vmap(statistics))(params, state, batches), jax.jit(statistics)
    for number, (start, images) in enumerate(zip(starts, batches, strict=True)):
        for name, expected in alone(start.params, start.state, images).items():
            np.testing.assert_allclose(together[name][number], expected, rtol=1e-5, atol=1e-5, err_msg=name)
            assert np.abs(together[name][1 - number] - expected).max() > 1e-3, name
