"""LeNet-300-100: its shape, its Glorot start, and the function it computes."""

import numpy as np
import pytest

from engine.networks import HostArrays, build, initial_weights, weight_count

pytestmark = pytest.mark.usefixtures("jax_ready")

LENET = "lenet-300-100"


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
