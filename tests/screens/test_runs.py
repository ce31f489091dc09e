"""Runs: the list, its true status, and what can be done with a run."""

import shutil
from pathlib import Path

import pytest
from driving import finished, lab_app, picture_of, started, tiny_study, until, words, write_run
from textual.command import CommandPalette
from textual.content import Content
from textual.widgets import Input, TextArea

from engine.spec import parse_study
from engine.store import RunFinished, Store
from screens.describing import DescribeDialog
from screens.listing import about, columns_of
from screens.text import plain, sparkline
from screens.widgets.fields import FieldRow
from screens.widgets.run_table import RunTable

DONE = RunFinished(status="done", trained=3, reused=0, seconds=75.0)


async def open_runs(pilot, app, count: int) -> RunTable:
    await until(pilot, lambda: app.current_mode == "runs")
    table = app.screen.query_one(RunTable)
    await until(pilot, lambda: len(table.listed.runs) == count)
    return table


def shown(table: RunTable) -> list[str]:
    return [run.id for run in table.listed.runs]


def row_of(app, text: str) -> str:
    """The line of the screen with that text."""
    return next(line for line in picture_of(app).splitlines() if text in line)


def cells_of(table: RunTable, run: str) -> dict[str, str]:
    """What the line of a run says in each column."""
    line = "".join(segment.text for segment in table.render_line(shown(table).index(run) + 1))
    found = {}
    for column in table.columns:
        found[column.name], line = line[: column.width].strip(), line[column.width :]
    return found


def titled(home: Path, title: str, note: str = "", **more: object) -> str:
    """A finished run with that title."""
    run = write_run(home, [started("a"), finished(0, **more), finished(1, **more), DONE])
    with Store(home).open(run) as folder:
        folder.describe(title=title, note=note)
    return run


async def test_an_empty_store_says_what_to_do(tmp_path: Path):
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_runs(pilot, app, 0)
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert "Press 1 for Configure" in picture_of(app)
        await pilot.press("o", "n", "e", "space", "w", "delete", "s", "S", "escape", "end", "u")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert "there is no deleted run" in next(iter(app._notifications)).message
        assert app.current_mode == "runs"


async def test_status_is_true(tmp_path: Path):
    names = {
        "done": write_run(tmp_path, [started("a"), finished(0, 0.5), finished(1), finished(2, 0.8), DONE]),
        "interrupted": write_run(tmp_path, [started("b"), finished(0)]),
        "running": write_run(tmp_path, [started("c"), finished(0)], owned=True),
    }
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "run.db").write_bytes(b"no database")
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 4)
        assert {run: cells_of(table, run)["status"] for run in shown(table)} == {
            names["done"]: "✓ done",
            names["interrupted"]: "! interrupted",
            names["running"]: "▶ elsewhere",
            "broken": "? damaged",
        }
        table.go_to(names["running"])
        await until(pilot, lambda: "running in another process; ⏎ follows it" in words(app, "#chosen-run"))
        app.lab.active = names["running"]
        await pilot.press("f5")
        await until(pilot, lambda: cells_of(table, names["running"])["status"] == "▶ here")
        assert words(app, "#chosen-run").startswith(f"{names['running']}   running here\n")
        cells = cells_of(table, names["done"])
        assert (cells["name"], cells["data"], cells["rounds"]) == ("tiny", "digits", "3/3")
        assert (cells["acc"], cells["by round"]) == ("90.00%", "▁█▆")
        table.go_to("broken")
        await until(pilot, lambda: "lth-tui doctor says why" in picture_of(app))
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: "▶ running here" in picture_of(app))
        table.go_to(names["done"])
        told = "tiny on digits; dense 50.00%, best 90.00%, newest 80.00% at 63.3% left; arm ticket; cpu"
        await until(pilot, lambda: told in picture_of(app))
        assert "1:15 min" in row_of(app, "✓ done")


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
        assert "is damaged" in next(iter(app._notifications)).message
        await pilot.press("w", "delete")
        await until(pilot, lambda: app.screen.has_class("-empty"))
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


async def test_words_of_strangers_are_text(tmp_path: Path):
    begun = started("a")
    folder = begun.dataset.model_copy(update={"name": "[/b][x]"})
    run = write_run(tmp_path, [begun.model_copy(update={"dataset": folder})])
    with Store(tmp_path).open(run) as kept:
        kept.describe(title="[/b]\x1b[31m日本", note="[red]note\x9b2J")
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(120, 36)) as pilot:
        await open_runs(pilot, app, 1)
        await until(pilot, lambda: "[/b][x]" in picture_of(app))
        assert "○" not in row_of(app, " [/b]\\x1b[31m日本      ")
        assert "note  [red]note\\x9b2J" in picture_of(app)


