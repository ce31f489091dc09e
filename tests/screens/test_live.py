"""Live: a run of the engine, a run that is still written, one that diverged, and none."""

import math
import sqlite3
from pathlib import Path

import pytest
from driving import Finished, lab_app, picture_of, points, started, training, until, write_run
from driving import (
    finished as round_finished,
)
from textual._xterm_parser import XTermParser
from textual.widget import Widget
from textual.widgets import Input

from engine.spec import Study
from engine.store import Diverged, InvariantFailed, Note, Paused, Request, Resumed, RunFinished, Store
from engine.store.run_db import DATABASE_FILE
from engine.views import accuracy_series
from lth_tui.shell import LabApp
from screens.messages import OpenRun
from screens.widgets.layers import LayerBars
from screens.widgets.log import EventLog
from screens.widgets.plot import LinePlot

PRESS, RELEASE, DRAG, WHEEL_UP, WHEEL_DOWN = "0M", "0m", "32M", "64M", "65M"
"""What a terminal tells of the mouse: a button's number, and whether it is down."""


def mouse(app: LabApp, widget: Widget, at: tuple[int, int], *told: str) -> None:
    """Tell the interface of the mouse at a cell of the widget, in a terminal's bytes."""
    x, y = widget.content_region.offset + at
    for number, down in ((word[:-1], word[-1]) for word in told):
        for event in XTermParser().feed(f"\x1b[<{number};{x + 1};{y + 1}{down}"):
            app._driver.process_message(event)


async def shown(pilot, app) -> None:
    await until(pilot, lambda: app.current_mode == "live" and app.screen._drawn_event >= 0)


async def test_without_a_run_it_says_where_to_find_one(tmp_path: Path):
    app = lab_app(tmp_path, first="live")
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.current_mode == "live" and app.screen.has_class("-empty"))
        assert "Press 1 for Configure" in picture_of(app)
        await pilot.press("p", "x", "n", "v", "f", "a", "t", "right_square_bracket")
        assert app.screen.maximized is None


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (60, 16)])
async def test_a_run_of_the_engine_is_drawn(finished: Finished, size):
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, app)
        await pilot.pause()
        screen = picture_of(app)
        assert "✓ done" in screen
        assert "16/16" in screen
        accuracy = app.screen.query_one("#accuracy", LinePlot).picture
        assert [line.name for line in accuracy.lines] == ["ticket", "reinit"]
        assert accuracy.lines[0].x == pytest.approx((100, 80.2, 64.33, 51.62), abs=0.02)
        assert accuracy.level is not None
        assert accuracy.level[1] == pytest.approx(accuracy.lines[0].y[0])
        assert "● ticket" in screen
        assert "x reinit" in screen
        assert "dense" in screen
        loss = app.screen.query_one("#loss", LinePlot)
        await until(pilot, lambda: loss.picture.lines and loss.picture.lines[0].x == (10, 20, 30, 40))
        if size[1] >= 24:
            assert "dense1" in screen
            assert "51.2%" in screen
            assert "done: " in screen.splitlines()[-2]


async def test_keys_choose_curves_and_layers(finished: Finished):
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        loss = app.screen.query_one("#loss", LinePlot)
        await until(pilot, lambda: "ticket t1 r0 1/16" in loss.picture.title)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "ticket t1 r1 2/16" in loss.picture.title)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: "reinit t2 r3 16/16" in loss.picture.title)
        assert loss.display
        await pilot.press("v")
        await until(pilot, lambda: not loss.display)
        assert "val. acc." in picture_of(app)
        layers = app.screen.query_one(LayerBars)
        await pilot.press("a")
        await until(pilot, lambda: "reinit t1" in str(layers.render()))
        await pilot.press("t")
        await until(pilot, lambda: "reinit t2" in str(layers.render()))
        picture = app.screen.query_one("#accuracy", LinePlot)
        await pilot.press("z")
        await until(pilot, lambda: picture.sight.y is not None)
        await pilot.press("f")
        await until(pilot, lambda: app.screen.maximized is not None and picture.size.width == 80)
        await pilot.press("f")
        await until(pilot, lambda: app.screen.maximized is None)


