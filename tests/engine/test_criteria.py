"""Criteria: each is a line of plain arithmetic on a weight's first and last value, ties included."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.networks import LayerShape
from engine.pruning import Masks, PruningSchedule, Weights, full_masks, invariants, prune, pruning_schedule, scores
from engine.spec import Criterion, Prune

LAYERS = (
    LayerShape("dense1", "dense", (6, 5)),
    LayerShape("dense2", "dense", (6, 5)),
    LayerShape("output", "output", (5, 3)),
)
seeds = st.integers(0, 2**32 - 1)

# Zhou et al. 2019, figure 3: from a weight's first value and its last; the lowest go.
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
        kernel = kernel.astype(np.float32) * rng.choice([1, -1], layer.shape).astype(np.float32)
        drawn[layer.name] = {"kernel": kernel, "bias": rng.standard_normal(layer.shape[-1:], "f4")}
    return drawn


def plain_scores(criterion: str, start: Weights, end: Weights, seed: int) -> dict[str, list[float]]:
    if criterion == "random":
        return {
            layer.name: np.argsort(
                np.random.Philox(np.random.SeedSequence(seed, spawn_key=(0x5C02E, depth))).random_raw(layer.size)
            ).tolist()
            for depth, layer in enumerate(LAYERS)
        }
    return {
        name: [
            PLAIN[criterion](*pair) for pair in zip(start[name]["kernel"].flat, end[name]["kernel"].flat, strict=True)
        ]
        for name in end
    }


def plain_prune(given: dict[str, list[float]], masks: Masks, steps: PruningSchedule, number: int) -> Masks:
    """Sort the living by score, layer and place, and take the first away."""
    left = {name: mask.copy() for name, mask in masks.items()}
    for group, target in zip(steps.groups, steps.survivors[number], strict=True):
        alive = [
            (given[name][place], depth, place)
            for depth, name in enumerate(group)
            for place in np.flatnonzero(masks[name])
        ]
        for _, depth, place in sorted(alive)[: len(alive) - target]:
            left[group[depth]].flat[place] = False
    return left


def test_all_nine_are_here() -> None:
    assert {*PLAIN, "random"} == set(get_args(Criterion))
    assert len(get_args(Criterion)) == 9


@pytest.mark.parametrize("criterion", get_args(Criterion))
@given(
    seed=seeds,
    distinct=st.sampled_from([None, 1, 2, 4]),
    scope=st.sampled_from(["layerwise", "global"]),
    rate=st.sampled_from([0.2, 0.5, 0.9]),
)
@settings(max_examples=30, deadline=None)
def test_a_criterion_is_a_line_of_arithmetic(
    criterion: Criterion, seed: int, distinct: int | None, scope: str, rate: float
) -> None:
    steps = pruning_schedule(LAYERS, Prune.model_validate({"scope": scope, "rounds": 3, "rate": rate}))
    masks = full_masks(LAYERS)
    for number in (1, 2, 3):
        start, end = weights_of(seed + 2 * number, distinct), weights_of(seed + 2 * number + 1, distinct)
        found = scores(criterion, start, end, seed)
        expected = plain_scores(criterion, start, end, seed)
        for layer in LAYERS:
            assert found[layer.name].shape == layer.shape
            np.testing.assert_array_equal(found[layer.name].ravel(), np.array(expected[layer.name], np.float32))
        pruned, plain = prune(found, masks, steps, number), plain_prune(expected, masks, steps, number)
        for name in masks:
            np.testing.assert_array_equal(pruned[name], plain[name])
        invariants.on_schedule(pruned, steps, number)
        invariants.only_shrinks(pruned, masks, number)
        masks = pruned


def test_largest_first_is_the_opposite_of_magnitude() -> None:
    steps = pruning_schedule(LAYERS, Prune(rate=0.5, rates={"output": 0.4}, rounds=1))
    weights = weights_of(1, None)
    small, large = (
        prune(scores(of, weights, weights, 1), full_masks(LAYERS), steps, 1) for of in ("largest", "magnitude")
    )
    for name in ("dense1", "dense2"):
        np.testing.assert_array_equal(small[name], ~large[name])
        size = np.abs(weights[name]["kernel"])
        assert size[small[name]].max() < size[large[name]].min()


def test_a_random_order_is_its_seeds_and_another_in_each_layer() -> None:
    weights = weights_of(1, None)
    drawn = [scores("random", weights, weights, seed) for seed in range(50)]
    again = scores("random", weights_of(2, 1), weights_of(3, 1), 0)
    for name, order in drawn[0].items():
        np.testing.assert_array_equal(order, again[name])
        assert sorted(order.flat) == list(range(order.size)), "no ties"
    assert len({order["dense1"].tobytes() for order in drawn}) == 50
    assert all((order["dense1"] != order["dense2"]).any() for order in drawn)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_random_masks_of_a_seed_are_nested_whatever_the_way_down(scope: str) -> None:
    steps = pruning_schedule(LAYERS, Prune.model_validate({"scope": scope, "rounds": 6}))
    order = scores("random", weights_of(1, None), weights_of(2, None), 5)
    masks = full_masks(LAYERS)
    for number in range(1, 7):
        masks = prune(order, masks, steps, number)
        once = prune(order, full_masks(LAYERS), steps, number)
        for name, mask in masks.items():
            np.testing.assert_array_equal(mask, once[name])
