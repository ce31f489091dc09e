"""Subsets of the training examples: their sizes, their classes, and values that must never change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

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
    assert fair[0].tolist() == [1, 4, 19, 22, 30, 32, 44, 47, 49, 50, 54, 55, 59, 60, 62, 66, 68, 79]
    assert free[0].tolist() == [1, 5, 17, 19, 21, 44, 46, 47, 49, 54, 55, 59, 61, 73, 80, 81, 82, 98]
    assert len({np.bincount(dataset.train_labels[drawn], minlength=2)[0] for drawn in free}) > 2


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_a_fraction_that_is_none(fraction: float) -> None:
    dataset = made_up([50, 50], 10)
    split = datasets.split(dataset, 0)
    with pytest.raises(BadInput, match="above 0 and up to 1"):
        datasets.stratified_subset(dataset, split, fraction, 0)
    with pytest.raises(BadInput, match="above 0 and up to 1"):
        datasets.random_subset(split, fraction, 0)


def test_shares_have_the_largest_remainders() -> None:
    # Shares of 11 in 7 of 10 + 7 of 20 + 7 of 30 ... : 10/60*11 = 1.83, 20/60*11 = 3.67, 30/60*11 = 5.5.
    dataset = made_up([10, 20, 30], 0)
    drawn = datasets.stratified_subset(dataset, datasets.split(dataset, 0), 11 / 60, 0)
    assert np.bincount(dataset.train_labels[drawn]).tolist() == [2, 4, 5]
    # Equal remainders: the lower label first.
    equal = made_up([4, 4, 4, 4], 0)
    drawn = datasets.stratified_subset(equal, datasets.split(equal, 0), 6 / 16, 0)
    assert np.bincount(equal.train_labels[drawn]).tolist() == [2, 2, 1, 1]


def test_every_example_of_a_class_is_as_likely() -> None:
    dataset = made_up([12, 30], 0)
    split = datasets.split(dataset, 0)
    drawn = np.concatenate([datasets.stratified_subset(dataset, split, 0.5, seed) for seed in range(1000)])
    counts = np.bincount(drawn, minlength=42)
    # Five standard deviations of 1,000 draws with probability one half.
    assert np.abs(counts - 500).max() < 5 * np.sqrt(250)


def test_fewer_examples_than_classes_are_refused() -> None:
    dataset = made_up([50, 50, 50], 0)
    with pytest.raises(BadInput, match="is 2, fewer than the 3 classes of made up"):
        datasets.stratified_subset(dataset, datasets.split(dataset, 0), 0.015, 0)
    with pytest.raises(BadInput, match="training examples is none"):
        datasets.stratified_subset(dataset, datasets.split(dataset, 0), 0.001, 0)


def test_arrays_of_another_shape_or_type_are_refused_while_the_tests_run() -> None:
    images, rows = np.zeros((4, 2, 2, 3), np.uint8), np.arange(2, dtype=np.int32)
    datasets.statistics(images, rows)
    for wrong in ((images[0], rows), (images / 255, rows), (images, rows.astype(np.int64)), (images, rows[None])):
        with pytest.raises(TypeCheckError):
            datasets.statistics(*wrong)
