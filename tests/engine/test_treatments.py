"""Treatments, parts of the data, clamping: what each round of a real run starts from, sees and leaves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine import datasets, registry
from engine.experiment import DatasetInfo, Plan, make_plan
from engine.networks import Snapshot, build, initial_weights
from engine.pruning import (
    LayerWeights,
    Masks,
    Weights,
    counts_of,
    full_masks,
    invariants,
    magnitudes,
    masked,
    prune,
    pruning_schedule,
    reshuffled,
)
from engine.registry import Origin, registering
from engine.rng import permutation
from engine.runner import workers as bench
from engine.spec import parse_study
from engine.store import RoundFinished, RoundStarted, RunFolder, Store, StoredRound
from engine.training import DataOnDevices, Lane, LaneBatch, Program, StepTimer, batch_order, learning_rates, train

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
Execute = Callable[..., tuple[str, RunFolder]]
LENET, SHAPE = "lenet-300-100", (8, 8, 1)
NETWORK = build(LENET, SHAPE, 10)
LAYERS = NETWORK.layers


def noise(number: int, seed: int = 1) -> int:
    """The seed of a round's order, crops and dropout."""
    return seed + 1000 * (1000 + number) if number else seed


def drawn_from(seed: int) -> Weights:
    return initial_weights(NETWORK, seed).params


class Spy(LaneBatch):
    """Keeps the lanes that were trained and the weights they started from."""

    seen: list[tuple[Lane, Weights]] = []

    def started(self) -> list[Snapshot]:
        snapshots = super().started()
        self.seen.extend(zip(self._lanes, [it.params for it in snapshots], strict=False))
        return snapshots


@dataclass(frozen=True, eq=False)
class Watched:
    """A finished run, with what each of its rounds was trained with."""

    folder: RunFolder
    plan: Plan
    lanes: dict[str, tuple[Lane, Weights]]
    data: datasets.Dataset
    split: datasets.Split

    def key(self, arm: str, number: int, trial: int = 0) -> str:
        events = (stamped.event for stamped in self.folder.events())
        told = [it for it in events if isinstance(it, RoundFinished)]
        (found,) = (it.key for it in told if (it.arm, it.trial, it.round) == (arm, trial, number))
        return found

    def stored(self, arm: str, number: int, trial: int = 0) -> StoredRound:
        found = Store(self.folder.folder.parent.parent).rounds.read(self.key(arm, number, trial))
        assert found is not None
        return found

    def lane(self, arm: str, number: int) -> Lane:
        return self.lanes[self.key(arm, number)][0]

    def started(self, arm: str, number: int) -> Weights:
        return self.lanes[self.key(arm, number)][1]


@pytest.fixture(scope="module")
def watched(new_home: NewHome, execute: Execute) -> Iterator[Callable[..., Watched]]:
    """Runs a study to its end, in a new home or a given one, looking at its lanes."""

    def watch(text: str, home: Path | None = None) -> Watched:
        study, home = parse_study(text, source="watched.toml"), home or new_home()
        Spy.seen.clear()
        status, folder = execute(study, home)
        assert status == "done"
        events = [stamped.event for stamped in folder.events()]
        keys = dict.fromkeys(event.key for event in events if isinstance(event, RoundStarted))
        assert len(keys) == len(Spy.seen)
        data = datasets.load("digits", home)
        plan = make_plan(study, DatasetInfo.of(datasets.entry("digits", home)), "")
        lanes = dict(zip(keys, Spy.seen, strict=True))
        return Watched(folder, plan, lanes, data, datasets.split(data, study.base.data.seed))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "LaneBatch", Spy)
        yield watch


def same_weights(one: Weights, other: Weights) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def differ(one: Weights, other: Weights) -> bool:
    return all((one[layer.parameter] != other[layer.parameter]).any() for layer in LAYERS)


def same_masks(one: Masks, other: Masks) -> None:
    for name, mask in one.items():
        assert mask.tobytes() == other[name].tobytes(), name


