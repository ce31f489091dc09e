"""Treatments, parts of the data, clamping: what each round of a real run starts from, sees and leaves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from engine import datasets
from engine.experiment import DatasetInfo, Plan, make_plan
from engine.networks import layer_shapes
from engine.networks.build import initial_weights
from engine.pruning import (
    Masks,
    Weights,
    counts_of,
    full_masks,
    invariants,
    masked,
    prune,
    pruning_schedule,
    reshuffled,
)
from engine.rng import permutation
from engine.runner import workers as bench
from engine.spec import Treatment, parse_study
from engine.store import RoundFinished, RoundStarted, RunFolder, Store, StoredRound
from engine.training import DataOnDevices, Lane, LaneBatch, Program, StepTimer, batch_order, learning_rates, train

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
Execute = Callable[..., tuple[str, RunFolder]]
LENET, SHAPE = "lenet-300-100", (8, 8, 1)
LAYERS = layer_shapes(LENET, SHAPE, 10)


def drawn_from(seed: int) -> Weights:
    return initial_weights(LENET, SHAPE, 10, seed)


class Spy(LaneBatch):
    """Keeps the lanes that were trained and the weights they started from."""

    seen: list[tuple[Lane, Weights]] = []

    def started(self) -> list[Weights]:
        weights = super().started()
        self.seen.extend(zip(self._lanes, weights, strict=False))
        return weights


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
        assert one[name]["kernel"].tobytes() == other[name]["kernel"].tobytes(), name
        assert one[name]["bias"].tobytes() == other[name]["bias"].tobytes(), name


def differ(one: Weights, other: Weights) -> bool:
    return all((one[name]["kernel"] != other[name]["kernel"]).any() for name in one)


def same_masks(one: Masks, other: Masks) -> None:
    for name, mask in one.items():
        assert mask.tobytes() == other[name].tobytes(), name


def signs_of(weights: Weights, first: Weights) -> Weights:
    """The magnitudes of one, the signs of the other, in the plainest words."""
    return {
        name: {
            **tensors,
            "kernel": np.where(np.signbit(first[name]["kernel"]), -1, 1).astype(np.float32) * np.abs(tensors["kernel"]),
        }
        for name, tensors in weights.items()
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
ARMS = [(treatment, signs) for treatment in get_args(Treatment) for signs in (False, True)]
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
            weights = run.stored(arm, 0).marks[K]
        case "reinit":
            weights = drawn_from(1 + 1000 * (1000 + number))
        case "reshuffle":
            weights, mask = {}, run.stored(arm, number).masks
            for depth, name in enumerate(first):
                kernel, alive = first[name]["kernel"].copy(), np.flatnonzero(mask[name])
                kernel.flat[alive] = kernel.flat[
                    alive[permutation(len(alive), 1 + 1000 * (1000 + number), 0x5F1E, depth)]
                ]
                weights[name] = {**first[name], "kernel": kernel}
        case _:
            weights = run.stored(arm, number - 1).final
    return signs_of(weights, first) if signs else weights


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("treatment", "signs"), ARMS)
def test_a_round_starts_where_its_treatment_says(treated: Watched, treatment: str, signs: bool, number: int) -> None:
    arm = named(treatment, signs)
    expected = masked(restart(treated, treatment, signs, number), treated.stored(arm, number).masks)
    same_weights(treated.started(arm, number), expected)
    if signs:
        first, mask = drawn_from(1), treated.stored(arm, number).masks
        for name, tensors in treated.started(arm, number).items():
            alive = mask[name] & (tensors["kernel"] != 0)
            np.testing.assert_array_equal(np.sign(tensors["kernel"][alive]), np.sign(first[name]["kernel"][alive]))


@pytest.mark.parametrize(("treatment", "signs"), ARMS)
def test_a_round_trains_as_the_same_lane_does_alone(treated: Watched, treatment: str, signs: bool) -> None:
    """Start, order, rates and masks put together by hand, from the stored round before and the recipe alone."""
    arm = named(treatment, signs)
    recipe = treated.plan.study.recipe(treated.plan.study.named(arm))
    before, rates = treated.stored(arm, 1), learning_rates(recipe.train)
    size = {name: np.abs(tensors["kernel"]) for name, tensors in before.final.items()}
    masks = prune(size, before.masks, pruning_schedule(LAYERS, recipe.prune), 2)
    first = K if treatment == "rewind" else 0
    lane = Lane(
        start=masked(restart(treated, treatment, signs, 2), masks),
        masks=masks,
        order=batch_order(treated.split.train, 30, 40, 1)[first:],
        rates=np.full_like(rates, rates[-1]) if treatment == "keep" else rates[first:],
        validation=treated.split.validation,
        mean=treated.split.mean,
        std=treated.split.std,
    )
    data = treated.data
    on_device = DataOnDevices.put(1, (data.train_images, data.train_labels), (data.test_images, data.test_labels))
    pack = LaneBatch(Program.of(LENET, SHAPE, 10, recipe.train, 40 - first), [lane], on_device, 1)
    assert train(pack, StepTimer(1.0), lambda *_: True)
    (end,) = pack.finish()
    found = treated.stored(arm, 2)
    same_masks(found.masks, masks)
    same_weights(found.final, end.final)
    same_weights(found.best, end.best)
    assert found.result.test_accuracy_end == end.test_accuracy_end
    pixels = (data.test_images.reshape(len(data.test_images), -1) / 255 - treated.split.mean) / treated.split.std
    for name, tensors in masked(before.final, masks).items():
        pixels = pixels @ tensors["kernel"] + tensors["bias"]
        pixels = pixels if name == "output" else np.maximum(pixels, 0)
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
    assert list(dense.marks) == [K]
    same_weights(dense.marks[K], short.stored("reset", 0).final)
    assert differ(dense.marks[K], drawn_from(1))
    assert differ(dense.marks[K], dense.final)


def test_a_rewound_round_goes_on_at_its_iteration(treated: Watched) -> None:
    whole = treated.lane("rewind", 0)
    assert len({float(rate) for rate in whole.rates[[0, K, 22, 30]]}) == 4, "the schedule tells these steps apart"
    for number in (1, 2):
        lane, found = treated.lane("rewind", number), treated.stored("rewind", number)
        np.testing.assert_array_equal(lane.order, whole.order[K:])
        np.testing.assert_array_equal(lane.rates, whole.rates[K:])
        assert found.result.iterations == len(lane.rates) == 40 - K
        assert [point.iteration for point in found.curve] == [30, 40]
        assert found.result.early_stop_iteration in (30, 40)
        assert treated.folder.curve(treated.key("rewind", number)) == found.curve


@pytest.mark.parametrize("treatment", ["reset", "reinit", "reshuffle", "lr-rewind"])
def test_other_treatments_have_the_whole_schedule_and_order(treated: Watched, treatment: str) -> None:
    for number in (0, 1, 2):
        np.testing.assert_array_equal(treated.lane(treatment, number).rates, treated.lane("reset", 0).rates)
        np.testing.assert_array_equal(treated.lane(treatment, number).order, treated.lane("reset", 0).order)
        assert [point.iteration for point in treated.stored(treatment, number).curve] == [15, 30, 40]


def test_fine_tuning_has_the_last_learning_rate_throughout(treated: Watched) -> None:
    whole = treated.lane("keep", 0).rates
    assert whole[-1] == pytest.approx(3e-5)
    for number in (1, 2):
        np.testing.assert_array_equal(treated.lane("keep", number).rates, np.full(40, whole[-1]))
        np.testing.assert_array_equal(treated.lane("keep", number).order, treated.lane("keep", 0).order)


@pytest.mark.parametrize("number", [1, 2])
def test_shuffled_survivors_are_the_same_weights_in_other_places(treated: Watched, number: int) -> None:
    first, mask = drawn_from(1), treated.stored("reshuffle", number).masks
    for name, tensors in treated.started("reshuffle", number).items():
        there, here = tensors["kernel"][mask[name]], first[name]["kernel"][mask[name]]
        np.testing.assert_array_equal(np.sort(there), np.sort(here))
        assert (there != here).mean() > 0.9
        assert not tensors["kernel"][~mask[name]].any()


def test_shuffles_differ_by_seed_and_layer_and_touch_no_dead_weight_or_bias() -> None:
    masks = {name: np.arange(40).reshape(8, 5) % 2 == 0 for name in ("a", "b")}
    weights = {name: {"kernel": np.arange(40, dtype="f4").reshape(8, 5), "bias": np.ones(5, "f4")} for name in masks}
    drawn = [reshuffled(weights, masks, seed) for seed in range(30)]
    same_weights(drawn[3], reshuffled(weights, masks, 3))
    assert len({it["a"]["kernel"].tobytes() for it in drawn}) == 30
    for it in drawn:
        assert (it["a"]["kernel"] != it["b"]["kernel"]).any()
        for name, mask in masks.items():
            np.testing.assert_array_equal(it[name]["kernel"][~mask], weights[name]["kernel"][~mask])
            np.testing.assert_array_equal(np.sort(it[name]["kernel"][mask]), weights[name]["kernel"][mask])
            np.testing.assert_array_equal(it[name]["bias"], weights[name]["bias"])


def test_fresh_weights_are_fresh_each_round(treated: Watched) -> None:
    first, second = (treated.started("reinit", number) for number in (1, 2))
    mask = treated.stored("reinit", 2).masks
    for name in mask:
        alive = mask[name]
        assert (first[name]["kernel"][alive] != second[name]["kernel"][alive]).mean() > 0.99
        assert (first[name]["kernel"][alive] != drawn_from(1)[name]["kernel"][alive]).mean() > 0.99


def test_all_treatments_share_the_dense_round_and_the_first_mask(treated: Watched) -> None:
    arms = [named(*arm) for arm in ARMS]
    assert len({treated.key(arm, 0) for arm in arms}) == 1
    assert len({treated.key(arm, number) for arm in arms for number in (1, 2)}) == 2 * len(arms)
    assert len(treated.lanes) == len(treated.plan.rounds) == 1 + 2 * len(arms)
    for arm in arms:
        same_masks(treated.stored(arm, 1).masks, treated.stored("reset", 1).masks)
        for number in (1, 2):
            found = treated.stored(arm, number)
            invariants.all_dead_zero("weights", (found.final, found.best), found.masks, number)
            invariants.only_shrinks(found.masks, treated.stored(arm, number - 1).masks, number)


def test_a_dense_round_without_the_mark_is_trained_again_and_then_has_it(
    watched: Callable[..., Watched], new_home: NewHome
) -> None:
    home = new_home()
    plain = watched(study_of([("reset", False)]), home)
    dense = plain.stored("reset", 0)
    assert not dense.marks
    rewound = watched(study_of([("reset", False), ("rewind", False)]), home)
    assert rewound.key("rewind", 0) == plain.key("reset", 0)
    assert set(rewound.lanes) == {rewound.key("rewind", number) for number in (0, 1, 2)}, "what else is kept is reused"
    again = rewound.stored("rewind", 0)
    assert list(again.marks) == [K]
    same_weights(again.final, dense.final)
    same_weights(again.best, dense.best)
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
    assert list(dense.marks) == [70]
    same_weights(run.started("rewind", 1), masked(dense.marks[70], run.stored("rewind", 1).masks))


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
"""


