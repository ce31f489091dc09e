"""Parts of the training examples: of the size asked for, fair to the classes or not, and drawn for good."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import datasets
from engine.errors import BadInput


def made_up(counts: list[int], validation: int) -> datasets.Dataset:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return datasets.Dataset("made up", images, labels, images, labels, len(counts), validation, "")


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(20, 90), min_size=2, max_size=6),
    fraction=st.floats(0.15, 0.85),
    seed=st.integers(0, 2**64),
)
def test_both_kinds_are_part_of_the_training_examples_and_one_is_fair(
    counts: list[int], fraction: float, seed: int
) -> None:
    dataset = made_up(counts, 10)
    split = datasets.split(dataset, seed)
    fair = datasets.stratified_subset(dataset, split, fraction, seed)
    free = datasets.random_subset(split, fraction, seed)
    assert len(fair) == len(free) == round(fraction * len(split.train))
    for drawn in (fair, free):
        assert drawn.dtype == np.int32
        assert (np.diff(drawn) > 0).all()
        assert np.isin(drawn, split.train).all()
    whole = np.bincount(dataset.train_labels[split.train], minlength=len(counts))
    found = np.bincount(dataset.train_labels[fair], minlength=len(counts))
    # The size is a whole number, so the share is that of the size and not of the fraction.
    assert np.abs(found - whole * len(fair) / len(split.train)).max() < 1
    np.testing.assert_array_equal(fair, datasets.stratified_subset(dataset, split, fraction, seed))
    np.testing.assert_array_equal(free, datasets.random_subset(split, fraction, seed))


def test_all_of_it_is_the_training_part_itself() -> None:
    dataset = made_up([5, 1], 2)
    split = datasets.split(dataset, 0)
    assert datasets.stratified_subset(dataset, split, 1.0, 3) is split.train
    assert datasets.random_subset(split, 1.0, 3) is split.train


def test_seeds_differ_and_the_draws_are_fixed_for_good() -> None:
    dataset = made_up([50, 50], 10)
    split = datasets.split(dataset, 0)
    fair = [datasets.stratified_subset(dataset, split, 0.2, seed) for seed in range(20)]
    free = [datasets.random_subset(split, 0.2, seed) for seed in range(20)]
    assert len({drawn.tobytes() for drawn in fair + free}) == 40
    assert fair[0].tolist() == [5, 6, 9, 18, 22, 24, 26, 32, 40, 55, 56, 59, 63, 65, 72, 77, 81, 86]
    assert free[0].tolist() == [0, 1, 5, 9, 21, 32, 33, 41, 43, 47, 50, 55, 65, 66, 68, 70, 79, 86]
    assert len({np.bincount(dataset.train_labels[drawn], minlength=2)[0] for drawn in free}) > 2


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_a_fraction_that_is_none(fraction: float) -> None:
    dataset = made_up([50, 50], 10)
    split = datasets.split(dataset, 0)
    with pytest.raises(BadInput, match="above 0 and up to 1"):
        datasets.stratified_subset(dataset, split, fraction, 0)
    with pytest.raises(BadInput, match="above 0 and up to 1"):
        datasets.random_subset(split, fraction, 0)


@pytest.mark.parametrize(
    ("counts", "fraction", "said"),
    [
        ([50, 50], 0.001, "takes none"),
        ([50, 50, 50], 0.015, "takes 2, fewer than the 3 classes of made up"),
        ([50, 50, 50], 0.99, "leaves out 2, fewer than the 3 classes"),
        ([50, 1], 0.5, "one training example"),
    ],
)
def test_a_part_that_cannot_be_fair(counts: list[int], fraction: float, said: str) -> None:
    dataset = made_up(counts, 0)
    with pytest.raises(BadInput, match=said):
        datasets.stratified_subset(dataset, datasets.split(dataset, 0), fraction, 0)
