"""Ranks, overlap, distributions and measures, against SciPy, NumPy and chance itself."""

import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, spearmanr

from engine import registry
from engine.analysis import (
    RankedLayer,
    chance_jaccard,
    correlations,
    distance_from_uniform,
    histogram,
    jaccard,
    pairs,
    spearman,
    spearman_all,
)
from engine.analysis.measures import FinishedRound, compare_rounds, measure_round
from engine.networks import Snapshot
from engine.pruning import random_masks
from engine.registry import Origin, registering
from engine.spec import digest
from engine.store import RoundResult, RoundStore, StoredRound

Layer = tuple[np.ndarray, np.ndarray]
"""Weights and mask."""


def layer(seed: int, *, alive: float = 0.5, levels: int | None = None, size: int = 240) -> Layer:
    """A random layer; of few `levels` of magnitude, 0 among them, when ties are wanted."""
    rng = np.random.default_rng(seed)
    magnitudes = rng.random(size) + 0.1 if levels is None else rng.integers(0, levels, size)
    mask = rng.random(size) < alive
    weights = magnitudes * mask * rng.choice([-1, 1], size)
    return weights.astype(np.float32).reshape(-1, 4), mask.reshape(-1, 4)


def ranked(found: Layer) -> RankedLayer:
    return RankedLayer.of(found[0][found[1]], found[1])


def of(magnitudes: list[float], mask: list[bool]) -> RankedLayer:
    return ranked((np.array(magnitudes, np.float32), np.array(mask)))


def scipys(first: np.ndarray, second: np.ndarray) -> float | None:
    if min(np.ptp(first), np.ptp(second)) == 0:
        return None
    return float(spearmanr(first, second).statistic)


@given(
    st.integers(0, 10**6),
    st.sampled_from([None, 3, 10]),
    st.sampled_from([0.4, 0.8, 1.0]),
    st.sampled_from([0.4, 0.8, 1.0]),
)
@settings(max_examples=200, deadline=None)
def test_spearman_is_scipys(seed: int, levels: int | None, alive: float, other: float) -> None:
    first, second = layer(seed, alive=alive, levels=levels), layer(seed + 1, alive=other, levels=levels)
    both = first[1] & second[1]
    found = correlations(ranked(first), ranked(second))
    assert found.alive == pytest.approx(scipys(abs(first[0][both]), abs(second[0][both])), abs=1e-12)
    assert found.all == pytest.approx(scipys(abs(first[0].ravel()), abs(second[0].ravel())), abs=1e-12)
    assert correlations(ranked(second), ranked(first)) == pytest.approx(found, abs=1e-12)


def test_the_same_order_is_one_and_the_reverse_minus_one() -> None:
    rising, falling = of([1, 2, 4, 9], [True] * 4), of([9, 4, 2, 1], [True] * 4)
    assert spearman(rising, of([1, 3, 5, 7], [True] * 4)) == 1
    assert spearman(rising, falling) == spearman_all(rising, falling) == -1


def test_weights_that_are_pruned_in_either_are_not_ranked() -> None:
    first = of([1, 2, 3, 0, 5], [True, True, True, False, True])
    second = of([1, 2, 3, 9, 0], [True, True, True, True, False])
    assert spearman(first, second) == 1
    assert spearman_all(first, second) == pytest.approx(spearmanr([1, 2, 3, 0, 5], [1, 2, 3, 9, 0]).statistic)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (of([1, 2, 0], [True, True, False]), of([1, 2, 3], [True] * 3)),
        (of([0, 0, 0], [False] * 3), of([0, 0, 0], [False] * 3)),
        (of([2, 2, 2, 2], [True] * 4), of([1, 2, 3, 4], [True] * 4)),
        (of([1, 2, math.nan, 4], [True] * 4), of([1, 2, 3, 4], [True] * 4)),
    ],
    ids=["two in common", "none alive", "all equal", "not finite"],
)
def test_too_little_to_rank_is_none(first: RankedLayer, second: RankedLayer) -> None:
    assert spearman(first, second) is None


def test_all_weights_equal_is_none() -> None:
    assert spearman_all(of([2, 2, 2], [True] * 3), of([1, 2, 3], [True] * 3)) is None


