"""Studies: what is written is what is read, the hash names the numbers, and a mistake is one line of advice."""

import datetime
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import registry
from engine.errors import BadInput
from engine.experiment import DatasetInfo, make_plan
from engine.networks import build
from engine.pruning import pruning_schedule
from engine.spec import (
    Arm,
    Data,
    LayerKind,
    Prune,
    Restart,
    Study,
    Train,
    load_study,
    parse_study,
    preset_names,
    preset_text,
    study_problems,
    to_toml,
)

SMALL = 'name = "small"\ntrials = 2\n[[arm]]\nname = "ticket"\n[[arm]]\nname = "reinit"\n'


def with_set(*given: str, text: str = SMALL) -> Study:
    return parse_study(text, source="small.toml", settings=given)


def complaint(*given: str, text: str = SMALL) -> str:
    with pytest.raises(BadInput) as caught:
        with_set(*given, text=text)
    return one_line(caught.value)


def study_or_line(read: Callable[[], Study]) -> Study | str:
    try:
        return read()
    except BadInput as error:
        return one_line(error)


def one_line(error: BadInput) -> str:
    line = str(error)
    assert len(line.splitlines()) == 1, f"not one line: {line!r}"
    return line


# What is sound


@st.composite
def datas(draw: st.DrawFn) -> dict[str, Any]:
    fraction = draw(st.floats(0, 1, exclude_min=True, exclude_max=True))
    return {"fraction": fraction, "subset": draw(st.sampled_from(["stratified", "random"]))}


