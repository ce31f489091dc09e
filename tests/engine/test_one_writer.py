"""Of the runs that need a round one trains it, and the others take it."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from resuming import SMALL, execute, same_run, view_of

from engine.runner import session as pilot
from engine.spec import parse_study
from engine.store import Leases, Paused, Progress, Request, Resumed, RunFolder, Store

NewHome = Callable[[], Path]
KEY = "ab" * 20
STUDY = parse_study(SMALL, source="small.toml")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path / "home" / "leases.db")


@pytest.fixture(scope="module")
def small(jax_ready: None, new_home: NewHome) -> Path:
    """A home with a run that was alone; not to be written to."""
    home = new_home()
    assert execute(home, STUDY)[0] == "done"
    return home


# Leases


def test_a_round_is_leased_to_one_run_until_it_is_released(leases: Leases) -> None:
    assert leases.all() == []
    assert leases.take(KEY, "one") is None
    assert leases.take(KEY, "one") is None, "it has it already"
    found = leases.take(KEY, "two")
    assert found is not None
    assert (found.run, found.alive) == ("one", True)
    leases.release("two")
    assert leases.take(KEY, "two") == found
    leases.release("one")
    assert leases.take(KEY, "two") is None
    assert [lease.run for lease in leases.all()] == ["two"]


def test_of_many_that_would_lease_a_round_one_does(leases: Leases) -> None:
    barrier, won = threading.Barrier(8), []

    def take(run: str) -> None:
        barrier.wait()
        if leases.take(KEY, run) is None:
            won.append(run)

    threads = [threading.Thread(target=take, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert [lease.run for lease in leases.all()] == won


def taken_by_the_dead(leases: Path, key: str = KEY) -> None:
    """A process leases the round and dies of it."""
    code = (
        "import os, pathlib, sys; from engine.store import Leases; "
        "Leases(pathlib.Path(sys.argv[1])).take(sys.argv[2], 'gone'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(leases), key], cwd=ROOT).returncode == 9


def test_of_many_that_would_have_the_lease_of_a_dead_process_one_gets_it(leases: Leases) -> None:
    taken_by_the_dead(leases._path)
    assert [lease.alive for lease in leases.all()] == [False]
    test_of_many_that_would_lease_a_round_one_does(leases)


def test_leases_of_the_dead_are_swept_out(leases: Leases) -> None:
    taken_by_the_dead(leases._path)
    leases.take("cd" * 20, "one")
    leases.sweep()
    assert [lease.run for lease in leases.all()] == ["one"]


def test_an_owner_on_another_host_lives_by_its_heartbeat(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "other")
        leases.take(KEY, "one")
    assert leases.take(KEY, "two") is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 50)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(socket, "gethostname", lambda: "other")
        leases.beat("one")
    monkeypatch.setattr(time, "time", lambda: now + 100)
    assert leases.take(KEY, "two") is not None
    monkeypatch.setattr(time, "time", lambda: now + 120)
    assert leases.take(KEY, "two") is None


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_leases_that_are_damaged_are_none(leases: Leases, damage: bytes) -> None:
    leases.take(KEY, "one")
    leases._path.write_bytes(damage)
    assert leases.take(KEY, "two") is None
    assert [lease.run for lease in leases.all()] == ["two"]


def test_a_lease_of_nobody_is_none(leases: Leases) -> None:
    leases.take(KEY, "one")
    for row in [(KEY, "[1", 0.0), (KEY, "[]", 0.0), (KEY, '["r", "h", "x", "y"]', "then")]:
        with closing(sqlite3.connect(leases._path, isolation_level=None)) as connection:
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", row)
        assert leases.take(KEY, "two") is None


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
        store.leases.take(key, "other")
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
        store.leases.release("other")

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
    assert store.leases.all() == []


def test_a_round_that_another_run_gave_up_is_trained(
    small: Path, leased: tuple[Path, Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, store, _ = leased
    when_waiting(monkeypatch, lambda folder, now: store.leases.release("other"))
    assert execute(home, STUDY)[0] == "done"
    same_run(home, small)


def test_other_rounds_are_trained_before_any_is_waited_for(
    small: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, (first, second) = new_home(), dense_keys(small)
    store = Store(home)
    store.leases.take(first, "other")
    kept: list[bool] = []

    def end(folder: RunFolder, now: Progress) -> None:
        view = view_of(folder)
        kept.extend([store.rounds.has(second), {trial for _, trial, _ in view.running} <= {1}, view.rounds_done > 0])
        store.leases.release("other")

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
            store.leases.release("other")
            folder.request(Request.RESUME)

    monkeypatch.setattr(RunFolder, "set_progress", told)
    assert execute(home, STUDY)[0] == "done"
    with store.open("r") as folder:
        events = [it.event for it in folder.events()]
    assert [event for event in events if isinstance(event, Paused | Resumed)] == [Paused(), Resumed()]


def test_what_a_dead_run_had_set_out_to_train_is_trained(small: Path, new_home: NewHome) -> None:
    home = new_home()
    for key in dense_keys(small):
        taken_by_the_dead(home / "leases.db", key)
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
    assert Store(home).leases.all() == []
