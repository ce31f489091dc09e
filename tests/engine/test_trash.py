"""Deleted runs: whole again when they are brought back, never taken from whoever works on them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_run import write_sample

from engine.errors import BadInput, Unwritable
from engine.spec import Study
from engine.store import Checkpoint, RoundStarted, RunFinished, Store, trash
from engine.views import read_run

Tiny = Callable[..., Study]
KEY = "ab" + "0" * 38


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write_sample(tmp_path / "home")


def everything(home: Path) -> dict[Path, bytes]:
    return {path.relative_to(home): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def a_checkpoint() -> Checkpoint:
    return Checkpoint(KEY, 5, 1.0, {}, None, [], {}, None, [])


def test_a_deleted_run_comes_back_as_it_was(store: Store) -> None:
    rounds = store.rounds.kept()
    with store.open("one") as run:
        run.describe(title="the one", note="keep")
        events = run.events()
    before, files = store.runs(), everything(store.home / "runs" / "one")
    store.delete("one")
    assert (store.runs(), Store(store.home).runs()) == ([], [])
    with pytest.raises(BadInput, match="there is none of that name"):
        store.open("one")
    assert store.rounds.kept() == rounds, "rounds are shared"
    again = Store(store.home)
    assert [item.run for item in again.trash.runs()] == ["one"]
    assert again.restore() == "one"
    assert again.runs() == before
    assert everything(store.home / "runs" / "one").keys() == files.keys()
    with again.open("one") as run:
        assert run.events() == events
        run.check()
        assert run.owner() is None
    assert again.trash.runs() == []


def test_runs_come_back_the_last_one_first_or_by_name(store: Store, tiny: Tiny) -> None:
    for name in ("two", "three"):
        store.create(tiny(), name).close()
    for name in ("two", "one", "three"):
        store.delete(name)
    assert store.restore("two") == "two"
    assert [store.restore(), store.restore()] == ["three", "one"]
    with pytest.raises(BadInput, match="there is no deleted run; allowed: none yet"):
        store.restore()
    store.delete("one")
    with pytest.raises(BadInput, match="run 'x': no deleted run has that name; allowed: one"):
        store.restore("x")


def test_a_name_that_was_taken_since_gets_a_number(store: Store, tiny: Tiny) -> None:
    store.delete("one")
    store.create(tiny(), "one").close()
    assert store.restore() == "one-2"
    with store.open("one-2") as run:
        assert read_run(run).run == "one-2"
    assert {run.id for run in store.runs()} == {"one", "one-2"}


def test_a_run_at_work_is_not_deleted(store: Store) -> None:
    with store.open("one") as at_work:
        at_work.own()
        with pytest.raises(BadInput, match="run 'one': in use by process"):
            store.delete("one")
        assert at_work.owner_alive()
        at_work.release()
    store.round_locks.take(KEY, "one")
    (store.home / "runs" / "one" / "run.db").write_bytes(b"of a format to come")
    with pytest.raises(BadInput, match="run 'one': in use"):
        store.delete("one")
    store.round_locks.release()
    store.delete("one")
    assert store.restore() == "one"


def test_nobody_takes_up_a_run_that_is_being_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, tried = Path.rename, []

    def taken_up_meanwhile(path: Path, target: Path) -> Path:
        with store.open("one") as other, pytest.raises(BadInput, match="in use by process") as refused:
            other.own()
        tried.append(refused)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", taken_up_meanwhile)
    store.delete("one")
    assert len(tried) == 1


def test_a_run_that_cannot_be_moved_stays_and_is_free(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", full)
        with pytest.raises(Unwritable, match="No space left on device"):
            store.delete("one")
    with store.open("one") as run:
        assert run.owner() is None
        run.own()


def test_its_checkpoints_go_and_come_with_it(store: Store, tiny: Tiny) -> None:
    with store.create(tiny(), "two") as run:
        for key in (KEY, "no key at all"):
            run.append(RoundStarted(arm="ticket", trial=0, round=0, key=key))
        run.append(RunFinished(status="stopped", trained=0, reused=0, seconds=1.0))
    store.checkpoints.write(a_checkpoint())
    store.round_locks.take(KEY, "other")
    store.delete("two")
    assert store.checkpoints.kept() == [KEY], "another run that is at work has it"
    store.round_locks.release()
    store.restore()
    store.delete("two")
    assert store.checkpoints.kept() == []
    store.restore()
    assert store.checkpoints.kept() == [KEY]
    assert store.checkpoints.read(KEY) is not None
    assert not (store.home / "runs" / "two" / "checkpoints").exists()


def test_no_clock_decides_what_is_gone_for_good(store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    store.delete("one")
    now, year = time.time_ns(), 365 * 86_400 * 10**9
    for name, clock in (("ahead", now + year), ("back", now - year), ("first", 0)):
        store.create(tiny(), name).close()
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        monkeypatch.setattr(time, "time", lambda clock=clock: clock / 1e9)
        store.delete(name)
    assert [item.run for item in store.trash.runs()] == ["first", "back", "ahead", "one"]
    assert store.restore() == "first"


def test_the_last_deleted_runs_are_kept(store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash, "KEPT_RUNS", 2)
    store.delete("one")
    for name in ("two", "three"):
        store.create(tiny(), name).close()
        store.delete(name)
    assert [item.run for item in store.trash.runs()] == ["three", "two"]
    assert len(os.listdir(store.home / "trash")) == 2
