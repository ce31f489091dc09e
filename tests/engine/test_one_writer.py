"""Of the runs that need a round one trains it, and the others take it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from resuming import SMALL, execute, same_run, view_of

from engine.errors import Unwritable
from engine.runner import run
from engine.runner import session as pilot
from engine.spec import parse_study
from engine.store import (
    LockLost,
    Paused,
    Progress,
    Request,
    Resumed,
    RoundFinished,
    RoundLocks,
    RunFolder,
    Stamped,
    Store,
)

NewHome = Callable[[], Path]
KEY = "ab" * 20
STUDY = parse_study(SMALL, source="small.toml")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "locks"


@pytest.fixture(scope="module")
def small(jax_ready: None, new_home: NewHome) -> Path:
    """A home with a run that was alone; not to be written to."""
    home = new_home()
    assert execute(home, STUDY)[0] == "done"
    return home


# Locks of rounds


def test_a_round_is_one_runs_until_it_is_released(folder: Path) -> None:
    one, two = RoundLocks(folder), RoundLocks(folder)
    assert one.holders() == {}
    assert one.take(KEY, "one") is None
    assert one.take(KEY, "one") is None, "it has it already"
    for locks, other in ((one, "other"), (two, "two"), (two, "one")):
        holder = locks.take(KEY, other)
        assert holder is not None
        assert (holder.run, holder.pid) == ("one", os.getpid())
        assert holder.words.startswith(f"process {os.getpid()} on ")
    two.release()
    assert two.take(KEY, "two") is not None
    assert {key: holder.run for key, holder in two.holders().items()} == {KEY: "one"}
    one.release()
    assert two.take(KEY, "two") is None
    assert {key: holder.run for key, holder in one.holders().items()} == {KEY: "two"}
    two.release()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("key", ["", "../x", "ab" * 19, "AB" * 20])
def test_what_is_no_key_is_not_locked(folder: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        RoundLocks(folder).take(key, "one")
    assert not folder.exists()


def test_of_many_that_would_lock_a_round_one_does(folder: Path) -> None:
    barrier, won, over = threading.Barrier(9), [], threading.Event()

    def take(run: str) -> None:
        locks = RoundLocks(folder)
        barrier.wait()
        if locks.take(KEY, run) is None:
            won.append((run, locks))

    def ask() -> None:
        """Whoever asks for the holder is never in the way."""
        barrier.wait()
        while not over.is_set():
            RoundLocks(folder).holders()

    asking = threading.Thread(target=ask)
    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(8)]
    for thread in (asking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    asking.join()
    ((run, locks),) = won
    assert locks.holders()[KEY].run == run


def test_a_lock_that_is_released_and_taken_again_and_again_is_never_two_runs(folder: Path) -> None:
    inside, most, trouble = [0], [0], threading.Lock()

    def work() -> None:
        locks = RoundLocks(folder)
        for _ in range(200):
            if locks.take(KEY, "run") is None:
                with trouble:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with trouble:
                    inside[0] -= 1
                locks.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


LOCK = """
import os, pathlib, sys
from engine.store import RoundLocks
locks = RoundLocks(pathlib.Path(sys.argv[1]))
assert locks.take(sys.argv[2], "gone") is None
print("locked", flush=True)
sys.stdin.read()
"""


def locked_by_the_dead(folder: Path, key: str = KEY) -> None:
    """A process locks the round and is killed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", LOCK, str(folder), key]
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "locked\n"
        holder = RoundLocks(folder).take(key, "one")
        assert holder is not None
        assert (holder.run, holder.pid) == ("gone", process.pid)
        process.kill()


def test_a_killed_process_releases_its_rounds_at_once(folder: Path) -> None:
    locked_by_the_dead(folder)
    locks = RoundLocks(folder)
    assert locks.holders() == {}
    assert locks.abandoned() == [folder / f"{KEY}.lock"]
    assert locks.take(KEY, "one") is None
    assert locks.holders()[KEY].run == "one"
    locks.release()