async def test_a_plot_is_explored_by_keys_and_mouse(finished: Finished):
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app)
        plot = app.screen.query_one("#accuracy", LinePlot)

        async def read(*keys: str, told: str) -> None:
            await pilot.press(*keys)
            await until(pilot, lambda: told in picture_of(app))

        await until(pilot, lambda: plot.has_focus and "←→↑↓ read points" in picture_of(app))
        ticket = accuracy_series(app.lab.follower.view)[0]
        await read("left", told="[●]")
        await read("h", told=f"● ticket  r2  x {ticket.x[2]:.4g}  y {100 * ticket.mean[2]:.5g}")
        assert f"n 2  {100 * ticket.low[2]:.5g} to {100 * ticket.high[2]:.5g}" in picture_of(app)
        await read("b", told=f"±{100 * ticket.error[2]:.3g}")
        await read("plus", "plus", told="zoomed")
        assert plot.sight.x.fraction(-math.log10(ticket.x[2])) == pytest.approx(2 / 3, abs=0.02), "about the cursor"
        x = plot.sight.x
        await read("H", "e", told="log y")
        assert plot.sight.x.width == x.width
        assert plot.sight.x.start < x.start
        await read("full_stop", "i", told="›( ) reinit")
        assert "reinit is hidden" in picture_of(app)
        await read("i", "o", told="  ~")
        await read("backspace", "left", told="[x]")
        assert not plot.sight.zoomed
        await pilot.press("f")
        await until(pilot, lambda: plot.size.width == 120)
        assert "· " in picture_of(app), "the line itself in points"
        await pilot.press("f")
        await until(pilot, lambda: app.screen.maximized is None and plot.size.width < 120)
        layout = plot._layout
        column, row = layout.cell((layout.traces[0].x[0], layout.traces[0].y[0]))
        at = (layout.left + column, len(plot._parts.above) + layout.rows - 1 - row)
        app.screen.set_focus(None)
        await until(pilot, lambda: "[x]" not in picture_of(app))
        mouse(app, plot, at, PRESS, RELEASE)
        await until(pilot, lambda: plot.sight.at == ticket.x[0])
        mouse(app, plot, at, PRESS)
        mouse(app, plot, (at[0] + 9, at[1] - 2), DRAG, RELEASE)
        await until(pilot, lambda: plot.sight.zoomed)
        moved = plot._layout.cell((layout.traces[0].x[0], layout.traces[0].y[0]))
        assert moved == (column + 9, row + 2), "what was dragged went with the mouse"
        before = plot._layout
        pointed = before.place(*moved)
        mouse(app, plot, (at[0] + 9, at[1] - 2), WHEEL_UP, WHEEL_UP, WHEEL_UP)
        await until(pilot, lambda: plot.sight.x.width < before.shown.x.width / 3)
        after = plot._layout
        still = after.place(moved[0] + before.left - after.left, moved[1])
        for span, place, now in zip(after.shown, pointed, still, strict=True):
            assert span.fraction(now) == pytest.approx(span.fraction(place), abs=0.02), "about the pointer"
        mouse(app, plot, (at[0] + 9, at[1] - 2), WHEEL_DOWN, WHEEL_DOWN, WHEEL_DOWN)
        await until(pilot, lambda: plot.sight.x.width == pytest.approx(layout.shown.x.width))
        (name,) = (
            (row.plain.index("reinit"), y) for y, row in enumerate(plot._composed().above) if "reinit" in row.plain
        )
        mouse(app, plot, name, PRESS, RELEASE)
        await until(pilot, lambda: plot.sight.hidden == {"reinit"} and "›( ) reinit" in picture_of(app))
        mouse(app, plot, name, PRESS, RELEASE)
        await until(pilot, lambda: not plot.sight.hidden)