async def test_resume_goes_on_with_the_same_run_where_that_makes_sense(tmp_path: Path):
    done = write_run(tmp_path, [started("a"), finished(0), DONE])
    stopped = write_run(tmp_path, [started("b"), DONE.model_copy(update={"status": "stopped"})])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(100, 24)) as pilot:
        table = await open_runs(pilot, app, 2)
        await until(pilot, lambda: table.chosen.id == stopped and "r Resume" in picture_of(app))
        await pilot.press("j")
        await until(pilot, lambda: table.chosen.id == done and "r Resume" not in picture_of(app))
        await pilot.press("r", "k")
        await until(pilot, lambda: table.chosen.id == stopped)
        assert app.worker.run is None
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "live" and not app.worker.active)
        assert (app.worker.run, app.lab.follower.run) == (stopped, stopped)
        assert len(Store(tmp_path).runs()) == 2


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
        await until(pilot, lambda: table.chosen.id == first)
        write_run(tmp_path, [started("c")])
        await pilot.press("f5")
        await until(pilot, lambda: len(table.listed.runs) == 3)
        assert (table.row, table.chosen.id) == (2, first)
        await pilot.press("k")
        await until(pilot, lambda: words(app, "#chosen-run").startswith(second))
        shutil.rmtree(tmp_path / "runs" / first)
        await pilot.press("f5")
        await until(pilot, lambda: len(table.listed.runs) == 2)
        assert table.chosen.id == second


async def test_more_runs_than_lines_scroll_with_the_cursor(tmp_path: Path):
    runs = [titled(tmp_path, f"run {number:02}") for number in range(20)]
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(60, 16)) as pilot:
        table = await open_runs(pilot, app, 20)
        for keys, row in ((("end",), 19), (("pageup",), 19 - table.page), (("home",), 0), (("pagedown", "down"), None)):
            await pilot.press(*keys)
            row = table.page + 1 if row is None else row
            await until(pilot, lambda row=row: table.row == row)
            await until(pilot, lambda row=row: f"run {19 - row:02} " in picture_of(app))
        await pilot.press("end")
        await pilot.click(table, offset=(10, 3))
        await until(pilot, lambda: table.row == table.scroll_offset.y + 2)
        chosen, line = table.chosen, table.row - table.scroll_offset.y
        for run in runs[-3:]:
            Store(tmp_path).delete(run)
        await pilot.press("f5")
        await until(pilot, lambda: len(table.listed.runs) == 17)
        assert (table.chosen, table.row - table.scroll_offset.y) == (chosen, line)
        await pilot.click(table, offset=(10, 3), times=2)
        await until(pilot, lambda: app.current_mode == "live" and app.lab.follower.run == chosen.id)


async def test_runs_are_found_ordered_and_picked(tmp_path: Path):
    low, middle, high = (
        titled(tmp_path, name, accuracy=value) for name, value in (("one", 0.5), ("two", 0.7), ("six", 0.9))
    )
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 3)
        assert shown(table) == [high, middle, low]
        await pilot.press("j", "space")
        await until(pilot, lambda: app.lab.picked == (middle,) and "1 picked" in picture_of(app))
        assert cells_of(table, middle)[""] == "●"
        while table.listed.by != "acc":
            await pilot.press("s")
        await pilot.press("S")
        await until(pilot, lambda: "acc▲" in picture_of(app))
        assert (shown(table), table.chosen.id) == ([low, middle, high], middle)

        field = app.screen.query_one(Input)
        await pilot.press("slash", *"dense<80% age>")
        await until(pilot, lambda: "not understood" in picture_of(app))
        assert '"age>": not understood; allowed: age with' in picture_of(app)
        assert shown(table) == [low, middle], "what cannot be understood leaves the list as it is"
        await pilot.press(*["backspace"] * 5)
        await until(
            pilot,
            lambda: "2 of 3 runs" in picture_of(app) and "not understood" not in picture_of(app),
        )
        assert (shown(table), table.chosen.id) == ([low, middle], middle)
        await pilot.press("up", "enter")
        await until(pilot, lambda: table.has_focus and table.chosen.id == low)
        await pilot.press("space")
        await until(pilot, lambda: app.lab.picked == (middle, low))
        await pilot.press("slash", "end", *" zebra")
        await until(pilot, lambda: "No run is like that" in picture_of(app))
        assert field.value == "dense<80% zebra"
        await pilot.press("escape")
        await until(pilot, lambda: shown(table) == [low, middle, high] and table.has_focus)
        assert (field.value, app.lab.picked) == ("", (middle, low))
        await pilot.press("slash", *"sta")
        await until(pilot, lambda: field._suggestion == "status:")
        await pilot.press("right", "d", "right", "enter")
        await until(pilot, lambda: field.value == "status:done" and table.has_focus)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.lab.picked == () and "picked" not in picture_of(app))