def test_locks_of_the_dead_are_swept_out(folder: Path) -> None:
    locked_by_the_dead(folder)
    locks, other = RoundLocks(folder), "cd" * 20
    assert locks.take(other, "one") is None
    RoundLocks(folder).sweep()
    assert [path.stem for path in folder.iterdir()] == [other]
    locks.release()


# Runs


def when_waiting(monkeypatch: pytest.MonkeyPatch, act: Callable[[RunFolder, Progress], None]) -> list[Progress]:
    """Do something when a run first says that it waits; what it said."""
    said: list[Progress] = []
    tell = RunFolder.set_progress

    def told(folder: RunFolder, now: Progress) -> None:
        tell(folder, now)
        if now.state == "waiting":
            said.append(now)
            if len(said) == 1:
                act(folder, now)

    monkeypatch.setattr(RunFolder, "set_progress", told)
    monkeypatch.setattr(pilot, "_WAIT", 0.01)
    return said


def dense_keys(home: Path) -> list[str]:
    with Store(home).open("r") as folder:
        return [trial.rounds[0].key for trial in view_of(folder).arms[0].trials]


@pytest.fixture
def leased(small: Path, new_home: NewHome) -> tuple[Path, Store, list[str]]:
    """A home in which another run that lives has the rounds that all others need; and their keys."""
    home, keys = new_home(), dense_keys(small)
    store = Store(home)
    for key in keys:
        store.round_locks.take(key, "other")
    return home, store, keys


