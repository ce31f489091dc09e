"""The text of a study: what is said in it stays where nothing changed, and problems know their line."""

import copy
import tomllib
from typing import Any

import pytest

from engine.spec import Study, line_of, load_study, parse_study, preset_names, preset_text, toml_problem, update_toml

MINE = """# what I ask
name = "mine"  # a word
trials = 3

[base.train]
# enough
iterations = 40   # few
batch = 10

[base.prune]
rounds = 3

# the ticket itself
[[arm]]
name = "ticket"

[[arm]]
name = "bounded"  # by a clamp
kind = "ticket"
train = { clamp = 0.5 }  # loosely

[[arm]]
name = "reinit"
"""


def tables_of(text: str) -> dict[str, Any]:
    return parse_study(text, source="x").model_dump(mode="json", exclude_none=True, exclude_unset=True)


def changed(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    tables = tables_of(text)
    return tables, copy.deepcopy(tables)


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_is_changed_in_the_lines_that_change(preset: str) -> None:
    text = preset_text(preset)
    before, after = changed(text)
    assert update_toml(text, before, after) == (text, True)
    after["trials"] += 1
    after["base"]["train"]["iterations"] += 1
    new, kept = update_toml(text, before, after)
    assert kept
    assert Study.model_validate(after) == parse_study(new, source="new")
    pairs = list(zip(text.split("\n"), new.split("\n"), strict=True))
    assert [old.partition(" ")[0] for old, now in pairs if old != now] == ["trials", "iterations"]


def test_comments_stay_where_values_come_and_go() -> None:
    before, after = changed(MINE)
    after["base"]["train"] = {"iterations": 50, "clamp": 0.25}
    after["base"]["restart"] = {"treatment": "keep"}
    after["arm"][1]["train"]["clamp"] = 0.1
    after["arm"][1]["name"] = "tight"
    after["arm"].append({"name": "all", "kind": "ticket", "prune": {"scope": "global"}})
    new, kept = update_toml(MINE, before, after)
    assert kept
    assert parse_study(new, source="new") == Study.model_validate(after)
    for line in (
        "# what I ask",
        'name = "mine"  # a word',
        "# enough",
        "iterations = 50   # few",
        "# the ticket itself",
        'name = "tight"  # by a clamp',
        "train = { clamp = 0.1 }  # loosely",
    ):
        assert line in new.split("\n")
    assert "\n\n[base.restart]\n" in new
    assert "\n\n\n" not in new


def test_arms_are_taken_away_and_put_elsewhere_with_what_is_in_them() -> None:
    before, after = changed(MINE)
    after["arm"] = [after["arm"][1], after["arm"][0]]
    new, kept = update_toml(MINE, before, after)
    assert kept
    assert [arm["name"] for arm in tomllib.loads(new)["arm"]] == ["bounded", "ticket"]
    assert "train = { clamp = 0.5 }  # loosely" in new


def test_an_arm_that_was_named_by_its_kind_keeps_it_under_another_name() -> None:
    before, after = changed(MINE)
    after["arm"][2]["name"] = "again"
    new, _ = update_toml(MINE, before, after)
    assert parse_study(new, source="new").named("again").kind == "reinit"


@pytest.mark.parametrize(
    "text",
    [
        'name = "d"\nbase.train.iterations = 40\nbase.train.batch = 10 # ten\n[[arm]]\nname = "ticket"\n',
        'name = "i"\nbase = { train = { iterations = 40 } }\narm = [ { name = "ticket" } ] # one\n',
        'arm = [{name = "ticket"}]\nname = """\\\no"""\n[base.train]\n"iterations" = 40\n',
        'name = "s"\n[[arm]]\nname = "ticket"\n[arm.train]\nclamp = 0.5 # in a table\n[base.train]\niterations = 40\n',
    ],
)
def test_however_a_study_is_written_it_says_what_it_is_made_to_say(text: str) -> None:
    before, after = changed(text)
    after["base"]["train"]["iterations"] = 50
    after["base"]["prune"] = {"rounds": 2}
    after["arm"].append({"name": "other", "kind": "ticket", "train": {"clamp": 0.25}})
    new, kept = update_toml(text, before, after)
    assert parse_study(new, source="new") == Study.model_validate(after)
    assert kept or "#" in text


def test_problems_are_told_with_their_line() -> None:
    assert toml_problem(MINE) == ""
    for old, new, told in (
        ("batch = 10", "batch = 0", "line 8: base.train.batch: found 0; allowed: at least 1"),
        (
            "rounds = 3",
            "round = 3",
            "line 11: base.prune.round: found an unknown field; allowed: known fields: rounds,",
        ),
        ("clamp = 0.5", "clamp = -1", "line 20: arm.1.train.clamp: found -1; allowed: more than 0.0"),
        ('name = "reinit"', 'name = "reinit"\nof = "x"', "line 24: arm.2.of: found "),
        (
            'name = "reinit"',
            'kind = "reinit"',
            "line 22: arm.2.name: found nothing; allowed: a value; it must be given",
        ),
        ("trials = 3", "trials =", "not TOML: Invalid value (at line 3, column 9)"),
    ):
        assert toml_problem(MINE.replace(old, new)).startswith(told)
    two = MINE.replace("trials = 3", "trials = 0").replace("batch = 10", "batch = 0")
    assert toml_problem(two) == "line 3: trials: found 0; allowed: at least 1 (and 1 more)"
    assert toml_problem('[[arm]]\nname = "ticket"\n') == "name: found nothing; allowed: a value; it must be given"


def test_lines_of_fields() -> None:
    text = preset_text("less-data-lenet")
    lines = text.split("\n")
    study = load_study("less-data-lenet")
    for place, arm in enumerate(study.arm):
        line = line_of(text, f"arm.{place}.name")
        assert line is not None
        assert lines[line - 1] == f'name = "{arm.name}"'
    assert lines[(line_of(text, "base.train.batch") or 0) - 1].startswith("batch")
    assert line_of(text, "seed") is None
