"""Claims against runs: the data, the measures on runs of known effects, the rules of the verdicts, and the words."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from engine.claims import MANY, Claim, NotMeasured, Verdict, all_claims, decide, judge, measured, shortcomings
from engine.claims.measures import _crossing
from engine.claims.model import FractionAboveDense
from engine.errors import BadInput
from engine.spec import Study, load_study, parse_study, preset_names, preset_text
from engine.store import (
    ArmPlan,
    DatasetFacts,
    Event,
    LayerCount,
    Magnitudes,
    RoundFinished,
    RoundResult,
    RunStarted,
    Similarity,
    Stamped,
    Store,
)
from engine.views import RunView, fold

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"conv1": 1000, "conv2": 1000, "conv3": 1000, "output": 1000}
ROUNDS = 20
Facts = dict[str, Any]
Tell = Callable[[str, int, int], Facts | None]
"""What a round measured, by arm, trial of the arm and number; None for a round not known."""


def a_study(name: str = "lenet-mnist", *settings: str, trials: int = 4) -> Study:
    return load_study(name, (f"trials={trials}", *settings))


def left(number: int) -> int:
    """Of 1,000 weights, at the paper's rate: P_m 80, 64, 51.2, ..."""
    return round(1000 * 0.8**number)


def finished(arm: str, trial: int, number: int, facts: Facts) -> RoundFinished:
    accuracy = facts.get("accuracy", 0.9)
    rank = facts.get("rank", 0.5)
    ranks = {name: rank.get(name) if isinstance(rank, dict) else rank for name in LAYERS}
    distance = facts.get("distance", 0.4)
    bins = Magnitudes(start=(1,), end=(1,), start_top=1, end_top=1, start_distance=0.5, end_distance=distance)
    return RoundFinished(
        arm=arm,
        trial=trial,
        round=number,
        key=f"{arm}{trial}-{number}",
        reused=False,
        result=RoundResult(
            iterations=100,
            early_stop_iteration=facts.get("stop", 50),
            validation_loss=0.5,
            validation_accuracy=accuracy,
            test_accuracy=accuracy,
            test_accuracy_end=accuracy,
            test_accuracy_pruned=facts.get("pruned"),
            layers={name: LayerCount(survivors=left(number), size=size) for name, size in LAYERS.items()},
            magnitudes=dict.fromkeys(LAYERS, bins),
            early_bird=None,
            seconds=1,
            diverged=False,
            collapsed=facts.get("collapsed", False),
        ),
        similarity={}
        if number == 0
        else {name: Similarity(alive=value, all=1.0, jaccard=0.5, chance=0.1) for name, value in ranks.items()},
    )


def events_of(study: Study, tell: Tell, rounds: int = ROUNDS) -> list[Event]:
    plans = [
        ArmPlan(
            name=arm.name,
            kind=arm.kind,
            seeds=tuple(range(study.trials * arm.per_ticket)),
            rounds=(0, *(arm.rounds or range(1, rounds + 1))),
        )
        for arm in study.arm
    ]
    begin = RunStarted(
        run="run",
        study=study.name,
        hash=study.hash,
        dataset=DatasetFacts(name=study.base.data.name, train=3, validation=2, test=1),
        layers=LAYERS,
        kinds={name: "output" if name == "output" else "conv" for name in LAYERS},
        arms=tuple(plans),
        distinct=1,
        stored=0,
        device="2 CPU cores",
        lanes=2,
    )
    known = ((p.name, trial, number) for p in plans for trial in range(len(p.seeds)) for number in p.rounds)
    return [begin, *(finished(*place, facts) for place in known if (facts := tell(*place)) is not None)]


def a_view(study: Study, tell: Tell, rounds: int = ROUNDS) -> RunView:
    told = events_of(study, tell, rounds)
    return fold(RunView(), [Stamped(number, 0.0, event) for number, event in enumerate(told, 1)])


def verdicts_of(study: Study, tell: Tell, rounds: int = ROUNDS) -> dict[str, Verdict]:
    return {item.claim.id: item for item in judge(a_view(study, tell, rounds), study)}