@st.composite
def trains(draw: st.DrawFn) -> dict[str, Any]:
    iterations = draw(st.integers(1, 10_000_000))
    table: dict[str, Any] = {"iterations": iterations}
    if draw(st.booleans()):
        table |= {"optimizer": "sgd", "momentum": draw(st.floats(0, 1, exclude_max=True))}
    if draw(st.booleans()):
        milestones = draw(st.sets(st.integers(1, 1000), min_size=1, max_size=5))
        table |= {"schedule": "step", "milestones": sorted(milestones), "decay": draw(st.floats(1e-9, 0.99))}
    optional = {
        "batch": st.integers(1, min(65_536, 1_000_000_000 // iterations)),
        "learning_rate": st.floats(0, 100, exclude_min=True),
        "warmup": st.integers(0, iterations),
        "evaluate_every": st.integers(1, 10**9),
        "dropout": st.floats(0, 1, exclude_max=True),
        "augment": st.booleans(),
        "clamp": st.floats(0, 100, exclude_min=True),
    }
    return table | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def prunes(draw: st.DrawFn) -> dict[str, Any]:
    rates = st.floats(0, 1, exclude_min=True, exclude_max=True)
    optional = {
        "rate": rates,
        "criterion": st.sampled_from(registry.criterion.names()),
        "early_bird": st.sampled_from(["off", "watch", "stop"]),
        "stop_on_collapse": st.booleans(),
    }
    table = draw(st.fixed_dictionaries({}, optional=optional))
    if draw(st.booleans()):
        levels = st.sets(st.floats(0, 100, exclude_min=True, exclude_max=True), min_size=1, max_size=5)
        table["levels"] = sorted(draw(levels), reverse=True)
    elif draw(st.booleans()):
        table["rounds"] = draw(st.integers(1, 100))
    if draw(st.booleans()):
        kinds = st.sampled_from(["dense", "conv", "output"])
        return table | {"scope": "layerwise", "rates": draw(st.dictionaries(kinds, rates))}
    return table | {"scope": "global"}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
    ticket: dict[str, Any] = {"name": draw(names), "kind": "ticket"}
    if draw(st.booleans()):
        ticket["prune"] = {"rounds": draw(st.integers(1, 100))}
    if draw(st.booleans()):
        treatment = draw(st.sampled_from(["reset", "reinit", "reshuffle", "keep", "lr-rewind"]))
        ticket["restart"] = {"treatment": treatment, "keep_signs": draw(st.booleans())}
    kinds = ["one-shot", "reinit"]
    if ticket.get("restart", {}).get("treatment", "reset") == "reset":
        kinds += ["random-mask", "retrain"]
    kinds = draw(st.lists(st.sampled_from(kinds), unique=True))
    arms = [{"name": f"{ticket['name']}-{kind}", "kind": kind} for kind in kinds]
    for arm in arms:
        if arm["kind"] != "one-shot":
            arm["of"] = ticket["name"]
        if arm["kind"] in ("reinit", "random-mask"):
            arm["per_ticket"] = draw(st.integers(1, 4))
        if arm["kind"] == "retrain":
            arm["data"] = draw(datas())
        if draw(st.booleans()):
            arm |= {"rounds": [1], "train": {"learning_rate": draw(st.floats(1e-9, 1))}}
    optional = {
        "about": st.text(st.one_of(st.sampled_from(" \n"), st.characters(exclude_categories=["C", "Z"])), max_size=200),
        "trials": st.integers(1, 15),
        "seed": st.integers(0, 2**31 - 2**21 - 1),
        "base": st.fixed_dictionaries({}, optional={"data": datas(), "train": trains(), "prune": prunes()}),
    }
    return draw(st.fixed_dictionaries({"name": names}, optional=optional)) | {"arm": [ticket, *arms]}


@given(tables())
@settings(max_examples=100, deadline=None)
def test_a_study_reads_back_equal(given: dict[str, Any]) -> None:
    study = Study.model_validate(given)
    again = parse_study(to_toml(study), source="again")
    assert again == study
    assert again.hash == study.hash
    assert to_toml(again) == to_toml(study)


def test_the_hash_is_the_same_in_every_process() -> None:
    code = "from engine.spec import load_study; print(load_study('quickstart').hash)"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{load_study('quickstart').hash}\n".encode()}


@pytest.mark.parametrize(
    "same",
    [
        ('name="other"',),
        ('about="words"',),
        ("base.train.iterations=50000", "base.prune.rate=0.2", "seed=1", 'base.data.name="digits"'),
        ("arm.reinit.per_ticket=1", 'arm.reinit.kind="reinit"', 'arm.reinit.of="ticket"'),
        ("arm.ticket.train.batch=60",),
    ],
)
def test_the_hash_does_not_see_words_and_spelt_out_defaults(same: tuple[str, ...]) -> None:
    assert with_set(*same).hash == with_set().hash


@pytest.mark.parametrize(
    "different",
    [
        "trials=3",
        "seed=2",
        "base.data.seed=1",
        'base.data.name="mnist"',
        "base.train.learning_rate=1e-3",
        "base.prune.rounds=3",
        'base.prune.scope="global"',
        "base.prune.criterion=largest",
        "base.prune.levels=[50]",
        "base.prune.early_bird=watch",
        "base.prune.stop_on_collapse=true",
        "base.restart.treatment=keep",
        "base.restart.keep_signs=true",
        "base.train.dropout=0.5",
        "base.train.clamp=1",
        "base.data.fraction=0.5",
        "arm.reinit.data.fraction=0.5",
        "arm.ticket.restart.treatment=reshuffle",
        "arm.reinit.per_ticket=2",
        "arm.reinit.rounds=[3]",
        "arm.reinit.train.batch=61",
        'arm.reinit.kind="random-mask"',
        'arm.reinit.name="other"',
    ],
)
def test_the_hash_sees_everything_else(different: str) -> None:
    extra = ('arm.reinit.kind="reinit"',) if "name" in different else ()
    assert with_set(*extra, different).hash != with_set().hash


SHAPES = {"mnist": (28, 28, 1), "digits": (8, 8, 1), "cifar10": (32, 32, 3)}
# The paper's Conv-6 figures are of 1.7M weights, which its architecture does not have: 15.1% and 26.4% are near these.
LADDERS = {
    "lenet-300-100": (266_200, {3: "51.28", 7: "21.07", 9: "13.52", 12: "6.95", 15: "3.58", 18: "1.85"}),
    "conv-2": (4_300_992, {11: "8.81", 14: "4.57"}),
    "conv-4": (2_425_024, {11: "11.06", 12: "9.18"}),
    "conv-6": (2_261_184, {7: "26.61", 10: "15.29"}),
}
LENET = ("mnist", "lenet-300-100", 50_000, 1.2e-3, 0.0)
CONV = {2: (20_000, 2e-4), 4: (25_000, 3e-4), 6: (30_000, 3e-4)}
DROPOUT = {2: (20_000, 3e-4), 4: (25_000, 2e-4), 6: (30_000, 2e-4)}
PAPER = {
    **dict.fromkeys(("lenet-mnist", "one-shot", "rewinding", "less-data-lenet", "inverse-pruning"), LENET),
    **dict.fromkeys(("weight-clamping", "rank-correlation"), LENET),
    **{f"conv{n}-cifar10": ("cifar10", f"conv-{n}", *CONV[n], 0.0) for n in CONV},
    **{f"less-data-conv{n}": ("cifar10", f"conv-{n}", *CONV[n], 0.0) for n in CONV},
    **{f"dropout-conv{n}": ("cifar10", f"conv-{n}", *DROPOUT[n], 0.5) for n in CONV},
}
"""Data, network, iterations, learning rate and dropout of each experiment (Frankle & Carbin 2019, figure 2)."""


def test_the_presets_are_what_they_say() -> None:
    studies = {name: load_study(name) for name in preset_names()}
    assert {name: study.name for name, study in studies.items()} == {name: name for name in studies}
    assert preset_names()[0] == "quickstart"
    assert set(preset_names()[1:]) == {f"{name}{twin}" for name in PAPER for twin in ("", "-quick")} | {"like-open-lth"}
    quick = studies["quickstart"]
    assert (quick.base.data.name, quick.trials, quick.base.train.iterations) == ("digits", 3, 1000)
    assert {arm.name for arm in studies["quickstart"].arm} == {"ticket", "reinit", "random-mask"}
    paper = studies["lenet-mnist"]
    assert {arm.name for arm in paper.arm} == {"ticket", "one-shot", "reinit", "random-mask"}
    assert (paper.base.train.batch, paper.base.train.optimizer, paper.base.train.learning_rate) == (60, "adam", 1.2e-3)
    assert (paper.base.train.evaluate_every, paper.named("reinit").per_ticket) == (100, 3)


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_has_the_papers_numbers_and_its_quick_twin_is_the_same_but_shorter(name: str) -> None:
    paper, quick = load_study(name), load_study(f"{name}-quick")
    data, network, iterations, rate, dropout = PAPER[name]
    train = paper.base.train
    assert (paper.base.data.name, paper.base.data.fraction, paper.base.network.name) == (data, 1, network)
    assert (train.iterations, train.learning_rate, train.dropout) == (iterations, rate, dropout)
    assert (train.batch, train.optimizer, train.evaluate_every, paper.trials) == (60, "adam", 100, 5)
    assert quick.base.network == paper.base.network
    assert quick.base.data.name == paper.base.data.name
    assert quick.trials < paper.trials
    assert quick.base.train.iterations < train.iterations
    longer = {"iterations": iterations, "evaluate_every": 100}
    assert quick.base.train.model_copy(update=longer) == train
    assert quick.base.prune.steps <= paper.base.prune.steps
    arms = {arm.name: arm for arm in paper.arm}
    for arm in quick.arm:
        whole = arms.get(arm.name, arm)
        assert (arm.kind, arm.of, arm.data, arm.train, arm.prune) == (
            whole.kind,
            whole.of,
            whole.data,
            whole.train,
            whole.prune,
        )
        assert arm.restart.get("treatment") == whole.restart.get("treatment")
    assert quick.arm[0].name == paper.arm[0].name == "ticket"
    assert paper.about
    assert quick.about
    assert "\n" not in paper.about + quick.about


@pytest.mark.parametrize("name", sorted({*preset_names()} - {"like-open-lth"}))  # it is pruned globally
def test_the_presets_walk_down_the_ladder_of_the_paper(name: str) -> None:
    study = load_study(name)
    network, prune = study.base.network.name, study.base.prune
    steps = pruning_schedule(build(network, SHAPES[study.base.data.name], 10).layers, prune)
    rates: dict[LayerKind, float] = {"conv": 0.15 if network == "conv-6" else 0.1, "dense": 0.2, "output": 0.1}
    paper = pruning_schedule(build(network, SHAPES[study.base.data.name], 10).layers, Prune(rounds=40, rates=rates))
    assert len(steps.survivors) == prune.steps + 1
    if not prune.levels:
        assert steps.survivors == paper.survivors[: len(steps.survivors)]
    if study.base.data.name != "digits":
        weights, percentages = LADDERS[network]
        assert sum(paper.survivors[0]) == weights
        assert {number: f"{paper.p_m(number):.2f}" for number in percentages} == percentages
    deepest = 2.2 if name in PAPER and "less-data-conv" not in name else 11 if name in PAPER else 57
    assert steps.p_m(prune.steps) < (2.1 if name == "quickstart" else deepest)


def test_an_arm_is_the_base_under_its_own_tables_and_a_control_under_its_tickets() -> None:
    study = with_set("base.train.batch=30", "arm.ticket.train.batch=40", "arm.reinit.train.iterations=7")
    ticket, reinit = (study.recipe(arm).train for arm in study.arm)
    assert (ticket.batch, ticket.iterations) == (40, 50_000)
    assert (reinit.batch, reinit.iterations) == (40, 7)


def test_a_folder_of_pictures_is_the_same_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    study = with_set("base.data.name=folder:./cats/../dogs")
    assert study.base.data.name == f"folder:{tmp_path}/dogs"
    monkeypatch.chdir("/")
    assert parse_study(to_toml(study), source="x.toml") == study
    assert with_set("base.data.name=folder:~/x").base.data.name == f"folder:{Path.home()}/x"


def test_levels_or_rounds_whichever_the_arm_has() -> None:
    by_levels = with_set("base.prune.levels=[50, 10]", "arm.ticket.prune.rounds=3")
    assert (by_levels.base.prune.steps, by_levels.recipe(by_levels.named("ticket")).prune.steps) == (2, 3)
    by_rounds = with_set("base.prune.rounds=7", "arm.ticket.prune.levels=[50, 10, 1, 0.1]")
    assert [by_rounds.recipe(arm).prune.steps for arm in by_rounds.arm] == [4, 4]
    assert by_rounds.recipe(by_rounds.named("reinit")).prune.levels == (50, 10, 1, 0.1)


@pytest.mark.parametrize("treatment", ["reinit", "reshuffle", "keep", "lr-rewind"])
@pytest.mark.parametrize("kind", ["random-mask", "retrain"])
def test_a_control_that_starts_as_its_ticket_needs_one_that_starts_at_given_weights(treatment: str, kind: str) -> None:
    line = complaint(f"arm.0.restart.treatment={treatment}", f"arm.1.kind={kind}")
    allowed = f"an arm with treatment 'reset' or 'rewind' for kind '{kind}'"
    assert line == f'small.toml: arm.1.of: found "ticket"; allowed: {allowed}'
    assert with_set(f"arm.0.restart.treatment={treatment}")


def test_a_rewound_tickets_control_trains_as_long_as_it() -> None:
    rewound = ("arm.0.restart.treatment=rewind", "arm.0.restart.iteration=500", "arm.1.kind=retrain")
    line = complaint(*rewound, "arm.1.train.iterations=600")
    assert line.startswith("small.toml: arm.1.train.iterations: found 600; allowed: 50000, the iterations of 'ticket'")
    assert complaint("base.train.iterations=500", *rewound).startswith(
        "small.toml: arm.0.restart.iteration: found 500; "
    )
    assert with_set(*rewound, "base.train.iterations=501")


# What is not


@pytest.mark.parametrize(
    ("given", "field", "found", "allowed"),
    [
        ("base.train.batch=0", "base.train.batch", "0", "at least 1"),
        ('base.train.batch="60"', "base.train.batch", '"60"', "a whole number"),
        ("base.train.batch=60.0", "base.train.batch", "60.0", "a whole number"),
        ("base.train.learning_rate=inf", "base.train.learning_rate", "Infinity", "a finite number"),
        ("base.train.learning_rate=nan", "base.train.learning_rate", "NaN", "a finite number"),
        ("base.train.learning_rate=true", "base.train.learning_rate", "true", "a number"),
        ('base.train.optimizer="adagrad"', "base.train.optimizer", '"adagrad"', "adam, sgd"),
        ("base.train.momentum=0.5", "base.train.momentum", "0.5", "only with optimizer 'sgd'"),
        ("base.train.decay=0.5", "base.train.decay", "0.5", "only with schedule 'step'"),
        ("base.train.milestones=[5]", "base.train.milestones", "[5]", "none with others"),
        ("base.train.nesterov=true", "base.train.nesterov", "true", "only with optimizer 'sgd' and a momentum above 0"),
        ("base.network.parameters.width=2", "base.network.parameters.width", "2", "none of them"),
        (
            "base.network={ name = 'resnet-20', parameters = { width = '2' } }",
            "base.network.parameters.width",
            '"2"',
            "a number, such as 1.0",
        ),
        (
            "base.network={ name = 'resnet-20', parameters = { depth = 2 } }",
            "base.network.parameters.depth",
            "2",
            "parameters of network 'resnet-20': width = 1.0",
        ),
        ("base.train.weight_decay=-0.1", "base.train.weight_decay", "-0.1", "0"),
        ('base.train.schedule="step"', "base.train.milestones", "[]", "one or more with schedule 'step'"),
        ("base.train.warmup=50001", "base.train.warmup", "50001", "at most the iterations, 50000"),
        ("base.prune.rate=1", "base.prune.rate", "1", "less than 1"),
        ("base.prune.rates.dense=0", "base.prune.rates.dense", "0", "more than 0"),
        ("base.prune.rates.Soft=0.1", "base.prune.rates.Soft", '"Soft"', "up to 64 letters"),
        ("base.train.itterations=5", "base.train.itterations", "an unknown field", "did you mean iterations?"),
        ("colour=1", "colour", "an unknown field", "known fields: name, about, trials, seed, base, arm"),
        ("trials=1000", "trials", "1000", "less than 1000"),
        ("seed=-1", "seed", "-1", "at least 0"),
        ("base=1", "base", "1", "a table"),
        ("arm=[]", "arm", "[]", "1 or more of them"),
        ('name="no spaces"', "name", '"no spaces"', "letters, digits"),
        ('arm.1.name="ticket"', "arm.1.name", '"ticket"', "each arm's name once"),
        ('arm.1.of="other"', "arm.1.of", '"other"', "an arm of kind 'ticket' above it (ticket)"),
        ("arm.0.rounds=[1]", "arm.0.rounds", "[1]", "not with kind 'ticket'"),
        ("arm.1.rounds=[2, 1]", "arm.1.rounds", "[2, 1]", "rising order"),
        ("arm.1.rounds=[21]", "arm.1.rounds", "[21]", "at most the 20 rounds"),
        ("arm.0.per_ticket=2", "arm.0.per_ticket", "2", "only with kind 'random-mask' or 'reinit', not 'ticket'"),
        ("arm.1.prune.rate=0.5", "arm.1.prune", '{"rate": 0.5}', "a control has the masks and weights of 'ticket'"),
        ("arm.0.train.batch=-1", "arm.0.train.batch", "-1", "at least 1"),
        ("arm.0.train.bach=1", "arm.0.train.bach", "an unknown field", "did you mean batch?"),
        ("arm.0.train.warmup=60000", "arm.0.train.warmup", "60000", "at most the iterations"),
        ("base.data.fraction=0", "base.data.fraction", "0", "more than 0"),
        ("base.data.fraction=1.5", "base.data.fraction", "1.5", "at most 1"),
        ("base.data.subset=random", "base.data.subset", '"random"', "only with a fraction below 1"),
        ("arm.0.data.seed=3", "arm.0.data.seed", "3", "all arms learn from the same data"),
        ('arm.1.data.name="mnist"', "arm.1.data.name", '"mnist"', "in base only"),
        ("base.train.dropout=1", "base.train.dropout", "1", "less than 1"),
        ("base.train.clamp=0", "base.train.clamp", "0", "more than 0"),
        ("base.prune.criterion=smallest", "base.prune.criterion", '"smallest"', "magnitude, largest"),
        ("base.prune.early_bird=true", "base.prune.early_bird", "true", "'off', 'watch' or 'stop'"),
        ("base.prune={ levels = [50], rounds = 3 }", "base.prune.levels", "[50.0]", "only without rounds"),
        ("arm.0.prune={ levels = [50], rounds = 3 }", "arm.0.prune.levels", "[50.0]", "only without rounds"),
        ("base.prune.levels=[100]", "base.prune.levels.0", "100", "less than 100"),
        ("base.prune.levels=[5, 50]", "base.prune.levels", "[5.0, 50.0]", "in falling order, each once"),
        ("arm.0.prune.levels=[50, 50]", "arm.0.prune.levels", "[50.0, 50.0]", "in falling order, each once"),
        ("base.restart.iteration=5", "base.restart.iteration", "5", "an iteration with treatment 'rewind'"),
        ("base.restart.treatment=rewind", "base.restart.iteration", "null", "an iteration with treatment 'rewind'"),
        ("base.restart.treatment=reste", "base.restart.treatment", '"reste"', "did you mean reset?"),
        ('arm.1.restart.treatment="keep"', "arm.1.restart", '{"treatment": "keep"}', "a control has the masks and"),
    ],
)
def test_a_mistake_is_one_line_with_source_field_found_and_allowed(
    given: str, field: str, found: str, allowed: str
) -> None:
    line = complaint(given)
    assert line.startswith(f"small.toml: {field}: found {found}; allowed: ")
    assert allowed in line.partition("allowed: ")[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "not TOML: Invalid value (at end of document)"),
        ('name = "x"\n', "arm: found nothing; allowed: a value; it must be given"),
        (SMALL + '[[arm]]\nname = "mine"\n', "arm.2.kind: found nothing"),
        ('name = "x"\n[[arm]]\nname = "reinit"\n', 'arm.0.of: found "ticket"; allowed: an arm of kind'),
        ('name = "x"\narm = "ticket"\n', 'arm: found "ticket"; allowed: a list'),
        ('"two\\nlines" = 1\n' + SMALL, '"two\\nlines": found an unknown field'),
        ("seed = " + "1" * 5000 + "\n" + SMALL, "not TOML: Exceeds the limit"),
        ("seed = 0x" + "f" * 5000 + "\n" + SMALL, "seed: found a number of too many digits"),
        (".".join(["seed"] * 5000) + " = 1\n" + SMALL, "line 1: 4999 dots; allowed: at most 300 in a line"),
        ("seed = " + "[" * 5000 + "]" * 5000 + "\n" + SMALL, "not a study: nested too deeply"),
    ],
)
def test_a_broken_file_is_one_line_too(text: str, words: str) -> None:
    assert complaint(text=text).startswith(f"small.toml: {words}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("trials", "allowed: path.to.field=value"),
        ("base..train=1", "allowed: path.to.field=value"),
        ("arm.other.kind=1", "no item 'other'; allowed: 0 to 1, or ticket, reinit"),
        ("arm.2.kind=1", "no item '2'"),
        ("name.first=1", "--set 'name.first=1'"),
        ("arm." + "9" * 5000 + ".kind=1", "no item '999"),
    ],
)
def test_a_setting_that_cannot_be_entered_says_so(given: str, words: str) -> None:
    line = complaint(given)
    assert line.startswith("--set ")
    assert words in line


