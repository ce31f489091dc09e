"""A run is never lost: cut short anywhere and taken up again, it ends as if nothing had been."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from resuming import (
    SMALL,
    STUDY,
    Restored,
    checkpoints,
    copied,
    execute,
    same_round,
    same_run,
    view_of,
)

from engine.errors import BadInput, InvariantViolated
from engine.runner import run
from engine.runner import workers as bench
from engine.spec import Study, parse_study
from engine.store import Request, RoundFinished, RoundStarted, RunFolder, RunStarted, Store
from engine.store.run_db import prove
from engine.training import machine
from lth_tui.headless import resume_headless

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
STUDY_OF_ALL = parse_study(STUDY, source="cut.toml")
STUDY_OF_TWO = parse_study(SMALL, source="small.toml")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole(jax_ready: None, new_home: NewHome) -> tuple[Path, int]:
    """A home with the run, never cut short, and the moments that it lived for; not to be written to."""
    home = new_home()
    status, moments = execute(home, STUDY_OF_ALL)
    assert status == "done"
    return home, moments


@pytest.fixture(scope="module")
def small(jax_ready: None, new_home: NewHome) -> Path:
    """A home with a smaller run, never cut short; not to be written to."""
    home = new_home()
    assert execute(home, STUDY_OF_TWO)[0] == "done"
    return home


# Dying at any moment


def die(home: Path, rng: random.Random, moments: int, deaths: int) -> int:
    """Begin a run and take it up again, each time until a random moment; how often it died before it was done."""
    status, _ = execute(home, STUDY_OF_ALL, rng.randrange(1, moments))
    for died in range(1, deaths):
        if status == "done":
            return died
        status, _ = execute(home, at=rng.randrange(1, moments // 2))
    assert status == "done" or execute(home)[0] == "done"
    return deaths


@pytest.mark.parametrize("seed", range(2))
def test_a_run_that_dies_anywhere_ends_as_if_it_had_not(whole: tuple[Path, int], new_home: NewHome, seed: int) -> None:
    reference, moments = whole
    home = new_home()
    die(home, random.Random(seed), moments, 4)
    same_run(home, reference)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_run_that_dies_often_ends_as_if_it_had_not(whole: tuple[Path, int], new_home: NewHome, seed: int) -> None:
    reference, moments = whole
    home = new_home()
    die(home, random.Random(seed), moments, 12)
    same_run(home, reference)


def test_it_does_not_matter_how_often_checkpoints_are_written(whole: tuple[Path, int], new_home: NewHome) -> None:
    home = new_home()
    assert execute(home, STUDY_OF_ALL, every=1e9)[0] == "done"
    same_run(home, whole[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_stopped_again_and_again_ends_as_if_it_had_not(
    whole: tuple[Path, int], new_home: NewHome, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    home, rng, left = new_home(), random.Random(seed), [0]
    progress = RunFolder.set_progress

    def stopping(folder: RunFolder, now: object) -> None:
        progress(folder, now)  # type: ignore[arg-type]
        left[0] -= 1
        if left[0] == 0:
            folder.request(Request.STOP)

    monkeypatch.setattr(RunFolder, "set_progress", stopping)
    status, stops = "stopped", 0
    while status == "stopped":
        left[0] = rng.randrange(1, 120)
        status, _ = execute(home, None if stops else STUDY_OF_ALL, every=1e9)
        stops += 1
    assert status == "done"
    assert stops > 3
    same_run(home, whole[0])


def test_a_round_that_was_kept_but_not_told_counts_as_trained(
    small: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, append = new_home(), RunFolder.append

    def dying(folder: RunFolder, event: object) -> object:
        if isinstance(event, RoundFinished) and event.round == 1:
            raise KeyboardInterrupt
        return append(folder, event)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            execute(home, STUDY_OF_TWO, every=1e9)
    with Store(home).open("r") as folder:
        told = {it.event.key for it in folder.events() if isinstance(it.event, RoundFinished)}
        assert {path.stem for path in (home / "rounds").glob("*/*")} > told
    assert execute(home)[0] == "done"
    same_run(home, small)


def test_rounds_of_another_run_stay_reused_ones(small: Path, new_home: NewHome, tmp_path: Path) -> None:
    def cut(at: int | None) -> Path:
        home = copied(small, tmp_path / f"at-{at}")
        (home / "runs" / "r").rename(home / "runs" / "first")
        status, _ = execute(home, parse_study(SMALL, source="small.toml", settings=("base.prune.rounds=2",)), at)
        assert status == ("done" if at is None else "killed")
        return home

    reference = cut(None)
    home = cut(80)
    assert execute(home)[0] == "done"
    same_run(home, reference)
    with Store(home).open("r") as folder:
        assert view_of(folder).reused == 8


# Dying for good


KEPT_OFTEN = """
import sys
from engine.training import lanes as pack
from engine.runner import checkpoints as saving
pack.StepTimer.fitting, saving.CHECKPOINT_SECONDS, saving.CHECKPOINT_SHARE = 4, 0.05, float("inf")
from lth_tui.cli import main
sys.exit(main())
"""


def killed(home: Path, arguments: list[str], number: signal.Signals, seconds: float) -> tuple[int, str]:
    """Run a command of the program and send it a signal so long after it began to train, if it still does; its exit
    code and standard error."""
    environment = {"LTH_TUI_HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "error", "-c", KEPT_OFTEN, *arguments, "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"round-started"' in line or '"run-resumed"' in line:
                break
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            _, said = process.communicate()
        return process.returncode, said


def kill_until_done(home: Path, rng: random.Random, signals: list[signal.Signals], seconds: float) -> None:
    (home / "study.toml").write_text(STUDY)
    arguments = ["run", str(home / "study.toml"), "--name", "r"]
    codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
    for number in signals:
        code, said = killed(home, arguments, number, rng.uniform(0, seconds))
        arguments = ["resume", "r"]
        assert code in (codes[number], 0), said
        if code == 0:
            break
        if number is not signal.SIGKILL:
            assert said.endswith("to go on where it was: lth-tui resume r\n")
    assert killed(home, arguments, signal.SIGKILL, 600)[0] == 0


@pytest.mark.slow
def test_a_run_that_is_killed_ends_as_if_it_had_not(whole: tuple[Path, int], new_home: NewHome) -> None:
    home = new_home()
    kill_until_done(home, random.Random(5), [signal.SIGKILL, signal.SIGTERM], 0.7)
    same_run(home, whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_is_killed_ten_times_ends_as_if_it_had_not(
    whole: tuple[Path, int], new_home: NewHome, seed: int
) -> None:
    home = new_home()
    kill_until_done(home, random.Random(seed), [signal.SIGKILL] * 10, 1.0)
    same_run(home, whole[0])


# Who may take a run up again


def told(home: Path) -> list[object]:
    with Store(home).open("r") as folder:
        return [stamped.event for stamped in folder.events()]


def test_of_many_that_would_own_a_run_one_does(new_home: NewHome) -> None:
    home, outcomes, barrier = new_home(), [], threading.Barrier(8)
    Store(home).create(STUDY_OF_TWO, "r").close()

    def own() -> None:
        with Store(home).open("r") as folder:
            barrier.wait()
            try:
                folder.own()
                outcomes.append("owner")
            except BadInput as error:
                outcomes.append(str(error))

    threads = [threading.Thread(target=own) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[0] == "owner"
    refused = sorted(outcomes)[1:]
    assert all(
        line.startswith(("run 'r': in use by process ", "run 'r': in use by another process")) for line in refused
    )
    assert len(refused) == 7


def test_a_run_at_work_is_refused_and_left_alone(small: Path, tmp_path: Path) -> None:
    home = copied(small, tmp_path / "home")
    with Store(home).create(STUDY_OF_TWO, "busy") as folder:
        folder.own()
        with pytest.raises(BadInput, match=r"^run 'busy': in use by process \d+ on .*; allowed: once that has ended$"):
            resume_headless("busy", Store(home), as_json=True)
        assert folder.events() == []
        folder.release()
        assert folder.status("running") == "interrupted"


def test_a_run_that_is_done_says_so(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = copied(small, tmp_path / "home")
    before = told(home)
    assert resume_headless("r", Store(home), as_json=True) == "done"
    assert capsys.readouterr() == ("", "r is done: nothing is left to train\n")
    with Store(home).open("r") as folder:
        assert run(folder, Store(home)) == "done"
    assert told(home) == before


@pytest.mark.parametrize("left", [Request.STOP, Request.PAUSE])
def test_what_was_asked_of_the_run_before_is_forgotten(small: Path, new_home: NewHome, left: Request) -> None:
    home = new_home()
    execute(home, STUDY_OF_TWO, 100)
    with Store(home).open("r") as folder:
        folder.request(left)
    assert execute(home)[0] == "done"
    same_run(home, small)


def test_rounds_of_other_versions_are_not_continued(new_home: NewHome, monkeypatch: pytest.MonkeyPatch) -> None:
    home = new_home()
    execute(home, STUDY_OF_TWO, 100)
    with Store(home).open("r") as folder:
        (begin,) = (it.event for it in folder.events() if isinstance(it.event, RunStarted))
        elsewhere = begin.model_copy(update={"numerics": "jax 9.9 on tpu"})
        with closing(sqlite3.connect(folder.folder / "run.db", isolation_level=None)) as connection:
            connection.execute("UPDATE events SET event = ? WHERE id = 1", (elsewhere.model_dump_json(),))
            prove(connection)
    before = told(home)
    with pytest.raises(BadInput) as caught:
        execute(home)
    assert str(caught.value) == (
        f"run 'r': its rounds so far were computed with jax 9.9 on tpu; here is {machine().tag}; allowed: go on there"
    )
    assert told(home) == before
    with Store(home).open("r") as folder:
        assert folder.status("running") == "interrupted"


def test_another_study_in_the_runs_folder_is_not_read(new_home: NewHome) -> None:
    home = new_home()
    execute(home, STUDY_OF_TWO, 100)
    path = home / "runs" / "r" / "study.toml"
    path.write_text(path.read_text().replace("iterations = 80", "iterations = 81"))
    assert execute(home)[0] == "done"
    with Store(home).open("r") as folder:
        assert folder.study() == STUDY_OF_TWO


def test_a_run_that_failed_before_its_first_round_starts(small: Path, new_home: NewHome) -> None:
    home = new_home()
    data = home / "data"
    data.rename(home / "elsewhere")
    data.write_text("in the way")
    with pytest.raises(BadInput):
        execute(home, STUDY_OF_TWO)
    assert view_of(Store(home).open("r")).status == "failed"
    data.unlink()
    (home / "elsewhere").rename(data)
    assert execute(home)[0] == "done"
    with Store(home).open("r") as folder, Store(small).open("r") as other:
        view = view_of(folder)
        assert (view.status, view.message, view.trained) == ("done", "", view_of(other).trained)
        keys = Store(small).rounds.kept()
        assert [folder.curve(key) for key in keys] == [other.curve(key) for key in keys]


# Checkpoints that others wrote, or that are of no use


def flip_a_bit(path: Path, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_off(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def of_another(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def stopped(home: Path, what: Study, iteration: int) -> list[Path]:
    """Begin a run and stop it after so many steps of its first rounds; their checkpoints."""

    def stop(folder: RunFolder, now: object) -> None:
        progress(folder, now)  # type: ignore[arg-type]
        if now.iteration >= iteration:  # type: ignore[attr-defined]
            folder.request(Request.STOP)

    progress = RunFolder.set_progress
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "set_progress", stop)
        assert execute(home, what, every=1e9)[0] == "stopped"
    return checkpoints(home)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off, empty, of_another])
def test_a_damaged_checkpoint_is_none(
    small: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path, Path], None]
) -> None:
    monkeypatch.setattr(bench, "LaneBatch", Restored)
    monkeypatch.setattr(Restored, "at", [])
    home = new_home()
    first, second = stopped(home, STUDY_OF_TWO, 40)
    damage(first, second)
    assert execute(home)[0] == "done"
    assert [lanes for _, lanes in Restored.at] == [1]
    same_run(home, small)


def test_a_checkpoint_of_other_shapes_is_none(small: Path, new_home: NewHome) -> None:
    home = new_home()
    first, second = stopped(home, STUDY_OF_TWO, 40)
    store = Store(home).checkpoints
    found = store.read(first.stem)
    assert found is not None
    found.state["params/dense1/kernel"] = found.state["params/dense1/kernel"][:, 1:]
    store.write(found)
    assert execute(home)[0] == "done"
    same_run(home, small)
    assert not second.exists()


def test_a_checkpoint_goes_on_in_a_pack_of_another_width(
    small: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine().devices < 2:
        pytest.skip("one device only")
    monkeypatch.setattr(bench, "LaneBatch", Restored)
    monkeypatch.setattr(Restored, "at", [])
    home = new_home()
    assert len(stopped(home, STUDY_OF_TWO, 40)) == 2
    (home / "runs" / "r").rename(home / "runs" / "two")
    execute(home, parse_study(SMALL, source="one.toml", settings=("trials=1",)))
    assert Restored.at[0][0] >= 40
    assert Restored.at[0][1] == 1
    with Store(home).open("r") as folder:
        for item in view_of(folder).arms[0].trials[0].rounds.values():
            one, other = (Store(root).rounds.read(item.key) for root in (home, small))
            assert one is not None
            assert other is not None
            same_round(one, other)
            assert folder.curve(item.key) == one.curve


def test_a_checkpoint_without_the_weights_that_others_rewind_to_is_none(small: Path, new_home: NewHome) -> None:
    home = new_home()
    ticket = SMALL[: SMALL.index('[[arm]]\nname = "rewound"')]
    assert stopped(home, parse_study(ticket, source="ticket.toml"), 40)
    (home / "runs" / "r").rename(home / "runs" / "ticket")
    assert execute(home, STUDY_OF_TWO)[0] == "done"
    same_run(home, small)


def test_a_broken_guard_leaves_no_checkpoint_of_its_round(new_home: NewHome, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaking(bench.LaneBatch):
        def finish(self, ended: object = None) -> object:
            states = self.states()
            for lane, state in enumerate(states):
                state["params/output/kernel"][~self._lanes[lane].masks["output/kernel"]] = 1e-20
            return super().finish(dict(enumerate(states)))

    home = new_home()
    with monkeypatch.context() as patch:
        patch.setattr(bench, "LaneBatch", Leaking)
        with pytest.raises(InvariantViolated):
            execute(home, STUDY_OF_TWO)
    assert not checkpoints(home)
    with Store(home).open("r") as folder:
        assert any(isinstance(it.event, RoundStarted) and it.event.round == 1 for it in folder.events())
    assert execute(home)[0] == "done"