async def test_a_run_that_is_written_elsewhere_is_followed(tmp_path: Path):
    run = write_run(tmp_path, [started("a")], owned=True)
    store = Store(tmp_path)
    app = lab_app(tmp_path, first="live", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        accuracy = app.screen.query_one("#accuracy", LinePlot)
        assert accuracy.picture.lines[0].x == ()
        await until(pilot, lambda: "The first rounds are at work" in picture_of(app))
        with store.open(run) as folder:
            folder.append(round_finished(0))
            folder.set_progress(training("now"))
            folder.append_curve("now", points(2.0, 1.5))
            await until(pilot, lambda: accuracy.picture.lines[0].x == (100.0,))
            loss = app.screen.query_one("#loss", LinePlot)
            await until(pilot, lambda: loss.picture.lines and loss.picture.lines[0].y == (2.0, 1.5))
            await until(pilot, lambda: "1,234 it/s" in picture_of(app))
            screen = picture_of(app)
            assert "▶ training" in screen
            assert "1:15 min left" in screen
            assert "CPU ███· 75%  memory ██·· 4.0 GB" in screen
            assert "50/100" in screen
            folder.append_curve("now", [*points(2.0, 1.5, 1.2)[2:]])
            await until(pilot, lambda: loss.picture.lines[0].y == (2.0, 1.5, 1.2))
            folder.set_progress(training("next", number=2))
            await pilot.pause(0.6)
            assert loss.picture.lines[0].y == (2.0, 1.5, 1.2), "the last curve stays until the next has points"
            folder.append_curve("next", points(3.0))
            await until(pilot, lambda: loss.picture.lines[0].y == (3.0,))


async def test_pause_resume_and_stop_are_requests_in_the_store(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), round_finished(0)], owned=True)
    app = lab_app(tmp_path, first="live", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        with Store(tmp_path).open(run) as folder:
            folder.set_progress(training("now"))
            await shown(pilot, app)
            await until(pilot, lambda: "p Pause" in picture_of(app))
            await pilot.press("p")
            await until(pilot, lambda: folder.requested() is Request.PAUSE)
            await until(pilot, lambda: "pausing…" in picture_of(app))
            folder.append(Paused())
            await until(pilot, lambda: "‖ paused" in picture_of(app) and "p Resume" in picture_of(app))
            await pilot.press("r")
            await until(pilot, lambda: any("p resumes it" in note.message for note in app._notifications))
            await pilot.press("p")
            await until(pilot, lambda: folder.requested() is Request.RESUME)
            folder.append(Resumed())
            await until(pilot, lambda: "▶ training" in picture_of(app))
            await pilot.press("x")
            await until(pilot, lambda: folder.requested() is Request.STOP)
            await until(pilot, lambda: "stopping…" in picture_of(app))
            folder.append(RunFinished(status="stopped", trained=1, reused=0, seconds=3))
            await until(pilot, lambda: "■ stopped" in picture_of(app) and "n Start again" in picture_of(app))


async def test_a_loss_that_is_no_number_is_a_gap_and_a_message(tmp_path: Path):
    events = [
        started("a", rounds=2, trials=2),
        round_finished(0, 0.91),
        round_finished(0, 0.93, trial=1),
        round_finished(1, None),
        Diverged(arm="ticket", trial=0, round=1, key="ticket01"),
        round_finished(1, 0.92, trial=1),
    ]
    run = write_run(tmp_path, [*events, RunFinished(status="done", trained=4, reused=0, seconds=9)])
    with Store(tmp_path).open(run) as folder:
        folder.append_curve("ticket00", points(2.0, None, 1.0, None, None, 0.5))
        folder.append_curve("ticket01", points(None, None))
    app = lab_app(tmp_path, first="live", run=run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app)
        accuracy = app.screen.query_one("#accuracy", LinePlot).picture
        assert accuracy.lines[0].y == pytest.approx((92.0, 92.0))
        assert (accuracy.lines[0].low[0], accuracy.lines[0].high[0]) == (91.0, 93.0)
        assert accuracy.lines[0].error == pytest.approx((1.0, math.nan), nan_ok=True)
        assert accuracy.lines[0].trials == (2, 1)
        screen = picture_of(app)
        assert "! 1 diverged" in screen
        assert "no longer finite" in screen
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "the loss diverged" in picture_of(app))
        with sqlite3.connect(app.lab.follower.folder.folder / DATABASE_FILE) as damaged:
            damaged.execute("UPDATE curves SET train_loss = 'none' WHERE key = 'ticket00'")
        damaged.close()
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "damaged" in picture_of(app))


