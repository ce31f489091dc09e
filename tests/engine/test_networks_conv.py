"""Conv-2, Conv-4 and Conv-6: their shapes, the function they compute, its gradients, and dropout."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.networks import HostArrays, Training, build, image_problem, initial_weights, weight_count
from engine.networks.ops import convolve, max_pool, plain
from engine.pruning import pruning_schedule
from engine.spec import Prune

pytestmark = pytest.mark.usefixtures("jax_ready")

CIFAR, SMALL, CLASSES = (32, 32, 3), (8, 8, 3), 10
FAMILY = ("lenet-300-100", "conv-2", "conv-4", "conv-6")


def drawn_from(seed: int, network: str, image_shape: tuple[int, int, int], classes: int = CLASSES) -> HostArrays:
    return initial_weights(build(network, image_shape, classes), seed).params


def logits_of(
    network: str, image_shape: tuple[int, int, int], classes: int = CLASSES, dropout: float = 0.0
) -> Callable:
    """`(params, images, key)` to logits: in evaluation without a key."""
    apply = build(network, image_shape, classes).apply
    return lambda params, images, key=None: apply(params, {}, images, None if key is None else Training(key, dropout))[
        0
    ]


@pytest.mark.parametrize(("network", "weights"), [("conv-2", 4_300_992), ("conv-4", 2_425_024), ("conv-6", 2_261_184)])
def test_the_networks_have_the_weights_of_the_paper(network: str, weights: int) -> None:
    layers = build(network, CIFAR, CLASSES).layers
    convolutions = int(network[-1])
    assert weight_count(layers) == weights
    assert [layer.name for layer in layers] == [
        *(f"conv{number}" for number in range(1, convolutions + 1)),
        "dense1",
        "dense2",
        "output",
    ]
    assert [layer.kind for layer in layers] == ["conv"] * convolutions + ["dense", "dense", "output"]


@pytest.mark.parametrize(
    ("network", "number", "left"),
    [("conv-2", 11, 8.81), ("conv-2", 14, 4.57), ("conv-4", 11, 11.06), ("conv-4", 12, 9.18)],
)
def test_the_ladder_is_the_papers(network: str, number: int, left: float) -> None:
    recipe = Prune(rounds=number, rates={"conv": 0.1, "dense": 0.2, "output": 0.1})
    assert pruning_schedule(build(network, CIFAR, CLASSES).layers, recipe).p_m(number) == pytest.approx(left, abs=0.005)


@pytest.mark.parametrize("network", ["conv-2", "conv-4", "conv-6"])
@pytest.mark.parametrize("image_shape", [SMALL, (16, 8, 1)])
def test_the_layers_are_known_without_building_them(network: str, image_shape: tuple[int, int, int]) -> None:
    layers = build(network, image_shape, 4).layers
    shapes = {name: array.shape for name, array in drawn_from(1, network, image_shape, 4).items()}
    kernels = {layer.parameter: layer.shape for layer in layers}
    assert shapes == kernels | {f"{layer.name}/bias": layer.shape[-1:] for layer in layers}


def test_images_that_the_pools_do_not_allow_have_a_reason() -> None:
    assert [image_problem(network, (28, 28, 1)) is None for network in FAMILY] == [True, True, True, False]
    reason = image_problem("conv-4", (28, 30, 3))
    assert reason == "conv-4 halves images: their sides must be multiples of 4, not 28x30"
    assert image_problem("conv-2", (1, 1, 3)) is not None
    with pytest.raises(ValueError, match="multiples of 4"):
        build("conv-4", (28, 30, 3), CLASSES)
    with pytest.raises(KeyError, match="conv-3"):
        build("conv-3", CIFAR, CLASSES)


def test_kernels_start_glorot_normal_and_biases_at_zero() -> None:
    drawn = drawn_from(1, "conv-4", SMALL)
    for layer in build("conv-4", SMALL, CLASSES).layers:
        kernel, bias = drawn[layer.parameter], drawn[f"{layer.name}/bias"]
        positions = np.prod(layer.shape[:-2])
        deviation = np.sqrt(2 / (positions * sum(layer.shape[-2:])))
        assert kernel.dtype == bias.dtype == np.float32
        assert kernel.std() == pytest.approx(deviation, rel=3 / np.sqrt(2 * layer.size))
        assert np.abs(kernel).max() <= 2.001 * deviation / 0.8796, "cut at two standard deviations"
        assert not bias.any()


def test_a_seed_gives_the_same_bits_and_another_gives_others() -> None:
    first, again, other = (drawn_from(seed, "conv-2", SMALL) for seed in (1, 1, 2))
    for layer in build("conv-2", SMALL, CLASSES).layers:
        name = layer.parameter
        assert first[name].tobytes() == again[name].tobytes()
        assert (first[name] != other[name]).mean() > 0.99


def reference(weights: dict, images: jax.Array) -> jax.Array:
    """The network by JAX's own convolution and window, nothing of ours."""
    signal = images
    convolutions = sorted(name for name in weights if name.startswith("conv") and name.endswith("/kernel"))
    for path in [*convolutions, "dense1/kernel", "dense2/kernel", "output/kernel"]:
        name = path.removesuffix("/kernel")
        if name == "dense1":
            signal = signal.reshape(len(signal), -1)
        if name.startswith("conv"):
            signal = jax.lax.conv_general_dilated(
                signal, weights[path], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        else:
            signal = signal @ weights[path]
        signal = signal + weights[f"{name}/bias"]
        if name != "output":
            signal = jnp.maximum(signal, 0)
        if name in ("conv2", "conv4", "conv6"):
            signal = window_max(signal)
    return signal


def window_max(images: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@pytest.fixture(params=["conv-2", pytest.param("conv-6", marks=pytest.mark.slow)])
def case(request: pytest.FixtureRequest) -> tuple[Callable, dict, np.ndarray]:
    """A network, weights for it with biases that are not zero, and four images."""
    rng = np.random.default_rng(0)
    weights = {
        name: 0.1 * rng.standard_normal(array.shape, "f4") if name.endswith("/bias") else array
        for name, array in drawn_from(3, request.param, SMALL).items()
    }
    return logits_of(request.param, SMALL), weights, rng.standard_normal((4, *SMALL), "f4")


def test_the_network_and_its_gradients_are_plain_jaxs(case: tuple[Callable, dict, np.ndarray]) -> None:
    apply, weights, images = case
    np.testing.assert_allclose(jax.jit(apply)(weights, images), jax.jit(reference)(weights, images), atol=1e-5)

    def gradients(function: Callable) -> dict:
        return jax.jit(jax.grad(lambda weights: jnp.sum(jnp.sin(function(weights, images)))))(weights)

    ours, plain_ones = gradients(apply), gradients(reference)
    for name, expected in plain_ones.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(4, 8, 8, 3), (3, 6, 10, 5), (1, 2, 2, 1), (5, 1, 7, 2), (2, 3, 3, 16)])