def a_claim(measure: Facts, **more: Any) -> Claim:
    given: Facts = {"direction": "at least", "claimed": 1.0}
    return Claim.model_validate(
        {
            "id": "it",
            "text": "It is so.",
            "source": "article",
            "section": "",
            "networks": ["lenet-300-100"],
            "datasets": ["mnist"],
            "presets": ["lenet-mnist"],
            "measure": measure,
            **given,
            **more,
        }
    )


def values_of(measure: Facts, study: Study, tell: Tell, rounds: int = ROUNDS) -> Sequence[float | None]:
    return measured(a_claim(measure).measure, a_view(study, tell, rounds), study).values


def telling(tell: Tell) -> Tell:
    return tell


def plain(arm: str, trial: int, number: int) -> Facts:
    return {}


# The data


def test_every_claim_is_one_sentence_told_once() -> None:
    claims = all_claims()
    assert len({claim.id for claim in claims}) == len(claims) > 40
    for claim in claims:
        assert len({network[:4] for network in claim.networks}) == 1, "or its data would be those of another network"
        assert claim.text[0].isupper(), claim.id
        assert claim.text.endswith("."), claim.id
        assert claim.section, claim.id
    assert {claim.source for claim in claims} == {"paper", "article", "replications", "mode connectivity"}
    assert all(claim.second_hand for claim in claims if claim.source != "article")


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_every_claim_can_be_measured_in_a_preset_of_each_of_its_networks(claim: Claim) -> None:
    assert set(claim.presets) <= set(preset_names())
    studies = [load_study(name) for name in claim.presets]
    assert {study.base.data.name for study in studies} <= set(claim.datasets)
    assert {study.base.network.name for study in studies} == set(claim.networks)
    for network in claim.networks:
        named = [{arm.name for arm in study.arm} for study in studies if study.base.network.name == network]
        assert any(set(claim.measure.arms) <= arms for arms in named)
        if isinstance(claim.measure, FractionAboveDense):
            assert any(set(claim.measure.among) <= arms for arms in named)
    for study in studies:
        named_here = {arm.name for arm in study.arm}
        listed = {item.claim.id: item for item in judge(RunView(), study)}
        assert listed[claim.id].outcome == "not measured"
        if set(claim.measure.arms) <= named_here:
            assert listed[claim.id].reason == "no round is known yet", "a preset's arms are the claim's own"


@pytest.mark.parametrize("name", [name for name in preset_names() if name.endswith("-quick")])
def test_a_quick_twin_is_judged_as_its_full_preset(name: str) -> None:
    full = {claim.id for claim in _listed(name.removesuffix("-quick"))}
    assert {claim.id for claim in _listed(name)} == full
    assert full


def _listed(name: str) -> list[Claim]:
    return [item.claim for item in judge(RunView(), load_study(name))]


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "about"},
        {"measure": {"kind": "speed-up", "arm": "ticket", "at": 20.0}, "claimed": 0.1, "tolerance": 0.1},
        {"measure": {"kind": "speed-up", "arm": "ticket", "at": [50.0, 20.0]}},
        {"measure": {"kind": "accuracy", "arm": "ticket", "at": 0.0}},
        {"measure": {"kind": "rank-correlation", "arm": "ticket", "layers": "all"}},
        {"measure": {"kind": "guess", "arm": "ticket"}},
        {"tolerance": -1.0},
        {"claimed": math.nan},
        {"network": "lenet-300-100"},
        {"networks": ["resnet-21"]},
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(change: Facts) -> None:
    with pytest.raises(ValidationError):
        a_claim(change.pop("measure", {"kind": "best-gain", "arm": "ticket"}), **change)