def signs_of(weights: Weights, first: Weights) -> Weights:
    """The magnitudes of one, the signs of the other, in the plainest words."""
    return weights | {
        layer.parameter: np.where(np.signbit(first[layer.parameter]), -1, 1).astype(np.float32)
        * np.abs(weights[layer.parameter])
        for layer in LAYERS
    }


# Treatments

TRAIN = """
iterations = 40
batch = 30
learning_rate = 3e-3
evaluate_every = 15
schedule = "step"
milestones = [22, 30]
warmup = 15
"""
ARMS = [(treatment, signs) for treatment in registry.treatment.names() for signs in (False, True)]
K = 15


def named(treatment: str, signs: bool) -> str:
    return f"{treatment}-signs" if signs else treatment


def study_of(arms: list[tuple[str, bool]]) -> str:
    tables = [
        f'[[arm]]\nname = "{named(treatment, signs)}"\nkind = "ticket"\n'
        f'restart = {{ treatment = "{treatment}", keep_signs = {str(signs).lower()}'
        + (f", iteration = {K} }}" if treatment == "rewind" else " }")
        for treatment, signs in arms
    ]
    head = f'name = "treatments"\ntrials = 1\n[base.train]{TRAIN}[base.prune]\nrounds = 2\nrate = 0.5\n'
    return head + "\n".join(tables)


@pytest.fixture(scope="module")
def treated(watched: Callable[..., Watched]) -> Watched:
    return watched(study_of(ARMS))


def restart(run: Watched, treatment: str, signs: bool, number: int) -> Weights:
    """The weights that the survivors of round `number` restart at, dead ones' too."""
    first, arm = drawn_from(1), named(treatment, signs)
    match treatment:
        case "reset":
            weights = first
        case "rewind":
            weights = run.stored(arm, 0).snapshots[K].params
        case "reinit":
            weights = drawn_from(1 + 1000 * (1000 + number))
        case "reshuffle":
            weights = dict(first)
            for depth, (name, mask) in enumerate(run.stored(arm, number).masks.items()):
                kernel, alive = first[name].copy(), np.flatnonzero(mask)
                kernel.flat[alive] = kernel.flat[
                    alive[permutation(len(alive), 1 + 1000 * (1000 + number), 0x5F1E, depth)]
                ]
                weights[name] = kernel
        case _:
            weights = run.stored(arm, number - 1).final.params
    return signs_of(weights, first) if signs else weights


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("treatment", "signs"), ARMS)
def test_a_round_starts_where_its_treatment_says(treated: Watched, treatment: str, signs: bool, number: int) -> None:
    arm = named(treatment, signs)
    expected = masked(restart(treated, treatment, signs, number), treated.stored(arm, number).masks)
    same_weights(treated.started(arm, number), expected)
    if signs:
        first, mask = drawn_from(1), treated.stored(arm, number).masks
        for name, kernel in treated.started(arm, number).items():
            if name in mask:
                alive = mask[name] & (kernel != 0)
                np.testing.assert_array_equal(np.sign(kernel[alive]), np.sign(first[name][alive]))


