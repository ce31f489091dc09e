"""Early birds, stabilisation and collapse: the rules on made-up series, and what a run says and does."""

from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from engine import datasets
from engine.analysis import (
    CHANCE_RULE,
    EarlyBirdWatch,
    at_chance,
    distance_from_uniform,
    histogram,
    mask_distance,
    ranks_collapsed,
    stabilised,
)
from engine.analysis.signals import binomial_tail
from engine.networks import Snapshot, build, initial_weights
from engine.pruning import full_masks, magnitudes, prune, pruning_schedule
from engine.spec import Study, parse_study
from engine.store import RoundFinished, RunFolder, Signal, Store, StoredRound
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Lane,
    LaneBatch,
    LaneResult,
    LaneState,
    Program,
    StepTimer,
    batch_order,
    learning_rates,
    train,
)

NewHome = Callable[[], Path]
Execute = Callable[..., tuple[str, RunFolder]]
NETWORK = build("lenet-300-100", (8, 8, 1), 10)
LAYERS = NETWORK.layers

# The rules


def plain_watch(masks: list[np.ndarray]) -> tuple[list[float], int | None]:
    """Distances of neighbours, and the first epoch whose last five masks are all within 0.1 of each other."""

    def far(one: np.ndarray, other: np.ndarray) -> float:
        return float((one != other).mean())

    near = [
        epoch
        for epoch in range(5, len(masks) + 1)
        if all(far(one, other) <= 0.1 for one, other in combinations(masks[epoch - 5 : epoch], 2))
    ]
    return [far(one, other) for one, other in pairwise(masks)], near[0] if near else None


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([0, 1, 2, 3, 5, 10, 20]), min_size=1, max_size=14))
@settings(max_examples=200, deadline=None)
def test_the_watch_is_the_plain_rule(seed: int, flips: list[int]) -> None:
    rng, masks = np.random.default_rng(seed), [np.arange(100) < 50]
    for count in flips:
        masks.append(masks[-1] ^ (rng.permutation(100) < count))
    watch = EarlyBirdWatch()
    for epoch, mask in enumerate(masks, 1):
        watch.observe(10 * epoch, {"a": mask[:30].reshape(5, 6), "b": mask[30:]})
    distances, found = plain_watch(masks)
    assert watch.distances == pytest.approx(distances)
    assert watch.iterations == [10 * epoch for epoch in range(1, len(masks) + 1)]
    assert watch.found == found


def test_five_masks_near_their_neighbours_but_far_from_each_other_are_no_early_bird() -> None:
    drifting, watch = np.zeros(100, np.bool_), EarlyBirdWatch()
    for epoch in range(12):
        watch.observe(epoch, {"a": drifting.copy()})
        drifting[5 * epoch : 5 * epoch + 5] = True
    assert max(watch.distances) == 0.05
    assert watch.found is None


def test_exactly_a_tenth_is_near_enough_and_four_masks_are_not_enough() -> None:
    still, other, watch = np.zeros(10, np.bool_), np.arange(10) == 3, EarlyBirdWatch()
    for epoch, mask in enumerate([still, other, still, other], 1):
        watch.observe(epoch, {"a": mask})
        assert watch.found is None
    watch.observe(5, {"a": still})
    assert watch.found == 5
    assert mask_distance({"a": still}, {"a": ~still}) == 1


def told(rule: Callable[[list[float | None]], bool], series: list[float | None]) -> list[int]:
    """Where in the series the rule speaks."""
    return [place for place in range(len(series) + 1) if rule(series[:place])]


@pytest.mark.parametrize(
    ("series", "places"),
    [
        ([0.79, 0.8], []),
        ([0.8, 0.8], [2]),
        ([0.9, None, 0.9], []),
        ([0.5, 0.8, 0.7, 0.81, 0.95, 0.99, 0.2, 0.9, 0.9], [5]),
        ([], []),
        ([None, None], []),
    ],
)
def test_a_ranking_stabilises_once(series: list[float | None], places: list[int]) -> None:
    assert told(stabilised, series) == places