def test_reading_claims_loads_neither_jax_nor_scipy_nor_a_terminal() -> None:
    code = (
        "import sys; from engine.claims import all_claims; all_claims(); "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & {"jax", "flax", "optax", "scipy", "sklearn", "textual", "rich", "click"} == set()


# The rules

CLEAR = [1.0, 1.1, 0.9, 1.05, 0.95]


@pytest.mark.parametrize(
    ("direction", "bounds", "outcome"),
    [
        ("at least", (0.5,), "holds"),
        ("at least", (1.5,), "does not hold"),
        ("at least", (1.02,), "undecided"),
        ("at most", (1.5,), "holds"),
        ("at most", (0.5,), "does not hold"),
        ("at most", (0.98,), "undecided"),
        ("about", (0.5, 1.5), "holds"),
        ("about", (0.99, 1.01), "undecided"),
        ("about", (1.5, 2.0), "does not hold"),
        ("about", (0.0, 0.5), "does not hold"),
        ("about", (0.5, 0.98), "undecided"),
    ],
)
def test_what_is_clear_is_decided_and_nothing_else(direction: Any, bounds: tuple[float, ...], outcome: str) -> None:
    assert decide(CLEAR, direction, bounds).outcome == outcome


def test_the_tests_are_scipys() -> None:
    def p(bound: float, alternative: str) -> float:
        return float(stats.ttest_1samp(CLEAR, bound, alternative=alternative).pvalue)

    assert decide(CLEAR, "at least", (0.5,)).p_value == p(0.5, "greater")
    assert decide(CLEAR, "at least", (1.5,)).p_value == p(1.5, "less")
    assert decide(CLEAR, "at most", (1.5,)).p_value == p(1.5, "less")
    assert decide(CLEAR, "about", (0.5, 1.6)).p_value == max(p(0.5, "greater"), p(1.6, "less"))
    pairs = ([0.93, 0.95, 0.96], [0.91, 0.92, 0.95])
    differences = [a - b for a, b in zip(*pairs, strict=True)]
    paired = stats.ttest_rel(*pairs, alternative="greater").pvalue
    assert decide(differences, "at least", (0.0,)).p_value == pytest.approx(paired)


@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=6),
    st.sampled_from(["at least", "at most", "about"]),
    st.floats(-5, 5),
    st.floats(0.1, 3),
)
def test_the_mirror_image_has_the_mirrored_verdict(values: list[float], direction: Any, at: float, by: float) -> None:
    values = [round(value, 3) for value in values]
    bounds = (at - by, at + by) if direction == "about" else (at,)
    other: Any = {"at least": "at most", "at most": "at least", "about": "about"}[direction]
    one = decide(values, direction, bounds)
    mirrored = decide([-value for value in values], other, tuple(sorted(-bound for bound in bounds)))
    assert (one.outcome, one.more_trials) == (mirrored.outcome, mirrored.more_trials)
    assert (one.outcome == "undecided") == (one.more_trials is not None)
    assert one.more_trials is None or 1 <= one.more_trials <= MANY + 1


def test_one_trial_decides_nothing_and_none_measures_nothing() -> None:
    alone = decide([1e6], "at least", (0.0,))
    assert (alone.outcome, alone.p_value, alone.more_trials) == ("undecided", None, None)
    assert decide([], "at least", (0.0,)).outcome == "not measured"


@pytest.mark.parametrize(
    ("values", "bound", "outcome", "more"),
    [
        ([1.1, 1.1], 0.0, "undecided", 1),
        ([1.1, 1.1, 1.1], 0.0, "holds", None),
        ([1.1, 1.1, 1.1], 2.0, "does not hold", None),
        ([1.1, 1.1, 1.1], 1.1, "undecided", MANY + 1),
        ([1.1, 1.1 + 1e-14, 1.1 - 1e-14], 1.1, "undecided", MANY + 1),
        ([1.1, 1.1 + 1e-14], 0.0, "undecided", 1),
    ],
)
def test_equal_values_decide_from_three_on(values: list[float], bound: float, outcome: str, more: int | None) -> None:
    found = decide(values, "at least", (bound,))
    assert (found.outcome, found.more_trials) == (outcome, more)