def test_what_was_written_is_shown_escaped() -> None:
    assert complaint("a\x1eb.of=1", "a\x1eb.of.of=2").endswith(': "a\\u001eb".of is not a table')
    named = SMALL + '[[arm]]\nname = "two\\nlines"\nkind = "ticket"\n'
    assert complaint("arm.x.kind=1", text=named).endswith('or ticket, reinit, "two\\nlines"')
    deep = SMALL + "[[arm]]\n" + ".".join(["name"] * 300) + " = 1\n"
    assert complaint("arm.x.kind=1", text=deep).endswith("or ticket, reinit")


def test_settings_come_in_order_and_take_plain_words() -> None:
    study = with_set("base.train.optimizer=sgd", "trials=3", "trials=4", "arm.reinit.rounds=[1,2]")
    assert (study.base.train.optimizer, study.trials, study.named("reinit").rounds) == ("sgd", 4, (1, 2))


def test_every_problem_is_listed_and_the_line_counts_them() -> None:
    wrong = tomllib.loads(SMALL) | {"trials": 0, "seed": -1}
    assert [problem.field for problem in study_problems(wrong)] == ["trials", "seed"]
    assert study_problems(tomllib.loads(SMALL)) == []
    assert complaint("trials=0", "seed=-1").endswith("(and 1 more)")