@pytest.mark.parametrize(
    ("series", "places"),
    [
        ([0.05, 0.1], []),
        ([0.29, 0.1], []),
        ([0.3, 0.1], [2]),
        ([0.9, 0.5, 0.11, -0.2, 0.5, -0.5], [4]),
        ([0.9, None, 0.0], [3]),
        ([0.9, None], []),
        ([], []),
    ],
)
def test_a_ranking_collapses_once(series: list[float | None], places: list[int]) -> None:
    assert told(ranks_collapsed, series) == places


def test_chance_is_the_largest_class_by_a_binomial_bound() -> None:
    assert not at_chance(0.74, 0.5, 500), "two classes"
    assert at_chance(0.54, 0.5, 500)
    assert not at_chance(0.56, 0.5, 500)
    assert at_chance(0.9, 0.9, 500), "a constant prediction on unbalanced classes"
    assert at_chance(0.12, 0.1, 500)
    assert not at_chance(0.15, 0.1, 500)
    assert at_chance(0.15, 0.1, 20), "on few examples that is luck"
    assert at_chance(1.0, 1.0, 5), "one class alone"
    assert datasets.majority(np.array([3, 0, 3, 1], np.int32), np.arange(4, dtype=np.int32), 4) == 0.5


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(0.01, 0.99))
def test_chance_is_scipys_binomial_test(examples: int, share: float, majority: float) -> None:
    hits = round(share * examples)
    expected = binomtest(hits, examples, majority, "greater").pvalue
    assert binomial_tail(hits, examples, majority) == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert at_chance(hits / examples, majority, examples) == (expected > 0.01)


def test_the_distance_from_uniform_is_that_of_the_steps() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.random(500, "f4"), np.abs(rng.standard_normal(500, "f4")), np.float32([2, 2, 2, 4])):
        values = np.sort(values)
        share = values.astype(np.float64) / values.max()
        steps = np.arange(len(share))
        plain = max((share - steps / len(share)).max(), ((steps + 1) / len(share) - share).max())
        assert distance_from_uniform(values) == pytest.approx(plain)
        counts, top = histogram(values)
        assert (sum(counts), len(counts), top) == (len(values), 24, values.max())
        bins = np.minimum((values.astype(np.float64) / top * 24).astype(int), 23)
        assert counts == tuple(np.bincount(bins, minlength=24))
    assert distance_from_uniform(np.zeros(0, np.float32)) == distance_from_uniform(np.zeros(3, np.float32)) == 1


# In a run

in_a_run = pytest.mark.usefixtures("jax_ready")
PART = 324  # of 1,294 examples, 30 at a time: an epoch ends within every eleventh step
BIRDS = """
name = "birds"
trials = 1
[base.data]
fraction = 0.25
[base.train]
iterations = 80
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
"""
CALM = BIRDS.replace("3e-3", "1e-5")


def events_of(folder: RunFolder, kind: type) -> list[Any]:
    return [stamped.event for stamped in folder.events() if isinstance(stamped.event, kind)]


def results(folder: RunFolder, arm: str = "ticket") -> dict[int, StoredRound]:
    rounds = {it.round: it.key for it in events_of(folder, RoundFinished) if it.arm == arm}
    found = {number: Store(folder.folder.parent.parent).rounds.read(key) for number, key in rounds.items()}
    assert None not in found.values()
    return found  # type: ignore[return-value]


def same_weights(one: Snapshot, other: Snapshot) -> None:
    assert one.params.keys() == other.params.keys()
    for name in one.params:
        assert one.params[name].tobytes() == other.params[name].tobytes(), name