async def test_the_cursor_is_seen_without_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    write_run(tmp_path, [started("a")])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 1)
        drawn = [segment for segment in app.screen._compositor.render_strips()[3] if "tiny" in segment.text]
        assert drawn[0].style.reverse
        assert table.row == 0


async def test_a_deleted_run_is_brought_back_also_by_another_process(tmp_path: Path):
    first, second = titled(tmp_path, "first"), titled(tmp_path, "second")
    work = write_run(tmp_path, [started("c")], owned=True)
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 3)
        app.lab.picked = (first, second)
        await pilot.press("delete")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert "in use by process" in next(iter(app._notifications)).message
        await pilot.press("j", "delete")
        await until(pilot, lambda: any("u brings it back" in item.message for item in app._notifications))
        await until(pilot, lambda: shown(table) == [work, first] and app.lab.picked == (first,))
        assert table.chosen.id == first, "the cursor stays where it is"
        await pilot.press("delete")
        await until(pilot, lambda: shown(table) == [work])
        await pilot.press("u")
        await until(pilot, lambda: shown(table) == [work, first] and table.chosen.id == first)
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 2)
        await pilot.press("u")
        await until(pilot, lambda: shown(table) == [work, second, first] and table.chosen.id == second)


async def test_a_run_gets_a_title_and_a_note(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), finished(0)])
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_runs(pilot, app, 1)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, DescribeDialog))
        await pilot.press(*"mine", "enter", *"one", "enter", *"two")
        with Store(tmp_path).open(run) as other:
            other.describe(note="meanwhile")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: table.chosen.title == "mine")
        assert table.chosen.note == "one\ntwo"
        assert cells_of(table, run)["name"] == "mine"
        assert "note  one" in picture_of(app)

        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, DescribeDialog))
        with Store(tmp_path).open(run) as other:
            other.describe(title="theirs")
        app.screen.query_one(TextArea).text = "x" * 2001
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "2001 characters; allowed: at most 2000" in picture_of(app))
        app.screen.query_one(TextArea).text = "short"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: table.chosen.note == "short")
        assert table.chosen.title == "theirs", "what was not changed here is not written"
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, DescribeDialog))
        await pilot.press(*"lost", "escape")
        await until(pilot, lambda: app.screen is table.screen)
        assert Store(tmp_path).runs()[0].title == "theirs"


# In words


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ((), 8, ""),
        ((0.9,), 8, "█"),
        ((0.0, 1.0), 8, "▁█"),
        ((0.981, 0.982, 0.983), 8, "▇▇█"),
        (tuple(place / 6 for place in range(7)), 8, "▁▂▃▅▆▇█"),
        (tuple(place / 99 for place in range(100)), 7, "▁▂▃▅▆▇█"),
        ((0.1, 0.5, 1.0), 1, "█"),
        ((0.1, 0.5), 0, ""),
    ],
)
def test_a_sparkline_rises_with_its_values_and_noise_stays_flat(values: tuple[float, ...], width: int, drawn: str):
    assert sparkline(values, width) == drawn


@pytest.mark.parametrize("width", [20, 59, 79, 91, 99, 109, 119, 200])
def test_the_columns_fill_the_window(width: int):
    columns = columns_of(width)
    assert sum(column.width for column in columns) == max(width, sum(column.width for column in columns_of(20)))
    assert {"status", "name", "rounds", "acc", "by round"} <= {column.name for column in columns}


def test_a_note_is_told_in_two_lines_too(tmp_path: Path):
    run = titled(tmp_path, "mine", note="one\n\ntwo")
    (summary,) = Store(tmp_path).runs()
    first = f"mine   {run}   done"
    assert about(summary, None, "", tall=False) == Content(f"{first}\nnote  one")
    assert str(about(summary, None, "", tall=True)).splitlines()[0::2] == [first, "note  one"]


HOSTILE_TITLES = [
    "best [lr=1e-3",
    "[bold red]bold[/] [/] [",
    "[@click=app.quit]press[/]",
    "\\[a] \\",
    "\x1b]0;owned\x07\x1b[31mred",
    "$primary [$primary 10%",
]


@pytest.mark.parametrize("title", HOSTILE_TITLES)
async def test_text_is_text_wherever_a_run_is_drawn(tmp_path: Path, title: str):
    """Markup, escapes and click tags in a title, a note and the name of a data set are drawn as they are."""
    run = write_run(tmp_path, [started("a"), finished(0), finished(1), DONE])
    with Store(tmp_path).open(run) as folder:
        folder.describe(title=title, note=title)
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(140, 40)) as pilot:
        await open_runs(pilot, app, 1)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"open run")
        await until(pilot, lambda: f"{plain(title)}, done, digits" in picture_of(app))
        await pilot.press("escape", "escape")
        app.notify(title, markup=False)
        for mode in ("2", "3", "4", "5", "6"):
            await pilot.press(mode)
            await pilot.pause()
        assert app.return_code is None
        assert app.is_running