def test_a_round_that_another_run_trains_is_waited_for_and_taken(
    small: Path, leased: tuple[Path, Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, store, keys = leased

    def end(folder: RunFolder, now: Progress) -> None:
        for key in keys:
            found = Store(small).rounds.read(key)
            assert found is not None
            store.rounds.write(found)
        store.round_locks.release()

    said = when_waiting(monkeypatch, end)
    assert execute(home, STUDY)[0] == "done"
    assert said[0].about.startswith("ticket trial 1 round 0 is being trained by other, process ")
    with store.open("r") as folder, Store(small).open("r") as alone:
        view, wanted = view_of(folder), view_of(alone)
        assert (view.trained, view.reused) == (wanted.trained - 2, wanted.reused + 2)
        assert folder.progress()[1].steps_done == folder.progress()[1].steps_total  # type: ignore[index]
        for arm, other in zip(view.arms, wanted.arms, strict=True):
            for trial, that in zip(arm.trials, other.trials, strict=True):
                for number, item in trial.rounds.items():
                    assert item.result.test_accuracy == that.rounds[number].result.test_accuracy
                    assert item.similarity == that.rounds[number].similarity
    assert not list((home / "locks").iterdir())


def test_a_round_that_another_run_gave_up_is_trained(
    small: Path, leased: tuple[Path, Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, store, _ = leased
    when_waiting(monkeypatch, lambda folder, now: store.round_locks.release())
    assert execute(home, STUDY)[0] == "done"
    same_run(home, small)


def test_other_rounds_are_trained_before_any_is_waited_for(
    small: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, (first, second) = new_home(), dense_keys(small)
    store = Store(home)
    store.round_locks.take(first, "other")
    kept: list[bool] = []

    def end(folder: RunFolder, now: Progress) -> None:
        view = view_of(folder)
        kept.extend([store.rounds.has(second), {trial for _, trial, _ in view.running} <= {1}, view.rounds_done > 0])
        store.round_locks.release()

    when_waiting(monkeypatch, end)
    assert execute(home, STUDY)[0] == "done"
    assert kept == [True, True, True]
    same_round_numbers(home, small)


def same_round_numbers(home: Path, reference: Path) -> None:
    """The same rounds with the same numbers, told in whatever order."""
    with Store(home).open("r") as folder, Store(reference).open("r") as other:
        for arm, wanted in zip(view_of(folder).arms, view_of(other).arms, strict=True):
            for trial, that in zip(arm.trials, wanted.trials, strict=True):
                assert list(trial.rounds) == list(that.rounds)
                for number, item in trial.rounds.items():
                    other_item = that.rounds[number]
                    assert (item.key, item.result.layers) == (other_item.key, other_item.result.layers)
                    assert item.result.test_accuracy == other_item.result.test_accuracy
                    assert item.similarity == other_item.similarity


def test_a_run_that_waits_stops_when_asked(
    leased: tuple[Path, Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    when_waiting(monkeypatch, lambda folder, now: folder.request(Request.STOP))
    assert execute(leased[0], STUDY)[0] == "stopped"


def test_a_run_that_waits_pauses_when_asked(
    leased: tuple[Path, Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, store, _ = leased
    when_waiting(monkeypatch, lambda folder, now: folder.request(Request.PAUSE))
    tell = RunFolder.set_progress

    def told(folder: RunFolder, now: Progress) -> None:
        tell(folder, now)
        if now.state == "paused":
            store.round_locks.release()
            folder.request(Request.RESUME)

    monkeypatch.setattr(RunFolder, "set_progress", told)
    assert execute(home, STUDY)[0] == "done"
    with store.open("r") as folder:
        events = [it.event for it in folder.events()]
    assert [event for event in events if isinstance(event, Paused | Resumed)] == [Paused(), Resumed()]


def test_a_run_that_ends_while_it_locks_rounds_releases_them(
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, take, taken = new_home(), RoundLocks.take, [0]

    def full(locks: RoundLocks, key: str, run: str) -> object:
        taken[0] += 1
        if taken[0] > 1:
            raise Unwritable("the disk is full")
        return take(locks, key, run)

    monkeypatch.setattr(RoundLocks, "take", full)
    monkeypatch.setattr(pilot, "RETRY_SECONDS", 0.0)
    when_waiting(monkeypatch, lambda folder, now: folder.request(Request.STOP))
    assert execute(home, STUDY)[0] == "stopped"
    assert taken[0] > 1
    assert Store(home).round_locks.holders() == {}


def test_a_run_whose_lock_is_removed_stops_and_writes_nothing_more(new_home: NewHome) -> None:
    home = new_home()
    store = Store(home)

    def remove(stamped: Stamped) -> None:
        if isinstance(stamped.event, RoundFinished):
            (home / "runs" / "r" / "run.lock").unlink(missing_ok=True)

    with store.create(STUDY, "r") as folder:
        with pytest.raises(LockLost, match="was removed or replaced"):
            run(folder, store, remove)
        assert isinstance(folder.events()[-1].event, RoundFinished)
        assert store.round_locks.holders() == {}
    assert execute(home)[0] == "done"


def test_what_a_dead_run_had_set_out_to_train_is_trained(small: Path, new_home: NewHome) -> None:
    home = new_home()
    for key in dense_keys(small):
        locked_by_the_dead(home / "locks", key)
    assert execute(home, STUDY)[0] == "done"
    same_run(home, small)


def test_two_processes_share_the_work(small: Path, new_home: NewHome) -> None:
    home = new_home()
    (home / "study.toml").write_text(SMALL)
    command = [sys.executable, "-W", "error", "-m", "lth_tui", "run", str(home / "study.toml"), "--json", "--name"]
    environment = {"LTH_TUI_HOME": str(home), "PATH": "/usr/bin:/bin"}
    both = [
        subprocess.Popen([*command, name], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for name in ("r", "s")
    ]
    ends = []
    for process in both:
        with process:
            said, _ = process.communicate()
            assert process.returncode == 0
            ends.append(json.loads(said.splitlines()[-1]))
    with Store(small).open("r") as alone:
        assert sum(end["trained"] for end in ends) == view_of(alone).distinct
    same_round_numbers(home, small)
    assert not list((home / "locks").iterdir())
