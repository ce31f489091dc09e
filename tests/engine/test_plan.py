"""The graph of rounds: equal rounds share a key, any other have their own, and the forecast counts them."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import registry
from engine.errors import BadInput
from engine.experiment import ArmKind, DatasetInfo, Input, Plan, RoundId, RoundSources, Treatment, forecast, make_plan
from engine.experiment.cost import EVALUATED_AT_ONCE, bytes_of, memory_of, rate_name
from engine.experiment.graph import KEY_FORMAT
from engine.pruning import LayerWeights, Masks
from engine.registry import Origin, registering
from engine.spec import Study, digest, load_study, parse_study, preset_names
from engine.store import RoundFinished, RunFinished, RunFolder, RunStarted, Store
from engine.training.step import EVALUATION_BLOCK

DIGITS = DatasetInfo("digits", "print", (8, 8, 1), 10, train=1294, validation=143, test=360)
STUDY = """
name = "x"
trials = 2
[base.prune]
rounds = 3
[[arm]]
name = "ticket"
[[arm]]
name = "one-shot"
[[arm]]
name = "reinit"
per_ticket = 2
[[arm]]
name = "random-mask"
rounds = [2]
"""


def planned(*settings: str, mark: DatasetInfo = DIGITS, numerics: str = "here") -> Plan:
    return make_plan(parse_study(STUDY, source="x.toml", settings=settings), mark, numerics)


def key(plan: Plan, arm: str, number: int, trial: int = 0) -> str:
    return plan.round_keys[RoundId(arm, trial, number)]


def test_places_are_in_the_order_of_the_study() -> None:
    plan = planned("trials=1")
    assert [(place.arm, place.trial, place.number) for place in plan.round_keys] == [
        *(("ticket", 0, number) for number in (0, 1, 2, 3)),
        *(("one-shot", 0, number) for number in (0, 1, 2, 3)),
        *(("reinit", trial, number) for trial in (0, 1) for number in (0, 1, 2, 3)),
        *(("random-mask", 0, number) for number in (0, 2)),
    ]


def test_every_round_comes_after_the_one_it_needs() -> None:
    plan = planned()
    seen: set[str] = set()
    for name, item in plan.rounds.items():
        assert name == item.key
        assert item.dependencies <= seen
        seen.add(name)
    assert set(plan.round_keys.values()) == seen


def test_the_dense_round_is_shared_by_all_arms_and_one_shot_begins_as_the_ticket() -> None:
    plan = planned()
    for trial in (0, 1):
        assert key(plan, "ticket", 0, trial) == key(plan, "one-shot", 0, trial) == key(plan, "random-mask", 0, trial)
        assert key(plan, "ticket", 1, trial) == key(plan, "one-shot", 1, trial)
        assert key(plan, "ticket", 2, trial) != key(plan, "one-shot", 2, trial)
    assert [key(plan, "reinit", 0, trial) for trial in range(4)] == [key(plan, "ticket", 0, it) for it in (0, 0, 1, 1)]
    assert (len(plan.round_keys), len(plan.rounds)) == (36, 8 + 4 + 12 + 2)


def test_masks_come_from_where_the_arms_say() -> None:
    plan = planned("trials=1")
    inputs = {
        (place.arm, place.trial, place.number): plan.rounds[name].inputs for place, name in plan.round_keys.items()
    }
    assert inputs["ticket", 0, 0] == ()
    assert inputs["ticket", 0, 3] == (Input("parent", key(plan, "ticket", 2)),)
    assert inputs["one-shot", 0, 3] == (Input("parent", key(plan, "one-shot", 0)),)
    assert inputs["reinit", 1, 3] == (Input("ticket", key(plan, "ticket", 3)),)
    assert inputs["random-mask", 0, 2] == (Input("ticket", key(plan, "ticket", 2)),)
    assert plan.rounds[key(plan, "random-mask", 2)].own_seed == 1001


def test_the_dependents_of_a_round_are_those_that_need_it() -> None:
    plan = planned()
    for name, item in plan.rounds.items():
        assert plan.dependents[name] == tuple(it.key for it in plan.rounds.values() if name in it.dependencies)
        assert item.parent in (None, *item.dependencies)


def test_seeds_are_the_trials_and_each_controls_own() -> None:
    plan = planned("seed=7")
    assert {arm.name: plan.arm_seeds(arm) for arm in plan.study.arm} == {
        "ticket": (7, 8),
        "one-shot": (7, 8),
        "reinit": (1007, 2007, 1008, 2008),
        "random-mask": (1007, 1008),
    }
    fresh = [plan.rounds[key(plan, "reinit", 1, trial)] for trial in range(4)]
    assert [(item.weights_seed, item.seed) for item in fresh] == [(1007, 7), (2007, 7), (1008, 8), (2008, 8)]
    random = plan.rounds[key(plan, "random-mask", 2, 1)]
    assert (random.weights_seed, random.own_seed, random.seed) == (8, 1008, 8)


ORDERS = """
name = "orders"
trials = 2
seed = 5
[base.prune]
rounds = 2
[[arm]]
name = "ticket"
[[arm]]
name = "one-shot"
[[arm]]
name = "reinit"
[[arm]]
name = "random-mask"
[[arm]]
name = "noise"
kind = "retrain"
order_seed = 77
"""


def orders(*settings: str) -> dict[str, list[list[int]]]:
    """The seeds of the order of examples by arm, trial and round."""
    plan = make_plan(parse_study(ORDERS, source="x.toml", settings=settings), DIGITS, "")
    return {
        arm.name: [
            [plan.rounds[key(plan, arm.name, number, trial)].order_seed for number in range(3)] for trial in (0, 1)
        ]
        for arm in plan.study.arm
    }


def test_every_round_draws_its_own_order_which_all_arms_of_the_trial_share() -> None:
    found = orders()
    ticket = found["ticket"]
    assert len({seed for trial in ticket for seed in trial}) == 6
    assert found["one-shot"] == found["reinit"] == found["random-mask"] == ticket
    noise = {seed for trial in found["noise"] for seed in trial}
    assert len(noise) == 6
    assert noise.isdisjoint(seed for trial in ticket for seed in trial)


def test_with_one_order_a_trial_all_its_rounds_share_it() -> None:
    found = orders("base.train.order=trial")
    assert found["ticket"] == found["reinit"] == [[5] * 3, [6] * 3]
    assert found["noise"] == [[77] * 3, [78] * 3]


def test_the_order_is_in_the_keys() -> None:
    text = (
        parse_study(ORDERS, source="x.toml"),
        parse_study(ORDERS, source="x.toml", settings=("base.train.order=trial",)),
    )
    one, other = (make_plan(study, DIGITS, "") for study in text)
    assert key(one, "ticket", 0) == key(other, "ticket", 0), "the dense round draws from the trial's seed either way"
    assert key(one, "ticket", 1) != key(other, "ticket", 1)
    assert key(one, "noise", 0) != key(one, "ticket", 0)


def unpruned(value: str, **settings: str) -> Plan:
    return planned("trials=1", f"base.prune.unpruned={value}")


@pytest.mark.parametrize(("value", "left"), [('["output"]', 2), ('["dense1", "output"]', 1)])
def test_unpruned_layers_have_no_mask_and_do_not_count(value: str, left: int) -> None:
    plan = unpruned(value)
    item = plan.rounds[key(plan, "ticket", 3)]
    names = [layer.parameter for layer in plan.layers if layer.name not in value]
    assert len(names) == left
    assert item.schedule.parameters == tuple(names) == tuple(layer.parameter for layer in item.layers)
    assert sum(item.schedule.survivors[0]) == sum(layer.size for layer in plan.layers if layer.parameter in names)
    assert item.schedule.p_m(1) == pytest.approx(80, abs=0.1)
    assert not set(plan.rounds) & set(planned("trials=1").rounds), "a dense round has other masks"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('["shortcut"]', "kinds and names of the network's layers, not 'shortcut': dense, output, dense1, dense2"),
        ('["dense", "output"]', "not all layers of the network"),
    ],
)
def test_unpruned_names_that_the_network_does_not_have_are_refused(value: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        unpruned(value)
    found = value.replace('"', "'")
    assert str(caught.value) == f"x: base.prune.unpruned: found {found}; allowed: {words}"


class Halved(Treatment):
    """The initial weights times a share."""

    def __init__(self, *, share: float = 0.5):
        self.share = share


class Inverse(ArmKind):
    control = True

    def masks(self, w: RoundSources) -> Masks:
        return {name: ~mask for name, mask in w.masks_of("ticket").items()}


PLUGGED = """
name = "x"
trials = 1
[base.prune]
rounds = 3
[[arm]]
name = "ticket"
[[arm]]
name = "plain"
kind = "ticket"
restart = { treatment = "reset" }
[[arm]]
name = "inverse"
of = "plain"
[[arm]]
name = "random-mask"
of = "plain"
"""


@pytest.fixture
def plugged() -> Iterator[Callable[[str], Plan]]:
    """Plans a study that names entries of a plug-in, by the digest of its source."""
    origin = Origin("plug-in")

    def plan(digest: str, *settings: str) -> Plan:
        nonlocal origin
        for entries in (registry.treatment, registry.arm, registry.criterion):
            entries.forget(origin)
        origin = Origin("plug-in", digest)
        with registering(origin):
            registry.treatment.add("halved", "half", Halved)
            registry.arm.add("inverse", "inverse", Inverse)
            registry.criterion.add("scaled", "scaled", scaled)
        own = ('base.restart.treatment="halved"', 'base.prune.criterion="scaled"', *settings)
        return make_plan(parse_study(PLUGGED, source="x.toml", settings=own), DIGITS, "")

    yield plan
    for entries in (registry.treatment, registry.arm, registry.criterion):
        entries.forget(origin)


def scaled(w: LayerWeights, *, by: float = 1.0) -> Any:
    return by * abs(w.end)


def test_the_key_holds_the_digest_and_parameters_of_what_a_plug_in_registers(plugged: Callable[..., Plan]) -> None:
    one = plugged("a")
    assert set(one.rounds) == set(
        plugged("a", "base.restart.parameters.share=0.5", "base.prune.parameters.by=1").rounds
    )
    for other in (plugged("b"), plugged("a", "base.prune.parameters.by=2")):
        assert {place.number for place in one.round_keys if one.round_keys[place] == other.round_keys[place]} == {0}
    other = plugged("a", "base.restart.parameters.share=0.25")
    same = {(place.arm, place.number) for place in one.round_keys if one.round_keys[place] == other.round_keys[place]}
    assert {arm for arm, number in same if number} == {"plain", "inverse", "random-mask"}, "their start is not halved"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("base.prune.criterion=magnitud",), "did you mean magnitude?"),
        (("base.prune.parameters.by=1",), "base.prune.parameters.by: found 1; allowed: none"),
        (("base.restart.treatment=rewound",), "did you mean rewind?"),
        (("arm.1.kind=oneshot",), "did you mean one-shot?"),
        (("arm.0.order_seed=-1",), "arm.0.order_seed: found -1; allowed: at least 0"),
    ],
)
def test_names_and_parameters_that_are_not_registered_are_refused_in_one_line(
    settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        planned(*settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("same", ['name="other"', "trials=3", "base.prune.rounds=9", 'about="words"'])
def test_studies_share_the_rounds_that_are_equal(same: str) -> None:
    one, other = planned(), planned(same)
    assert set(one.rounds) <= set(other.rounds)
    assert all(other.rounds[name].inputs == it.inputs for name, it in one.rounds.items())


def test_a_study_of_later_seeds_shares_the_trials_in_common() -> None:
    assert key(planned("seed=2"), "ticket", 3, 0) == key(planned("seed=1"), "ticket", 3, 1)


@pytest.mark.parametrize(
    "other",
    [
        "seed=5",
        "base.data.seed=1",
        "base.train.iterations=1000",
        "base.train.batch=61",
        "base.train.learning_rate=1e-3",
        "base.train.optimizer=sgd",
        "base.train.warmup=1",
        "base.train.evaluate_every=99",
    ],
)
def test_a_round_that_trains_otherwise_has_its_own_key(other: str) -> None:
    assert not set(planned().rounds) & set(planned(other).rounds)


@pytest.mark.parametrize("other", ["base.prune.rate=0.21", "base.prune.rates.output=0.2", "base.prune.scope=global"])
def test_a_round_that_is_pruned_otherwise_shares_only_the_dense_one(other: str) -> None:
    one, changed = planned("trials=1"), planned("trials=1", other)
    assert set(one.rounds) & set(changed.rounds) == {key(one, "ticket", 0)}


def test_other_data_and_other_machines_have_their_own_keys() -> None:
    one = planned()
    assert not set(one.rounds) & set(planned(mark=replace(DIGITS, fingerprint="other")).rounds)
    assert not set(one.rounds) & set(planned(numerics="elsewhere").rounds)


VALUES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 3),
        "base.train.iterations": st.sampled_from([10, 20]),
        "base.prune.rate": st.sampled_from([0.2, 0.5]),
        "base.data.seed": st.integers(0, 1),
    }
)


@given(VALUES, VALUES)
@settings(max_examples=60, deadline=None)
def test_keys_are_equal_exactly_where_all_that_counts_is(one: dict[str, object], other: dict[str, object]) -> None:
    plans = [planned("trials=1", *(f"{name}={value}" for name, value in it.items())) for it in (one, other)]
    for arm, number in (("ticket", 0), ("ticket", 2), ("one-shot", 3), ("reinit", 1), ("random-mask", 2)):
        counts = [{**it, "base.prune.rate": it["base.prune.rate"] if number else None} for it in (one, other)]
        assert (key(plans[0], arm, number) == key(plans[1], arm, number)) == (counts[0] == counts[1])


@pytest.mark.parametrize(
    ("setting", "field", "arm"),
    [
        ("base.train.batch=1295", "base.train.batch", "ticket"),
        ("arm.1.train.batch=1295", "arm.1.train.batch", "one-shot"),
    ],
)
def test_a_batch_larger_than_the_training_set_is_refused(setting: str, field: str, arm: str) -> None:
    with pytest.raises(BadInput) as caught:
        planned(setting)
    allowed = f"at most the 1294 training examples of digits that arm {arm!r} learns from"
    assert str(caught.value) == f"x: {field}: found 1295; allowed: {allowed}"
    assert planned(setting.replace("1295", "1294"))


def test_a_batch_larger_than_an_arms_own_part_is_refused() -> None:
    with pytest.raises(BadInput, match=r"found 130; allowed: at most the 129 training .* that arm 'one-shot' learns"):
        planned("arm.1.data.fraction=0.1", "base.train.batch=130")
    assert planned("arm.1.data.fraction=0.1", "base.train.batch=129")


@pytest.mark.parametrize("fraction", [0.0005, 0.007, 0.999, 0.9935])
def test_a_fraction_that_no_stratified_part_can_have_is_refused(fraction: float) -> None:
    asked = (f"arm.1.data.fraction={fraction}", "base.train.batch=1")
    with pytest.raises(BadInput) as caught:
        planned(*asked)
    allowed = "one that takes and leaves out 10 or more of the 1294 training examples of digits"
    assert str(caught.value) == f"x: arm.1.data.fraction: found {fraction:g}; allowed: {allowed}"
    assert planned(*asked, "arm.1.data.subset=random")


def test_an_early_bird_that_stops_before_any_validation_is_refused() -> None:
    asked = ("base.train.batch=130", "arm.1.data.fraction=0.5", "base.prune.early_bird=stop")
    with pytest.raises(BadInput) as caught:
        planned(*asked, "base.train.evaluate_every=26")
    allowed = "at most 25, after which early_bird 'stop' can end a round of arm 'one-shot'"
    assert str(caught.value) == f"x: base.train.evaluate_every: found 26; allowed: {allowed}"
    assert planned(*asked, "base.train.evaluate_every=25")
    assert planned(*asked, "base.train.evaluate_every=26", "base.train.iterations=20")
    assert planned(*asked, "base.train.evaluate_every=26", "base.prune.early_bird=watch")


EIGHT = """
name = "eight"
trials = 2
[base.train]
iterations = 30
batch = 30
evaluate_every = 15
[base.prune]
rounds = 3
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "one-shot"
[[arm]]
name = "reinit"
per_ticket = 2
[[arm]]
name = "random-mask"
[[arm]]
name = "retrain"
data = { fraction = 0.5 }
[[arm]]
name = "search"
kind = "ticket"
data = { fraction = 0.5 }
[[arm]]
name = "rewound"
kind = "ticket"
restart = { treatment = "rewind", iteration = 15 }
[[arm]]
name = "fine-tuned"
kind = "ticket"
restart = { treatment = "keep" }
"""


def test_eight_arms_have_each_distinct_round_once() -> None:
    plan = make_plan(parse_study(EIGHT, source="eight.toml"), DIGITS, "")
    dense, pruned = 2 + 2, {"ticket": 6, "one-shot": 4, "reinit": 12, "random-mask": 6}
    pruned |= dict.fromkeys(("retrain", "search", "rewound", "fine-tuned"), 6)
    assert len(plan.study.arm) == 8
    assert len(plan.round_keys) == 8 * 8 + 8
    assert len(plan.rounds) == dense + sum(pruned.values()) == 56
    assert {
        name: len({plan.round_keys[it] for it in plan.round_keys if it.arm == name and it.number}) for name in pruned
    } == {
        **pruned,
        "one-shot": 6,
    }
    assert {key(plan, "one-shot", 1, trial) for trial in (0, 1)} == {key(plan, "ticket", 1, trial) for trial in (0, 1)}
    assert {key(plan, arm, 0) for arm in ("retrain", "search")} == {key(plan, "search", 0)}
    assert key(plan, "search", 0) != key(plan, "ticket", 0) == key(plan, "rewound", 0) == key(plan, "fine-tuned", 0)
    assert sum(item.iterations for item in plan.rounds.values()) == 50 * 30 + 6 * 15
    assert plan.rewind_points[key(plan, "ticket", 0)] == {15}
    assert plan.rewind_points[key(plan, "search", 0)] == frozenset()
    assert plan.ids_of == {
        it: [place for place in plan.round_keys if plan.round_keys[place] == it] for it in plan.rounds
    }


def test_eight_arms_train_each_distinct_round_once(
    jax_ready: None, new_home: Callable[[], Path], execute: Callable[..., tuple[str, RunFolder]]
) -> None:
    study = parse_study(EIGHT, source="eight.toml", settings=("trials=1", "base.prune.rounds=2"))
    home = new_home()
    status, folder = execute(study, home)
    events = [stamped.event for stamped in folder.events()]
    finished = [event for event in events if isinstance(event, RoundFinished)]
    (started,) = (event for event in events if isinstance(event, RunStarted))
    (end,) = (event for event in events if isinstance(event, RunFinished))
    assert (status, len(finished), started.distinct) == ("done", 27, 19)
    assert (end.trained, end.reused) == (19, 0), "nothing was in the store before"
    assert sum(event.reused for event in finished) == 8
    assert len({event.key for event in finished if not event.reused}) == 19
    assert len({event.key for event in finished}) == len(list((home / "rounds").rglob("*.safetensors"))) == 19
    again = forecast(study, Store(home))
    assert (again.rounds, again.distinct, again.stored, again.iterations) == (27, 19, 19, 0)


@pytest.mark.parametrize("order", [("true", "false"), ("false", "true")])
def test_arms_that_share_a_round_stop_on_collapse_only_if_both_do(order: tuple[str, str]) -> None:
    asked = [f"arm.{place}.prune.stop_on_collapse={it}" for place, it in enumerate(order)]
    plan = planned("trials=1", *asked)
    stops = {arm: plan.rounds[key(plan, arm, 2)].stop_on_collapse for arm in ("ticket", "one-shot")}
    assert stops == {"ticket": order[0] == "true", "one-shot": order[1] == "true"}
    assert key(plan, "ticket", 1) == key(plan, "one-shot", 1)
    assert not plan.rounds[key(plan, "ticket", 1)].stop_on_collapse
    assert plan.rounds[key(planned("base.prune.stop_on_collapse=true"), "ticket", 1)].stop_on_collapse is False


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ("base.prune.criterion=random", {0}),
        ("base.restart.treatment=reshuffle", {0}),
        ("base.restart.keep_signs=true", {0}),
        ("base.prune.stop_on_collapse=true", {0, 1, 2, 3}),
        ("base.prune.early_bird=watch", set()),
        ("base.train.dropout=0.1", set()),
        ("base.train.augment=true", set()),
        ("base.train.clamp=1", set()),
        ("base.data.fraction=0.5", set()),
        ("base.train.order=trial", {0}),
    ],
)
def test_what_a_setting_changes_is_what_it_is_of(other: str, shared: set[int]) -> None:
    plans = [make_plan(parse_study(TICKET, source="x.toml", settings=it), DIGITS, "") for it in ((), (other,))]
    assert {number for number in range(4) if len({key(plan, "ticket", number) for plan in plans}) == 1} == shared


@pytest.mark.parametrize("trials", [2, 40])
def test_planning_validates_each_arms_recipe_once_whatever_the_number_of_rounds(
    monkeypatch: pytest.MonkeyPatch, trials: int
) -> None:
    study = parse_study(STUDY, source="x.toml", settings=(f"trials={trials}",))
    calls: list[str] = []
    plain = Study.recipe
    monkeypatch.setattr(Study, "recipe", lambda self, arm: calls.append(arm.name) or plain(self, arm))
    plan = make_plan(study, DIGITS, "")
    for _ in plan.round_keys:
        for arm in study.arm:
            plan.arm_rounds(arm)
    assert len(calls) <= 2 * len(study.arm)


def test_levels_share_the_dense_round_and_whatever_steps_they_have_in_common() -> None:
    texts = [TICKET.replace("rounds = 3", it) for it in ("rounds = 3", "levels = [80, 60]", "levels = [80, 50, 40]")]
    plans = [make_plan(parse_study(text, source="x.toml"), DIGITS, "") for text in texts]
    dense = {key(plan, "ticket", 0) for plan in plans}
    first = [key(plan, "ticket", 1) for plan in plans]
    assert len(dense) == 1
    assert first[0] != first[1] == first[2]
    assert key(plans[1], "ticket", 2) != key(plans[2], "ticket", 2)


TICKET = 'name = "x"\n[base.prune]\n[[arm]]\nname = "ticket"\nprune = { rounds = 3 }\n'


@pytest.mark.parametrize("name", preset_names())
def test_the_arms_of_a_preset_share_the_dense_rounds_of_the_same_training(name: str) -> None:
    study = load_study(name, ("trials=2",))
    shape = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}[study.base.data.name]
    plan = make_plan(study, replace(DIGITS, image_shape=shape, train=45_000), "")
    ways = {(study.recipe(arm).data, study.recipe(arm).train) for arm in study.arm}
    assert len({plan.round_keys[place] for place in plan.round_keys if place.number == 0}) == 2 * len(ways)


def test_the_forecast_before_the_first_run_knows_the_rounds_but_no_rate(
    tiny: Callable[..., Study], new_home: Callable[[], Path]
) -> None:
    cost = forecast(tiny(), Store(new_home()))
    assert (cost.rounds, cost.distinct, cost.stored, cost.iterations) == (32, 24, 0, 24 * 40)
    assert (cost.lanes, cost.rate, cost.seconds, cost.guessed_by) == (0, None, None, "")
    assert cost.bytes < 24 * 50_200 * 8, "survivors alone are stored"


def test_the_forecast_after_a_run_counts_what_is_stored(finished: RunFolder, tiny: Callable[..., Study]) -> None:
    store = Store(finished.folder.parent.parent)
    files = list((store.home / "rounds").rglob("*.safetensors"))
    done = forecast(tiny(), store)
    assert (done.distinct, done.stored, done.iterations, done.seconds, done.bytes) == (24, 24, 0, 0.0, 0)
    assert done.lanes > 0
    assert done.rate == store.machine.rates[rate_name(make_plan(tiny(), DIGITS, ""))] > 0
    more = forecast(tiny("trials=3"), store)
    assert (more.rounds, more.distinct, more.stored, more.iterations) == (48, 36, 24, 12 * 40)
    assert more.seconds == pytest.approx(12 * 40 / more.rate)
    assert more.bytes == pytest.approx(sum(path.stat().st_size for path in files) / 2, rel=0.05)


def test_a_rate_that_was_not_measured_is_guessed_by_the_nearest_one(
    tiny: Callable[..., Study], new_home: Callable[[], Path]
) -> None:
    store = Store(new_home())
    rates = {"lenet-300-100 28x28x1 batch 60 sgd": 500.0, "conv-2 32x32x3 batch 60 adam": 4.0, "of old": 9.0}
    store.machine.keep(numerics="", lanes=2, rates=rates, devices=2, memory=0)
    cost = forecast(tiny(), store)
    batch = tiny().base.train.batch
    assert (cost.guessed_by, cost.lanes) == ("lenet-300-100", 2)
    assert cost.rate == pytest.approx(500 * (60 * 266_200) / (batch * 50_200))
    measured = {rate_name(make_plan(tiny(), DIGITS, "")): 100.0}
    store.machine.keep(numerics="", lanes=2, rates=measured, devices=2, memory=0)
    assert (forecast(tiny(), store).rate, forecast(tiny(), store).guessed_by) == (100.0, "")


def test_a_round_takes_the_room_of_its_survivors_its_masks_and_its_snapshots() -> None:
    plan = make_plan(parse_study(TICKET, source="x.toml"), DIGITS, "")
    biases = 300 + 100 + 10
    rest = bytes_of(plan, [plan.rounds[key(plan, "ticket", 0)]]) - (8 * (50_200 + biases) + 50_200 // 8)
    assert 0 < rest < 20_000, "the header, the curve and the result"
    for number, left in enumerate((50_200, 40_260, 32_298, 25_919)):
        item = plan.rounds[key(plan, "ticket", number)]
        assert left == sum(item.schedule.survivors[number])
        assert bytes_of(plan, [item]) == 8 * (left + biases) + 50_200 // 8 + rest
    rewound = ("base.restart.treatment=rewind", "base.restart.iteration=9")
    plan = make_plan(parse_study(TICKET, source="x.toml", settings=rewound), DIGITS, "")
    whole = 50_200 + biases
    assert bytes_of(plan, [plan.rounds[key(plan, "ticket", 0)]]) == 12 * whole + 50_200 // 8 + rest


def test_memory_grows_with_lanes_devices_weights_and_examples() -> None:
    assert EVALUATED_AT_ONCE == EVALUATION_BLOCK
    plan = make_plan(parse_study(TICKET, source="x.toml"), DIGITS, "")
    least = memory_of(plan, 1, 1)
    assert memory_of(plan, 2, 1) > least + 4 * 3 * 50_200, "weights and two moments in float32"
    assert memory_of(plan, 2, 2) - memory_of(plan, 2, 1) == 64 * (DIGITS.train + DIGITS.validation + DIGITS.test)
    larger = make_plan(parse_study(TICKET, source="x.toml"), replace(DIGITS, image_shape=(28, 28, 1)), "")
    assert memory_of(larger, 1, 1) > least


# Keys

GOLDEN = Path(__file__).with_name("golden_keys.json")


def test_keys_of_presets_change_only_with_the_format() -> None:
    """A change of what is computed must raise KEY_FORMAT, so that no stored round is taken for another."""
    found = {}
    for name in preset_names():
        study = load_study(name)
        shape = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}[study.base.data.name]
        plan = make_plan(study, replace(DIGITS, image_shape=shape, train=45_000), "numerics")
        found[name] = digest([[place.arm, place.trial, place.number, key] for place, key in plan.round_keys.items()])
    table = {"format": KEY_FORMAT, "presets": found}
    if os.environ.get("WRITE_GOLDEN_KEYS"):
        GOLDEN.write_text(json.dumps(table, indent=1) + "\n")
    assert table == json.loads(GOLDEN.read_text()), (
        "keys of presets changed: raise KEY_FORMAT where results change too, and write the table anew with "
        "WRITE_GOLDEN_KEYS=1 pytest tests/engine/test_plan.py -k keys_of_presets"
    )