@pytest.mark.parametrize(("treatment", "signs"), ARMS)
def test_a_round_trains_as_the_same_lane_does_alone(treated: Watched, treatment: str, signs: bool) -> None:
    """Start, order, rates and masks put together by hand, from the stored round before and the recipe alone."""
    arm = named(treatment, signs)
    recipe = treated.plan.study.recipe(treated.plan.study.named(arm))
    before, rates = treated.stored(arm, 1), learning_rates(recipe.train)
    masks = prune(
        magnitudes(before.final.params, before.masks), before.masks, pruning_schedule(LAYERS, recipe.prune), 2
    )
    first = K if treatment == "rewind" else 0
    mean, std = datasets.statistics(treated.data.train_images, treated.split.train)
    lane = Lane(
        start=Snapshot(masked(restart(treated, treatment, signs, 2), masks)),
        masks=masks,
        order=batch_order(treated.split.train, 30, 40, noise(2))[first:],
        rates=np.full_like(rates, rates[-1]) if treatment == "keep" else rates[first:],
        validation=treated.split.validation,
        mean=mean,
        std=std,
        seed=noise(2),
        first=first,
    )
    data = treated.data
    on_device = DataOnDevices.put(1, (data.train_images, data.train_labels), (data.test_images, data.test_labels))
    pack = LaneBatch(Program.of(LENET, SHAPE, 10, recipe.train), [lane], on_device, 1)
    assert train(pack, StepTimer(1.0), lambda *_: True)
    (end,) = pack.finish()
    found = treated.stored(arm, 2)
    same_masks(found.masks, masks)
    same_weights(found.final.params, end.final.params)
    same_weights(found.best.params, end.best.params)
    assert found.result.test_accuracy_end == end.test_accuracy_end
    pixels = (data.test_images.reshape(len(data.test_images), -1) / 255 - mean) / std
    pruned = masked(before.final.params, masks)
    for layer in LAYERS:
        pixels = pixels @ pruned[layer.parameter] + pruned[f"{layer.name}/bias"]
        pixels = pixels if layer.name == "output" else np.maximum(pixels, 0)
    right = (pixels.argmax(1) == data.test_labels).mean()
    assert found.result.test_accuracy_pruned == pytest.approx(right, abs=1.5 / len(data.test_labels))
    assert treated.stored(arm, 0).result.test_accuracy_pruned is None
    assert found.result.early_stop_iteration == first + end.best_iteration
    assert found.result.iterations == 40 - first


def test_rewound_weights_are_those_of_a_training_that_ends_there(
    treated: Watched, watched: Callable[..., Watched]
) -> None:
    short = watched(study_of([("reset", False)]).replace("iterations = 40", f"iterations = {K}"))
    dense = treated.stored("rewind", 0)
    assert list(dense.snapshots) == [K]
    same_weights(dense.snapshots[K].params, short.stored("reset", 0).final.params)
    assert differ(dense.snapshots[K].params, drawn_from(1))
    assert differ(dense.snapshots[K].params, dense.final.params)


def test_a_rewound_round_goes_on_at_its_iteration(treated: Watched) -> None:
    whole = treated.lane("rewind", 0)
    assert len({float(rate) for rate in whole.rates[[0, K, 22, 30]]}) == 4, "the schedule tells these steps apart"
    for number in (1, 2):
        lane, found = treated.lane("rewind", number), treated.stored("rewind", number)
        np.testing.assert_array_equal(lane.order, treated.lane("reset", number).order[K:])
        assert lane.seed == noise(number)
        np.testing.assert_array_equal(lane.rates, whole.rates[K:])
        assert found.result.iterations == len(lane.rates) == 40 - K
        assert [point.iteration for point in found.curve] == [30, 40]
        assert found.result.early_stop_iteration in (30, 40)
        assert treated.folder.curve(treated.key("rewind", number)) == found.curve


@pytest.mark.parametrize("treatment", ["reset", "reinit", "reshuffle", "lr-rewind"])
def test_other_treatments_have_the_whole_schedule_and_the_rounds_order(treated: Watched, treatment: str) -> None:
    for number in (0, 1, 2):
        np.testing.assert_array_equal(treated.lane(treatment, number).rates, treated.lane("reset", 0).rates)
        order = batch_order(treated.split.train, 30, 40, noise(number))
        np.testing.assert_array_equal(treated.lane(treatment, number).order, order)
        assert [point.iteration for point in treated.stored(treatment, number).curve] == [15, 30, 40]


def test_fine_tuning_has_the_last_learning_rate_throughout(treated: Watched) -> None:
    whole = treated.lane("keep", 0).rates
    assert whole[-1] == pytest.approx(3e-5)
    for number in (1, 2):
        np.testing.assert_array_equal(treated.lane("keep", number).rates, np.full(40, whole[-1]))
        np.testing.assert_array_equal(treated.lane("keep", number).order, treated.lane("reset", number).order)