def test_a_name_that_is_neither_preset_nor_file_is_told_what_there_is(tmp_path: Any) -> None:
    with pytest.raises(BadInput, match="no such file or preset; allowed: a TOML file, or one of quickstart"):
        load_study(str(tmp_path / "none.toml"))
    with pytest.raises(BadInput, match="cannot be read"):
        load_study(str(tmp_path))
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(BadInput, match="not UTF-8 at byte 8"):
        load_study(str(tmp_path / "latin.toml"))
    (tmp_path / "huge.toml").write_bytes(b"#" * 100_001)
    with pytest.raises(BadInput, match="more than 100000 bytes; allowed: at most so many"):
        load_study(str(tmp_path / "huge.toml"))
    (tmp_path / "good.toml").write_text(SMALL)
    assert load_study(str(tmp_path / "good.toml")) == with_set()


# Anything at all

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.just(datetime.date(2020, 1, 1)),
    st.booleans(),
    st.integers(),
    st.integers(-3, 3),
    st.floats(),
    WORDS,
    st.sampled_from(["ticket", "reinit", "retrain", "step", "global", "digits", "keep", "random", "stop", ""]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)
FIELDS = st.sampled_from([field for model in (Arm, Data, Train, Prune, Restart, Study) for field in model.model_fields])
# Tables that are nearly right, or right where they stand.
TABLES: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(
        st.just("restart"),
        st.fixed_dictionaries(
            {},
            optional={
                "treatment": st.sampled_from([*registry.treatment.names(), "rewound", 1]),
                "iteration": st.integers(-1, 60_000),
                "keep_signs": st.booleans() | SCALARS,
            },
        ),
    ),
    st.tuples(
        st.just("data"),
        st.fixed_dictionaries(
            {},
            optional={
                "fraction": st.floats(0, 1) | SCALARS,
                "subset": st.sampled_from(["stratified", "random", "fair"]),
                "seed": st.integers(-1, 3),
            },
        ),
    ),
    st.tuples(
        st.just("prune"),
        st.fixed_dictionaries(
            {},
            optional={
                "levels": st.lists(st.floats(0, 100) | st.integers(-1, 101), max_size=4),
                "rounds": st.integers(-1, 40),
                "rate": st.floats(0, 1),
                "rates": st.dictionaries(st.sampled_from(["dense", "conv", "output", "x"]), st.floats(0, 1)),
                "scope": st.sampled_from(["global", "layerwise"]),
                "criterion": st.sampled_from([*registry.criterion.names(), "smallest"]),
                "early_bird": st.sampled_from(["off", "watch", "stop", True]),
                "stop_on_collapse": st.booleans(),
            },
        ),
    ),
    st.tuples(
        st.just("train"),
        st.fixed_dictionaries(
            {},
            optional={
                "clamp": st.floats(0, 1) | SCALARS,
                "dropout": st.floats(0, 1) | SCALARS,
                "augment": st.booleans() | SCALARS,
                "iterations": st.integers(0, 100),
                "batch": st.integers(0, 70_000),
            },
        ),
    ),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside `value`."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [])
    return [(value, key) for key, _ in items] + [place for _, inner in items for place in places(inner)]