def test_more_trials_are_those_that_reach_the_power() -> None:
    values = [0.2, -0.4, 0.9, 0.6, -0.2]
    more = decide(values, "at least", (0.0,)).more_trials
    assert more is not None
    mean, deviation = sum(values) / 5, stats.tstd(values)

    def power(size: int) -> float:
        critical = stats.t.ppf(0.95, size - 1)
        return float(stats.nct.sf(critical, size - 1, mean / deviation * math.sqrt(size)))

    assert power(5 + more) >= 0.8 > power(4 + more)
    assert decide([1.0, -1.0, 0.01], "at least", (0.0,)).more_trials == MANY + 1
    # Equivalence: of 5 + more trials, as found by simulation, about 80% or a little more show it.
    values = [0.3, -0.3, 0.1, -0.1, 0.05]
    more = decide(values, "about", (-0.2, 0.2)).more_trials
    assert more is not None
    drawn = stats.norm.rvs(0.01, stats.tstd(values), size=(4000, 5 + more), random_state=1)
    low = stats.ttest_1samp(drawn, -0.2, axis=1, alternative="greater").pvalue
    high = stats.ttest_1samp(drawn, 0.2, axis=1, alternative="less").pvalue
    assert 0.77 < ((low < 0.05) & (high < 0.05)).mean() < 0.9


# The measures


def test_accuracy_is_compared_within_the_trial_and_with_the_round_nearest() -> None:
    study = a_study()
    dense = [0.90, 0.91, 0.92, 0.93]
    found = measured(
        a_claim({"kind": "accuracy-difference", "arm": "ticket", "at": 21.1}).measure,
        a_view(study, lambda arm, trial, n: {"accuracy": dense[trial % 4] + 0.01 * (n == 7) * (trial + 1)}),
        study,
    )
    assert found.values == pytest.approx((1, 2, 3, 4))
    assert found.p_m == pytest.approx(21.0)


def test_controls_of_one_ticket_are_one_value() -> None:
    study = a_study(trials=2)
    by_copy = [0.90, 0.91, 0.95, 0.80, 0.81, 0.82]
    tell = telling(lambda arm, trial, n: {"accuracy": by_copy[trial] if arm == "reinit" else 0.95 + 0.01 * trial})
    measure = {"kind": "accuracy-difference", "arm": "ticket", "at": 21.1, "other": "reinit"}
    assert values_of(measure, study, tell) == pytest.approx((3.0, 15.0))


def test_a_speed_up_is_the_ratio_of_early_stops() -> None:
    study = a_study(trials=3)
    tell = telling(lambda arm, trial, n: {"stop": 400 if n == 0 else 100 + 100 * trial})
    assert values_of({"kind": "speed-up", "arm": "ticket", "at": 21.1}, study, tell) == pytest.approx((4, 2, 4 / 3))
    over = {"kind": "speed-up", "arm": "ticket", "at": [20, 60]}
    mixed = telling(lambda arm, trial, n: {"stop": {0: 400, 3: 100}.get(n, 400)})
    assert values_of(over, study, mixed) == pytest.approx([4 ** (1 / 5)] * 3)  # rounds 3 to 7
    never = telling(lambda arm, trial, n: {"stop": 0 if trial else 5})
    assert values_of(over, study, never) == (pytest.approx(1), None, None)


def test_arms_are_compared_at_the_same_p_m() -> None:
    study = a_study("one-shot-quick")  # whose one-shot arm has rounds 1, 3, 5, 7, ... only
    tell = telling(lambda arm, trial, n: {"accuracy": 0.9 + 0.001 * n * (arm == "ticket")})
    measure = {"kind": "accuracy-difference", "arm": "ticket", "at": 60.0, "other": "one-shot"}
    assert values_of(measure, study, tell, 18) == pytest.approx([0.3] * 4)
    with pytest.raises(NotMeasured, match="near 25%"):
        values_of({**measure, "at": 25.0}, study, tell, 18)


def test_the_best_round_is_chosen_by_the_other_trials() -> None:
    study = a_study(trials=3)
    own = {0: 3, 1: 4, 2: 4}  # trial 0 alone is best in round 3
    tell = telling(lambda arm, trial, n: {"accuracy": 0.9 + 0.02 * (own[trial % 3] == n)})
    found = values_of({"kind": "best-gain", "arm": "ticket"}, study, tell)
    assert found[0] == pytest.approx(0), "round 4 is best in the others, where this trial gains nothing"
    same = telling(lambda arm, trial, n: {"accuracy": 0.9 + 0.02 * (n == 4) + 0.001 * trial * (n == 4)})
    assert values_of({"kind": "best-gain", "arm": "ticket"}, study, same) == pytest.approx((2.0, 2.1, 2.2))