def test_the_gradients_of_the_convolution_are_plain_jaxs(shape: tuple[int, int, int, int]) -> None:
    rng = np.random.default_rng(1)
    images, kernel = rng.standard_normal(shape, "f4"), rng.standard_normal((3, 3, shape[-1], 7), "f4")
    above = rng.standard_normal((*shape[:-1], 7), "f4")
    ours, pullback = jax.vjp(convolve, images, kernel)
    expected, pullback_of_plain = jax.vjp(plain, images, kernel)
    np.testing.assert_array_equal(ours, expected)
    for found, wanted in zip(pullback(above), pullback_of_plain(above), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batched", [(0, 0), (0, None), (None, 0)])
def test_the_convolution_is_right_under_vmap_and_in_a_loop(batched: tuple[int | None, int | None]) -> None:
    rng = np.random.default_rng(2)
    stacked = [rng.standard_normal((3, 4, 6, 2), "f4"), rng.standard_normal((3, 3, 2, 5), "f4")]
    stacked = [
        np.stack([part, 2 - part, 0.5 * part]) if axis == 0 else part
        for part, axis in zip(stacked, batched, strict=True)
    ]

    def gradients(function: Callable) -> Callable:
        return jax.vmap(jax.grad(lambda *parts: jnp.sum(jnp.sin(function(*parts))), (0, 1)), batched)

    @jax.jit
    def looped(images: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = jax.tree.map(jnp.zeros_like, gradients(convolve)(images, kernel))
        return jax.lax.fori_loop(
            0, 2, lambda _, sums: jax.tree.map(jnp.add, sums, gradients(convolve)(images, kernel)), start
        )

    expected = gradients(plain)(*stacked)
    for found, twice, wanted in zip(gradients(convolve)(*stacked), looped(*stacked), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(twice, 2 * wanted, rtol=1e-4, atol=2e-4)


def test_networks_under_vmap_are_each_as_if_alone() -> None:
    images = np.random.default_rng(3).standard_normal((3, *SMALL), "f4")
    apply = logits_of("conv-2", SMALL)
    gradient = jax.grad(lambda weights: jnp.sum(jnp.sin(apply(weights, images))))
    lanes = [drawn_from(seed, "conv-2", SMALL) for seed in (1, 2)]
    together = jax.jit(jax.vmap(gradient))(jax.tree.map(lambda *parts: np.stack(parts), *lanes))
    for number, lane in enumerate(lanes):
        alone = jax.jit(gradient)(lane)
        for name in alone:
            expected = alone[name]
            np.testing.assert_allclose(together[name][number], expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


def test_the_pool_and_its_gradient_are_those_of_windows_without_ties() -> None:
    rng = np.random.default_rng(4)
    images = rng.permutation(5 * 6 * 10 * 3).astype("f4").reshape(5, 6, 10, 3)
    above = rng.standard_normal((5, 3, 5, 3), "f4")
    ours, pullback = jax.vjp(max_pool, images)
    expected, pullback_of_window = jax.vjp(window_max, images)
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(pullback(above)[0], pullback_of_window(above)[0])


def test_the_greatest_of_a_pool_share_the_gradient_equally() -> None:
    images = np.array([[1.0, 5.0], [5.0, 0.0]], "f4").reshape(1, 2, 2, 1)
    gradient = jax.grad(lambda images: max_pool(images).sum())(images)
    np.testing.assert_array_equal(gradient.reshape(2, 2), [[0, 0.5], [0.5, 0]])


@pytest.mark.parametrize(("network", "image_shape"), [("conv-2", (2, 2, 3)), ("lenet-300-100", (2, 2, 3))])
def test_dropout_is_drawn_from_its_key_and_absent_in_evaluation(
    network: str, image_shape: tuple[int, int, int]
) -> None:
    weights = drawn_from(1, network, image_shape)
    images = np.random.default_rng(5).standard_normal((4, *image_shape), "f4")
    whole, dropped = logits_of(network, image_shape), jax.jit(logits_of(network, image_shape, dropout=0.5))
    one, two = jax.random.split(jax.random.key(0))
    np.testing.assert_allclose(dropped(weights, images), whole(weights, images), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(dropped(weights, images, one), dropped(weights, images, one))
    assert np.abs(dropped(weights, images, one) - dropped(weights, images, two)).max() > 1e-3
    np.testing.assert_array_equal(whole(weights, images, one), whole(weights, images))


def test_dropout_leaves_out_units_of_the_hidden_dense_layers_at_its_rate_and_keeps_the_mean() -> None:
    images = np.ones((500, 2, 2, 1), "f4")
    weights = {name: np.zeros_like(array) for name, array in drawn_from(1, "lenet-300-100", (2, 2, 1), 300).items()}
    weights["dense1/bias"][:] = 1
    weights["dense2/kernel"][:100] = np.eye(100)
    weights["output/kernel"][:, :100] = np.eye(100)
    # A hidden unit is 1, and comes out if neither layer leaves it out: 1 / 0.75^2 of 0.75^2 of them.
    found = np.asarray(logits_of("lenet-300-100", (2, 2, 1), 300, 0.25)(weights, images, jax.random.key(3)))[:, :100]
    kept = found > 0
    np.testing.assert_allclose(found[kept], 1 / 0.75**2, rtol=1e-6)
    assert kept.mean() == pytest.approx(0.75**2, abs=4 * np.sqrt(0.5625 * 0.4375 / kept.size))
    assert found.mean() == pytest.approx(1, abs=0.02)
    assert (kept[0] != kept[1]).any(), "units are left out example by example"


def test_dropout_under_vmap_is_each_as_if_alone() -> None:
    apply = logits_of("conv-2", SMALL, dropout=0.5)
    lanes = [drawn_from(seed, "conv-2", SMALL) for seed in (1, 2)]
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *lanes)
    images = np.random.default_rng(6).standard_normal((3, *SMALL), "f4")
    keys = jax.random.split(jax.random.key(1), 2)
    together = jax.jit(jax.vmap(lambda weights, key: apply(weights, images, key)))(stacked, keys)
    for number, lane in enumerate(lanes):
        np.testing.assert_allclose(together[number], apply(lane, images, keys[number]), rtol=1e-4, atol=1e-5)
