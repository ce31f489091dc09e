"""Criteria: each is a line of plain arithmetic on a weight's first and last value, and comparable across layers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import registry
from engine.errors import LabError
from engine.networks import LayerShape, Snapshot, build, initial_weights
from engine.pruning import (
    LayerWeights,
    Masks,
    PruningSchedule,
    TrainedWeights,
    Weights,
    counts_of,
    full_masks,
    invariants,
    lowest,
    prune,
    pruning_schedule,
    scores,
)
from engine.registry import Origin, registering
from engine.spec import Prune

LAYERS = (
    LayerShape("dense1", "dense", (6, 5)),
    LayerShape("dense2", "dense", (6, 5)),
    LayerShape("output", "output", (5, 3)),
)
LENET = build("lenet-300-100", (28, 28, 1), 10).layers
seeds = st.integers(0, 2**32 - 1)

# Zhou et al. 2019, figure 3: of a weight's first value and its last; the lowest are pruned.
PLAIN: dict[str, Callable[[float, float], float]] = {
    "magnitude": lambda first, last: abs(last),
    "largest": lambda first, last: -abs(last),
    "large-init": lambda first, last: abs(first),
    "small-init": lambda first, last: -abs(first),
    "large-init-large-final": lambda first, last: min(abs(first), abs(last)),
    "small-init-small-final": lambda first, last: min(-abs(first), -abs(last)),
    "magnitude-increase": lambda first, last: abs(last) - abs(first),
    "movement": lambda first, last: abs(last - first),
}


def weights_of(seed: int, distinct: int | None) -> Weights:
    """Random kernels, of only so many `distinct` values when ties are wanted, with zeros of both signs."""
    rng, drawn = np.random.default_rng(seed), {}
    for layer in LAYERS:
        kernel = (
            rng.standard_normal(layer.shape) if distinct is None else rng.integers(-distinct, distinct, layer.shape)
        )
        drawn[layer.parameter] = kernel.astype(np.float32) * rng.choice([1, -1], layer.shape).astype(np.float32)
        drawn[f"{layer.name}/bias"] = rng.standard_normal(layer.shape[-1:], "f4")
    return drawn


def trained(
    start: Weights,
    end: Weights,
    masks: Masks | None = None,
    *,
    layers: tuple[LayerShape, ...] = LAYERS,
    seed: int = 1,
    number: int = 1,
) -> TrainedWeights:
    def no_gradient(_: int) -> Weights:
        raise AssertionError("no built-in criterion reads the gradient")

    masks = masks or full_masks(layers)
    return TrainedWeights(layers, masks, number, seed, lambda: start, lambda: end, no_gradient)


def plain_prune(given: Weights, masks: Masks, steps: PruningSchedule, number: int) -> Masks:
    """Sort the living by score, layer and place, and take the first away."""
    left = {name: mask.copy() for name, mask in masks.items()}
    for group, target in zip(steps.groups, steps.survivors[number], strict=True):
        alive = [
            (given[name].flat[place], depth, place)
            for depth, name in enumerate(group)
            for place in np.flatnonzero(masks[name])
        ]
        for _, depth, place in sorted(alive)[: len(alive) - target]:
            left[group[depth]].flat[place] = False
    return left


@pytest.mark.parametrize("criterion", PLAIN)
@given(
    seed=seeds,
    distinct=st.sampled_from([None, 1, 2, 4]),
    scope=st.sampled_from(["layerwise", "global"]),
    rate=st.sampled_from([0.2, 0.5, 0.9]),
)
@settings(max_examples=20, deadline=None)
def test_a_criterion_is_a_line_of_arithmetic(
    criterion: str, seed: int, distinct: int | None, scope: str, rate: float
) -> None:
    steps = pruning_schedule(LAYERS, Prune.model_validate({"scope": scope, "rounds": 3, "rate": rate}))
    masks = full_masks(LAYERS)
    for number in (1, 2, 3):
        start, end = weights_of(seed + 2 * number, distinct), weights_of(seed + 2 * number + 1, distinct)
        found = scores(criterion, trained(start, end, masks, number=number))
        for layer in LAYERS:
            pairs = zip(start[layer.parameter].flat, end[layer.parameter].flat, strict=True)
            expected = np.array([PLAIN[criterion](*pair) for pair in pairs], np.float32).reshape(layer.shape)
            np.testing.assert_array_equal(found[layer.parameter], expected)
        pruned, plain = prune(found, masks, steps, number), plain_prune(found, masks, steps, number)
        for name in masks:
            np.testing.assert_array_equal(pruned[name], plain[name])
        invariants.on_schedule(pruned, steps, number)
        invariants.only_shrinks(pruned, masks, number)
        masks = pruned


def test_largest_first_is_the_opposite_of_magnitude() -> None:
    steps = pruning_schedule(LAYERS, Prune(rate=0.5, rates={"output": 0.4}, rounds=1))
    weights = weights_of(1, None)
    small, large = (
        prune(scores(of, trained(weights, weights)), full_masks(LAYERS), steps, 1) for of in ("largest", "magnitude")
    )
    for name in ("dense1/kernel", "dense2/kernel"):
        np.testing.assert_array_equal(small[name], ~large[name])
        size = np.abs(weights[name])
        assert size[small[name]].max() < size[large[name]].min()


@pytest.mark.parametrize("number", [1, 2])
def test_random_pruning_in_global_scope_leaves_every_layer_its_share(number: int) -> None:
    steps, masks = pruning_schedule(LENET, Prune(scope="global", rounds=2)), full_masks(LENET)
    for step in range(1, number + 1):
        masks = prune(scores("random", trained({}, {}, masks, layers=LENET, number=step)), masks, steps, step)
    share = 0.8**number
    for layer in LENET:
        left = counts_of(masks)[layer.parameter] / layer.size
        assert abs(left - share) < 5 * np.sqrt(share * (1 - share) / layer.size), layer.name


def test_random_scores_are_drawn_for_each_seed_layer_and_round() -> None:
    drawn = [scores("random", trained({}, {}, seed=seed, number=number)) for seed in range(20) for number in (1, 2, 3)]
    assert len({it["dense1/kernel"].tobytes() for it in drawn}) == 60
    assert all((it["dense1/kernel"] != it["dense2/kernel"]).any() for it in drawn)
    again = scores("random", trained(weights_of(2, 1), weights_of(3, 1), seed=0, number=1))
    np.testing.assert_array_equal(drawn[0]["output/kernel"], again["output/kernel"])


@given(seed=seeds, size=st.integers(1, 300), distinct=st.sampled_from([1, 2, 5, 10_000]), data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_lowest_are_those_that_a_stable_sort_puts_first(
    seed: int, size: int, distinct: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.integers(-distinct, distinct, size) * rng.choice([-1.0, 1.0], size)).astype(np.float32)
    values[rng.random(size) < 0.1] = np.inf
    count = data.draw(st.integers(0, size))
    expected = np.zeros(size, np.bool_)
    expected[np.argsort(values, kind="stable")[:count]] = True
    np.testing.assert_array_equal(lowest(values, count), expected)


def test_only_what_a_criterion_reads_is_computed() -> None:
    asked: list[str] = []

    def read(what: str) -> Callable[..., Weights]:
        return lambda *given: asked.append(what + "".join(map(str, given))) or weights_of(1, None)  # type: ignore[func-returns-value]

    w = LayerWeights(
        TrainedWeights(LAYERS, full_masks(LAYERS), 3, 1, read("start"), read("end"), read("gradient ")), depth=2
    )
    assert (w.layer, w.depth, w.seed, w.round, asked) == (LAYERS[2], 2, 1, 3, [])
    registry.criterion["magnitude"](w)
    assert asked == ["end"]
    np.testing.assert_array_equal(w.gradient, weights_of(1, None)["output/kernel"])
    w.gradient_over(50)
    assert asked == ["end", "gradient 1000", "gradient 50"]


@pytest.mark.parametrize(
    ("result", "words"), [(np.zeros(3), r"output are \(3,\), not \(5, 3\)"), (np.full((5, 3), np.nan), "not a number")]
)
def test_scores_that_cannot_rank_weights_are_refused(result: np.ndarray, words: str) -> None:
    origin = Origin("this test", "digest")
    with registering(origin):
        registry.criterion.add("broken", "a criterion with a mistake", lambda w: result)
    try:
        with pytest.raises(LabError, match=words):
            scores("broken", trained({}, {}, layers=LAYERS[2:]))
    finally:
        registry.criterion.forget(origin)


@pytest.mark.usefixtures("jax_ready")
def test_the_gradient_is_the_slope_of_the_mean_loss() -> None:
    import jax.numpy as jnp
    import optax

    from engine.runner.gradients import BLOCK, mean_gradient

    network = build("lenet-300-100", (8, 8, 1), 10)
    rng, count = np.random.default_rng(1), BLOCK + 50
    images = rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    labels = rng.integers(0, 10, count).astype(np.int32)
    mean, std = np.float32([0.4]), np.float32([0.3])
    weights = initial_weights(network, 1)
    found = mean_gradient(network, weights, images, labels, mean, std)

    def loss(params: Weights) -> float:
        logits, _ = network.apply(
            {key: jnp.asarray(value) for key, value in params.items()},
            {},
            (images / np.float32(255) - mean) / std,
            None,
        )
        return float(np.asarray(optax.softmax_cross_entropy_with_integer_labels(logits, labels), np.float64).mean())

    assert found.keys() == weights.params.keys()
    for key, gradient in found.items():
        assert gradient.dtype == np.float32
        direction = np.sign(gradient)
        step = 1e-3 / max(1, np.sqrt(gradient.size))
        ends = [loss(weights.params | {key: weights.params[key] + sign * step * direction}) for sign in (1, -1)]
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(np.abs(gradient).sum(), rel=0.03, abs=1e-3), key
    part = mean_gradient(network, Snapshot(weights.params), images[:10], labels[:10], mean, std)
    assert all((part[key] != found[key]).any() for key in found)