def test_the_smallest_matching_p_m_is_the_last_at_least_dense() -> None:
    study = a_study(trials=2)
    last = {("ticket", 0): 15, ("ticket", 1): 14}
    tell = telling(lambda arm, trial, n: {"accuracy": 0.9 if n <= last.get((arm, trial), 4) else 0.8})
    measure = {"kind": "smallest-matching", "arm": "ticket"}
    assert values_of(measure, study, tell) == pytest.approx((left(15) / 10, left(14) / 10))
    ratio = values_of({**measure, "other": "one-shot"}, study, tell)
    assert ratio == pytest.approx((left(4) / left(15), left(4) / left(14)))
    with pytest.raises(NotMeasured, match="still matches dense in its last round"):
        values_of({**measure, "other": "one-shot"}, study, plain)
    running = telling(lambda arm, trial, n: None if trial and n > 16 else tell(arm, trial, n))
    assert values_of(measure, study, running)[1] is None, "its later rounds are still to come"


def test_a_lucky_round_is_not_the_smallest_matching_one_nor_an_unlucky_one_the_end() -> None:
    study, measure = a_study(trials=1), {"kind": "smallest-matching", "arm": "ticket"}

    def smallest(accuracies: dict[int, float], usual: Callable[[int], float]) -> float | None:
        tell = telling(lambda arm, trial, n: {"accuracy": 0.9 if n == 0 else accuracies.get(n, usual(n))})
        return values_of(measure, study, tell)[0]

    falling = lambda n: 0.91 if n <= 9 else 0.88  # noqa: E731
    assert smallest({}, falling) == pytest.approx(left(9) / 10)
    assert smallest({16: 0.901}, falling) == pytest.approx(left(9) / 10), "a lucky round"
    assert smallest({5: 0.899}, falling) == pytest.approx(left(9) / 10), "an unlucky round"


def test_noise_does_not_shift_the_smallest_matching_p_m() -> None:
    rounds, draw = np.arange(1, 21), np.random.default_rng(0)
    errors, luckiest = [], []
    for _ in range(300):
        gains = 0.004 * (10.5 - rounds) / 10 + draw.normal(0, 0.002, 20)
        named = dict(zip([100.0, *(100 * 0.8**rounds)], [0.0, *gains], strict=True))
        errors.append(math.log(_crossing(named) / (100 * 0.8**10.5), 0.8))
        luckiest.append(max(rounds[gains >= 0], default=0) - 10.5)
    assert abs(np.mean(errors)) < 1, "rounds"
    assert np.mean(luckiest) > 2.5, "the last round at least dense goes too far"


def test_a_ladder_that_ends_too_early_measures_no_crossing() -> None:
    study = a_study("lenet-mnist", "base.prune.rounds=10")
    found = verdicts_of(study, plain, 10)["lenet-ticket-falls"]
    assert (found.outcome, found.reason) == ("not measured", "arm 'ticket' goes down to 10.7% only, not to 3.6%")
    assert verdicts_of(a_study(), plain)["lenet-ticket-falls"].outcome == "holds", "an upper bound past the claim"


def test_ranks_are_those_of_the_layers_and_rounds_named() -> None:
    study = a_study(trials=2)
    ranks = {"conv1": 0.1, "conv2": 0.4, "conv3": 0.3, "output": 0.9}
    tell = telling(lambda arm, trial, n: {"rank": {name: it + 0.01 * n for name, it in ranks.items()}})
    measure = {"kind": "rank-correlation", "arm": "ticket"}

    def ranked(**more: Any) -> float | None:
        return values_of({**measure, **more}, study, tell)[0]

    assert ranked(layers="output", rounds=[1, 3]) == pytest.approx(0.92)
    assert ranked(layers="middle", rounds=[3]) == pytest.approx(0.43)
    assert ranked(layers="all", at=21.1) == pytest.approx(0.425 + 0.07)
    assert ranked(layers="output", rounds=[1], minus_layers="hidden") == pytest.approx(0.9 - 0.8 / 3)
    assert ranked(layers="hidden", at=7.0, minus_rounds=[1]) == pytest.approx(0.11)
    assert ranked(layers="output", variant="all", rounds=[2]) == 1
    gone = telling(lambda arm, trial, n: {"rank": -0.1 if n == 15 else 0.8, "collapsed": n >= 15 - trial})
    at_collapse = {"kind": "rank-at-collapse", "arm": "ticket", "layers": "all"}
    assert values_of(at_collapse, study, gone) == pytest.approx((-0.1, 0.8))
    with pytest.raises(NotMeasured, match="never fell to chance"):
        values_of(at_collapse, study, plain)
    with pytest.raises(NotMeasured, match="no rank correlation"):
        values_of({**measure, "layers": "all", "rounds": [99]}, study, tell)


