"""The article's experiments one after the other, on small studies that stand in for the presets."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.errors import BadInput
from engine.spec import EXPERIMENTS, QUICK, Study, load_study, parse_study, preset_names
from engine.store import Request, RunFolder, Store
from lth_tui import reproduce as room
from lth_tui.cli import command_line

SMALL = """
name = "{name}"
trials = 2
[base.data]
name = "{data}"
[base.train]
iterations = 20
batch = 20
evaluate_every = 10
[base.prune]
rounds = 1
[[arm]]
name = "ticket"
"""


def test_the_list_is_of_presets_with_twins_and_leaves_none_out() -> None:
    others = {"quickstart", "like-open-lth"}
    full = {name for name in preset_names() if not name.endswith(QUICK) and name not in others}
    assert set(EXPERIMENTS) == full
    assert {f"{name}{QUICK}" for name in EXPERIMENTS} <= set(preset_names())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Three experiments; there are no pictures for the second."""
    monkeypatch.setenv("LTH_TUI_HOME", str(tmp_path))

    def load(name: str, settings: tuple[str, ...] = ()) -> Study:
        data = f"folder:{tmp_path}/none" if name.startswith("second") else "digits"
        return parse_study(SMALL.format(name=name, data=data), source=name, settings=settings)

    monkeypatch.setattr(room, "EXPERIMENTS", ("quickstart", "second", "third"))
    monkeypatch.setattr(room, "load_study", load)
    return Store(tmp_path)


def reproduced(*arguments: str) -> tuple[int, Result]:
    result = CliRunner().invoke(command_line, ["reproduce", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result


def test_what_cannot_run_hinders_no_other_and_what_is_done_is_not_run_again(small: Store) -> None:
    code, first = reproduced("--quick")
    assert code == 1
    assert [run.study for run in small.runs()] == ["third-quick", "quickstart-quick"]
    assert "2 of 3: second-quick cannot run: " in first.stderr
    assert "1 of 3: quickstart-quick, 4 rounds to train" in first.stderr
    assert "3 of 3: third-quick, 0 rounds to train" in first.stderr, "the same study under another name"
    table = first.stdout[first.stdout.index("experiment") :]
    starts = [line.split()[0] for line in table.splitlines() if line.split()[:1]]
    assert [word for word in starts if word.endswith("-quick")][:3] == [
        "quickstart-quick",
        "second-quick",
        "third-quick",
    ]
    assert "not run" in table
    assert table.count("A subnetwork trained from its own") == 1
    code, again = reproduced("--quick")
    assert (code, len(small.runs())) == (1, 2)
    assert "1 of 3: quickstart-quick was done before, as quickstart-quick-" in again.stderr
    assert again.stdout == table


def test_other_data_can_stand_in(small: Store) -> None:
    folder = load_study("quickstart").base.data.name
    with pytest.raises(BadInput, match="allowed: NAME=OTHER with a name of digits, folder:"):
        reproduced("--data", "mnist=digits")
    with pytest.raises(BadInput, match="--data 'digits'"):
        reproduced("--data", "digits")
    code, result = reproduced("--data", f"folder:{small.home}/none={folder}", "--json")
    rows = json.loads(result.stdout)
    assert code == 0
    assert [(row["experiment"], row["data"], row["status"]) for row in rows] == [
        (name, "digits", "done") for name in ("quickstart", "second", "third")
    ]
    assert {claim["verdict"] for claim in rows[0]["claims"]} <= {"holds", "does not hold", "undecided", "not measured"}
    assert rows[0]["claims"]


def test_a_stop_ends_the_list_which_then_goes_on_there(small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    own = RunFolder.own

    def stopped(folder: RunFolder) -> None:
        own(folder)
        folder.request(Request.STOP)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "own", stopped)
        code, result = reproduced()
    assert code == 130
    assert "second" not in result.stdout
    code, result = reproduced()
    assert code == 1
    assert "1 of 3: quickstart goes on as quickstart-" in result.stderr
    assert [(run.study, run.status) for run in small.runs()] == [
        ("third", "done"),
        ("quickstart", "done"),
    ]
