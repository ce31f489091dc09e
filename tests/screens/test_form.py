"""The form's tables: what is shown, what comes back, and where a problem belongs."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import datasets, plugins, registry
from engine.errors import BadInput
from engine.spec import Recipe, Study, load_study, parse_study, preset_names, study_problems
from screens.form import ArmChoice, Form, Typed, arm_words, fresh_name, new_arm, with_arm
from screens.hints import hint, paper_preset
from screens.specs import ARM_FIELDS, FOLDER, OVERRIDING_FIELDS, RECIPE_FIELDS, STUDY_FIELDS
from screens.texts import read_rounds, rounds_text, text_of, value_of

SPECS = {spec.path: spec for spec in (*STUDY_FIELDS, *ARM_FIELDS, *RECIPE_FIELDS)}


def form_of(text: str) -> Form:
    return Form(parse_study(text, source="typed"))


def edited(form: Form, **texts: str) -> Form:
    """The form with base fields typed: `train__clamp="0.5"`, `name="x"`."""
    for path, text in texts.items():
        form.texts["base." + path.replace("__", ".") if "__" in path else path] = text
    return form


def arm(form: Form, name: str) -> ArmChoice:
    return next(choice for choice in form.arms if choice.name == name)


def change(form: Form, name: str, **texts: str) -> None:
    """Type into an arm."""
    number = form.arms.index(arm(form, name))
    typed = {path.replace("__", "."): text for path, text in texts.items()}
    form.arms[number] = replace(form.arms[number], texts={**form.arms[number].texts, **typed}, on=True)


def test_every_data_set_is_offered():
    assert set(SPECS["data.name"].choices) == {*datasets.names(), FOLDER}


def made(form: Form) -> Study:
    checked = form.check()
    assert checked.found == ()
    return checked.study


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_goes_through_the_form_unchanged(preset):
    study = load_study(preset)
    checked = Form(study).check()
    assert checked.study == study == Study.model_validate(checked.tables)
    assert checked.study.hash == study.hash
    assert checked.tables == study.model_dump(mode="json", exclude_none=True, exclude_unset=True)


@pytest.mark.parametrize("preset", ["quickstart", "conv2-cifar10", "less-data-lenet", "rewinding"])
def test_every_text_reads_back_as_the_value_it_shows(preset):
    study = load_study(preset)
    form = Form(study)
    for path, text in form.recipe.items():
        if path == "data.folder" or (path.startswith("prune.rates.") and not text):
            continue
        value = study.base
        for step in path.split("."):
            value = value[step] if isinstance(value, dict) else getattr(value, step)
        read = value_of(SPECS[path], text)
        assert (read or None if text == "" else tuple(read) if isinstance(read, list) else read) == (
            (value or None) if text == "" else value
        )


def test_a_value_that_is_typed_is_in_the_tables_and_no_other():
    form = edited(form_of('name="w"\n[base.train]\nwarmup=5\n[[arm]]\nname="ticket"\n'), train__clamp="0.5", trials="2")
    tables = form.check().tables
    assert tables["trials"] == 2
    assert tables["base"] == {"train": {"warmup": 5, "clamp": 0.5}}
    assert form.check().study.base.train.batch == Recipe().train.batch
    edited(form, train__clamp="", train__warmup="0")
    assert form.check().tables["base"] == {"train": {"warmup": 0}}


def test_fields_that_make_no_sense_are_hidden_and_left_out():
    form = edited(
        form_of('name="h"\n[base.train]\noptimizer="sgd"\nmomentum=0.5\n[[arm]]\nname="ticket"\n'),
        train__schedule="step",
        train__milestones="100, 200",
        train__decay="0.3",
        data__fraction="0.5",
        data__subset="random",
        restart__treatment="rewind",
        restart__iteration="10",
        network__name="conv-2",
        prune__rates__conv="0.1",
    )
    assert {path.removeprefix("base.") for path in form.hidden()} == {
        "data.folder", "network.parameters", "prune.parameters", "restart.parameters",
    }  # fmt: skip
    base = made(form).base
    assert base.train.milestones == (100, 200)
    assert (base.train.decay, base.train.momentum, base.data.subset) == (0.3, 0.5, "random")
    assert (base.restart.iteration, base.prune.rates) == (10, {"conv": 0.1})
    edited(
        form,
        train__optimizer="adam",
        train__schedule="constant",
        data__fraction="1",
        restart__treatment="reset",
        prune__scope="global",
    )
    assert {path.removeprefix("base.") for path in form.hidden()} == {
        "data.folder", "data.subset", "train.momentum", "train.milestones", "train.decay", "restart.iteration",
        "prune.rates.conv", "prune.rates.dense", "prune.rates.output", "prune.parameters", "restart.parameters",
        "train.nesterov", "network.parameters",
    }  # fmt: skip
    base = made(form).base
    assert (base.train.momentum, base.train.milestones, base.restart.iteration) == (0.9, (), None)
    assert base.prune.rates == {}
    assert form.texts["base.train.milestones"] == "100, 200", "what was typed is kept for when it makes sense again"
    edited(form, prune__scope="layerwise", network__name="lenet-300-100")
    assert "base.prune.rates.conv" in form.hidden()


def test_levels_are_instead_of_rounds():
    form = edited(Form(load_study("quickstart")), prune__levels="50 21.5,8")
    assert "base.prune.rounds" in form.hidden()
    assert made(form).base.prune.levels == (50, 21.5, 8)
    edited(form, prune__levels=" ")
    edited(form, prune__levels="")
    assert made(form).base.prune.rounds == 18


def test_a_folder_is_a_data_set(tmp_path):
    form = edited(Form(load_study("quickstart")), data__name="folder:", data__folder=str(tmp_path))
    study = made(form)
    assert study.base.data.name == f"folder:{tmp_path}"
    again = Form(study)
    assert (again.recipe["data.name"], again.recipe["data.folder"]) == ("folder:", str(tmp_path))
    assert made(again) == study
    edited(again, data__name="digits")
    assert made(again).base.data.name == "digits"


def test_switching_arms():
    form = Form(load_study("quickstart"))
    assert [(choice.name, choice.on) for choice in form.arms] == [
        ("ticket", True),
        ("reinit", True),
        ("random-mask", True),
        ("one-shot", False),
    ]
    change(form, "reinit", per_ticket="3", rounds="2,4-6")
    change(form, "one-shot")
    form.arms[2] = replace(form.arms[2], on=False)
    study = made(form)
    assert [item.name for item in study.arm] == ["ticket", "reinit", "one-shot"]
    assert (study.named("reinit").per_ticket, study.named("reinit").rounds) == (3, (2, 4, 5, 6))


def test_a_ticket_that_is_switched_on_stands_above_its_controls():
    form = Form(load_study("quickstart"))
    form.arms.append(new_arm("clamped", "ticket"))
    change(form, "clamped", train__clamp="0.5")
    form.arms.insert(0, new_arm("mine", "random-mask"))
    change(form, "mine", of="clamped")
    study = made(form)
    assert [item.name for item in study.arm] == ["clamped", "mine", "ticket", "reinit", "random-mask"]
    assert study.recipe(study.named("mine")).train.clamp == 0.5


def test_an_arm_of_every_kind_with_something_of_its_own():
    form = Form(load_study("quickstart"))
    for kind, texts in {
        "retrain": {"data__fraction": "0.25", "data__subset": "random", "rounds": "3,7"},
        "one-shot": {"prune__criterion": "movement"},
        "ticket": {"restart__treatment": "rewind", "restart__iteration": "100", "restart__keep_signs": "yes"},
    }.items():
        form.arms = [choice for choice in form.arms if choice.on]
        form.arms.append(new_arm(fresh_name(form.arms, kind), kind))
        change(form, form.arms[-1].name, **texts)
    study = made(form)
    arms = {item.name: item for item in study.arm}
    assert arms["retrain"].data == {"fraction": 0.25, "subset": "random"}
    assert arms["retrain"].rounds == (3, 7)
    assert arms["one-shot"].prune == {"criterion": "movement"}
    assert arms["ticket-2"].kind == "ticket"
    assert study.recipe(arms["ticket-2"]).restart.keep_signs is True
    assert made(Form(study)) == study
    assert arm_words(arm(form, "retrain")) == "fraction 0.25, drawn random, rounds 3,7"
    assert arm_words(arm(form, "ticket-2")).startswith("ticket, treatment rewind")


def test_what_an_arm_leaves_is_taken_away_where_it_would_be_wrong():
    form = form_of(
        'name="n"\n[base.data]\nfraction=0.5\nsubset="random"\n[base.train]\nschedule="step"\nmilestones=[9]\n'
        '[base.prune]\nrates={dense=0.3}\n[[arm]]\nname="ticket"\n[[arm]]\nname="other"\nkind="ticket"\n'
    )
    change(form, "other", data__fraction="1", train__schedule="constant", prune__scope="global")
    study = made(form)
    recipe = study.recipe(study.named("other"))
    assert (recipe.data.fraction, recipe.data.subset) == (1, "stratified")
    assert (recipe.train.milestones, recipe.prune.rates) == ((), {})
    assert study.recipe(study.named("ticket")).train.milestones == (9,)


def test_an_arm_shows_what_makes_sense_for_it_and_what_it_stands_on():
    form = form_of(
        'name="s"\n[base.train]\nbatch=30\n[[arm]]\nname="ticket"\n'
        '[[arm]]\nname="clamped"\nkind="ticket"\ntrain={clamp=0.5}\n[[arm]]\nname="r"\nkind="random-mask"\nof="clamped"\n'
    )
    control, ticket = arm(form, "r"), arm(form, "clamped")
    below = form.standing(form.arms, control)
    assert (below["train.clamp"], below["train.batch"]) == ("0.5", "30")
    shown = form.shown_in(form.arms, control)
    assert {"of", "per_ticket", "rounds", "train.clamp"} <= shown
    assert not any(path.startswith(("prune.", "restart.")) for path in shown), "which are its ticket's"
    assert {"prune.criterion", "restart.treatment"} <= form.shown_in(form.arms, ticket)
    assert not {"of", "per_ticket", "rounds", "train.momentum"} & form.shown_in(form.arms, ticket)
    change(form, "clamped", train__optimizer="sgd")
    assert "train.momentum" in form.shown_in(form.arms, arm(form, "clamped"))


def test_arms_made_from_a_ticket_follow_its_new_name():
    form = Form(load_study("weight-clamping"))
    form.arms = with_arm(form.arms, 2, replace(form.arms[2], texts={**form.arms[2].texts, "name": "bounded"}))
    study = made(form)
    assert study.named("clamped-random").of == "bounded"
    form.arms = with_arm(form.arms, 0, replace(form.arms[0], texts={**form.arms[0].texts, "name": "plain"}))
    assert made(form).named("random-mask").of == "plain"
    assert made(form).named("plain").kind == "ticket"


def test_a_name_is_free():
    form = Form(load_study("quickstart"))
    assert fresh_name(form.arms, "retrain") == "retrain"
    assert fresh_name(form.arms, "one-shot") == "one-shot-2", "also of what is off"


def test_problems_find_their_place():
    form = edited(Form(load_study("quickstart")), trials="none", prune__rate="1.5", train__clamp="soft")
    assert form.check().of(None) == {
        "trials": "allowed: a whole number",
        "base.prune.rate": "allowed: less than 1.0",
        "base.train.clamp": "allowed: a number",
    }
    assert form.check().study is None
    edited(form, trials="3", prune__rate="0.2", train__clamp="", prune__levels="50, many, 8")
    assert form.check().of(None) == {"base.prune.levels": '"many"; allowed: a number'}
    edited(form, prune__levels="")
    change(form, "random-mask", train__clamp="-1")
    assert form.check().of(2) == {"train.clamp": "allowed: more than 0.0"}
    assert form.check().line(2) == "clamp: allowed: more than 0.0"
    form.arms = [replace(choice, on=False) for choice in form.arms]
    assert form.check().of(None) == {"": "switch on at least one arm"}


def test_a_problem_of_a_hidden_field_is_told_beside_what_hides_it():
    form = form_of(
        'name="m"\n[base.train]\noptimizer="sgd"\nmomentum=0.5\n[[arm]]\nname="ticket"\n'
        '[[arm]]\nname="other"\nkind="ticket"\n'
    )
    change(form, "other", train__optimizer="adam")
    assert form.check().of(1) == {"train.optimizer": "momentum: allowed: only with optimizer 'sgd'"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_typed_is_kept_and_never_an_error(data):
    form = Form(
        load_study(data.draw(st.sampled_from(["quickstart", "less-data-conv2", "rewinding", "weight-clamping"])))
    )
    typed = st.one_of(st.sampled_from(["", "1", "0.5", "sgd", "step", "conv-2", "10, 20", "yes"]), st.text(max_size=4))
    for path in data.draw(st.lists(st.sampled_from(sorted(form.texts)), max_size=4)):
        text = data.draw(
            st.sampled_from(list(choices)) if (choices := SPECS[path.removeprefix("base.")].choices) else typed
        )
        form.texts[path] = text
    for path in data.draw(st.lists(st.sampled_from([spec.path for spec in OVERRIDING_FIELDS]), max_size=3)):
        number = data.draw(st.integers(0, len(form.arms) - 1))
        choices = SPECS[path].choices
        text = data.draw(st.sampled_from(list(choices)) if choices else typed)
        form.arms[number] = replace(form.arms[number], texts={**form.arms[number].texts, path: text}, on=True)
    before = dict(form.texts), list(form.arms)
    checked = form.check()
    assert (form.texts, form.arms) == before
    assert bool(checked.found) == (checked.study is None) == bool(study_problems(checked.tables))
    if checked.study is not None:
        assert Form(checked.study).check().study == checked.study
    written = tomllib.loads(form.toml()[0])
    assert study_problems(written) == study_problems(checked.tables), "the TOML says what the form says, also wrong"
    again = Form.of(form.typed())
    assert (again.texts, again.arms, again.check()) == (form.texts, form.arms, checked)


def test_other_toml_takes_along_what_makes_no_sense_in_it_and_what_is_off():
    form = Form(load_study("quickstart"))
    edited(form, train__optimizer="sgd", train__momentum="0.5")
    change(form, "reinit", per_ticket="7")
    form.arms[1] = replace(form.arms[1], on=False)
    toml = 'name = "other"\n[[arm]]\nname = "ticket"\n[[arm]]\nname = "random-mask"\n'
    other = form.begun_anew(parse_study(toml, source="typed"), toml)
    assert other.toml() == (toml, True)
    assert [(choice.name, choice.on) for choice in other.arms] == [
        ("ticket", True), ("random-mask", True), ("one-shot", False), ("reinit", False)
    ]  # fmt: skip
    assert arm(other, "reinit").texts["per_ticket"] == "7"
    assert edited(other, train__optimizer="sgd").check().study.base.train.momentum == 0.5


def test_what_was_never_typed_into_this_form_is_refused():
    typed = Form(load_study("quickstart")).typed()
    for wrong in (
        replace(typed, toml="trials = 0"),
        replace(typed, texts={**typed.texts, "base.network.name": "conv-9"}),
        replace(typed, arms=(replace(typed.arms[0], place=9),)),
        replace(typed, arms=(ArmChoice({"name": "x"}),)),
    ):
        with pytest.raises(BadInput):
            Form.of(wrong)
    assert Form.of(replace(typed, texts={"trials": "5", "gone": ""})).check().study.trials == 5
    assert Form.of(Typed(typed.toml, {}, typed.arms)).check().study == load_study("quickstart")


@given(st.sets(st.integers(1, 60), min_size=1))
def test_rounds_read_back(rounds):
    assert read_rounds(rounds_text(sorted(rounds))) == sorted(rounds)


@pytest.mark.parametrize("text", ["x", "1-", "-3", "1,,b", "1-999999"])
def test_what_is_no_list_of_rounds_stays_text(text):
    assert read_rounds(text) == text


def test_all_rounds():
    assert read_rounds("all") is read_rounds(" ") is None
    assert rounds_text(None) == ""


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back(number):
    assert float(text_of(number)) == number


def test_what_is_no_number_stays_text_and_is_refused():
    form = edited(Form(load_study("quickstart")), data__fraction="NaN")
    assert form.check().of(None) == {"base.data.fraction": "allowed: a number"}
    assert Form.of(form.typed()).check() == form.check()


def test_every_field_of_a_recipe_is_in_the_form_and_explained():
    def paths(tables, above=""):
        for name, value in tables.items():
            yield from paths(value, f"{name}.") if isinstance(value, dict) and value else (above + name,)

    told = {spec.path for spec in RECIPE_FIELDS} - {"data.folder"}
    kinds = {"prune.rates.conv", "prune.rates.dense", "prune.rates.output"}
    assert told == set(paths(Recipe().model_dump())) - {"prune.rates"} | kinds


def test_what_a_plug_in_registers_is_a_choice():
    plugins.load(
        [Path(__file__).resolve().parents[2] / "docs" / "plugins" / f"{kind}.py" for kind in ("criterion", "arm")]
    )
    try:
        assert SPECS["prune.criterion"].choices["relative-movement"] == "|w - w0| / (|w0| + epsilon)"
        form = edited(Form(load_study("quickstart")), prune__criterion="relative-movement")
        assert not arm(form, "reversed-mask").on
        change(form, "reversed-mask", of="ticket")
        assert form.shown_in(form.arms, arm(form, "reversed-mask")) >= {"of", "rounds"}
        study = made(form)
        assert (study.base.prune.criterion, study.arm[-1].kind) == ("relative-movement", "reversed-mask")
    finally:
        plugins.forget()
    assert "relative-movement" not in SPECS["prune.criterion"].choices
    assert form.check().of(None)["base.prune.criterion"].startswith("allowed: magnitude")


@pytest.mark.parametrize("network", [name for name in registry.network.names() if paper_preset(name)])
def test_hints_fit_and_tell_the_papers_values(network):
    for spec in SPECS.values():
        for text in spec.choices or ("",):
            first, second = hint(spec, text, network)
            assert first
            assert max(len(first), len(second)) <= 70, (first, second)
    paper = load_study(paper_preset(network))
    assert paper.base.network.name == network
    assert f"the paper's: {paper.base.train.iterations}" in hint(SPECS["train.iterations"], "", network)[1]
    assert "allowed: 1 to 10,000,000" in hint(SPECS["train.iterations"], "", network)[1]
    assert "paper" not in hint(SPECS["train.momentum"], "", network)[1], "it used none there"
