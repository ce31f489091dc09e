"""Masks: exact counts, deterministic ties, and guards that see every single violation."""

from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvariantViolated
from engine.networks import LayerShape, build, weight_count
from engine.pruning import (
    Masks,
    PruningSchedule,
    Weights,
    counts_of,
    full_masks,
    invariants,
    magnitudes,
    prune,
    pruning_schedule,
    random_masks,
)
from engine.pruning.masks import masked
from engine.spec import Prune

LENET = build("lenet-300-100", (28, 28, 1), 10).layers
SMALL = (
    LayerShape("dense1", "dense", (6, 5)),
    LayerShape("dense2", "dense", (5, 4)),
    LayerShape("output", "output", (4, 3)),
)
SCOPES = ["layerwise", "global"]
seeds = st.integers(0, 2**32 - 1)


def conv(*shapes: tuple[int, ...]) -> tuple[LayerShape, ...]:
    """A Conv-N of Frankle & Carbin 2019, figure 2: 3x3 convolutions before dense layers of 256, 256 and 10."""
    pixels = (32 // 2 ** (len(shapes) // 2)) ** 2
    dense = [LayerShape("d1", "dense", (pixels * shapes[-1][-1], 256)), LayerShape("d2", "dense", (256, 256))]
    convolutions = [LayerShape(f"c{place}", "conv", (3, 3, *shape)) for place, shape in enumerate(shapes)]
    return (*convolutions, *dense, LayerShape("output", "output", (256, 10)))


def weights_of(layers: tuple[LayerShape, ...], seed: int, *, distinct: int | None = None) -> Weights:
    """Random kernels; of only so many `distinct` values when ties are wanted."""
    rng = np.random.default_rng(seed)
    drawn: Weights = {}
    for layer in layers:
        kernel = (
            rng.standard_normal(layer.shape) if distinct is None else rng.integers(-distinct, distinct, layer.shape)
        )
        drawn[layer.parameter] = kernel.astype(np.float32)
        drawn[f"{layer.name}/bias"] = rng.standard_normal(layer.shape[-1:], "f4")
    return drawn


def down_to(steps: PruningSchedule, number: int, seed: int = 0) -> Masks:
    """The masks of round `number`, pruned round by round on the magnitudes of weights drawn anew each time."""
    masks = full_masks(SMALL)
    for step in range(1, number + 1):
        masks = prune(magnitudes(weights_of(SMALL, seed + step), masks), masks, steps, step)
    return masks


def plain_prune(scores: dict[str, np.ndarray], masks: Masks, groups: list[list[str]], targets: list[int]) -> Masks:
    """The same in the plainest words: sort (score, place) and take the first away."""
    left = {name: mask.copy() for name, mask in masks.items()}
    for group, target in zip(groups, targets, strict=True):
        alive = [
            (float(scores[name].flat[place]), depth, place)
            for depth, name in enumerate(group)
            for place in range(masks[name].size)
            if masks[name].flat[place]
        ]
        for _, depth, place in sorted(alive)[: len(alive) - target]:
            left[group[depth]].flat[place] = False
    return left


# The ladder


def test_lenet_has_the_ladder_of_the_paper() -> None:
    steps = pruning_schedule(LENET, Prune())
    assert weight_count(LENET) == 266_200
    expected = {0: 100.0, 3: 51.28, 7: 21.07, 9: 13.52, 12: 6.95, 15: 3.58, 18: 1.85}
    assert {number: round(steps.p_m(number), 2) for number in expected} == expected
    assert steps.survivors[1] == (188_160, 24_000, 900), "20%, 20%, and the output layer at half the rate"


def test_convolutions_have_their_own_rate() -> None:
    rates = Prune(rates={"conv": 0.1})
    conv2 = pruning_schedule(conv((3, 64), (64, 64)), rates)
    conv4 = pruning_schedule(conv((3, 64), (64, 64), (64, 128), (128, 128)), rates)
    assert (sum(conv2.survivors[0]), sum(conv4.survivors[0])) == (4_300_992, 2_425_024)
    assert [f"{conv2.p_m(k):.2f}" for k in (11, 14)] == ["8.81", "4.57"]
    assert [f"{conv4.p_m(k):.2f}" for k in (11, 12)] == ["11.06", "9.18"]


def test_global_scope_ranks_all_layers_together() -> None:
    steps = pruning_schedule(LENET, Prune(scope="global", rounds=2))
    assert steps.groups == (("dense1/kernel", "dense2/kernel", "output/kernel"),)
    assert steps.survivors == ((266_200,), (212_960,), (170_368,))


@given(seeds, st.floats(0.001, 0.999), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_a_round_takes_its_rate_of_the_survivors_to_the_nearest_weight(size: int, rate: float, rounds: int) -> None:
    layer = LayerShape("only", "dense", (1 + size % 10_000, 1))
    left = [survivors for (survivors,) in pruning_schedule((layer,), Prune(rate=rate, rounds=rounds)).survivors]
    assert all(abs(before - after - rate * before) <= 0.5 for before, after in pairwise(left))
    assert all(0 <= after <= before for before, after in pairwise(left))


def at_level(level: float, rates: tuple[float, ...]) -> list[float]:
    """LeNet's layers after as many rounds (a fraction, too) as bring all together to `level`, by halving."""
    low, high, left = 0.0, 2000.0, [0.0]
    for _ in range(100):
        time = (low + high) / 2
        left = [layer.size * (1 - rate) ** time for layer, rate in zip(LENET, rates, strict=True)]
        low, high = (time, high) if sum(left) > level * 266_200 else (low, time)
    return left


LEVELS = st.sets(st.floats(0.01, 99.9), min_size=1, max_size=6).map(lambda found: sorted(found, reverse=True))
RATES = st.floats(0.01, 0.9)


@given(LEVELS, RATES, RATES)
@settings(max_examples=60, deadline=None)
def test_levels_are_met_to_the_rounding_and_every_layer_is_as_far_as_its_rate_takes_it(
    levels: list[float], rate: float, output: float
) -> None:
    steps = pruning_schedule(LENET, Prune.model_validate({"levels": levels, "rate": rate, "rates": {"output": output}}))
    assert len(steps.survivors) == len(levels) + 1
    for number, level in enumerate(levels, 1):
        assert abs(steps.p_m(number) - level) <= 100 * 1.5 / 266_200 + 1e-6
        for left, exact in zip(steps.survivors[number], at_level(level / 100, (rate, rate, output)), strict=True):
            assert abs(left - exact) <= 0.5 + 1e-3
    assert all(
        after <= before for one, other in pairwise(steps.survivors) for before, after in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("rates", [{}, {"output": 0.2}, {"dense": 0.5, "output": 0.1}])
def test_a_level_where_rounds_pass_is_the_rounds(rates: dict[str, float]) -> None:
    rounds = pruning_schedule(LENET, Prune.model_validate({"rounds": 20, "rates": rates}))
    levels = pruning_schedule(
        LENET, Prune.model_validate({"levels": [rounds.p_m(k) for k in (3, 8, 20)], "rates": rates})
    )
    for number, k in enumerate((3, 8, 20), 1):
        assert levels.p_m(number) == pytest.approx(rounds.p_m(k), abs=100 * 1.5 / 266_200)
        for left, expected in zip(levels.survivors[number], rounds.survivors[k], strict=True):
            assert abs(left - expected) <= 5, "each round rounds"


def test_levels_in_global_scope_are_of_all_weights() -> None:
    steps = pruning_schedule(LENET, Prune(scope="global", levels=(50, 3.58, 0.001)))
    assert steps.survivors == ((266_200,), (133_100,), (9530,), (3,))


@pytest.mark.parametrize("rate", [5e-324, 1e-17, 1e-9, 1 - 2**-53])
def test_levels_are_met_at_the_ends_of_what_a_rate_can_be(rate: float) -> None:
    steps = pruning_schedule(SMALL, Prune(levels=(50, 10), rate=rate, rates={"output": rate}))
    assert steps.survivors[1] == (15, 10, 6)
    assert steps.survivors[2] == (3, 2, 1)


# Pruning


@pytest.mark.parametrize("scope", SCOPES)
@given(seed=seeds, distinct=st.sampled_from([None, 1, 2, 5]), rate=st.sampled_from([0.1, 0.2, 0.5, 0.9]))
@settings(max_examples=40, deadline=None)
def test_pruning_is_sorting_and_taking_the_first(scope: str, seed: int, distinct: int | None, rate: float) -> None:
    steps = pruning_schedule(SMALL, Prune.model_validate({"scope": scope, "rounds": 4, "rate": rate}))
    masks = full_masks(SMALL)
    for number in range(1, 5):
        scores = magnitudes(weights_of(SMALL, seed + number, distinct=distinct), masks)
        expected = plain_prune(scores, masks, [list(group) for group in steps.groups], list(steps.survivors[number]))
        pruned = prune(scores, masks, steps, number)
        for name in masks:
            np.testing.assert_array_equal(pruned[name], expected[name])
        invariants.on_schedule(pruned, steps, number)
        invariants.only_shrinks(pruned, masks, number)
        masks = pruned


def test_ties_go_first_layer_first_place_first() -> None:
    steps = pruning_schedule(SMALL, Prune(scope="global", rate=0.5, rounds=1))
    same = {layer.parameter: np.ones(layer.shape, np.float32) for layer in SMALL}
    pruned = prune(same, full_masks(SMALL), steps, 1)
    left = np.concatenate([pruned[layer.parameter].ravel() for layer in SMALL])
    assert left.tolist() == [False] * 31 + [True] * 31


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0])
def test_scores_of_dead_weights_are_not_read(poison: float) -> None:
    steps = pruning_schedule(SMALL, Prune(rounds=3))
    masks = down_to(steps, 2)
    scores = magnitudes(weights_of(SMALL, 9), masks)
    poisoned = {name: np.where(masks[name], score, np.float32(poison)) for name, score in scores.items()}
    for name, mask in prune(poisoned, masks, steps, 3).items():
        np.testing.assert_array_equal(mask, prune(scores, masks, steps, 3)[name])


def test_pruning_changes_nothing_it_was_given() -> None:
    steps, masks, weights = pruning_schedule(SMALL, Prune(rounds=1)), full_masks(SMALL), weights_of(SMALL, 1)
    prune(magnitudes(weights, masks), masks, steps, 1)
    assert counts_of(masks) == {"dense1/kernel": 30, "dense2/kernel": 20, "output/kernel": 12}
    assert all((weights[name] == weights_of(SMALL, 1)[name]).all() for name in weights)


@pytest.mark.parametrize("scope", SCOPES)
def test_one_shot_leaves_as_many_as_many_rounds_do(scope: str) -> None:
    steps = pruning_schedule(SMALL, Prune.model_validate({"scope": scope, "rounds": 6}))
    full = full_masks(SMALL)
    once = prune(magnitudes(weights_of(SMALL, 5), full), full, steps, 6)
    invariants.on_schedule(once, steps, 6)
    assert sum(counts_of(once).values()) == sum(counts_of(down_to(steps, 6)).values())


@given(seeds, st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_a_random_mask_has_the_tickets_counts_in_other_places(seed: int, number: int) -> None:
    ticket = down_to(pruning_schedule(SMALL, Prune(rounds=8)), number)
    drawn = random_masks(ticket, seed)
    assert counts_of(drawn) == counts_of(ticket)
    invariants.same_counts(drawn, ticket, number)
    for name, mask in random_masks(ticket, seed).items():
        np.testing.assert_array_equal(mask, drawn[name])


def test_random_masks_differ_by_seed_and_layer_and_cover_every_place() -> None:
    half = {name: np.arange(100).reshape(10, 10) < 50 for name in ("a", "b")}
    drawn = [random_masks(half, seed) for seed in range(100)]
    assert len({masks["a"].tobytes() for masks in drawn}) == 100
    assert all((masks["a"] != masks["b"]).any() for masks in drawn)
    alive = np.mean([masks["a"] for masks in drawn], axis=0)
    assert alive.min() > 0.25
    assert alive.max() < 0.75


def test_masked_weights_are_positive_zero_whatever_was_there() -> None:
    weights = weights_of(SMALL, 1)
    weights["dense1/kernel"][0] = [np.nan, -0.0, -1.0, np.inf, 0.0]
    masks = full_masks(SMALL)
    masks["dense1/kernel"][0] = False
    assert masked(weights, masks)["dense1/kernel"][0].tobytes() == bytes(20)
    np.testing.assert_array_equal(masked(weights, masks)["dense1/bias"], weights["dense1/bias"])


# The guards

STEPS = pruning_schedule(SMALL, Prune(rounds=3))
MASKS = down_to(STEPS, 2)


def place(mask: np.ndarray, alive: bool) -> tuple[int, ...]:
    """The first place that is (not) alive."""
    return tuple(np.argwhere(mask == alive)[0])


def broken(check: Callable[[], None], words: str, layer: str | None = "dense2", number: int = 2) -> None:
    with pytest.raises(InvariantViolated, match=words) as caught:
        check()
    assert (caught.value.layer, caught.value.round) == (layer, number)
    where = f"round {number}" if layer is None else f"layer {layer}, round {number}"
    assert str(caught.value).startswith(f"guard broken at {where}: ")


@pytest.mark.parametrize("value", [1e-30, -1.0, np.nan, np.inf, np.float32(1e-45)])
@pytest.mark.parametrize("what", ["weights", "optimizer moments"])
def test_one_dead_value_that_is_not_zero_is_seen(value: float, what: str) -> None:
    weights = masked(weights_of(SMALL, 1), MASKS)
    invariants.pruned_are_zero(what, weights, MASKS, 2)
    weights["dense2/kernel"][place(MASKS["dense2/kernel"], False)] = value
    broken(lambda: invariants.all_pruned_zero(what, [weights], MASKS, 2), f"pruned {what} are exactly zero .1 are not")


def test_a_negative_zero_is_zero_and_a_live_one_may_be_anything() -> None:
    weights = masked(weights_of(SMALL, 1), MASKS)
    weights["dense2/kernel"][place(MASKS["dense2/kernel"], False)] = -0.0
    weights["dense2/kernel"][place(MASKS["dense2/kernel"], True)] = np.nan
    invariants.pruned_are_zero("weights", weights, MASKS, 2)


@pytest.mark.parametrize("tensor", ["kernel", "bias"])
def test_one_survivor_that_starts_elsewhere_is_seen(tensor: str) -> None:
    named = weights_of(SMALL, 1)
    named["dense1/kernel"][place(MASKS["dense1/kernel"], True)] = np.nan
    started = deepcopy(masked(named, MASKS))
    invariants.starts_from(started, named, MASKS, 2)
    where = place(MASKS["dense2/kernel"], True) if tensor == "kernel" else (0,)
    right = started[f"dense2/{tensor}"][where]
    for wrong in (np.nextafter(right, np.float32(9)), -right, np.float32(np.nan)):
        started[f"dense2/{tensor}"][where] = wrong
        broken(lambda: invariants.starts_from(started, named, MASKS, 2), "survivors start at .* .1 differ")


def test_a_survivor_at_negative_zero_does_not_start_at_zero() -> None:
    named = weights_of(SMALL, 1)
    named["dense2/kernel"][place(MASKS["dense2/kernel"], True)] = 0.0
    started = masked(named, MASKS)
    started["dense2/kernel"][place(MASKS["dense2/kernel"], True)] = -0.0
    broken(lambda: invariants.starts_from(started, named, MASKS, 2), "1 differ")


def test_a_pruned_weight_that_starts_alive_is_seen() -> None:
    named = weights_of(SMALL, 1)
    started = masked(named, MASKS)
    dead = place(MASKS["dense2/kernel"], False)
    started["dense2/kernel"][dead] = named["dense2/kernel"][dead]
    broken(lambda: invariants.starts_from(started, named, MASKS, 2), "pruned weights are exactly zero")


@pytest.mark.parametrize("alive", [True, False])
def test_one_wrong_bit_of_a_mask_is_seen(alive: bool) -> None:
    wrong = {name: mask.copy() for name, mask in MASKS.items()}
    invariants.same_masks("a law", wrong, MASKS, 2)
    invariants.same_counts(wrong, MASKS, 2)
    invariants.on_schedule(wrong, STEPS, 2)
    invariants.only_shrinks(wrong, MASKS, 2)
    wrong["dense2/kernel"][place(MASKS["dense2/kernel"], alive)] = not alive
    count = 13 + (-1 if alive else 1)
    broken(lambda: invariants.same_masks("a law", wrong, MASKS, 2), "a law .1 places differ")
    broken(lambda: invariants.same_counts(wrong, MASKS, 2), f"ticket's layer counts .{count} instead of 13")
    broken(lambda: invariants.on_schedule(wrong, STEPS, 2), f"the schedule's survivors .{count} instead of 13")
    if not alive:
        broken(lambda: invariants.only_shrinks(wrong, MASKS, 2), "no pruned weight comes back .1 did")


def test_two_bits_swapped_keep_the_count_and_are_seen_all_the_same() -> None:
    wrong = {name: mask.copy() for name, mask in MASKS.items()}
    wrong["dense2/kernel"][place(MASKS["dense2/kernel"], True)] = False
    wrong["dense2/kernel"][place(MASKS["dense2/kernel"], False)] = True
    invariants.same_counts(wrong, MASKS, 2)
    broken(lambda: invariants.same_masks("a law", wrong, MASKS, 2), "2 places differ")
    broken(lambda: invariants.only_shrinks(wrong, MASKS, 2), "1 did")


def test_a_global_ladder_names_its_layers_together() -> None:
    steps = pruning_schedule(SMALL, Prune(scope="global", rounds=2))
    masks = down_to(steps, 2)
    masks["output/kernel"][place(masks["output/kernel"], True)] = False
    broken(lambda: invariants.on_schedule(masks, steps, 2), "39 instead of 40", layer="dense1+dense2+output")


def test_one_validation_example_in_one_batch_is_seen() -> None:
    validation, order = np.array([3, 7], np.int32), np.array([[0, 1], [2, 4], [5, 6]], np.int32)
    invariants.validation_unseen(order, validation, 8, 2)
    order[2, 1] = 7
    broken(lambda: invariants.validation_unseen(order, validation, 8, 2), "in no training batch .1 places", layer=None)