@pytest.fixture(scope="module")
def less(watched: Callable[..., Watched]) -> Watched:
    return watched(LESS)


def subset(run: Watched, arm: str) -> np.ndarray:
    if arm == "random":
        return datasets.random_subset(run.split, 0.5, 1)
    return datasets.stratified_subset(run.data, run.split, 0.5 if arm in ("retrain", "search") else 1.0, 1)


@pytest.mark.parametrize("arm", ["retrain", "random", "slower"])
def test_a_retrained_ticket_is_the_ticket_bit_for_bit(less: Watched, arm: str) -> None:
    first = drawn_from(1)
    for number in (2,) if arm == "slower" else (1, 2):
        found, ticket = less.stored(arm, number), less.stored("ticket", number)
        same_masks(found.masks, ticket.masks)
        same_weights(less.started(arm, number), masked(first, ticket.masks))
        assert differ(found.final, ticket.final), "it learned from something else"
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
        np.testing.assert_array_equal(lane.order, batch_order(part, 30, 40, 1))
        np.testing.assert_array_equal(lane.validation, less.split.validation)


def test_a_stratified_part_is_fair_and_a_random_one_of_the_same_size_is_not(less: Watched) -> None:
    fair, free = subset(less, "retrain"), subset(less, "random")
    assert len(fair) == len(free)
    labels = less.data.train_labels
    whole = np.bincount(labels[less.split.train]) * len(fair) / len(less.split.train)
    assert np.abs(np.bincount(labels[fair]) - whole).max() <= 1
    assert np.abs(np.bincount(labels[free]) - whole).max() > 1