@pytest.mark.parametrize("number", [1, 2])
def test_shuffled_survivors_are_the_same_weights_in_other_places(treated: Watched, number: int) -> None:
    first, mask = drawn_from(1), treated.stored("reshuffle", number).masks
    for name, alive in mask.items():
        kernel = treated.started("reshuffle", number)[name]
        there, here = kernel[alive], first[name][alive]
        np.testing.assert_array_equal(np.sort(there), np.sort(here))
        assert (there != here).mean() > 0.9
        assert not kernel[~alive].any()


def test_shuffles_differ_by_seed_and_layer_and_touch_no_dead_weight_or_bias() -> None:
    masks = {name: np.arange(40).reshape(8, 5) % 2 == 0 for name in ("a", "b")}
    weights = {**{name: np.arange(40, dtype="f4").reshape(8, 5) for name in masks}, "bias": np.ones(5, "f4")}
    drawn = [reshuffled(weights, masks, seed) for seed in range(30)]
    same_weights(drawn[3], reshuffled(weights, masks, 3))
    assert len({it["a"].tobytes() for it in drawn}) == 30
    for it in drawn:
        assert (it["a"] != it["b"]).any()
        for name, mask in masks.items():
            np.testing.assert_array_equal(it[name][~mask], weights[name][~mask])
            np.testing.assert_array_equal(np.sort(it[name][mask]), weights[name][mask])
            np.testing.assert_array_equal(it["bias"], weights["bias"])


def test_fresh_weights_are_fresh_each_round(treated: Watched) -> None:
    first, second = (treated.started("reinit", number) for number in (1, 2))
    mask = treated.stored("reinit", 2).masks
    for name in mask:
        alive = mask[name]
        assert (first[name][alive] != second[name][alive]).mean() > 0.99
        assert (first[name][alive] != drawn_from(1)[name][alive]).mean() > 0.99


def test_all_treatments_share_the_dense_round_and_the_first_mask(treated: Watched) -> None:
    arms = [named(*arm) for arm in ARMS]
    assert len({treated.key(arm, 0) for arm in arms}) == 1
    assert len({treated.key(arm, number) for arm in arms for number in (1, 2)}) == 2 * len(arms)
    assert len(treated.lanes) == len(treated.plan.rounds) == 1 + 2 * len(arms)
    for arm in arms:
        same_masks(treated.stored(arm, 1).masks, treated.stored("reset", 1).masks)
        for number in (1, 2):
            found = treated.stored(arm, number)
            invariants.all_pruned_zero("weights", (found.final.params, found.best.params), found.masks, number)
            invariants.only_shrinks(found.masks, treated.stored(arm, number - 1).masks, number)


def test_a_dense_round_without_the_mark_is_trained_again_and_then_has_it(
    watched: Callable[..., Watched], new_home: NewHome
) -> None:
    home = new_home()
    plain = watched(study_of([("reset", False)]), home)
    dense = plain.stored("reset", 0)
    assert not dense.snapshots
    rewound = watched(study_of([("reset", False), ("rewind", False)]), home)
    assert rewound.key("rewind", 0) == plain.key("reset", 0)
    assert set(rewound.lanes) == {rewound.key("rewind", number) for number in (0, 1, 2)}, "what else is kept is reused"
    again = rewound.stored("rewind", 0)
    assert list(again.snapshots) == [K]
    same_weights(again.final.params, dense.final.params)
    same_weights(again.best.params, dense.best.params)
    assert again.curve == dense.curve
    assert again.result.model_copy(update={"seconds": 0}) == dense.result.model_copy(update={"seconds": 0})
    assert not watched(study_of([("rewind", False)]), home).lanes


def test_a_rewind_beside_an_early_bird_that_stops_sooner_has_its_weights(watched: Callable[..., Watched]) -> None:
    calm = study_of([("rewind", False)]).replace("learning_rate = 3e-3", "learning_rate = 1e-5")
    calm = calm.replace("iterations = 40", "iterations = 80").replace("iteration = 15", "iteration = 70")
    run = watched(calm.replace("rounds = 2", 'rounds = 1\nearly_bird = "stop"') + "\n[base.data]\nfraction = 0.25\n")
    dense = run.stored("rewind", 0)
    assert dense.result.early_bird is not None
    assert dense.result.iterations == dense.result.early_bird.iterations[-1] < 70
    assert list(dense.snapshots) == [70]
    same_weights(run.started("rewind", 1), masked(dense.snapshots[70].params, run.stored("rewind", 1).masks))