def test_damage_is_what_pruning_costs_before_training_again() -> None:
    study = a_study("one-shot", trials=2)
    tell = telling(lambda arm, trial, n: {"accuracy": 0.9 - 0.01 * n, "pruned": 0.5 - 0.01 * n - 0.1 * trial})
    assert values_of({"kind": "damage", "arm": "ticket", "at": 64}, study, tell) == pytest.approx((-41, -51))
    assert values_of({"kind": "damage", "arm": "one-shot", "at": 64}, study, tell) == pytest.approx((-42, -52))
    assert values_of({"kind": "damage", "arm": "ticket", "at": 64}, study, plain) == (None, None)


@pytest.mark.parametrize(
    ("was", "now"), [("rounds = 20", "rounds = 20\nrate = 0.3"), ("rounds = 20", "levels = [50, 10]")]
)
def test_rounds_of_other_sizes_are_no_rounds_of_a_claim(was: str, now: str) -> None:
    text = preset_text("rank-correlation-quick").replace("rounds = 32", was).replace(was, now)
    found = {item.claim.id: item for item in judge(RunView(), parse_study(text, source="x.toml"))}
    assert "other sizes" in found["ranks-output-early"].reason
    assert "other sizes" not in found["ticket-matches"].reason


def test_distances_and_shares() -> None:
    study = a_study("weight-clamping", trials=2)
    tell = telling(lambda arm, trial, n: {"distance": (0.1 if arm == "clamped" else 0.4) + 0.01 * trial + n})
    distance = {"kind": "distance-from-uniform", "arm": "clamped"}
    assert values_of(distance, study, tell) == pytest.approx((0.1, 0.11))
    assert values_of({**distance, "other": "ticket"}, study, tell) == pytest.approx((-0.3, -0.3))
    study = a_study("less-data-lenet", trials=2)
    above = telling(lambda arm, trial, n: {"accuracy": 0.95 if (arm, n) == ("search-50", 2 + trial) else 0.9})
    share = {"kind": "share-above", "arm": "ticket", "among": ["search-50", "retrain-50", "unknown"]}
    assert values_of(share, study, above) == pytest.approx([100 / 42] * 2)


def test_a_view_has_all_that_a_round_measured() -> None:
    item = a_view(a_study(trials=1), plain, 1).arm("ticket").trials[0].rounds[1]
    assert (item.result.validation_accuracy, item.result.collapsed, item.result.early_bird) == (0.9, False, None)
    assert item.result.magnitudes["output"].end_distance == 0.4


# The verdicts


def test_known_effects_get_the_verdict_that_they_should() -> None:
    study = a_study(trials=5)

    def tell(arm: str, trial: int, number: int) -> Facts:
        noise = 0.0002 * (trial % 5)
        gain = {"ticket": 0.006, "reinit": -0.004}.get(arm, 0.0) * (number > 0)
        stop = {"ticket": 2000}.get(arm, 6000) + 50 * (trial % 5) if number else 4000
        return {"accuracy": 0.978 + noise * (number > 0) + gain, "stop": stop}

    found = verdicts_of(study, tell)
    assert found["lenet-gain-13"].outcome == "holds"
    assert found["lenet-gain-13"].mean == pytest.approx(0.64)
    assert (found["lenet-gain-13"].low, found["lenet-gain-13"].high) == pytest.approx((0.6, 0.68))
    assert found["lenet-gain-13"].error == pytest.approx(stats.sem([0.6, 0.62, 0.64, 0.66, 0.68]))
    assert found["lenet-back-3"].outcome == "does not hold", "it is far above dense there"
    assert found["lenet-sooner-21"].outcome == "holds"
    assert found["lenet-reinit-slower-21"].outcome == "holds"
    assert found["lenet-reinit-falls"].outcome == "holds"
    assert found["lenet-reinit-below-13"].outcome == "holds"
    assert found["one-shot-sooner"].outcome == "does not hold"
    assert (found["lenet-gain-13"].quick, found["lenet-gain-13"].caveat) == (False, "")
    assert "conv2-gain-5" not in found


