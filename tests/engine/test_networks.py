"""LeNet-300-100: its shape, its Glorot start, and the function it computes."""

import numpy as np
import pytest

from engine.networks import layer_shapes, weight_count
from engine.networks.build import forward, initial_weights

pytestmark = pytest.mark.usefixtures("jax_ready")

LENET = "lenet-300-100"


@pytest.mark.parametrize(
    ("image_shape", "classes", "weights"),
    [((28, 28, 1), 10, 266_200), ((8, 8, 1), 10, 50_200), ((4, 3, 3), 2, 41_000)],
)
def test_the_layers_are_known_without_building_them(
    image_shape: tuple[int, int, int], classes: int, weights: int
) -> None:
    layers = layer_shapes(LENET, image_shape, classes)
    drawn = initial_weights(LENET, image_shape, classes, 1)
    assert weight_count(layers) == weights
    assert [layer.kind for layer in layers] == ["dense", "dense", "output"]
    assert [(name, tensors["kernel"].shape) for name, tensors in drawn.items()] == [
        (it.name, it.shape) for it in layers
    ]
    assert [tensors["bias"].shape for tensors in drawn.values()] == [layer.shape[-1:] for layer in layers]


def test_kernels_start_glorot_normal_and_biases_at_zero() -> None:
    drawn = initial_weights(LENET, (28, 28, 1), 10, 1)
    for layer in layer_shapes(LENET, (28, 28, 1), 10):
        kernel, bias = drawn[layer.name]["kernel"], drawn[layer.name]["bias"]
        deviation = np.sqrt(2 / sum(layer.shape))
        assert kernel.dtype == bias.dtype == np.float32
        assert kernel.std() == pytest.approx(deviation, rel=3 / np.sqrt(2 * layer.size))
        assert abs(kernel.mean()) < 4 * deviation / np.sqrt(layer.size)
        assert 2 < np.abs(kernel).max() / deviation < 2.001 / 0.8796, "normal, cut at two standard deviations"
        assert not bias.any()


def test_a_seed_gives_the_same_bits_and_another_gives_others() -> None:
    first, again, other = (initial_weights(LENET, (8, 8, 1), 10, seed) for seed in (1, 1, 2))
    for name in first:
        assert first[name]["kernel"].tobytes() == again[name]["kernel"].tobytes()
        assert (first[name]["kernel"] != other[name]["kernel"]).mean() > 0.99


def test_the_network_computes_what_it_says() -> None:
    weights = initial_weights(LENET, (8, 8, 1), 10, 3)
    rng = np.random.default_rng(0)
    weights = {name: {**it, "bias": rng.standard_normal(it["bias"].shape, "f4")} for name, it in weights.items()}
    images = rng.standard_normal((5, 8, 8, 1), "f4")
    hidden = images.reshape(5, 64).astype(np.float64)
    for name in ("dense1", "dense2"):
        hidden = np.maximum(hidden @ weights[name]["kernel"] + weights[name]["bias"], 0)
    expected = hidden @ weights["output"]["kernel"] + weights["output"]["bias"]
    np.testing.assert_allclose(forward(LENET, (8, 8, 1), 10)(weights, images), expected, rtol=1e-5, atol=1e-5)