# Less data

LESS = """
name = "less"
trials = 1
[base.train]
iterations = 40
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "retrain"
data = { fraction = 0.5 }
[[arm]]
name = "random"
kind = "retrain"
data = { fraction = 0.5, subset = "random" }
[[arm]]
name = "search"
kind = "ticket"
data = { fraction = 0.5 }
[[arm]]
name = "slower"
kind = "retrain"
rounds = [2]
train = { learning_rate = 1e-3 }
[[arm]]
name = "noise"
kind = "retrain"
rounds = [2]
order_seed = 9
"""


@pytest.fixture(scope="module")
def less(watched: Callable[..., Watched]) -> Watched:
    return watched(LESS)


def subset(run: Watched, arm: str) -> np.ndarray:
    if arm == "random":
        return datasets.random_subset(run.split, 0.5, 1)
    return datasets.stratified_subset(run.data, run.split, 0.5 if arm in ("retrain", "search") else 1.0, 1)


@pytest.mark.parametrize("arm", ["retrain", "random", "slower", "noise"])
def test_a_retrained_ticket_is_the_ticket_bit_for_bit(less: Watched, arm: str) -> None:
    first = drawn_from(1)
    for number in (2,) if arm in ("slower", "noise") else (1, 2):
        found, ticket = less.stored(arm, number), less.stored("ticket", number)
        same_masks(found.masks, ticket.masks)
        same_weights(less.started(arm, number), masked(first, ticket.masks))
        assert differ(found.final.params, ticket.final.params), "it learned from something else"
    same_weights(less.started(arm, 0), first)
    assert counts_of(less.stored(arm, 0).masks) == counts_of(full_masks(LAYERS))


@pytest.mark.parametrize("arm", ["ticket", "retrain", "random", "search"])
def test_an_arm_sees_its_own_part_of_the_examples_alone(less: Watched, arm: str) -> None:
    part = subset(less, arm)
    assert len(part) == (1294 if arm == "ticket" else 647)
    assert not np.isin(part, less.split.validation).any()
    for number in (0, 1, 2):
        lane = less.lane(arm, number)
        seen = np.unique(lane.order)
        assert np.isin(seen, part).all()
        if arm != "ticket":
            np.testing.assert_array_equal(seen, part)
        np.testing.assert_array_equal(lane.order, batch_order(part, 30, 40, noise(number)))
        pixels = less.data.train_images[part].reshape(len(part), -1) / 255
        assert lane.mean == pytest.approx(pixels.mean()), "statistics are those of the arm's own examples"
        assert lane.std == pytest.approx(pixels.std())
        np.testing.assert_array_equal(lane.validation, less.split.validation)


def test_a_stratified_part_is_fair_and_a_random_one_of_the_same_size_is_not(less: Watched) -> None:
    fair, free = subset(less, "retrain"), subset(less, "random")
    assert len(fair) == len(free)
    labels = less.data.train_labels
    whole = np.bincount(labels[less.split.train]) * len(fair) / len(less.split.train)
    assert np.abs(np.bincount(labels[fair]) - whole).max() <= 1
    assert np.abs(np.bincount(labels[free]) - whole).max() > 1


def test_arms_of_the_same_part_share_the_dense_round(less: Watched) -> None:
    dense = {arm: less.key(arm, 0) for arm in ("ticket", "retrain", "random", "search", "slower", "noise")}
    assert dense["retrain"] == dense["search"]
    assert len(set(dense.values())) == 5
    assert len(less.lanes) == 5 + 2 + 2 + 2 + 2 + 1 + 1
    assert differ(less.stored("retrain", 0).final.params, less.stored("ticket", 0).final.params)
    assert differ(less.stored("retrain", 0).final.params, less.stored("random", 0).final.params)