def test_a_ratios_mean_is_the_geometric_one() -> None:
    study = a_study(trials=2)
    found = verdicts_of(study, lambda arm, trial, n: {"stop": 400 if n == 0 else 100 + 300 * (trial % 2)})
    verdict = found["lenet-sooner-21"]
    assert verdict.values == pytest.approx((4, 1))
    assert verdict.mean == pytest.approx(2)
    assert (verdict.outcome, verdict.unit) == ("undecided", "x")


def test_undecided_says_how_many_more_trials() -> None:
    gains = [0.0, 0.004, 0.001, 0.005]
    found = verdicts_of(a_study(), lambda arm, trial, n: {"accuracy": 0.97 + (gains[trial % 4] if n else 0)})
    verdict = found["lenet-gain-13"]
    assert verdict.outcome == "undecided"
    assert verdict.more_trials is not None
    assert verdict.more == f"about {verdict.more_trials}" or verdict.more == "more than 100"


def test_one_trial_is_shown_and_never_decided() -> None:
    found = verdicts_of(a_study(trials=1), lambda arm, trial, n: {"accuracy": 0.99 if n else 0.9})
    judged = [item for item in found.values() if item.values]
    assert judged
    assert {item.outcome for item in judged} == {"undecided"}
    assert (found["lenet-gain-13"].mean, found["lenet-gain-13"].error) == (pytest.approx(9), None)


def test_trials_without_a_number_are_left_out_and_counted() -> None:
    tell = telling(lambda arm, trial, n: {"accuracy": None if trial == 1 and n > 3 else 0.9 + 0.001 * trial})
    found = verdicts_of(a_study(), tell)["lenet-gain-13"]
    assert (found.trials, found.left_out) == (3, 1)
    nothing = verdicts_of(a_study(), lambda arm, trial, n: {"accuracy": None, "stop": None})["lenet-gain-13"]
    assert (nothing.outcome, nothing.reason) == ("not measured", "no trial has finite numbers for it yet")


def test_what_the_run_has_not_is_not_measured_and_says_so() -> None:
    study = a_study("lenet-mnist-quick")
    found = verdicts_of(study, lambda arm, trial, n: {} if n < 8 else None)
    assert found["one-shot-sooner"].reason == "no arm 'one-shot'"
    assert found["lenet-back-3"].reason == "arm 'ticket' has no round near 3.6% of the weights"
    assert found["lenet-sooner-21"].outcome != "not measured"


def test_an_arm_of_the_same_name_but_another_making_says_nothing_of_the_claim() -> None:
    study = a_study("lenet-mnist", 'base.prune.criterion="random"')
    reasons = {item.reason for item in verdicts_of(study, plain).values()}
    assert "arm 'ticket' is another: its prune.criterion is random, not magnitude" in reasons
    mine = a_study("lenet-mnist", 'name="mine"', 'base.prune.criterion="random"')
    assert verdicts_of(mine, plain) == {}
    assert verdicts_of(a_study("lenet-mnist", 'name="mine"'), plain).keys() >= {"lenet-gain-13", "one-shot-sooner"}


# How it was run


def test_every_preset_with_the_papers_numbers_is_judged_without_a_caveat() -> None:
    for name in preset_names():
        quick, caveat = shortcomings(load_study(name))
        assert quick == (name.endswith("-quick") or name in ("quickstart", "like-open-lth")), name
        assert bool(caveat) == quick


