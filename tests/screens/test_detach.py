"""A run at work goes on without the interface: handed over by key, by quitting, and as it was."""

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from driving import lab_app, picture_of, started, tiny_study, until, write_run
from textual.pilot import Pilot

from engine.errors import BadInput, LabError
from engine.store import Request, RunFinished, RunFolder, RunResumed, Store
from lth_tui.headless import follow_headless, run_headless
from lth_tui.shell import LabApp
from screens.dialogs import LeavingDialog, QuitDialog
from screens.lab import Follower
from screens.messages import StartStudy


class Handed:
    """Stands for the process without a terminal: what was handed to it, as it found it."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, Request | None]] = []
        self.alive = True
        self.problem: LabError | None = None
        self.ready = threading.Event()
        self.ready.set()

    def go_on(self, run: str, home: Path, asked: Request | None = None) -> None:
        self.ready.wait(30)
        if self.problem is not None:
            raise self.problem
        with Store(home).open(run) as folder:
            self.alive = folder.owner_alive()
        self.runs.append((run, asked))


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    found = Handed()
    monkeypatch.setattr("lth_tui.worker.go_on_detached", found.go_on)
    return found


def patient_engine(folder: RunFolder, store: Store) -> str:
    """Works until it is asked to stop."""
    never = threading.Event()
    while folder.requested() is not Request.STOP:
        never.wait(0.02)
    folder.append(RunFinished(status="stopped", trained=0, reused=0, seconds=1))
    return "stopped"


async def at_work(pilot: Pilot[None], app: LabApp) -> str:
    app.post_message(StartStudy(tiny_study()))
    await until(pilot, lambda: app.current_mode == "live" and app.worker.active)
    await until(pilot, lambda: "Detach" in commands(app))
    assert app.worker.run is not None
    return app.worker.run


def commands(app: LabApp) -> set[str]:
    """What the palette offers."""
    return {command.title for command in app.get_system_commands(app.screen)}


def told(app: LabApp) -> list[str]:
    return [note.message for note in app._notifications]


def lab(tmp_path: Path) -> LabApp:
    return lab_app(tmp_path, tiny_study(), engine=patient_engine, first="live")


async def test_d_hands_the_run_over_and_the_screens_follow_it(tmp_path: Path, handed: Handed):
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.current_mode == "live")
        await pilot.press("d")
        await until(pilot, lambda: told(app) == ["Detach: only a run at work here can go on elsewhere"])
        assert "Detach" not in commands(app)
        run = await at_work(pilot, app)
        handed.ready.clear()
        await pilot.press("d")
        await until(pilot, lambda: "stopping…" in picture_of(app) and "Detach" not in commands(app))
        handed.ready.set()
        words = f"{run} goes on without this terminal; to follow it: lth-tui attach {run}"
        await until(pilot, lambda: told(app)[-1:] == [words])
        assert handed.runs == [(run, None)]
        assert not handed.alive, "it is nobody's when it is handed over"
        assert (app.lab.active, app.lab.follower.run, app.worker.active) == (None, run, False)
        await at_work(pilot, app)
        app.worker.stop()
        await until(pilot, lambda: not app.worker.active)
    assert len(handed.runs) == 1, "a run that is stopped stays so"


async def test_quitting_with_d_leaves_it_running(tmp_path: Path, handed: Handed):
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        run = await at_work(pilot, app)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await until(pilot, lambda: "Keep it running without this terminal  (d)" in picture_of(app))
        handed.ready.clear()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, LeavingDialog))
        handed.ready.set()
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    assert handed.runs == [(run, None)]
    assert app.last_words == f"{run} goes on without this terminal; to follow it: lth-tui attach {run}"


async def test_quitting_while_it_is_handed_over_asks_nothing(tmp_path: Path, handed: Handed):
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        run = await at_work(pilot, app)
        handed.ready.clear()
        await pilot.press("d", "q")
        await until(pilot, lambda: isinstance(app.screen, LeavingDialog))
        handed.ready.set()
        await until(pilot, lambda: not app.is_running)
    assert handed.runs == [(run, None)]


async def test_a_paused_run_is_handed_over_as_paused(tmp_path: Path, handed: Handed):
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        run = await at_work(pilot, app)
        with Store(tmp_path).open(run) as folder:
            folder.request(Request.PAUSE)
        app.worker.hand_over()
        app.worker.hand_over()
        assert app.worker.wait(30)
        await until(pilot, lambda: told(app))
    assert handed.runs == [(run, Request.PAUSE)]


async def test_a_run_that_is_to_stop_is_not_handed_over(tmp_path: Path, handed: Handed):
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await at_work(pilot, app)
        app.worker.stop()
        app.worker.hand_over()
        assert app.worker.wait(30)
        await until(pilot, lambda: any("is stopped; r in Live (3) goes on" in words for words in told(app)))
    assert not handed.runs


async def test_a_process_that_cannot_begin_is_told(tmp_path: Path, handed: Handed):
    handed.problem = LabError("its process ended with code 1: ImportError: no jax")
    app = lab(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await at_work(pilot, app)
        await pilot.press("d")
        await until(pilot, lambda: told(app))
        assert told(app) == ["its process ended with code 1: ImportError: no jax"]
        await until(pilot, lambda: "■ stopped" in picture_of(app))
        assert not app.worker.active


async def test_a_run_on_its_way_to_another_process_is_not_over(tmp_path: Path):
    ended = RunFinished(status="stopped", trained=1, reused=0, seconds=1)
    run = write_run(tmp_path, [started("a"), ended])
    with Store(tmp_path).open(run) as folder:
        folder.request(Request.STOP)
        app = lab_app(tmp_path, first="live", run=run)
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: "■ stopped" in picture_of(app))
            folder.request(Request.RESUME)
            await until(pilot, lambda: "starting the engine" in picture_of(app))
            folder.own()
            folder.append(RunResumed())
            await until(pilot, lambda: "▶ running" in picture_of(app))


def test_following_ends_with_the_run_and_not_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = write_run(tmp_path, [started("a"), RunFinished(status="stopped", trained=1, reused=0, seconds=1)])
    store = Store(tmp_path)
    looks: list[str] = []

    def poll(follower: Follower) -> None:
        looks.append(follower.status)
        with store.open(run) as folder:
            if len(looks) == 2:
                folder.request(Request.RESUME)  # the first look came in between
            if len(looks) == 5:
                folder.append(RunResumed())
                folder.append(RunFinished(status="done", trained=1, reused=0, seconds=1))
        true_poll(follower)

    true_poll = Follower.poll
    monkeypatch.setattr(Follower, "poll", poll)
    assert follow_headless(run, store) == "done"
    assert looks[:4] == ["new", "stopped", "stopped", "stopped"]
    assert f"{run}: done" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, KeyboardInterrupt)])
def test_a_run_that_cannot_be_asked_to_stop_ends_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, code: object
):
    def deaf_engine(folder: RunFolder, store: Store, report: object) -> str:
        shutil.rmtree(store.home)
        os.kill(os.getpid(), number)
        for _ in range(2000):
            threading.Event().wait(0.02)
        raise AssertionError("it went on")

    monkeypatch.setattr("engine.runner.run", deaf_engine)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as left:
        run_headless(tiny_study(), Store(tmp_path / "home"), "r", as_json=True)
    assert code in (left.type, getattr(left.value, "code", None))
    told = capfd.readouterr().err
    assert "it cannot be asked to stop, and stops at once: run 'r': there is none of that name" in told


def test_a_run_that_cannot_be_asked_goes_on_without_its_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_room(folder: RunFolder, request: Request) -> None:
        raise BadInput("the disk is full; allowed: a disk with room")

    def engine(folder: RunFolder, store: Store, report: object) -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        for asking in threading.enumerate():
            if asking.name == "stop":
                asking.join()
        return "done"

    monkeypatch.setattr(RunFolder, "request", no_room)
    monkeypatch.setattr("engine.runner.run", engine)
    monkeypatch.setattr("lth_tui.terminal.can_be_lost", lambda: True)
    assert run_headless(tiny_study(), Store(tmp_path / "home"), "r", as_json=True) == "done"