def test_arms_of_the_same_part_share_the_dense_round(less: Watched) -> None:
    dense = {arm: less.key(arm, 0) for arm in ("ticket", "retrain", "random", "search", "slower")}
    assert dense["retrain"] == dense["search"]
    assert len(set(dense.values())) == 4
    assert len(less.lanes) == 4 + 2 + 2 + 2 + 2 + 1
    assert differ(less.stored("retrain", 0).final, less.stored("ticket", 0).final)
    assert differ(less.stored("retrain", 0).final, less.stored("random", 0).final)


def test_a_search_on_a_part_finds_its_own_ticket(less: Watched) -> None:
    found, whole = less.stored("search", 1), less.stored("ticket", 1)
    assert counts_of(found.masks) == counts_of(whole.masks)
    assert all((found.masks[name] != whole.masks[name]).any() for name in found.masks)
    size = {name: np.abs(tensors["kernel"]) for name, tensors in less.stored("search", 0).final.items()}
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
            top = CLAMP * first[name]["kernel"].std()
            assert 0 <= bound.min() < 0.01 * top
            assert 0.98 * top < bound.max() <= top * 1.000001
            for weights in (clamped.started("clamped", number), found.final, found.best):
                assert (np.abs(weights[name]["kernel"]) <= bound).all()
            at_bound = np.abs(found.final[name]["kernel"][found.masks[name]]) == bound[found.masks[name]]
            assert at_bound.mean() > 0.3, "the clamp was at work"
        start = {
            name: {**it, "kernel": np.clip(it["kernel"], -bounds[name], bounds[name])} for name, it in first.items()
        }
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
        assert bound[name].end_top == np.abs(clamped.stored("clamped", 0).final[name]["kernel"]).max()


def test_a_criterion_of_the_start_reads_the_clamped_one(clamped: Watched) -> None:
    dense, steps = clamped.stored("moved", 0), pruning_schedule(LAYERS, clamped.plan.study.base.prune)
    begun = clamped.started("moved", 0)
    moved = {name: np.abs(it["kernel"] - begun[name]["kernel"]) for name, it in dense.final.items()}
    same_masks(clamped.stored("moved", 1).masks, prune(moved, full_masks(LAYERS), steps, 1))


def test_an_arm_without_a_clamp_is_as_it_was(clamped: Watched, watched: Callable[..., Watched]) -> None:
    alone = watched(CLAMPED[: CLAMPED.index('[[arm]]\nname = "clamped"')])
    for number in (0, 1, 2):
        one, other = clamped.stored("ticket", number), alone.stored("ticket", number)
        assert one.key == other.key
        assert not clamped.lane("ticket", number).bounds
        same_weights(one.final, other.final)
        same_weights(one.best, other.best)
        assert one.curve == other.curve


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
            size = np.abs(dense.final[name]["kernel"])
            assert size[~mask].max() <= size[mask].min()