def test_a_copy_of_a_ticket_under_another_noise_differs_in_its_order_alone(less: Watched) -> None:
    ticket, copy = less.lane("ticket", 2), less.lane("noise", 2)
    same_weights(copy.start.params, ticket.start.params)
    same_masks(copy.masks, ticket.masks)
    np.testing.assert_array_equal(copy.order, batch_order(less.split.train, 30, 40, noise(2, seed=9)))
    assert copy.seed == noise(2, seed=9) != ticket.seed
    assert differ(less.stored("noise", 2).final.params, less.stored("ticket", 2).final.params)


def test_a_search_on_a_part_finds_its_own_ticket(less: Watched) -> None:
    found, whole = less.stored("search", 1), less.stored("ticket", 1)
    assert counts_of(found.masks) == counts_of(whole.masks)
    assert all((found.masks[name] != whole.masks[name]).any() for name in found.masks)
    size = magnitudes(less.stored("search", 0).final.params, found.masks)
    steps = pruning_schedule(LAYERS, less.plan.study.base.prune)
    same_masks(found.masks, prune(size, full_masks(LAYERS), steps, 1))


# Clamping

CLAMP = 0.5
CLAMPED = f"""
name = "clamping"
trials = 1
[base.train]
iterations = 150
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "clamped"
kind = "ticket"
train = {{ clamp = {CLAMP} }}
[[arm]]
name = "moved"
kind = "ticket"
train = {{ clamp = {CLAMP} }}
prune = {{ criterion = "movement" }}
[[arm]]
name = "control"
kind = "random-mask"
of = "clamped"
"""


@pytest.fixture(scope="module")
def clamped(watched: Callable[..., Watched]) -> Watched:
    return watched(CLAMPED)


def test_no_magnitude_is_ever_above_its_bound(clamped: Watched) -> None:
    first = drawn_from(1)
    for number in (0, 1, 2):
        bounds, found = clamped.lane("clamped", number).bounds, clamped.stored("clamped", number)
        for name, bound in bounds.items():
            top = CLAMP * first[name].std()
            assert 0 <= bound.min() < 0.01 * top
            assert 0.98 * top < bound.max() <= top * 1.000001
            for weights in (clamped.started("clamped", number), found.final.params, found.best.params):
                assert (np.abs(weights[name]) <= bound).all()
            at_bound = np.abs(found.final.params[name][found.masks[name]]) == bound[found.masks[name]]
            assert at_bound.mean() > 0.3, "the clamp was at work"
        start = first | {name: np.clip(first[name], -bound, bound) for name, bound in bounds.items()}
        same_weights(clamped.started("clamped", number), masked(start, found.masks))


def test_bounds_say_nothing_of_the_rounds_before_and_a_control_has_its_rounds(clamped: Watched) -> None:
    for number in (1, 2):
        bounds, masks = clamped.lane("clamped", number).bounds, clamped.stored("clamped", number).masks
        for name, bound in bounds.items():
            before = clamped.lane("clamped", number - 1).bounds[name]
            assert abs(np.corrcoef(bound.ravel(), before.ravel())[0, 1]) < 5 / np.sqrt(bound.size)
            assert abs(bound[masks[name]].mean() / bound.mean() - 1) < 4 / np.sqrt(masks[name].sum())
            np.testing.assert_array_equal(bound, clamped.lane("control", number).bounds[name])


def test_clamped_magnitudes_end_nearer_to_uniform(clamped: Watched) -> None:
    ticket, bound = (clamped.stored(arm, 0).result.magnitudes for arm in ("ticket", "clamped"))
    for name in bound:
        assert bound[name].end_distance < ticket[name].start_distance, "than the initial weights as they were drawn"
        assert bound[name].end_distance < ticket[name].end_distance
        assert sum(bound[name].end) == clamped.stored("clamped", 0).result.layers[name].survivors
        assert bound[name].end_top == np.abs(clamped.stored("clamped", 0).final.params[f"{name}/kernel"]).max()