@pytest.mark.parametrize(
    ("settings", "quick", "words"),
    [
        (("base.train.iterations=500",), True, "judged on a quick run: 500 iterations, not 50,000"),
        (("trials=2",), True, "judged on a quick run: 2 trials, not 5"),
        (("base.data.fraction=0.5",), True, "judged on a quick run: 50% of the data, not 100%"),
        (("trials=9", "base.train.iterations=60000", "base.prune.rounds=25"), False, ""),
        (("name=my-quick",), True, "judged on a quick run: its name says so"),
        (("base.train.batch=50",), False, "judged on other settings than the paper's: batch 50, not 60"),
        (("base.prune.rate=0.3",), False, "judged on other settings than the paper's: other pruning rates"),
    ],
)
def test_what_falls_short_of_the_paper_is_said(settings: tuple[str, ...], quick: bool, words: str) -> None:
    study = load_study("lenet-mnist", settings)
    assert shortcomings(study) == (quick, words)
    assert {(item.quick, item.caveat) for item in judge(RunView(), study)} == {(quick, words)}


def test_pictures_from_a_folder_are_judged_and_named() -> None:
    study = load_study("conv2-cifar10-quick", ("base.data.name=folder:pictures",))
    found = judge(RunView(), study)
    assert "conv2-gain-5" in {item.claim.id for item in found}
    assert f"folder:{Path.cwd()}/pictures instead of cifar10" in found[0].caveat
    assert judge(RunView(), load_study("conv2-cifar10", ("base.data.name=digits",))) == []


# What is printed


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A home with the run `fake` of a quick study, never trained."""
    monkeypatch.setenv("LTH_TUI_HOME", str(tmp_path))
    store = Store(tmp_path)
    study = load_study("lenet-mnist-quick")
    tell = telling(lambda arm, trial, n: {"accuracy": 0.97 + (0.005 + 0.0001 * trial) * (n > 0)})
    with store.create(study, "fake") as folder:
        for event in events_of(study, tell):
            folder.append(event)
    return store


def invoke(*arguments: str) -> str:
    from lth_tui.cli import command_line

    result = CliRunner().invoke(command_line, ["claims", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert not result.return_value
    return result.output


def test_the_table_fits_and_says_its_rule(stored: Store) -> None:
    lines = invoke("fake").splitlines()
    assert max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for words in ("✓", "holds", "✗", "does not hold", "– ", "not measured", "Rule: t test", "*: quoted second hand"):
        assert words in text
    assert "Judged on a quick run: 10,000 iterations, not 50,000; 3 trials, not 5" in text
    assert len(lines) < 120


def test_the_json_is_a_list_of_verdicts(stored: Store) -> None:
    rows = json.loads(invoke("fake", "--json"))
    row = {row["id"]: row for row in rows}["lenet-gain-13"]
    assert (row["verdict"], row["trials"], row["unit"], row["quick"]) == ("holds", 3, "points", True)
    assert row["mean"] == pytest.approx(0.51)
    assert row["values"] == pytest.approx([0.5, 0.51, 0.52])
    assert row["p_m"] == pytest.approx(left(9) / 10)
    assert (row["direction"], row["claimed"], row["tolerance"]) == ("at least", 0.3, 0.1)


def test_many_arms_stand_in_several_tables_with_every_number_whole(stored: Store) -> None:
    from lth_tui.cli import command_line

    study = load_study("less-data-lenet-quick")
    with stored.create(study, "many") as folder:
        for event in events_of(study, telling(lambda arm, trial, n: {"accuracy": 0.97 + 0.001 * trial}), 3):
            folder.append(event)
    text = CliRunner().invoke(command_line, ["show", "many"]).output
    for arm in study.arm:
        assert f" {arm.name}" in text
    table = text[: text.index("test accuracy % /")]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 100
    assert table.count("97.10 (97.00-97.20)") == sum(len((0, *(arm.rounds or (1, 2, 3)))) for arm in study.arm)


def test_a_run_that_there_is_not_is_bad_input(stored: Store) -> None:
    with pytest.raises(BadInput, match="there is none of that name"):
        invoke("other")


def test_a_run_without_claims_says_so(stored: Store) -> None:
    text = 'name = "mine"\n[base.data]\nname = "cifar10"\n[[arm]]\nname = "ticket"\n'
    stored.create(parse_study(text, source="mine"), "mine").close()
    assert "No claim" in invoke("mine")
    assert json.loads(invoke("mine", "--json")) == []
