"""Arms and runs over each other, against plain NumPy on a small run of the engine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine.errors import BadInput
from engine.spec import Study, differences, load_study, parse_study
from engine.store import RunFolder
from engine.views import Point, RunView, StudyRun, aligned, gains, margins, points, sweep_densities, sweep_lines
from engine.views.run import read_run
from engine.views.statistics import accuracy, data_sweeps, early_stop, mean_and_error
from lth_tui.cli import command_line

SEEDS = 3
ARMS = """
[[arm]]
name = "reinit-2"
kind = "reinit"
per_ticket = 2
rounds = [1, 3]
[[arm]]
name = "retrain-50"
kind = "retrain"
data = { fraction = 0.5 }
[[arm]]
name = "retrain-25"
kind = "retrain"
rounds = [1, 2]
data = { fraction = 0.25 }
[[arm]]
name = "search-50"
kind = "ticket"
data = { fraction = 0.5 }
[[arm]]
name = "random-50"
kind = "retrain"
data = { fraction = 0.5, subset = "random" }
"""
STUDY = f"""
name = "compared"
trials = {SEEDS}
[base.train]
iterations = 40
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 3
rate = 0.5
[[arm]]
name = "ticket"
{ARMS}"""

Runs = tuple[StudyRun, StudyRun, Path]
"""The two runs, and their home."""


@pytest.fixture(scope="module")
def runs(jax_ready: None, new_home: Callable[[], Path], execute: Callable[..., tuple[str, RunFolder]]) -> Runs:
    """A run with the seeds 1, 2, 3, and one of its ticket with the seeds 3, 4 that learns at another rate."""
    home = new_home()
    study = parse_study(STUDY, source="compared.toml")
    other = parse_study(
        STUDY.replace(ARMS, ""), source="other.toml", settings=("seed=3", "trials=2", "base.train.learning_rate=1e-2")
    )
    found = []
    for one in (study, other):
        status, folder = execute(one, home)
        assert status == "done"
        found.append(StudyRun(read_run(folder), one))
    return found[0], found[1], home


def table(run: StudyRun, arm: str, name: str = "test_accuracy") -> np.ndarray[Any, Any]:
    """A quantity of all networks of an arm, `[network, round]`."""
    found = run.view.arm(arm)
    return np.array(
        [[getattr(trial.rounds[number].result, name) for number in found.planned] for trial in found.trials]
    )


def assert_over(found: tuple[Point, ...], values: np.ndarray[Any, Any]) -> None:
    """That the points tell the mean, extremes and standard error of `values[trial, point]`."""
    assert [point.mean for point in found] == pytest.approx(values.mean(0), abs=1e-9)
    assert [point.error for point in found] == pytest.approx(values.std(0, ddof=1) / np.sqrt(len(values)), abs=1e-9)
    assert [point.low for point in found] == pytest.approx(values.min(0), abs=1e-9)
    assert [point.high for point in found] == pytest.approx(values.max(0), abs=1e-9)
    assert {point.count for point in found} == {len(values)}


def test_points_are_over_trials_and_several_controls_of_a_ticket_are_one(runs: Runs) -> None:
    run = runs[0]
    ticket = points(run, "ticket", accuracy)
    rounds = run.view.arm("ticket").trials[0].rounds
    assert [point.round for point in ticket] == [0, 1, 2, 3]
    assert [point.x for point in ticket] == [rounds[number].p_m for number in range(4)]
    assert_over(ticket, 100 * table(run, "ticket"))
    assert_over(points(run, "ticket", early_stop), table(run, "ticket", "early_stop_iteration").astype(float))
    drawn = 100 * table(run, "reinit-2")
    assert drawn.shape == (2 * SEEDS, 3)
    assert_over(points(run, "reinit-2", accuracy), drawn.reshape(SEEDS, 2, 3).mean(1))


def test_gains_are_on_the_dense_round_of_the_same_trial(runs: Runs) -> None:
    for arm in ("ticket", "retrain-50"):
        values = 100 * table(runs[0], arm)
        assert_over(gains(runs[0], arm, accuracy), values[:, 1:] - values[:, :1])


def test_margins_are_between_trials_of_one_seed_at_one_p_m(runs: Runs) -> None:
    run, other, _ = runs
    its = 100 * table(run, "reinit-2").reshape(SEEDS, 2, 3).mean(1)
    margin = margins(run, "ticket", run, "reinit-2", accuracy)
    assert [point.round for point in margin] == [0, 1, 3]
    assert_over(margin, 100 * table(run, "ticket")[:, [0, 1, 3]] - its)
    (seed,) = set(run.study.trial_seeds()) & set(other.study.trial_seeds())
    assert seed == 3
    across = margins(other, "ticket", run, "ticket", accuracy)
    assert [point.mean for point in across] == pytest.approx(
        100 * (table(other, "ticket")[0] - table(run, "ticket")[2]), abs=1e-9
    )
    assert {(point.count, point.error) for point in across} == {(1, None)}
    later = StudyRun(other.view, other.study.model_copy(update={"seed": 100}))
    assert margins(later, "ticket", run, "ticket", accuracy) == ()


def test_a_run_that_has_not_begun_has_no_points(runs: Runs) -> None:
    run = StudyRun(RunView(), runs[0].study)
    assert not run.has("ticket")
    assert sweep_densities(run) == ()
    assert [line.points for line in sweep_lines(run, 50.0, accuracy)] == [()] * 3


def test_the_standard_error_divides_by_one_less_than_the_trials() -> None:
    assert mean_and_error([1.0, 3.0, 5.0]) == (3.0, pytest.approx(2 / np.sqrt(3)))
    assert mean_and_error([1.0]) == (1.0, None)
    assert mean_and_error([0.1 + 0.2, 0.3]) == (pytest.approx(0.3), 0.0)


def a_point(x: float) -> Point:
    return Point(x, 0, 0.0, None, 0.0, 0.0, 1)


def test_rows_are_those_of_the_first_line_and_what_is_near_to_none_has_its_own() -> None:
    first, second, third = (100.0, 50.0, 25.0), (100.0, 52.0, 48.0, 5.0), (24.0,)
    rows = aligned([tuple(map(a_point, line)) for line in (first, second, third)])
    assert [(x, [cell and cell.x for cell in cells]) for x, cells in rows] == [
        (100.0, [100.0, 100.0, None]),
        (50.0, [50.0, 52.0, None]),
        (48.0, [None, 48.0, None]),
        (25.0, [25.0, None, 24.0]),
        (5.0, [None, 5.0, None]),
    ]
    assert aligned([]) == aligned([()]) == []


# Less data


def test_budgets_are_told_by_what_the_arms_learn_from(runs: Runs) -> None:
    run = runs[0]
    found = {family.name: dict(family.arms) for family in data_sweeps(run.study)}
    assert found == {
        "retrain": {100: "ticket", 50: "retrain-50", 25: "retrain-25"},
        "search": {100: "ticket", 50: "search-50"},
        "random": {100: "ticket", 50: "random-50"},
    }
    densities = run.densities("ticket")
    assert sweep_densities(run) == (densities[1], densities[2]), "retrain-25 has two rounds"
    lines = {line.name: line for line in sweep_lines(run, densities[2], accuracy)}
    assert list(lines) == ["dense", "dense, random", "retrain", "search", "random"]
    assert [(point.x, point.round) for point in lines["retrain"].points] == [(100, 2), (50, 2), (25, 2)]
    arms = ("ticket", "retrain-50", "retrain-25")
    values = np.stack([100 * table(run, arm)[:, [0, 2]] for arm in arms], axis=1)
    assert_over(lines["dense"].points, values[..., 0])
    assert_over(lines["retrain"].points, values[..., 1])
    assert_over(lines["retrain"].gains, values[..., 1] - values[..., 0])
    assert lines["dense"].gains == ()
    (whole, half) = lines["dense, random"].points
    assert whole == lines["dense"].points[0]
    assert half.mean == pytest.approx(100 * table(run, "random-50")[:, 0].mean())


def test_the_presets_of_less_data_have_their_budgets_and_others_have_none() -> None:
    found = {family.name: list(family.arms) for family in data_sweeps(load_study("less-data-conv2"))}
    assert found == {name: [100, 50, 25, 10] for name in ("retrain", "search", "random")}
    assert data_sweeps(load_study("quickstart")) == ()


# In the terminal


def compared(runs: Runs, *options: str) -> Result:
    home = runs[2]
    return CliRunner(env={"LTH_TUI_HOME": str(home)}).invoke(command_line, ["compare", *options])


def test_the_command_tells_the_same_numbers(runs: Runs) -> None:
    run, other, _ = runs
    first, second = run.view.run, other.view.run
    told = json.loads(compared(runs, first, second, "--to", "1 reinit-2", "--json").stdout)
    assert [item["run"] for item in told["runs"]] == [first, second]
    assert [line["name"] for line in told["lines"]] == [*(f"1 {arm.name}" for arm in run.study.arm), "2 ticket"]
    for place, line in enumerate(told["lines"]):
        its = (run, other)[line["name"].startswith("2")]
        for name, found in (
            ("accuracy", points(its, line["arm"], accuracy)),
            ("early_stop", points(its, line["arm"], early_stop)),
            ("to_dense", gains(its, line["arm"], accuracy)),
            ("to", () if place == 1 else margins(its, line["arm"], run, "reinit-2", accuracy)),
        ):
            assert [(row["p_m"], row["mean"], row["se"], row["trials"]) for row in line[name]] == [
                (point.x, point.mean, point.error, point.count) for point in found
            ]
    assert {"field": "base.train.learning_rate", "values": [3e-3, 1e-2]} in told["differences"]


def test_the_command_prints_a_table_and_refuses_arms_that_there_are_not(runs: Runs) -> None:
    run = runs[0]
    last = points(run, "ticket", accuracy)[-1], gains(run, "ticket", accuracy)[-1]
    printed = compared(runs, run.view.run).stdout
    assert f"{last[0].mean:.2f} ± {last[0].error:.2f}" in printed
    assert f"{last[1].mean:+.2f} ± {last[1].error:.2f}" in printed
    assert "studies differ" not in printed
    refused = compared(runs, run.view.run, "--to", "other").exception
    assert isinstance(refused, BadInput)
    assert "allowed: ticket, reinit-2" in str(refused)


# Studies


def a_study(*settings: str) -> Study:
    return parse_study(STUDY, source="compared.toml", settings=settings)


def told(*studies: Study) -> dict[str, tuple[Any, ...]]:
    return {item.path: item.values for item in differences(studies)}


def test_fields_that_differ_are_told_once_with_their_values() -> None:
    study = a_study()
    assert told(study, study) == told(study) == told(study, study.model_copy(update={"name": "b", "about": "c"})) == {}
    longer = a_study("base.train.iterations=80", "trials=4", "base.train.clamp=2.0", "base.prune.rates.output=0.1")
    assert told(study, longer, study) == {
        "trials": (3, 4, 3),
        "base.train.iterations": (40, 80, 40),
        "base.train.clamp": (None, 2.0, None),
        "base.prune.rates.output": (None, 0.1, None),
    }


def test_arms_differ_by_what_they_come_to() -> None:
    study, less = a_study(), a_study("base.data.fraction=0.5")
    assert told(study, less) == {
        "base.data.fraction": (1.0, 0.5),
    }
    without = study.model_copy(update={"arm": study.arm[:2]})
    assert told(without, study) == {
        "arm.retrain-50": (None, "retrain"),
        "arm.retrain-25": (None, "retrain"),
        "arm.search-50": (None, "ticket"),
        "arm.random-50": (None, "retrain"),
    }
    reinit = study.arm[1].model_copy(update={"per_ticket": 3, "train": {"batch": 10}})
    other = study.model_copy(update={"arm": (study.arm[0], reinit)})
    assert told(without, other, study)["arm.reinit-2.per_ticket"] == (2, 3, 2)
    assert told(without, other)["arm.reinit-2.train.batch"] == (30, 10)


def test_rounds_that_levels_stand_for_are_no_difference() -> None:
    by_levels = parse_study(STUDY.replace("rounds = 3\nrate", "levels = [50.0, 25.0, 12.5]\nrate"), source="levels")
    assert told(a_study(), by_levels) == {
        "base.prune.rounds": (3, None),
        "base.prune.levels": ([], [50.0, 25.0, 12.5]),
    }
