"""Heatmaps: the engine's numbers in cells, found by keys."""

from pathlib import Path

import pytest
from driving import Finished, lab_app, picture_of, started, until, words, write_run
from driving import finished as round_finished

from engine.analysis.pairs import all_pairs, known_pairs
from engine.store import Store
from engine.views import RunView, fold
from screens.widgets.heatmap import Heatmap


async def shown(pilot, app) -> None:
    await until(pilot, lambda: app.current_mode == "heatmaps" and words(app, "#readout"))


async def test_cells_are_what_the_engine_measured(finished: Finished, tmp_path: Path):
    store = Store(finished.home)
    with store.open(finished.run) as folder:
        view = fold(RunView(), folder.events())
    rounds = view.arm("ticket").trials[0].rounds
    app = lab_app(finished.home, first="heatmaps", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        grid = app.screen.query_one("#by-layer", Heatmap).grid
        assert (grid.rows, grid.columns) == (("dense1", "dense2", "output"), ("1", "2", "3"))
        assert grid.values[0] == tuple(rounds[number].spearman["dense1"] for number in (1, 2, 3))
        await pilot.press("right", "right", "down")
        similarity = rounds[3].similarity["dense2"]
        await until(pilot, lambda: "dense2, round 3 with 2" in words(app, "#readout"))
        assert f"alive {similarity.alive:.3f}  all {similarity.all:.3f}" in words(app, "#readout")
        assert f"{similarity.alive:.2f}"[1:] in picture_of(app)
        await pilot.press("g")
        await until(pilot, lambda: "dense2: every pair" in picture_of(app))
        assert "layer by round" not in picture_of(app)
        await pilot.press("end", "j")
        await until(pilot, lambda: "dense2, round 3 with 1" in words(app, "#readout"))
        pairs = all_pairs(store.rounds, [item.key for item in rounds.values()], tmp_path)
        far = pairs[rounds[3].key, rounds[1].key]["dense2"].alive
        await until(pilot, lambda: f"alive {far:.3f}" in words(app, "#readout"))
        by_round = app.screen.query_one("#by-round", Heatmap).grid
        assert by_round.values[1][3] == by_round.values[3][1] == far
        kept = known_pairs([item.key for item in rounds.values()], finished.home)
        assert kept == pairs, "they are kept beside the rounds"


async def test_keys_choose_arm_trial_layer_measure_and_scale(finished: Finished):
    app = lab_app(finished.home, first="heatmaps", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        heatmap = app.screen.query_one("#by-layer", Heatmap)
        for key, told in (("a", "reinit (2 of 2)"), ("t", "trial 2 of 2"), ("m", "all weights"), ("m", "Jaccard")):
            await pilot.press(key)
            await until(pilot, lambda told=told: told in words(app, "#which"))
        await pilot.press("A", "T")
        await until(pilot, lambda: "ticket (1 of 2)  trial 1" in words(app, "#which"))
        await pilot.press("y")
        await until(pilot, lambda: heatmap.cursor[0] == 1)
        await pilot.press("Y", "Y")
        await until(pilot, lambda: heatmap.cursor[0] == 2)
        fitted = heatmap.scale
        await pilot.press("s")
        await until(pilot, lambda: heatmap.scale == (-1.0, 1.0) != fitted)
        assert "-1." in words(app, "#legend")


async def test_both_are_shown_where_they_fit(finished: Finished):
    app = lab_app(finished.home, first="heatmaps", run=finished.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app)
        assert "layer by round" in picture_of(app)
        assert "dense1: every pair" in picture_of(app)
        await pilot.press("tab")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "by-round")
        await pilot.click("#by-round", offset=(30, 2))
        await until(pilot, lambda: app.screen.query_one("#by-round", Heatmap).cursor != (0, 0))


async def test_what_is_missing_is_a_dot(tmp_path: Path):
    run = write_run(tmp_path, [started("a", rounds=3), round_finished(0), round_finished(1)])
    app = lab_app(tmp_path, first="heatmaps", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        assert ".50" in picture_of(app)
        assert "·" in picture_of(app)
        await pilot.press("end")
        await until(pilot, lambda: "round 3 with 2: not known yet" in words(app, "#readout"))
        await pilot.press("home", "m")
        await until(pilot, lambda: "all undefined" in words(app, "#readout"))


async def test_many_rounds_scroll_with_the_cursor(tmp_path: Path):
    run = write_run(tmp_path, [started("a", rounds=60), *(round_finished(number) for number in range(61))])
    app = lab_app(tmp_path, first="heatmaps", run=run)
    async with app.run_test(size=(60, 16)) as pilot:
        await shown(pilot, app)
        await pilot.press("g", "end")
        await until(pilot, lambda: "round 60 with 0" in words(app, "#readout"))
        app.screen.query_one("#by-round", Heatmap).action_move(60, 0)
        await until(pilot, lambda: "round 60 with 60" in words(app, "#readout"))
        assert "60" in picture_of(app)


@pytest.mark.parametrize("begun", [False, True])
async def test_nothing_to_compare_says_what_to_do(tmp_path: Path, begun):
    app = lab_app(tmp_path, first="heatmaps", run=write_run(tmp_path, []) if begun else None)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Nothing to compare yet" in picture_of(app))
        await pilot.press("g", "a", "right", "m", "s")
        assert app.current_mode == "heatmaps"
