"""The public Python interface: what a notebook does with a study, from `open` to the weights."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lth_tui
from engine import plugins
from engine.store import RoundFinished, RunFinished, Store

ROOT = Path(__file__).resolve().parents[1]
STUDY = """
name = "small"
trials = 2
[base.train]
iterations = 30
batch = 30
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "reinit"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> lth_tui.Lab:
    return lth_tui.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def run(lab: lth_tui.Lab, study: Path) -> lth_tui.Run:
    """The small study with three rounds of pruning, run to its end."""
    return lab.run(study, set={"base.prune.rounds": 3, "arm.reinit.rounds": [1, 3]}, name="first")


@pytest.fixture(autouse=True)
def no_data_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where neither polars nor pandas is installed."""
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pandas", None)


def printed(code: str, *arguments: object) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ran.stdout


def test_nothing_that_draws_or_computes_is_loaded_before_something_is_trained(run: lth_tui.Run) -> None:
    code = """
import sys, lth_tui
assert "numpy" not in sys.modules
run = lth_tui.open(sys.argv[1]).open_run("first")
run.rounds(), run.status, run.study, run.masks("ticket", 1, 3), run.lab.runs()
print(*{name.partition(".")[0] for name in sys.modules})
"""
    loaded = set(printed(code, run.lab.home).split())
    assert "numpy" in loaded
    assert loaded & {"textual", "rich", "plotext", "jax", "flax", "optax", "scipy", "sklearn"} == set()


def test_the_names_of_the_package_are_all_there() -> None:
    assert set(lth_tui.__all__) <= set(dir(lth_tui))
    assert all(getattr(lth_tui, name) is not None for name in lth_tui.__all__)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        lth_tui.nothing_of_that_name  # noqa: B018
    assert (ROOT / "lth_tui" / "py.typed").is_file()


def test_settings_change_the_study(run: lth_tui.Run) -> None:
    assert run.status == "done"
    assert (run.study.name, run.study.base.prune.rounds, run.study.arm[1].rounds) == ("small", 3, (1, 3))
    assert repr(run) == "<run first: done, 14 of 14 rounds>"


@pytest.mark.parametrize(
    "value", ["a 'text' \"with\" \\ and é", 3, np.int64(3), 0.1, 1e-7, 1e20, True, [1, 2], ("x", "y")]
)
def test_every_kind_of_value_reaches_the_study_as_it_is(value: Any) -> None:
    import tomllib

    from lth_tui.python import _toml

    expected = list(value) if isinstance(value, tuple) else value
    assert tomllib.loads(f"value = {_toml('field', value)}")["value"] == expected


def test_rounds_are_rows_and_their_masks_and_weights_agree(run: lth_tui.Run) -> None:
    rows = run.rounds()
    assert [(row["arm"], row["trial"], row["round"]) for row in rows] == [
        (arm, trial, round)
        for arm, rounds in (("ticket", (0, 1, 2, 3)), ("reinit", (0, 1, 3)))
        for trial in (1, 2)
        for round in rounds
    ]
    for row in rows:
        place = (row["arm"], row["trial"], row["round"])
        masks = run.masks(*place)
        left = sum(int(mask.sum()) for mask in masks.values())
        size = sum(mask.size for mask in masks.values())
        assert (left, 100 * left / size) == (row["survivors"], pytest.approx(row["density"]))
        for which in ("final", "best"):
            weights = run.weights(*place, which)
            assert all((weights[name][~mask] == 0).all() for name, mask in masks.items())
            assert {name for name in weights if name.endswith("kernel")} == set(masks)
        assert 0 <= row["test_accuracy"] <= 1
        assert not any(isinstance(value, dict | list) for value in row.values())
    assert len({tuple(row) for row in rows}) == 1, "the rows have the same columns"
    layers = [row for row in run.layers() if (row["arm"], row["trial"], row["round"]) == ("ticket", 1, 2)]
    found = {row["layer"]: row["survivors"] for row in layers}
    assert found == {name.partition("/")[0]: int(mask.sum()) for name, mask in run.masks("ticket", 1, 2).items()}


def test_initial_weights_are_those_that_a_ticket_is_reset_to(run: lth_tui.Run) -> None:
    dense = run.weights("ticket", 2, 0, "initial")
    assert all((dense[name] != 0).mean() > 0.99 for name in run.masks("ticket", 2, 0))
    for name, mask in run.masks("ticket", 2, 3).items():
        np.testing.assert_array_equal(run.weights("ticket", 2, 3, "initial")[name], dense[name] * mask)
        assert (run.weights("ticket", 1, 0, "initial")[name] != dense[name]).mean() > 0.99
        assert (run.weights("reinit", 2, 3, "initial")[name][mask] != dense[name][mask]).mean() > 0.99


def test_curves_have_a_row_for_each_validation(run: lth_tui.Run) -> None:
    rows = run.curve("ticket", 1, 2)
    assert [row["iteration"] for row in rows] == [15, 30]
    best = min(rows, key=lambda row: row["validation_loss"])
    (found,) = (row for row in run.rounds() if (row["arm"], row["trial"], row["round"]) == ("ticket", 1, 2))
    assert (found["early_stop_iteration"], found["validation_loss"]) == (best["iteration"], best["validation_loss"])


def test_events_of_a_run_that_is_over_end(run: lth_tui.Run) -> None:
    events = list(run.follow())
    assert isinstance(events[-1], RunFinished)
    assert sum(isinstance(event, RoundFinished) for event in events) == len(run.rounds())


def test_a_run_in_the_background_is_followed_stopped_and_resumed(lab: lth_tui.Lab, study: Path) -> None:
    made = lab.run(study, set={"trials": 1, "base.train.iterations": 20_000}, name="background", wait=False)
    with pytest.raises(lth_tui.LabError, match="background"):
        lab.resume("background")
    for event in made.follow():
        if event.event == "round-started":
            made.stop()
    assert made.wait().status == "stopped"
    with pytest.raises(lth_tui.BadInput, match="'background' is stopped; allowed: a run that is running"):
        made.pause()
    again = lab.resume(made, wait=False)
    again.stop()
    again.wait()
    assert lab.open_run("background").status == "stopped"
    assert {row["name"]: row["status"] for row in lab.runs()}["background"] == "stopped"


def test_what_fails_in_the_background_is_raised_by_wait(
    lab: lth_tui.Lab, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise lth_tui.LabError("the device is gone")

    monkeypatch.setattr("engine.runner.run", fail)
    with pytest.raises(lth_tui.LabError, match="the device is gone"):
        lab.run(study, name="failing", wait=False).wait()


def test_plug_ins_are_loaded_from_files(tmp_path: Path) -> None:
    file = ROOT / "docs" / "plugins" / "criterion.py"
    plugins.forget()
    setting = {"base.prune.criterion": "relative-movement"}
    with pytest.raises(lth_tui.BadInput, match="relative-movement"):
        lth_tui.open(tmp_path).study("quickstart", set=setting)
    try:
        found = lth_tui.open(tmp_path, plugins=[file]).study("quickstart", set=setting)
        assert found.base.prune.criterion == "relative-movement"
        with pytest.raises(lth_tui.BadInput, match=r"absent\.py: No such file"):
            lth_tui.open(tmp_path, plugins=["absent.py"])
    finally:
        plugins.forget()


def test_the_command_line_shows_the_same(run: lth_tui.Run) -> None:
    import json

    code = "import sys; sys.argv = ['lth-tui', 'show', 'first', '--json']; from lth_tui.cli import main; main()"
    environment = {**os.environ, "LTH_TUI_HOME": str(run.lab.home)}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert json.loads(ran.stdout) == json.loads(json.dumps(run.to_json()))


@pytest.fixture
def wrong(lab: lth_tui.Lab, study: Path, run: lth_tui.Run) -> dict[str, Any]:
    return {
        "'minst'": lambda: lab.run("quickstart", set={"base.data.name": "minst"}),
        "no such file or preset": lambda: lab.run("nothing"),
        "base.prune.rounds": lambda: lab.study(study, set={"base.prune.rounds": -1}),
        "found None": lambda: lab.study(study, set={"base.prune.rounds": None}),
        "run 'other': there is none of that name; allowed: .*first": lambda: lab.open_run("other"),
        "arm 'nobody'; allowed: ticket, reinit": lambda: run.masks("nobody", 1, 0),
        "trial 0 of arm 'ticket'; allowed: 1 to 2": lambda: run.masks("ticket", 0, 0),
        "round 2 of arm 'reinit', trial 1; allowed: 0, 1, 3": lambda: run.curve("reinit", 1, 2),
        "which 'first'; allowed": lambda: run.weights("ticket", 1, 0, "first"),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("number", range(9))
def test_mistakes_are_one_line(number: int, wrong: dict[str, Any], lab: lth_tui.Lab) -> None:
    said, use = list(wrong.items())[number]
    runs = len(Store(lab.home).names())
    with pytest.raises(lth_tui.BadInput, match=said) as caught:
        use()
    assert "\n" not in str(caught.value)
    assert len(Store(lab.home).names()) == runs, "no run was made"


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_tables_are_data_frames_where_a_library_for_them_is_installed(
    library: str, run: lth_tui.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = run.rounds()
    module = ModuleType(library)
    module.DataFrame = lambda data, **_: SimpleNamespace(library=library, rows=data)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, library, module)
    frame = run.rounds()
    assert (frame.library, frame.rows) == (library, rows)
