"""The shell: modes, help, palette, quitting, and an engine that fails."""

import shutil
import threading
from pathlib import Path
from pkgutil import resolve_name

import pytest
from driving import Finished, lab_app, picture_of, tiny_study, until
from textual.command import CommandPalette

from engine.errors import InvariantViolated
from engine.paths import log_file
from engine.store import Request, RunFinished, RunFolder, Store
from lth_tui.shell import SCREENS
from lth_tui.worker import execute
from screens.dialogs import HelpScreen, LeavingDialog, QuitDialog
from screens.messages import StartStudy
from screens.widgets.heatmap import Heatmap


def patient_engine(released: threading.Event):
    """An engine that works until it is asked to stop, or released."""

    def engine(folder: RunFolder, store: Store) -> str:
        folder.own()
        while not released.wait(0.02):
            if folder.requested() is Request.STOP:
                folder.append(RunFinished(status="stopped", trained=0, reused=0, seconds=1))
                return "stopped"
        folder.append(RunFinished(status="done", trained=0, reused=0, seconds=1))
        return "done"

    return engine


def messages(app) -> list[str]:
    return [note.message for note in app._notifications]


async def test_a_study_runs_from_one_key_to_the_heatmap(finished: Finished, tmp_path: Path):
    home = shutil.copytree(finished.home, tmp_path / "home")
    app = lab_app(home, tiny_study().model_copy(update={"seed": 50}), engine=execute)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "16" in picture_of(app))
        await pilot.press("s")
        await until(pilot, lambda: app.lab.follower is not None and app.lab.follower.status == "done", 3000)
        await until(pilot, lambda: "16/16" in picture_of(app))
        await until(pilot, lambda: any("done" in words for words in messages(app)))
        assert app.lab.follower.view.trained == 14
        await pilot.press("4")
        await until(pilot, lambda: app.screen.query(Heatmap) and app.screen.query_one("#by-layer", Heatmap).grid)
        assert "dense1, round 1 with 0" in picture_of(app)


async def test_help_is_made_from_the_bindings(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(100, 60)) as pilot:
        for key, told in (
            ("1", "Begin a new run of this study"),
            ("2", "Read the list anew"),
            ("4", "Go to Configure"),
        ):
            await pilot.press(key, "question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            await until(pilot, lambda told=told: told in picture_of(app))
            await pilot.press("question_mark")
            await until(pilot, lambda: not isinstance(app.screen, HelpScreen))
        for binding in [
            binding for mode in ("configure", "runs", "live", "heatmaps") for binding in _bindings(app, mode)
        ]:
            assert binding.id, binding
            assert binding.description, binding
            assert binding.tooltip, binding


def _bindings(app, mode: str):
    return [*resolve_name(SCREENS[mode]).BINDINGS, *(binding for binding in app.BINDINGS if not binding.system)]


async def test_the_palette_has_every_action(tmp_path: Path):
    app = lab_app(tmp_path, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "runs")
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {"Theme", "Configure", "Live", "Heatmaps", "Help", "Quit"} <= set(commands)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"heatm")
        await until(pilot, lambda: "Go to Heatmaps" in picture_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "heatmaps")


async def test_the_palette_finds_runs_and_presets(finished: Finished):
    app = lab_app(finished.home, first="heatmaps")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "heatmaps")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"open run tiny")
        await until(pilot, lambda: "done, digits, 16/16 rounds" in picture_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "live" and app.lab.follower.run == finished.run)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"one-shot-q")
        await until(pilot, lambda: "Configure with one-shot-quick" in picture_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "configure" and app.lab.source == "one-shot-quick")


async def test_themes_change_what_is_drawn(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        for theme in ("light", "high-contrast", "ansi-light"):
            app.theme = theme
            await pilot.pause()
        assert "quickstart" in picture_of(app)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quit_with_nothing_at_work(tmp_path: Path, key: str):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_quit_asks_while_a_run_is_at_work(tmp_path: Path):
    released = threading.Event()
    app = lab_app(tmp_path, tiny_study(), engine=patient_engine(released), first="live")
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: app.current_mode == "live" and app.worker.active)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog) and "is at work" in picture_of(app))
        await pilot.press("k")
        await until(pilot, lambda: not isinstance(app.screen, QuitDialog))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, QuitDialog))
        assert app.worker.active

        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: any("one at a time" in words for words in messages(app)))
        assert len(Store(tmp_path).runs()) == 1, "a start that is refused makes no run"

        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("s")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    assert not app.worker.active
    (run,) = Store(tmp_path).runs()
    assert run.status == "stopped"
    assert app.last_words == f"{run.id}: stopped; to go on where it was: lth-tui resume {run.id}"


@pytest.mark.parametrize("patient", [True, False])
async def test_stopping_is_shown_until_the_thread_has_ended(tmp_path: Path, patient: bool):
    slow, asked = threading.Event(), threading.Event()

    def engine(folder: RunFolder, store: Store) -> str:
        folder.own()
        while folder.requested() is not Request.STOP:
            slow.wait(0.02)
        asked.set()
        slow.wait(30)
        return "stopped"

    app = lab_app(tmp_path, tiny_study(), engine=engine, first="live")
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: app.current_mode == "live" and app.worker.active)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, LeavingDialog) and asked.is_set())
        assert "stopping at a checkpoint…" in picture_of(app)
        await pilot.press("q", "escape")
        await pilot.pause()
        assert app.is_running
        if patient:
            slow.set()
        else:
            await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    assert app.worker.active is not patient
    slow.set()
    assert app.worker.wait(10)


async def test_an_engine_that_fails_leaves_the_interface_alive(tmp_path: Path, capsys):
    def engine(folder: RunFolder, store: Store) -> str:
        folder.own()
        raise ZeroDivisionError("a [b]sum[/b] gone wrong")

    app = lab_app(tmp_path, tiny_study(), engine=engine, first="live")
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: any("[b]sum[/b]" in words for words in messages(app)))
        assert str(log_file(tmp_path)) in messages(app)[0]
        await until(pilot, lambda: "✗ failed" in picture_of(app))
        assert not app.worker.active
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "configure")
    assert "ZeroDivisionError" in log_file(tmp_path).read_text()
    assert Store(tmp_path).runs()[0].status == "failed"


async def test_a_study_for_which_the_disk_has_no_room_makes_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    app = lab_app(tmp_path, tiny_study(), first="live")
    async with app.run_test() as pilot:
        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: any("0.00 GB are free" in words for words in messages(app)))
        assert not app.worker.active
    assert not Store(tmp_path).runs()


async def test_a_broken_guard_is_told_in_its_words(tmp_path: Path):
    def engine(folder: RunFolder, store: Store) -> str:
        raise InvariantViolated("a pruned weight is zero", round=3, layer="dense1", found="2 are not")

    app = lab_app(tmp_path, tiny_study(), engine=engine, first="live")
    async with app.run_test() as pilot:
        app.post_message(StartStudy(tiny_study()))
        await until(pilot, lambda: messages(app))
        assert messages(app) == ["guard broken at layer dense1, round 3: a pruned weight is zero (2 are not)"]
    assert not log_file(tmp_path).exists()


async def test_where_no_run_is_shown_yet_the_newest_is(finished: Finished):
    app = lab_app(finished.home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: app.current_mode == "compare" and app.lab.follower is not None)
        assert app.lab.follower is not None
        assert app.lab.follower.run == finished.run
        await until(pilot, lambda: "reinit" in picture_of(app))
