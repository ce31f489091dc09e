"""The form's tables: what is shown, what comes back, and where a problem belongs."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spec import Problem, Study, load_study, parse_study, preset_names, study_problems
from screens.form import FIELDS, arm_choices, filled, place_of, read_rounds, rounds_text, shown_values, tables_of


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_goes_through_the_form_unchanged(preset):
    study = load_study(preset)
    tables, _ = filled(tables_of(study), shown_values(study), arm_choices(study))
    assert study_problems(tables) == []
    assert Study.model_validate(tables).hash == study.hash


def test_what_has_no_field_is_kept():
    text = 'name="w"\n[base.train]\nwarmup=5\noptimizer="sgd"\nmomentum=0.5\n[[arm]]\nname="ticket"\n'
    study = parse_study(text, source="w")
    values = shown_values(study)
    tables, _ = filled(tables_of(study), values, arm_choices(study))
    assert tables["base"]["train"]["warmup"] == 5
    assert tables["base"]["train"]["momentum"] == 0.5
    tables, _ = filled(tables_of(study), {**values, "base.train.optimizer": "adam"}, arm_choices(study))
    assert study_problems(tables) == []


def test_switching_arms():
    study = load_study("quickstart")
    begun, values = tables_of(study), shown_values(study)
    arms = arm_choices(study)
    assert [(arm.name, arm.on) for arm in arms] == [
        ("ticket", True),
        ("reinit", True),
        ("random-mask", True),
        ("one-shot", False),
    ]
    arms = [
        replace(arms[0]),
        replace(arms[1], per_ticket="3", rounds="2,4-6"),
        replace(arms[2], on=False),
        replace(arms[3], on=True),
    ]
    made = Study.model_validate(filled(begun, values, arms)[0])
    assert [arm.name for arm in made.arm] == ["ticket", "reinit", "one-shot"]
    assert (made.named("reinit").per_ticket, made.named("reinit").rounds) == (3, (2, 4, 5, 6))


def test_a_ticket_that_is_switched_on_stands_above_its_controls():
    study = parse_study('name="o"\n[[arm]]\nname="one-shot"\n', source="o")
    arms = [replace(arm, on=True) for arm in arm_choices(study)]
    made = Study.model_validate(filled(tables_of(study), shown_values(study), arms)[0])
    assert next(arm.name for arm in made.arm) == "ticket"


def test_problems_find_their_place():
    study = load_study("quickstart")
    values = {**shown_values(study), "trials": "none", "base.prune.rate": "1.5"}
    arms = arm_choices(study)
    tables, owners = filled(tables_of(study), values, arms)
    places = {place_of(problem, owners): problem.allowed for problem in study_problems(tables)}
    assert places == {"trials": "a whole number", "base.prune.rate": "less than 1.0"}
    assert place_of(Problem("arm.1.rounds", "", ""), [0, 3]) == "arm:3"
    assert place_of(Problem("arm", "", ""), [0]) == ""
    assert place_of(Problem("base.train.warmup", "", ""), [0]) == ""


@given(st.sets(st.integers(1, 60), min_size=1))
def test_rounds_read_back(rounds):
    assert read_rounds(rounds_text(sorted(rounds))) == sorted(rounds)


@pytest.mark.parametrize("text", ["x", "1-", "-3", "1,,b", "1-999999"])
def test_what_is_no_list_of_rounds_stays_text(text):
    assert read_rounds(text) == text


def test_all_rounds():
    assert read_rounds("all") is read_rounds(" ") is None
    assert rounds_text(None) == "all"


def test_every_field_is_in_the_study_and_explained():
    assert set(shown_values(load_study("quickstart"))) == {spec.path for spec in FIELDS}
    assert all(spec.help for spec in FIELDS)
