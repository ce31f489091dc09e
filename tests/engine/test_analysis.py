"""Rank correlation and overlap, against SciPy and against chance itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from engine.analysis import Ranked, chance_jaccard, jaccard, spearman, spearman_all
from engine.pruning import random_masks


def layer(seed: int, *, alive: float = 0.5, levels: int | None = None, size: int = 240) -> Ranked:
    """A random layer; of few `levels` of magnitude when ties are wanted."""
    rng = np.random.default_rng(seed)
    magnitudes = rng.random(size) if levels is None else rng.integers(1, levels + 1, size)
    mask = rng.random(size) < alive
    return Ranked((magnitudes * mask).astype(np.float32).reshape(-1, 4), mask.reshape(-1, 4))


def of(magnitudes: list[float], mask: list[bool]) -> Ranked:
    return Ranked(np.array(magnitudes, np.float32), np.array(mask))


@given(st.integers(0, 10**6), st.sampled_from([None, 3, 10]), st.sampled_from([0.4, 0.8, 1.0]))
@settings(max_examples=100, deadline=None)
def test_spearman_is_scipys(seed: int, levels: int | None, alive: float) -> None:
    first, second = (layer(number, alive=alive, levels=levels) for number in (seed, seed + 1))
    both = first.mask & second.mask
    over_both = spearmanr(first.magnitudes[both], second.magnitudes[both]).statistic
    over_all = spearmanr(first.magnitudes.ravel(), second.magnitudes.ravel()).statistic
    assert spearman(first, second) == pytest.approx(over_both, abs=1e-12)
    assert spearman_all(first, second) == pytest.approx(over_all, abs=1e-12)
    assert spearman(first, second) == spearman(second, first)
    assert spearman_all(first, second) == spearman_all(second, first)


def test_the_same_order_is_one_and_the_reverse_minus_one() -> None:
    rising, falling = of([1, 2, 4, 9], [True] * 4), of([9, 4, 2, 1], [True] * 4)
    assert spearman(rising, of([1, 3, 5, 7], [True] * 4)) == 1
    assert spearman(rising, falling) == spearman_all(rising, falling) == -1


def test_weights_that_are_dead_in_either_are_not_ranked() -> None:
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
    ],
    ids=["two in common", "none alive", "all equal"],
)
def test_too_little_to_rank_is_none(first: Ranked, second: Ranked) -> None:
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