async def test_a_broken_guard_and_an_interrupted_run_are_told(tmp_path: Path):
    failed = RunFinished(status="failed", trained=1, reused=0, seconds=9, message="guard broken: \x1b[31m[b]x[/b]")
    broken = InvariantFailed(law="zero", layer="dense1", round=1, found="3")
    first = write_run(tmp_path, [started("a"), round_finished(0), broken, failed])
    second = write_run(tmp_path, [started("b"), round_finished(0)])
    app = lab_app(tmp_path, first="live", run=first)
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, app)
        await until(pilot, lambda: "✗ failed" in picture_of(app))
        assert "guard broken at layer dense1, round 1" in picture_of(app)
        assert "\\x1b[31m[b]x[/b]" in picture_of(app)
        app.post_message(OpenRun(second))
        await until(pilot, lambda: "interrupted: its process is gone" in picture_of(app))
        assert app.screen.query_one(EventLog).found == 2, "the log is of this run alone"


async def test_resizing_keeps_it_whole(finished: Finished):
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app)
        assert app.screen.query_one("#loss").display
        assert app.screen.query_one("#validation").display
        await pilot.resize_terminal(50, 12)
        await until(pilot, lambda: "60x16 is the least" in picture_of(app))
        assert "ticket" not in picture_of(app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "✓ done" in picture_of(app))
        assert not app.screen.query_one("#validation").display


async def test_the_log_is_searched_and_fills_the_screen(tmp_path: Path):
    events = [started("a", rounds=40)]
    for number in range(40):
        events += [round_finished(number, 0.9 + number / 1000), Note(text=f"note {number} [b]here[/b]")]
    run = write_run(tmp_path, [*events, Note(text="the words at the very end of a line that is too long: " + "x" * 60)])
    app = lab_app(tmp_path, first="live", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app)
        log = app.screen.query_one(EventLog)
        assert (log.found, log.size.height) == (82, 5)
        assert "note 39 [b]here[/b]" in picture_of(app)
        await pilot.press("slash", *"NOTE 2")
        await until(pilot, lambda: log.found == 13 and "13 of 82" in picture_of(app))
        assert "accuracy" not in picture_of(app), "the log alone"
        await pilot.press("enter", "up", "up")
        await until(pilot, lambda: log.has_focus and "note 28" in log.chosen.text)
        await pilot.press("slash", "ctrl+u", *"detail")
        await until(pilot, lambda: log.found == 40 and "ticket t1 r29" in log.chosen.text)
        await pilot.press("escape")
        await until(pilot, lambda: log.found == 82 and not app.screen.has_class("-log"))
        assert "ticket t1 r29" in log.chosen.text, "the cursor stays on its event"
        assert app.screen.query_one("#find", Input).value == ""
        await pilot.press("end", "f")
        await until(pilot, lambda: log.size.height > 10 and "x" * 20 in picture_of(app).splitlines()[-2])
        with Store(tmp_path).open(run) as folder:
            folder.append(Note(text="newest of all"))
        await until(pilot, lambda: log.chosen.text == "newest of all")
        await pilot.press("f")
        await until(pilot, lambda: log.size.height == 5)


async def test_a_run_that_was_cut_short_goes_on_from_live(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), round_finished(0)])
    seen: list[str] = []
    app = lab_app(tmp_path, first="live", run=run, engine=lambda folder, store: seen.append(folder.id) or "done")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "gone; r goes on with it" in picture_of(app))
        await pilot.press("r")
        await until(pilot, lambda: seen == [run] and not app.worker.active)


async def test_start_again_from_live(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = write_run(tmp_path, [started("a"), RunFinished(status="stopped", trained=0, reused=0, seconds=1)])
    seen: list[Study] = []
    app = lab_app(tmp_path, first="live", run=run, engine=lambda folder, store: seen.append(folder.study()) or "done")
    async with app.run_test() as pilot:
        await shown(pilot, app)
        await pilot.press("n")
        await until(pilot, lambda: seen and app.lab.follower is not None and app.lab.follower.run != run)