def damage(study: dict[str, Any], data: st.DataObject) -> None:
    container, key = data.draw(st.sampled_from([(place[0], place[1]) for place in places(study)]), label="place")
    match data.draw(st.sampled_from(["delete", "replace", "insert", "table"])):
        case "table":
            arms = study.get("arm") if isinstance(study.get("arm"), list) else []
            whole = [it for it in (study.get("base"), *arms) if isinstance(it, dict)]
            name, table = data.draw(TABLES, label="table")
            (data.draw(st.sampled_from(whole), label="whole") if whole else study)[name] = table
        case "delete":
            del container[key]
        case "replace":
            container[key] = data.draw(VALUES, label="value")
        case _ if isinstance(container, list):
            container.insert(0, data.draw(VALUES, label="value"))
        case _:
            container[data.draw(FIELDS | WORDS, label="field")] = data.draw(VALUES, label="value")


def a_study_or_one_line(data: st.DataObject) -> None:
    """A preset with one to three things changed is a study or one line, and so is what comes of it on real data."""
    tables = tomllib.loads(preset_text(data.draw(st.sampled_from(preset_names()))))
    for _ in range(data.draw(st.integers(1, 3))):
        if places(tables):
            damage(tables, data)
    found = study_or_line(lambda: parse_study(tomlkit.dumps(tables), source="damaged.toml"))
    if isinstance(found, str):
        assert found.startswith("damaged.toml: ")
        assert "allowed: " in found
    else:
        assert parse_study(to_toml(found), source="again").hash == found.hash
        rounds = sum(arm.per_ticket * found.recipe(arm).prune.steps for arm in found.arm)
        if rounds < 400:
            few = found.model_copy(update={"trials": 1})
            planned = study_or_line(lambda: make_plan(few, data.draw(st.sampled_from(MARKS)), "").study)
            assert planned == few or str(planned).startswith(f"{few.name}: ")


