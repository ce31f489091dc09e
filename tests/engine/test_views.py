"""Runs as they are read: folded from events, and gaps wherever there is no number."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import views
from engine.analysis import BIRD_RULE, CHANCE_RULE, COLLAPSE_RULE, STABLE_RULE
from engine.analysis.pairs import all_pairs
from engine.spec import Arm, Study
from engine.store import (
    ArmPlan,
    CurvePoint,
    DatasetFacts,
    Diverged,
    EarlyBird,
    Event,
    InvariantFailed,
    LayerCount,
    Magnitudes,
    Note,
    Paused,
    Resumed,
    RoundFinished,
    RoundResult,
    RoundStarted,
    RunFinished,
    RunFolder,
    RunStarted,
    Signal,
    SignalKind,
    Similarity,
    Stamped,
    Store,
)
from engine.views import RunView, fold

LAYERS = {"dense1": 100, "output": 20}


def started(*, trials: int = 2, rounds: tuple[int, ...] = (0, 1, 2)) -> RunStarted:
    seeds = tuple(range(1, trials + 1))
    return RunStarted(
        run="run",
        study="study",
        hash="hash",
        dataset=DatasetFacts(name="digits", train=3, validation=2, test=1),
        layers=LAYERS,
        arms=tuple(ArmPlan(name=it, kind=it, seeds=seeds, rounds=rounds) for it in ("ticket", "reinit")),
        distinct=10,
        stored=0,
        device="2 CPU cores",
        lanes=2,
    )


def ended(
    number: int, accuracy: float | None, *, arm: str = "ticket", trial: int = 0, alive: tuple[float | None, ...] = ()
) -> RoundFinished:
    """A finished round with half of the weights of the one before, and those correlations with all before it."""
    left = {name: LayerCount(survivors=size // 2**number, size=size) for name, size in LAYERS.items()}
    similar = Similarity(alive=alive[-1], all=alive[-1], jaccard=0.5, chance=0.1) if alive else None
    result = RoundResult(
        iterations=9,
        early_stop_iteration=None if accuracy is None else 5,
        validation_loss=None if accuracy is None else 0.5,
        test_accuracy=accuracy,
        test_accuracy_end=accuracy,
        test_accuracy_pruned=None,
        layers=left,
        seconds=1.5,
        diverged=accuracy is None,
    )
    return RoundFinished(
        arm=arm,
        trial=trial,
        round=number,
        key=f"{arm}{trial}{number}",
        reused=False,
        result=result,
        similarity=dict.fromkeys(LAYERS, similar) if similar else {},
    )


def folded(*events: Event) -> RunView:
    return fold(RunView(), [Stamped(number, 100.0 + number, event) for number, event in enumerate(events, 1)])


# The fold


def test_folding_bit_by_bit_is_folding_at_once(finished: RunFolder) -> None:
    events = finished.events()
    whole = fold(RunView(), events)
    view = RunView()
    for stamped in events:
        view = fold(view, [stamped])
    assert view == whole
    for cut in range(0, len(events), 7):
        assert fold(fold(RunView(), events[:cut]), events[cut:]) == whole
    assert fold(whole, finished.events(whole.last_event)) == whole


def test_a_real_run_folds_to_what_it_did(finished: RunFolder) -> None:
    view = fold(RunView(), finished.events())
    assert (view.run, view.study, view.status) == (finished.id, "tiny", "done")
    assert (view.rounds_total, view.rounds_done, view.trained, view.reused) == (32, 32, 24, 8)
    assert [(arm.name, arm.planned, len(arm.trials)) for arm in view.arms] == [
        (name, (0, 1, 2, 3), 2) for name in ("ticket", "one-shot", "reinit", "random-mask")
    ]
    assert all(list(trial.rounds) == [0, 1, 2, 3] for arm in view.arms for trial in arm.trials)
    assert not view.running
    assert (view.log[0].level, view.log[-1].level) == ("info", "good")
    assert view.log[-1].text.startswith("done: 24 rounds trained, 8 reused")


def test_a_view_of_nothing_draws_nothing() -> None:
    view = folded()
    assert (view.status, views.accuracy_series(view), views.dense_accuracy(view)) == ("new", [], None)
    assert views.accuracy_table(view) == views.Table(("round", "P_m %"), ())
    assert views.show_json(view, "new")["arms"] == []


def test_rounds_that_train_are_running_until_they_end() -> None:
    begin = [RoundStarted(arm="ticket", trial=trial, round=0, key="k") for trial in (0, 1)]
    assert folded(started(), *begin).running == {("ticket", 0, 0), ("ticket", 1, 0)}
    assert folded(started(), *begin, ended(0, 0.9)).running == {("ticket", 1, 0)}
    stop = RunFinished(status="stopped", trained=1, reused=0, seconds=1)
    assert folded(started(), *begin, stop).running == frozenset()


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "running"),
        ([Paused()], "paused"),
        ([Paused(), Resumed()], "running"),
        ([RunFinished(status="failed", trained=0, reused=0, seconds=1, message="why")], "failed"),
    ],
)
def test_the_status_is_what_was_said_last(events: list[Event], status: str) -> None:
    assert folded(started(), *events).status == status


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        (ended(0, 0.9), "detail", "ticket t1 dense: test accuracy 90.00%"),
        (ended(1, 0.9), "detail", "ticket t1 r1: 90.00% with 50.00% left"),
        (ended(1, None), "detail", "ticket t1 r1: no finite loss"),
        (Diverged(arm="ticket", trial=0, round=1, key="k"), "warning", "no longer finite"),
        (
            InvariantFailed(law="law", layer="dense1", round=3, found="1"),
            "error",
            "guard broken at layer dense1, round 3: law",
        ),
        (InvariantFailed(law="law", layer=None, round=3, found="1"), "error", "guard broken at round 3: law"),
        (Note(text="words"), "info", "words"),
        (RunFinished(status="failed", trained=1, reused=2, seconds=1, message="why"), "error", "1.0 s; why"),
    ],
)
def test_every_fact_is_a_line_in_the_log(event: Event, level: str, words: str) -> None:
    line = folded(started(), event).log[-1]
    assert (line.level, line.time) == (level, 102.0)
    assert words in line.text


def test_the_log_tells_trials_beside_dense_and_all_of_them_together() -> None:
    again = ended(0, 0.8, arm="reinit").model_copy(update={"key": "ticket00", "reused": True})
    other = ended(0, 0.8, arm="reinit", trial=1).model_copy(update={"reused": True})
    view = folded(
        started(), ended(0, 0.8), again, ended(0, 0.9, trial=1), other, ended(1, 0.85), ended(1, 0.87, trial=1),
        ended(2, 0.8), ended(2, None, trial=1),
    )  # fmt: skip
    assert [(line.level, line.text) for line in view.log] == [
        ("info", "study on digits: 12 rounds of 10 networks; 2 at a time on 2 CPU cores"),
        ("detail", "ticket t1 dense: test accuracy 80.00%"),
        ("detail", "reinit t1 dense: test accuracy 80.00%; shared with another arm"),
        ("detail", "ticket t2 dense: test accuracy 90.00%"),
        ("info", "ticket dense mean: test accuracy 85.00%"),
        ("detail", "reinit t2 dense: test accuracy 80.00%; stored before"),
        ("detail", "ticket t1 r1: 85.00% with 50.00% left, 5.00 above dense"),
        ("detail", "ticket t2 r1: 87.00% with 50.00% left, 3.00 below dense"),
        ("good", "ticket r1 mean: 86.00% with 50.00% left, 1.00 above dense"),
        ("detail", "ticket t1 r2: 80.00% with 25.00% left, as dense"),
        ("detail", "ticket t2 r2: no finite loss"),
        ("info", "ticket r2 mean: 80.00% with 25.00% left, 5.00 below dense"),
    ]


def test_the_log_is_sifted_by_words_and_levels() -> None:
    view = folded(started(), ended(0, 0.8), ended(0, 0.9, arm="reinit"), Note(text="a note on REINIT"))
    assert views.filter_log(view.log, "") == [0, 1, 2, 3]
    assert views.filter_log(view.log, "Reinit") == [2, 3]
    assert views.filter_log(view.log, "reinit detail") == [2]
    assert views.filter_log(view.log, "info detail 90") == [2]
    assert views.filter_log(view.log, "reinit error") == []


def test_the_summary_says_when_nothing_was_trained() -> None:
    ended_now = RunFinished(status="done", trained=0, reused=2, seconds=0.25)
    reused = [ended(number, 0.9).model_copy(update={"reused": True}) for number in (0, 1)]
    view = folded(started(), *reused, ended_now)
    assert views.summary(view) == "done: nothing was trained, all 2 rounds were already stored, 0.2 s"


# What is drawn


def test_a_line_has_mean_and_extremes_over_the_trials_that_have_a_number() -> None:
    view = folded(
        started(),
        *(ended(0, it, trial=trial) for trial, it in enumerate((0.9, 0.8))),
        *(ended(1, it, trial=trial) for trial, it in enumerate((0.7, None))),
        *(ended(2, None, trial=trial) for trial in (0, 1)),
    )
    ticket, reinit = views.accuracy_series(view)
    assert (ticket.name, ticket.rounds, ticket.x, ticket.count) == ("ticket", (0, 1), (100.0, 50.0), (2, 1))
    assert ticket.mean == pytest.approx((0.85, 0.7))
    assert (ticket.low, ticket.high) == ((0.8, 0.7), (0.9, 0.7))
    assert ticket.error == pytest.approx((0.05, math.nan), nan_ok=True)
    assert (reinit.name, reinit.x) == ("reinit", ())
    assert views.dense_accuracy(view) == pytest.approx(0.85)


def test_there_is_no_dense_line_without_a_dense_accuracy() -> None:
    assert views.dense_accuracy(folded(started())) is None
    assert views.dense_accuracy(folded(started(), ended(0, None), ended(1, 0.5))) is None


def test_learning_curves_have_gaps_where_there_is_no_number() -> None:
    points = [
        CurvePoint(iteration=5, train_loss=1, validation_loss=2, validation_accuracy=0.5),
        CurvePoint(iteration=9, train_loss=None, validation_loss=None, validation_accuracy=None),
    ]
    curve = views.extended(views.extended(views.Curve("lane"), points[:1]), points[1:])
    assert (curve.name, curve.iteration) == ("lane", (5, 9))
    assert (curve.train_loss[0], curve.validation_loss[0], curve.validation_accuracy[0]) == (1, 2, 0.5)
    assert all(math.isnan(row[1]) for row in (curve.train_loss, curve.validation_loss, curve.validation_accuracy))
    assert views.extended(curve, []) is curve


SIMILAR = (started(), ended(0, 0.9), ended(1, 0.9, alive=(0.75,)), ended(2, 0.9, alive=(-0.25,)))


def cells(grid: views.Grid) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in grid.values]


def test_the_layer_grid_compares_each_round_with_the_one_before() -> None:
    grid = views.layer_grid(folded(*SIMILAR), "ticket", 0)
    assert (grid.rows, grid.columns) == (("dense1", "output"), ("1", "2"))
    assert cells(grid) == [[0.75, -0.25]] * 2
    assert cells(views.layer_grid(folded(*SIMILAR[:3]), "ticket", 0)) == [[0.75, None]] * 2
    assert cells(views.layer_grid(folded(*SIMILAR), "reinit", 1)) == [[None, None]] * 2
    assert cells(views.layer_grid(folded(*SIMILAR), "ticket", 0, "jaccard")) == [[0.5, 0.5]] * 2
    first, _ = views.layer_lines(folded(*SIMILAR), "ticket", 0)
    assert (first.name, first.x, first.y, first.rounds) == ("dense1", (50.0, 25.0), (0.75, -0.25), (1, 2))
    assert views.layer_lines(folded(*SIMILAR[:3]), "ticket", 0)[1].x == (50.0,), "of the rounds that are known"


def measured(event: RoundFinished, **measures: dict[str, float | None]) -> RoundFinished:
    return event.model_copy(update={"result": event.result.model_copy(update={"measures": measures})})


def test_measures_of_one_round_are_in_grids_tables_and_json() -> None:
    by_layer = [{"dense1": 0.5, "output": None}, {"dense1": 0.25, "output": 3.0}]
    rounds = [measured(ended(n, 0.9), spread=by_layer[n], size={"": 7.0 + n}) for n in (0, 1)]
    view = folded(started(), *rounds)
    grid = views.layer_grid(view, "ticket", 0, "spread")
    assert (grid.rows, grid.columns) == (("dense1", "output"), ("0", "1", "2"))
    assert cells(grid) == [[0.5, 0.25, None], [None, 3.0, None]]
    whole = views.layer_grid(view, "ticket", 0, "size")
    assert (whole.rows, cells(whole)) == (("network",), [[7.0, 8.0, None]])
    table = views.rounds_table(view)
    assert table.columns[-3:] == ("size", "spread dense1", "spread output")
    assert [row[-3:] for row in table.rows] == [(7.0, 0.5, None), (8.0, 0.25, 3.0)]
    found = views.show_json(view, "running")["arms"][0]["trials"][0]["rounds"][1]["measures"]
    assert found == {"spread": by_layer[1], "size": {"": 8.0}}
    assert "sign-agreement" in views.measure_names()


def test_the_round_grid_is_symmetric_with_gaps() -> None:
    view = folded(*SIMILAR)
    assert cells(views.round_grid(view, "ticket", 0, "dense1")) == [[1, 0.75, None], [0.75, 1, -0.25], [None, -0.25, 1]]
    far = {("ticket02", "ticket00"): dict.fromkeys(LAYERS, Similarity(alive=0.1, all=None, jaccard=0.5, chance=0.1))}
    whole = views.round_grid(view, "ticket", 0, "dense1", pairs=far)
    assert cells(whole) == [[1, 0.75, 0.1], [0.75, 1, -0.25], [0.1, -0.25, 1]]
    early = views.round_grid(folded(*SIMILAR[:3]), "ticket", 0, "dense1")
    assert cells(early) == [[1, 0.75, None], [0.75, 1, None], [None, None, None]]


@pytest.mark.parametrize("measure", views.MEASURES)
def test_the_grids_of_a_real_run_are_full_and_in_range(finished: RunFolder, measure: views.Measure) -> None:
    view, store = fold(RunView(), finished.events()), Store(finished.folder.parent.parent)
    for arm in view.arms:
        rounds = arm.trials[1].rounds
        pairs = all_pairs(store.rounds, [item.key for item in rounds.values()], store.home)
        for later in range(1, 4):
            assert pairs[rounds[later].key, rounds[later - 1].key] == rounds[later].similarity
        for layer in view.layers:
            rows = cells(views.round_grid(view, arm.name, 1, layer, measure, pairs))
            assert rows == [list(column) for column in zip(*rows, strict=True)]
            assert [rows[place][place] for place in range(4)] == [1.0] * 4
            assert all(value is not None and -1 <= value <= 1 for row in rows for value in row)
        assert all(None not in row for row in cells(views.layer_grid(view, arm.name, 1, measure)))


def test_the_table_has_a_row_a_round_and_a_column_an_arm() -> None:
    view = folded(
        started(),
        *(ended(0, it, trial=trial) for trial, it in enumerate((0.9, 0.8))),
        ended(1, 0.75),
        ended(1, None, arm="reinit"),
    )
    table = views.accuracy_table(view)
    assert table.columns == ("round", "P_m %", "ticket", "reinit")
    assert table.rows == (("0", "100.00", "85.00 (80.00-90.00)", "-"), ("1", "50.00", "75.00", "-"))


def test_rows_of_arms_with_other_rates_are_at_the_same_density() -> None:
    def left(event: RoundFinished, survivors: int) -> RoundFinished:
        layers = {"dense1": LayerCount(survivors=survivors, size=100)}
        return event.model_copy(update={"result": event.result.model_copy(update={"layers": layers})})

    slow = [left(ended(number, 0.9 - number / 100), size) for number, size in enumerate((100, 80, 64, 51))]
    fast = [left(ended(number, 0.5 + number / 10, arm="reinit"), size) for number, size in enumerate((100, 60, 20))]
    table = views.accuracy_table(folded(started(rounds=(0, 1, 2, 3)), *slow, *fast))
    assert table.columns == ("round", "P_m %", "ticket", "reinit")
    assert table.rows == (
        ("0", "100.00", "90.00", "50.00"),
        ("1", "80.00", "89.00", "-"),
        ("1/2", "64.00", "88.00", "60.00 at 60.00%"),
        ("3", "51.00", "87.00", "-"),
        ("2", "20.00", "-", "70.00"),
    )


def test_an_arm_that_there_is_not_is_a_key_error(finished: RunFolder) -> None:
    with pytest.raises(KeyError):
        fold(RunView(), finished.events()).arm("other")


def test_the_json_has_null_where_there_is_no_number() -> None:
    view = folded(started(), ended(0, None), ended(1, 0.5, alive=(None,)))
    first, second = views.show_json(view, "running")["arms"][0]["trials"][0]["rounds"]
    assert (first["early_stop_iteration"], first["validation_loss"], first["test_accuracy"]) == (None, None, None)
    assert second["spearman"] == {"dense1": None, "output": None}
    assert (second["p_m"], second["survivors"]) == (50.0, 60)


# Signals


def signal(kind: SignalKind, number: int, *, layer: str | None = None, arm: str = "ticket", trial: int = 0) -> Signal:
    return Signal(
        kind=kind, arm=arm, trial=trial, round=number, layer=layer, text=f"what {kind} means (rule of {kind})"
    )


def test_signals_of_all_trials_and_rounds_are_one_finding() -> None:
    view = folded(
        started(trials=3),
        signal("early-bird", 0, trial=2),
        signal("stabilised", 2, layer="output"),
        signal("collapsed", 2, arm="reinit"),
        signal("stabilised", 1, layer="output", trial=2),
        signal("stabilised", 1, layer="dense1", trial=1),
        signal("early-bird", 1, trial=2),
    )
    found = [(it.arm, it.kind, it.layer, it.first, it.last, it.trials, it.of) for it in views.signal_summaries(view)]
    assert found == [
        ("ticket", "stabilised", "dense1", 1, 1, 1, 3),
        ("ticket", "stabilised", "output", 1, 2, 2, 3),
        ("ticket", "early-bird", None, 0, 1, 1, 3),
        ("reinit", "collapsed", None, 2, 2, 1, 3),
    ]
    assert {it.rule for it in views.signal_summaries(view) if it.kind == "stabilised"} == {"rule of stabilised"}
    newest = [(it.kind, it.round, it.layer) for it in views.newest_signals(view)]
    assert newest == [("early-bird", 1, None), ("stabilised", 1, "dense1"), ("collapsed", 2, None)]
    assert views.stabilised_first(view, "ticket", 0) == [("output", 2)]
    both = folded(
        started(), *(signal("stabilised", number, layer=name) for name, number in (("dense1", 3), ("output", 1)))
    )
    assert views.stabilised_first(both, "ticket", 0) == [("output", 1), ("dense1", 3)]
    assert views.signal_summaries(folded(started())) == views.newest_signals(folded()) == []


@pytest.fixture(scope="module")
def watched(
    jax_ready: None,
    tiny: Callable[..., Study],
    new_home: Callable[[], Path],
    execute: Callable[..., tuple[str, RunFolder]],
) -> RunView:
    """A run that watched for early birds in rounds of five epochs; one of its arms prunes far too much."""
    study = tiny("base.train.iterations=220", "base.prune.early_bird=watch", "base.prune.rounds=2")
    clamped = Arm(name="clamped", kind="ticket", train={"clamp": 0.5}, prune={"rate": 0.95})
    status, folder = execute(study.model_copy(update={"arm": (study.arm[0], clamped)}), new_home())
    assert status == "done"
    return fold(RunView(), folder.events())


def test_the_rules_of_a_real_run_are_those_of_the_analysis(watched: RunView) -> None:
    rules = {
        "stabilised": STABLE_RULE,
        "ranks-collapsed": COLLAPSE_RULE,
        "early-bird": BIRD_RULE,
        "collapsed": CHANCE_RULE,
    }
    found = {item.kind: item.rule for item in views.signal_summaries(watched)}
    assert {"early-bird", "collapsed"} <= found.keys()
    assert found.items() <= rules.items()


def test_the_bird_grid_has_the_distances_and_where_one_was_found(watched: RunView) -> None:
    rounds = watched.arm("ticket").trials[1].rounds
    grid = views.early_bird_grid(watched, "ticket", 1)
    assert (grid.rows, grid.columns) == (("0", "1", "2"), ("2", "3", "4", "5"))
    assert cells(grid) == [
        list(rounds[0].result.early_bird.distances),
        list(rounds[1].result.early_bird.distances),
        [None] * 4,
    ]
    assert {(int(grid.rows[row]), int(grid.columns[column])): kind for (row, column), kind in grid.marks.items()} == {
        (number, item.result.early_bird.found): "early-bird"
        for number, item in rounds.items()
        if item.result.early_bird and item.result.early_bird.found
    }
    assert views.early_bird_epochs(watched, "ticket")[-1] == ((0, 1), (5, 5))
    lines = views.early_bird_lines(watched, "ticket", 1)
    assert [line.y for line in lines] == [grid.values[int(line.name[1:])] for line in lines]
    assert lines[0].x == (2, 3, 4, 5)
    assert all(line.marks.count(("early-bird",)) <= 1 for line in lines)


def test_without_a_watch_the_bird_grid_has_no_columns(finished: RunFolder) -> None:
    view = fold(RunView(), finished.events())
    grid = views.early_bird_grid(view, "ticket", 0)
    assert (grid.columns, grid.marks) == ((), {})
    assert grid.rows == ("0", "1", "2", "3")
    assert views.early_bird_epochs(view, "ticket") == []


def test_rounds_at_chance_and_with_an_early_bird_are_marked_on_the_axes_and_the_line(watched: RunView) -> None:
    arm = watched.arm("clamped")
    at_chance = [trial.rounds[2].result.collapsed for trial in arm.trials]
    assert any(at_chance)
    trial = at_chance.index(True)
    marks = {
        number: (["collapsed"] if item.result.collapsed else [])
        + (["early-bird"] if item.result.early_bird and item.result.early_bird.found else [])
        for number, item in arm.trials[trial].rounds.items()
    }
    by_round = views.round_grid(watched, "clamped", trial, "dense1")
    assert {place: list(by_round.column_marks.get(place, ())) for place in range(3)} == marks
    assert by_round.row_marks == by_round.column_marks
    by_layer = views.layer_grid(watched, "clamped", trial)
    assert {place + 1: list(by_layer.column_marks.get(place, ())) for place in range(2)} == {1: marks[1], 2: marks[2]}
    (line,) = (series for series in views.accuracy_series(watched) if series.name == "clamped")
    assert "collapsed" in line.marks[line.rounds.index(2)]


def test_the_cell_where_a_ranking_turned_is_marked() -> None:
    turned = signal("stabilised", 2, layer="output"), signal("ranks-collapsed", 2, layer="dense1")
    view = folded(*SIMILAR, *turned, signal("stabilised", 1, layer="dense1", trial=1))
    assert views.layer_grid(view, "ticket", 0).marks == {(0, 1): "ranks-collapsed", (1, 1): "stabilised"}
    assert views.round_grid(view, "ticket", 0, "output").marks == {(2, 1): "stabilised", (1, 2): "stabilised"}
    assert views.layer_grid(view, "reinit", 0).marks == {}
    assert views.layer_lines(view, "ticket", 0)[0].marks == ((), ("ranks-collapsed",))


def test_distances_are_means_over_trials_of_the_arms_that_differ(watched: RunView) -> None:
    table = views.distance_table(watched)
    header, rows = list(table.columns), table.rows
    assert (header, [row[0] for row in rows]) == (["layer", "ticket", "clamped"], list(watched.layers))
    found = [trial.rounds[0].result.magnitudes["dense1"] for trial in watched.arm("clamped").trials]
    before, after = (
        sum(getattr(item, name) for item in found) / len(found) for name in ("start_distance", "end_distance")
    )
    assert rows[0][2] == f"{before:.3f} → {after:.3f}"
    assert after < 0.1 < before, "clamping draws bounds uniformly"


def test_arms_that_share_their_dense_round_have_one_column_of_distances(finished: RunFolder) -> None:
    table = views.distance_table(fold(RunView(), finished.events()))
    header, rows = list(table.columns), table.rows
    assert header == ["layer", "ticket"]
    assert len(rows) == 3
    assert views.distance_table(folded(started())) == views.Table(("layer",), ())


def test_the_json_has_what_a_round_signals(watched: RunView) -> None:
    told = views.show_json(watched, "done")
    assert json.loads(json.dumps(told, allow_nan=False)) == json.loads(json.dumps(told))
    for arm, written in zip(watched.arms, told["arms"], strict=True):
        for place, trial in enumerate(arm.trials):
            rounds = written["trials"][place]["rounds"]
            for item, row in zip(trial.rounds.values(), rounds, strict=True):
                assert (row["collapsed"], row["validation_accuracy"]) == (
                    item.result.collapsed,
                    item.result.validation_accuracy,
                )
                assert {
                    name: Magnitudes(**found) for name, found in row["magnitudes"].items()
                } == item.result.magnitudes
                assert (EarlyBird(**row["early_bird"]) if row["early_bird"] else None) == item.result.early_bird
            said = [(row["round"], it["kind"], it["layer"], it["text"]) for row in rounds for it in row["signals"]]
            assert said == [
                (it.round, it.kind, it.layer, it.text)
                for it in watched.signals
                if (it.arm, it.trial) == (arm.name, place)
            ]