def test_a_criterion_of_the_start_reads_the_clamped_one(clamped: Watched) -> None:
    dense, steps = clamped.stored("moved", 0), pruning_schedule(LAYERS, clamped.plan.study.base.prune)
    begun = clamped.started("moved", 0)
    moved = {name: np.abs(dense.final.params[name] - begun[name]) for name in dense.masks}
    same_masks(clamped.stored("moved", 1).masks, prune(moved, full_masks(LAYERS), steps, 1))


def test_an_arm_without_a_clamp_is_as_it_was(clamped: Watched, watched: Callable[..., Watched]) -> None:
    alone = watched(CLAMPED[: CLAMPED.index('[[arm]]\nname = "clamped"')])
    for number in (0, 1, 2):
        one, other = clamped.stored("ticket", number), alone.stored("ticket", number)
        assert one.key == other.key
        assert not clamped.lane("ticket", number).bounds
        same_weights(one.final.params, other.final.params)
        same_weights(one.best.params, other.best.params)
        assert one.curve == other.curve


# Criteria of gradients, and layers that are not pruned

SALIENT = """
name = "salient"
trials = 1
[base.train]
iterations = 40
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
criterion = "saliency"
parameters = { examples = 200 }
unpruned = ["output"]
[base.data]
fraction = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "random-mask"
"""


@pytest.fixture
def saliency() -> Iterator[None]:
    origin = Origin("this test", "digest")
    with registering(origin):

        @registry.criterion("saliency", "prune the weights that change the loss least")
        def saliency(w: LayerWeights, *, examples: int = 1000) -> Any:
            return abs(w.end * w.gradient_over(examples))

    yield
    registry.criterion.forget(origin)


@pytest.mark.usefixtures("saliency")
def test_a_criterion_of_gradients_reads_those_of_the_arms_own_examples(watched: Callable[..., Watched]) -> None:
    run = watched(SALIENT)
    dense, lane = run.stored("ticket", 0), run.lane("ticket", 0)
    part = datasets.stratified_subset(run.data, run.split, 0.5, 1)
    rows = part[permutation(len(part), 1, 0x6EAD)[:200]]

    def loss(params: dict[str, Any]) -> Any:
        images = (run.data.train_images[rows] / np.float32(255) - lane.mean) / lane.std
        logits, _ = NETWORK.apply(params, {}, images, None)
        return optax.softmax_cross_entropy_with_integer_labels(logits, run.data.train_labels[rows]).mean()

    gradient = jax.grad(loss)({name: jnp.asarray(array) for name, array in dense.final.params.items()})
    masks = run.stored("ticket", 1).masks
    assert list(masks) == list(dense.masks) == ["dense1/kernel", "dense2/kernel"]
    for name, mask in masks.items():
        score = np.abs(dense.final.params[name] * np.asarray(gradient[name]))
        assert score[~mask].max() <= score[mask].min() * 1.001 + 1e-9
    for arm in ("ticket", "random-mask"):
        found = run.stored(arm, 2)
        assert list(found.result.layers) == ["dense1", "dense2"]
        assert found.result.p_m == pytest.approx(25, abs=0.01)
        assert (found.final.params["output/kernel"] != 0).all()


# Levels


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_a_run_goes_down_to_the_levels_it_was_asked_for(watched: Callable[..., Watched], scope: str) -> None:
    text = LESS[: LESS.index("[[arm]]")].replace("rounds = 2", f'levels = [60, 20.5, 3]\nscope = "{scope}"')
    run = watched(text + '[[arm]]\nname = "ticket"\n[[arm]]\nname = "one-shot"\nrounds = [2, 3]\n')
    for arm, numbers in (("ticket", (1, 2, 3)), ("one-shot", (2, 3))):
        for number in numbers:
            found = run.stored(arm, number)
            assert found.result.p_m == pytest.approx([100, 60, 20.5, 3][number], abs=100 * 1.5 / 50_200)
            invariants.only_shrinks(found.masks, run.stored(arm, 0).masks, number)
    dense = run.stored("one-shot", 0)
    if scope == "layerwise":
        for name, mask in run.stored("one-shot", 3).masks.items():
            size = np.abs(dense.final.params[name])
            assert size[~mask].max() <= size[mask].min()