def test_jaccard_is_both_over_either() -> None:
    first, second = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert jaccard(first, second) == 1 / 3
    assert jaccard(first, first) == 1
    assert jaccard(first, ~first) == 0
    assert jaccard(first & ~first, first & ~first) == 1


@pytest.mark.parametrize(("first", "second"), [(500, 400), (100, 80), (20, 20), (1000, 300)])
def test_chance_is_what_random_masks_give(first: int, second: int) -> None:
    size = 1000
    one, other = ({"layer": np.arange(size) < alive} for alive in (first, second))
    overlaps = [
        jaccard(random_masks(one, seed)["layer"], random_masks(other, seed + 300)["layer"]) for seed in range(300)
    ]
    simulated = np.mean(overlaps)
    assert chance_jaccard(first, second, size) == pytest.approx(simulated, abs=0.004)


def test_chance_at_the_ends() -> None:
    assert chance_jaccard(10, 10, 10) == 1
    assert chance_jaccard(0, 10, 10) == 0
    assert chance_jaccard(0, 0, 10) == 1


@given(st.integers(0, 10**6), st.integers(1, 5000), st.sampled_from(["uniform", "normal", "few"]))
@settings(max_examples=100, deadline=None)
def test_distributions_are_scipys_and_numpys(seed: int, size: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    draws = {"uniform": rng.random(size), "normal": abs(rng.normal(0, 0.05, size)), "few": rng.integers(0, 4, size)}
    values = np.sort(draws[kind].astype(np.float32))
    top = float(values[-1])
    shares = values.astype(np.float64) / top if top else values
    expected = kstest(shares, "uniform", method="asymp").statistic if top else 1.0
    assert distance_from_uniform(values) == expected
    assert histogram(values) == (tuple(np.histogram(values, 24, (0.0, top or 1.0))[0].tolist()), top)


def test_no_magnitudes_are_as_far_from_uniform_as_can_be() -> None:
    assert distance_from_uniform(np.zeros(0, np.float32)) == distance_from_uniform(np.zeros(3, np.float32)) == 1
    assert histogram(np.zeros(0, np.float32)) == ((0,) * 24, 0.0)


# Measures


def a_round(seed: int, *, alive: float = 0.6) -> FinishedRound:
    rng = np.random.default_rng(seed)
    shapes = {"conv1/kernel": (3, 3, 2, 4), "output/kernel": (30, 5)}
    masks = {name: rng.random(shape) < alive for name, shape in shapes.items()}
    start = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    final = {name: (np.where(mask, start[name] + 0.5, 0)).astype(np.float32) for name, mask in masks.items()}
    return FinishedRound(masks, Snapshot(final), lambda: Snapshot(start))


def test_the_measures_of_a_round_are_those_of_its_survivors() -> None:
    found = a_round(0)
    measures = measure_round(found)
    assert measures.problems == {}
    assert {"distance-from-uniform", "sign-agreement", "distance-from-start"} <= measures.measures.keys()
    for layer, name in {"conv1": "conv1/kernel", "output": "output/kernel"}.items():
        start, end = (it.params[name][found.masks[name]].astype(np.float64) for it in (found.start, found.final))
        plain = {
            "distance-from-uniform": kstest(abs(end) / abs(end).max(), "uniform").statistic,
            "start-distance-from-uniform": kstest(abs(start) / abs(start).max(), "uniform").statistic,
            "sign-agreement": ((start > 0) == (end > 0)).mean(),
            "distance-from-start": np.linalg.norm(end - start) / np.linalg.norm(start),
            "mean-magnitude": abs(end).mean(),
        }
        assert {key: values[layer] for key, values in measures.measures.items()} == pytest.approx(plain, rel=1e-6)
        bins = measures.magnitudes[layer]
        assert (sum(bins.start), sum(bins.end)) == (len(start), len(end))
        assert bins.end_distance == measures.measures["distance-from-uniform"][layer]


def test_a_round_is_compared_layer_by_layer() -> None:
    now, before = a_round(1), a_round(2, alive=0.9)
    for layer, found in compare_rounds(now, before).items():
        name = f"{layer}/kernel"
        both = now.masks[name] & before.masks[name]
        mine, theirs = (abs(it.final.params[name]) for it in (now, before))
        assert found.alive == pytest.approx(spearmanr(mine[both], theirs[both]).statistic)
        assert found.all == pytest.approx(spearmanr(mine.ravel(), theirs.ravel()).statistic)
        assert found.jaccard == both.sum() / (now.masks[name] | before.masks[name]).sum()
        assert found.chance == chance_jaccard(int(now.masks[name].sum()), int(before.masks[name].sum()), both.size)


@pytest.fixture
def plug_in() -> Iterator[None]:
    origin = Origin("measures.py", "0" * 64)
    with registering(origin):
        registry.measure.add("survivors", "how many there are", lambda it: sum(it.masks[n].sum() for n in it.masks))
        registry.measure.add("broken", "it raises", lambda it: 1 / 0)
        registry.measure.add("endless", "it is no number", lambda it: {"output": math.inf})
    yield
    registry.measure.forget(origin)


@pytest.mark.usefixtures("plug_in")
def test_a_measure_of_a_plug_in_is_computed_and_a_broken_one_costs_no_round() -> None:
    found = a_round(3)
    measures = measure_round(found)
    assert measures.measures["survivors"] == {"": sum(int(mask.sum()) for mask in found.masks.values())}
    assert measures.measures["endless"] == {"output": None}
    assert "broken" not in measures.measures
    assert measures.problems == {"broken": "measure 'broken' failed: ZeroDivisionError: division by zero"}
    assert "sign-agreement" in measures.measures


def test_weights_that_are_not_finite_have_no_distribution() -> None:
    found = a_round(4)
    found.final.params["conv1/kernel"][found.masks["conv1/kernel"]] = math.nan
    measures = measure_round(found)
    assert measures.magnitudes == {}
    assert measures.measures["distance-from-start"]["conv1"] is None


# Every pair of rounds


def write_rounds(home: Path, count: int) -> tuple[RoundStore, dict[str, FinishedRound]]:
    rounds, found = RoundStore(home / "rounds"), {digest((number,)): a_round(number) for number in range(count)}
    for key, item in found.items():
        result = RoundResult(
            iterations=1,
            early_stop_iteration=1,
            validation_loss=1,
            test_accuracy=1,
            test_accuracy_end=1,
            layers={},
            seconds=1,
            diverged=False,
        )
        masks = {name: np.asarray(mask) for name, mask in item.masks.items()}
        rounds.write(StoredRound(key, result, [], masks, item.final, item.final))
    return rounds, found


@pytest.mark.parametrize("room", [0, 300, 10**6], ids=["one at a time", "a few", "all"])
def test_all_pairs_are_each_compared_whatever_memory_there_is(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "MOST_WEIGHTS", room)
    rounds, found = write_rounds(tmp_path, 5)
    keys = list(found)
    expected = {(b, a): compare_rounds(found[b], found[a]) for a, b in combinations(keys, 2)}
    assert pairs.all_pairs(rounds, keys, tmp_path) == expected
    assert pairs.known_pairs(keys, tmp_path) == expected


def test_known_pairs_are_not_computed_again_and_new_rounds_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, found = write_rounds(tmp_path, 4)
    keys = list(found)
    pairs.all_pairs(rounds, keys[:3], tmp_path)
    compared: list[tuple[int, int]] = []
    monkeypatch.setattr(pairs, "compare_rounds", lambda *both: compared.append(both) or {})
    pairs.all_pairs(rounds, keys[:3], tmp_path)
    assert not compared
    pairs.all_pairs(rounds, keys, tmp_path)
    assert len(compared) == 3
    assert pairs.all_pairs(rounds, keys, tmp_path, stop=lambda: True).keys() == {
        (b, a) for a, b in combinations(keys, 2)
    }


def test_a_missing_round_and_a_damaged_cache_cost_only_their_pairs(tmp_path: Path) -> None:
    rounds, found = write_rounds(tmp_path, 3)
    keys = list(found)
    whole = pairs.all_pairs(rounds, keys, tmp_path)
    (tmp_path / "measures" / "pairs" / f"{keys[2]}.json").write_text("{broken")
    rounds.path(keys[0]).unlink()
    assert pairs.known_pairs(keys, tmp_path).keys() == {(keys[1], keys[0])}
    assert pairs.all_pairs(rounds, keys, tmp_path) == {
        pair: whole[pair] for pair in [(keys[1], keys[0]), (keys[2], keys[1])]
    }