def epochs(iterations: int) -> list[int]:
    return [at for at in range(1, iterations + 1) if (at * 30) // PART > ((at - 1) * 30) // PART]


def by_hand(study: Study, home: Path) -> tuple[dict[int, Snapshot], dict[int, LaneResult]]:
    """The dense round of a study by a pack alone: its weights, and what it would leave, at the end of each epoch."""
    data, recipe = datasets.load("digits", home), study.base
    split = datasets.split(data, 0)
    part = datasets.stratified_subset(data, split, 0.25, 1)
    assert len(part) == PART
    mean, std = datasets.statistics(data.train_images, part)
    lane = Lane(
        start=initial_weights(NETWORK, 1),
        masks=full_masks(LAYERS),
        order=batch_order(part, 30, recipe.train.iterations, 1),
        rates=learning_rates(recipe.train),
        validation=split.validation,
        mean=mean,
        std=std,
    )
    on_device = DataOnDevices.put(1, (data.train_images, data.train_labels), (data.test_images, data.test_labels))
    pack = LaneBatch(Program.of("lenet-300-100", (8, 8, 1), 10, recipe.train), [lane], on_device, 1)
    weights: dict[int, Snapshot] = {}
    states: dict[int, LaneState] = {}

    def between(iteration: int, _: Any, kept: DeviceSnapshot | None) -> bool:
        if kept is not None:
            (weights[iteration],), (states[iteration],) = kept.snapshots(), kept.states()
        return True

    assert train(pack, StepTimer(1.0), between, frozenset(epochs(recipe.train.iterations)))
    return weights, {iteration: pack.finish({0: state})[0] for iteration, state in states.items()}


@in_a_run
def test_a_watched_round_tells_the_distances_of_its_epochs_and_is_else_as_it_was(
    new_home: NewHome, execute: Execute
) -> None:
    home, study = new_home(), parse_study(BIRDS, source="birds.toml", settings=("base.prune.early_bird=watch",))
    watched = results(execute(study, home)[1])
    plain = results(execute(parse_study(BIRDS, source="birds.toml"), home)[1])
    weights, _ = by_hand(study, home)
    steps = pruning_schedule(LAYERS, study.base.prune)
    masks = [
        prune(magnitudes(weights[at].params, full_masks(LAYERS)), full_masks(LAYERS), steps, 1) for at in epochs(80)
    ]
    whole = [np.concatenate([mask[layer.parameter].ravel() for layer in LAYERS]) for mask in masks]
    distances, found = plain_watch(whole)
    bird = watched[0].result.early_bird
    assert bird is not None
    assert bird.iterations == tuple(epochs(80)) == (11, 22, 33, 44, 54, 65, 76)
    assert bird.distances == pytest.approx(distances)
    assert len(set(distances)) == 6
    assert bird.found == found
    assert watched[1].result.early_bird is not None
    assert watched[2].result.early_bird is None, "no round comes after the last"
    for number in (0, 1, 2):
        assert plain[number].result.early_bird is None
        assert watched[number].result.iterations == 80
        same_weights(watched[number].final, plain[number].final)
        same_weights(watched[number].best, plain[number].best)
        assert watched[number].curve == plain[number].curve
    assert (watched[0].key != plain[0].key, watched[2].masks.keys()) == (True, plain[2].masks.keys())


@in_a_run
def test_a_round_that_stops_at_its_early_bird_has_that_epochs_weights(new_home: NewHome, execute: Execute) -> None:
    home, study = new_home(), parse_study(CALM, source="calm.toml", settings=("base.prune.early_bird=stop",))
    _, folder = execute(study, home)
    rounds, (weights, ends) = results(folder), by_hand(study, home)
    for number in (0, 1):
        result = rounds[number].result
        assert result.early_bird is not None
        assert result.early_bird.found == 5
        assert result.early_bird.iterations == (11, 22, 33, 44, 54)
        assert result.iterations == 54
        assert [point.iteration for point in rounds[number].curve] == [15, 30, 45]
        assert result.early_stop_iteration in (15, 30, 45)
    dense = rounds[0]
    same_weights(dense.final, weights[54])
    same_weights(dense.best, ends[54].best)
    assert (dense.result.test_accuracy, dense.result.test_accuracy_end) == (
        ends[54].test_accuracy,
        ends[54].test_accuracy_end,
    )
    assert rounds[2].result.iterations == 80
    said = [event for event in events_of(folder, Signal) if event.kind == "early-bird"]
    assert [(event.round, event.layer) for event in said] == [(0, None), (1, None)]
    for event in said:
        assert "epoch 5, at iteration 54" in event.text
        assert "last 5 epochs at most 0.1 apart" in event.text


@in_a_run
def test_lanes_of_a_pack_stop_each_at_its_own_early_bird(new_home: NewHome, execute: Execute) -> None:
    two = BIRDS.replace("3e-3", "1e-2") + '[[arm]]\nname = "calm"\nkind = "ticket"\ntrain = { learning_rate = 1e-5 }\n'
    _, folder = execute(parse_study(two, source="two.toml", settings=("base.prune.early_bird=stop",)), new_home())
    wild, calm = (results(folder, arm)[0] for arm in ("ticket", "calm"))
    alone = execute(parse_study(CALM, source="calm.toml", settings=("base.prune.early_bird=stop",)), new_home())[1]
    reference = results(alone)[0]
    assert calm.result.iterations == 54 < wild.result.iterations
    for item in (calm, wild):
        assert folder.curve(item.key) == item.curve, "a lane that has ended adds no points"
    assert calm.key == reference.key
    same_weights(calm.final, reference.final)
    same_weights(calm.best, reference.best)
    assert calm.curve == reference.curve


# Collapse

HOPELESS = BIRDS.replace("3e-3", "1e-7").replace("rounds = 2", "rounds = 4\nstop_on_collapse = true")


@in_a_run
def test_nothing_comes_after_a_round_at_chance_where_that_was_asked_for(new_home: NewHome, execute: Execute) -> None:
    status, folder = execute(parse_study(HOPELESS, source="hopeless.toml"), new_home())
    assert status == "done"
    (dense,) = results(folder).values()
    assert dense.result.collapsed
    assert dense.result.validation_accuracy is not None
    assert dense.result.validation_accuracy <= 0.15
    (event,) = events_of(folder, Signal)
    assert (event.kind, event.round, event.layer) == ("collapsed", 0, None)
    assert event.text == f"accuracy collapsed to chance ({CHANCE_RULE})"


@in_a_run
def test_without_the_stop_a_run_goes_on_and_still_says_it_once(new_home: NewHome, execute: Execute) -> None:
    _, folder = execute(parse_study(HOPELESS.replace("true", "false"), source="hopeless.toml"), new_home())
    assert list(results(folder)) == [0, 1, 2, 3, 4]
    said = events_of(folder, Signal)
    assert [event.round for event in said if event.kind == "collapsed"] == [0]
    settled = {event.layer: event for event in said if event.kind == "stabilised"}
    assert set(settled) == {"dense1", "dense2", "output"}
    for layer, event in settled.items():
        assert event.round == 2, "two correlations of at least 0.8 running, the first in round 1"
        assert event.text.startswith(f"the ranking of {layer} stabilised (rank correlation with the round before at")


@in_a_run
def test_largest_first_wrecks_accuracy_and_stops_there(new_home: NewHome, execute: Execute) -> None:
    inverse = BIRDS.replace("rounds = 2\nrate = 0.5", "rounds = 4\nrate = 0.9\nstop_on_collapse = true")
    inverse += '[[arm]]\nname = "inverse"\nkind = "ticket"\nprune = { criterion = "largest" }\n'
    inverse += '[[arm]]\nname = "on"\nkind = "ticket"\nprune = { criterion = "largest", stop_on_collapse = false }\n'
    _, folder = execute(parse_study(inverse, source="inverse.toml"), new_home())
    assert not results(folder)[0].result.collapsed
    kept = results(folder, "on")
    assert list(kept) == [0, 1, 2, 3, 4], "an arm that shares the rounds goes on"
    assert any(item.result.collapsed for item in kept.values())
    alone = inverse[: inverse.index('[[arm]]\nname = "on"')]
    _, folder = execute(parse_study(alone, source="inverse.toml"), new_home())
    rounds = results(folder, "inverse")
    assert [item.result.collapsed for item in rounds.values()] == [False] * (len(rounds) - 1) + [True]
    assert len(rounds) < 5
    (event,) = (it for it in events_of(folder, Signal) if (it.arm, it.kind) == ("inverse", "collapsed"))
    assert event.round == len(rounds) - 1