MARKS = [
    DatasetInfo("digits", "print", (8, 8, 1), 10, train=1294, validation=143, test=360),
    DatasetInfo("cifar10", "print", (32, 32, 3), 10, train=45_000, validation=5000, test=10_000),
    DatasetInfo("folder:tiny", "print", (3, 5, 1), 2, train=1, validation=1, test=1),
]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_preset_is_a_study_or_one_line(data: st.DataObject) -> None:
    a_study_or_one_line(data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=2500, deadline=None)
def test_thousands_of_damaged_presets_are_each_a_study_or_one_line(data: st.DataObject) -> None:
    a_study_or_one_line(data)


PATHS = st.lists(FIELDS | st.sampled_from(["arm", "0", "1", "ticket", "train", "name"]) | WORDS, max_size=4).map(
    ".".join
)
SETTINGS = st.builds("{}={}".format, PATHS, VALUES.map(repr) | WORDS) | WORDS


@given(st.lists(SETTINGS, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_settings_make_a_study_or_one_line(given: list[str]) -> None:
    found = study_or_line(lambda: with_set(*given))
    assert isinstance(found, Study) or found.startswith(("small.toml: ", "--set "))


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_name_is_a_study_or_one_line(name: str) -> None:
    assert study_or_line(lambda: load_study(name))


# What an optimizer or a schedule takes


@pytest.fixture
def plug_ins() -> Iterator[None]:
    """An optimizer with a momentum and a schedule with a decay, from elsewhere."""

    def heavy(*, momentum: float = 0.5) -> None: ...

    def falling(steps: Any, *, decay: float = 0.5) -> None: ...

    origin = registry.Origin("test", "0")
    with registry.registering(origin):
        registry.optimizer.add("heavy", "for a test", heavy)
        registry.schedule.add("falling", "for a test", falling)
    yield
    registry.optimizer.forget(origin)
    registry.schedule.forget(origin)


def test_fields_go_with_whatever_takes_them(plug_ins: None) -> None:
    train = with_set("base.train.optimizer=heavy", "base.train.momentum=0.3").base.train
    assert (train.optimizer, train.momentum) == ("heavy", 0.3)
    assert with_set("base.train.schedule=falling", "base.train.decay=0.3").base.train.decay == 0.3
    assert complaint("base.train.momentum=0.3").endswith("allowed: only with optimizer 'sgd' or 'heavy'")
    assert "only with optimizer 'sgd' and" in complaint("base.train.optimizer=heavy", "base.train.nesterov=true")
    assert "none with others" in complaint("base.train.schedule=falling", "base.train.milestones=[3]")


# Byte-order marks


@pytest.mark.parametrize("name", ["quickstart", "lenet-mnist-quick", "rewinding"])
def test_a_study_may_begin_with_a_byte_order_mark(name: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xef\xbb\xbf" + preset_text(name).encode())
    assert load_study(str(path)) == load_study(name)
    assert parse_study("\ufeff" + preset_text(name), source="pasted") == load_study(name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_study_in_another_encoding_is_one_line(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(preset_text("quickstart").encode(encoding))
    with pytest.raises(BadInput, match="not UTF-8 at byte 0") as caught:
        load_study(str(path))
    assert "\n" not in str(caught.value)


# Shortened studies


def shortened(name: str, *settings: str) -> tuple[Study, list[str]]:
    notes: list[str] = []
    return load_study(name, settings, notes.append), notes


def test_a_shortened_preset_keeps_the_rounds_that_remain() -> None:
    study, notes = shortened("lenet-mnist-quick", "base.prune.rounds=8")
    assert study.named("reinit").rounds == (3, 7)
    assert notes == ['preset lenet-mnist-quick: arm "reinit" is without rounds 9, 12, 15, 18, beyond the 8 of prune']


def test_an_arm_without_any_round_left_is_left_out() -> None:
    study, notes = shortened("lenet-mnist-quick", "base.prune.rounds=2")
    assert [arm.name for arm in study.arm] == ["ticket"]
    assert notes == [
        'preset lenet-mnist-quick: arm "reinit" is left out: '
        "it has only rounds 3, 7, 9, 12, 15, 18, beyond the 2 of prune"
    ]


@pytest.mark.parametrize("rounds", [0, 1, 3, 5, 11])
@pytest.mark.parametrize("name", [name for name in preset_names() if "levels" not in preset_text(name)])
def test_every_preset_can_be_shortened(name: str, rounds: int) -> None:
    whole = load_study(name)
    if any("prune" in arm.overrides for arm in whole.arm):
        pytest.skip("an arm has rounds of its own")
    study, notes = shortened(name, f"base.prune.rounds={rounds}")
    dropped = 0
    for arm in whole.arm:
        kept = tuple(number for number in arm.rounds or () if number <= rounds)
        dropped += arm.rounds is not None and kept != arm.rounds
        if arm.rounds is None or kept:
            assert study.named(arm.name).rounds == (None if arm.rounds is None else kept)
    assert len(notes) == dropped


def test_what_a_setting_or_a_file_itself_lists_beyond_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"arm.1.rounds: found \[3, 5\]; allowed: at most the 4 rounds of prune"):
        load_study("lenet-mnist-quick", ("base.prune.rounds=4", "arm.reinit.rounds=[3, 5]"))
    path = tmp_path / "study.toml"
    path.write_text(preset_text("lenet-mnist-quick").replace("rounds = 20", "rounds = 4"))
    for given_settings in ((), ("trials=1",)):
        with pytest.raises(BadInput, match="at most the 4 rounds of prune"):
            load_study(str(path), given_settings)


@given(st.sampled_from(["arm", "base", "base.prune", "arm.0"]), st.sampled_from(["1", "[]", "[1]"]))
def test_settings_of_other_types_are_one_line(field: str, value: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_study("lenet-mnist-quick", (f"{field}={value}", "base.prune.rounds=2"))
    assert "\n" not in str(caught.value)
