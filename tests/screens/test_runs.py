"""Runs: the list, its true status, and what can be done with a run."""

import shutil
from pathlib import Path

from driving import finished, lab_app, picture_of, started, tiny_study, until, words, write_run
from textual.widgets import DataTable

from engine.spec import parse_study
from engine.store import RunFinished, Store
from screens.widgets.fields import FieldRow


async def open_runs(pilot, app, count: int) -> DataTable:
    await until(pilot, lambda: app.current_mode == "runs")
    table = app.screen.query_one(DataTable)
    await until(pilot, lambda: table.row_count == count)
    return table


async def test_an_empty_store_says_what_to_do(tmp_path: Path):
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_runs(pilot, app, 0)
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "Press 1 for Configure" in picture_of(app)
        await pilot.press("o", "n", "e")
        await pilot.pause()
        assert app.current_mode == "runs"


async def test_status_is_true(tmp_path: Path):
    done = RunFinished(status="done", trained=3, reused=0, seconds=75.0)
    names = {
        "done": write_run(tmp_path, [started("a"), finished(0), finished(1), finished(2), done]),
        "interrupted": write_run(tmp_path, [started("b"), finished(0)]),
        "running": write_run(tmp_path, [started("c"), finished(0)], owned=True),
    }
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "run.db").write_bytes(b"no database")
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 4)
        told = {row.value: str(table.get_row(row)[0]) for row in table.rows}
        assert told == {
            names["done"]: "✓ done",
            names["interrupted"]: "! interrupted",
            names["running"]: "▶ elsewhere",
            "broken": "? damaged",
        }
        table.move_cursor(row=table.get_row_index(names["running"]))
        await until(pilot, lambda: "running in another process" in words(app, "#chosen-run"))
        app.lab.active = names["running"]
        await pilot.press("f5")
        await until(pilot, lambda: str(table.get_row(names["running"])[0]) == "▶ running")
        assert words(app, "#chosen-run") == names["running"]
        row = table.get_row(names["done"])
        assert [str(cell) for cell in row[1:4]] == ["tiny", "digits", "3/3"]
        assert str(row[5]) == "1:15 min"
        assert "3/3" in picture_of(app)


async def test_open_shows_the_run_in_live(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), finished(0)])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test() as pilot:
        await open_runs(pilot, app, 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "live" and app.lab.follower is not None)
        assert app.lab.follower.run == run


async def test_a_damaged_run_is_told_and_nothing_breaks(tmp_path: Path):
    run = write_run(tmp_path, [started("a")])
    (tmp_path / "runs" / run / "run.db").write_bytes(b"no database")
    app = lab_app(tmp_path, first="runs")
    async with app.run_test() as pilot:
        await open_runs(pilot, app, 1)
        await pilot.press("enter")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert "cannot be read" in next(iter(app._notifications)).message
        assert app.current_mode == "runs"


async def test_start_again_is_a_new_run_of_the_same_study(tmp_path: Path):
    write_run(tmp_path, [started("a")])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test() as pilot:
        await open_runs(pilot, app, 1)
        await pilot.press("n")
        await until(pilot, lambda: app.current_mode == "live")
        await until(pilot, lambda: not app.worker.active)
        studies = {Store(tmp_path).open(run.id).study().hash for run in Store(tmp_path).runs()}
        assert len(Store(tmp_path).runs()) == 2
        assert studies == {tiny_study().hash}


async def test_brackets_in_a_name_are_text(tmp_path: Path):
    begun = started("a")
    folder = begun.dataset.model_copy(update={"name": "[/b][x]"})
    write_run(tmp_path, [begun.model_copy(update={"dataset": folder})])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_runs(pilot, app, 1)
        await until(pilot, lambda: "[/b][x]" in picture_of(app))


async def test_resume_goes_on_with_the_same_run_where_that_makes_sense(tmp_path: Path):
    ended = RunFinished(status="done", trained=3, reused=0, seconds=75.0)
    done = write_run(tmp_path, [started("a"), finished(0), ended])
    stopped = write_run(tmp_path, [started("b"), ended.model_copy(update={"status": "stopped"})])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(100, 24)) as pilot:
        table = await open_runs(pilot, app, 2)
        await until(pilot, lambda: words(app, "#chosen-run") == stopped and "r Resume" in picture_of(app))
        await pilot.press("j")
        await until(pilot, lambda: words(app, "#chosen-run") == done and "r Resume" not in picture_of(app))
        await pilot.press("r", "k")
        await until(pilot, lambda: words(app, "#chosen-run") == stopped)
        assert app.worker.run is None
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "live" and not app.worker.active)
        assert (app.worker.run, app.lab.follower.run) == (stopped, stopped)
        assert table.row_count == len(Store(tmp_path).runs()) == 2


async def test_edit_puts_its_study_into_the_form(tmp_path: Path):
    study = parse_study('name="mine"\ntrials=7\n[[arm]]\nname="ticket"\n', source="mine")
    write_run(tmp_path, [started("a")], study)
    app = lab_app(tmp_path, first="runs")
    async with app.run_test() as pilot:
        await open_runs(pilot, app, 1)
        await pilot.press("e")
        await until(pilot, lambda: app.current_mode == "configure")
        rows = {row.spec.path: row for row in app.screen.query(FieldRow)}
        await until(pilot, lambda: rows["trials"].value == "7" and rows["name"].value == "mine")


async def test_the_cursor_stays_on_its_run_when_another_arrives(tmp_path: Path):
    first = write_run(tmp_path, [started("a")])
    second = write_run(tmp_path, [started("b")])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test() as pilot:
        table = await open_runs(pilot, app, 2)
        await pilot.press("j")
        await until(pilot, lambda: table.cursor_row == 1)
        assert words(app, "#chosen-run") == first
        write_run(tmp_path, [started("c")])
        await pilot.press("f5")
        await until(pilot, lambda: table.row_count == 3)
        await until(pilot, lambda: words(app, "#chosen-run") == first)
        await pilot.press("k")
        await until(pilot, lambda: words(app, "#chosen-run") == second)
        shutil.rmtree(tmp_path / "runs" / first)
        await pilot.press("f5")
        await until(pilot, lambda: table.row_count == 2)
