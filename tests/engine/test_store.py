"""What is kept: whole or absent, believed only when proven, and readable while it is written."""

import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.errors import BadInput
from engine.spec import Study
from engine.store import (
    CurvePoint,
    LaneProgress,
    LayerCount,
    MachineFacts,
    Note,
    Progress,
    Request,
    RoundResult,
    RunFinished,
    RunFolder,
    Store,
    StoredRound,
)
from engine.store import files as store_files
from engine.store.proof import prove

Tiny = Callable[..., Study]
KEY = "ab" + "0" * 38


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def run(store: Store, tiny: Tiny) -> Iterator[RunFolder]:
    with store.create(tiny(), "one") as folder:
        yield folder


def a_round(key: str = KEY) -> StoredRound:
    """A small round with every kind of awkward number in it."""
    kernel = np.array([[1.5, -0.0, np.nan], [np.inf, 1e-45, 0.0]], np.float32)
    weights = {"dense1": {"kernel": kernel, "bias": np.zeros(3, np.float32)}}
    result = RoundResult(
        iterations=10,
        early_stop_iteration=None,
        validation_loss=None,
        test_accuracy=0.1,
        test_accuracy_end=1.0,
        test_accuracy_pruned=0.5,
        layers={"dense1": LayerCount(survivors=4, size=6)},
        seconds=0.25,
        diverged=True,
    )
    curve = [CurvePoint(iteration=5, train_loss=None, validation_loss=0.1, validation_accuracy=1 / 3)]
    mask = np.array([[True, True, True], [True, False, False]])
    return StoredRound(key, result, curve, {"dense1": mask}, weights, {"dense1": dict(weights["dense1"])})


def same_round(one: StoredRound, other: StoredRound) -> None:
    assert (one.key, one.result, one.curve) == (other.key, other.result, other.curve)
    assert list(one.masks) == list(other.masks)
    for name, mask in one.masks.items():
        np.testing.assert_array_equal(mask, other.masks[name])
        for part in ("kernel", "bias"):
            assert one.final[name][part].tobytes() == other.final[name][part].tobytes()
            assert one.best[name][part].tobytes() == other.best[name][part].tobytes()


# Rounds


def test_a_round_reads_back_bit_for_bit(store: Store) -> None:
    assert store.rounds.read(KEY) is None
    assert not store.rounds.has(KEY)
    size = store.rounds.write(a_round())
    assert store.rounds.path(KEY).stat().st_size == size
    assert store.rounds.has(KEY)
    found = store.rounds.read(KEY)
    assert found is not None
    same_round(found, a_round())


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(store: Store) -> None:
    store.rounds.write(a_round())
    path = store.rounds.path(KEY)
    whole = path.read_bytes()
    noticed = 0
    places = np.linspace(0, len(whole) - 1, 120).astype(int)
    for place in places:
        for bit in (1, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            found = store.rounds.read(KEY)
            if found is None:
                noticed += 1
            else:
                same_round(found, a_round())
    assert noticed > 1.9 * len(places), "hardly any byte of the file is padding"


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_a_file_cut_short_does_not_count(store: Store, length: int) -> None:
    store.rounds.write(a_round())
    path = store.rounds.path(KEY)
    path.write_bytes(path.read_bytes()[:length])
    assert store.rounds.read(KEY) is None


def test_a_round_under_another_key_does_not_count(store: Store) -> None:
    store.rounds.write(a_round())
    other = "cd" + KEY[2:]
    store.rounds.path(other).parent.mkdir()
    store.rounds.path(KEY).rename(store.rounds.path(other))
    assert store.rounds.read(other) is None


def test_the_rounds_file_is_plain_safetensors(store: Store) -> None:
    from safetensors.numpy import load_file

    store.rounds.write(a_round())
    arrays = load_file(store.rounds.path(KEY))
    assert set(arrays) == {f"{part}/dense1/{it}" for part in ("final", "best") for it in ("kernel", "bias")} | {
        "mask/dense1"
    }


@pytest.mark.skipif(os.name != "posix", reason="folders have other permissions here")
def test_what_is_kept_is_its_users_alone(store: Store, tiny: Tiny) -> None:
    before = os.umask(0)
    try:
        store.create(tiny(), "one").close()
        store.rounds.write(a_round())
        store.leases.take(KEY, "one")
    finally:
        os.umask(before)
    folders = [store.home, *(path for path in store.home.rglob("*") if path.is_dir())]
    assert len(folders) > 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "folder" / "file"
    store_files.write_atomic(path, b"old")
    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space left"):
        store_files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


# Runs


def test_events_curves_progress_and_requests_survive(run: RunFolder, store: Store, tiny: Tiny) -> None:
    run.append(Note(text="one\ntwo ✓"))
    run.append(RunFinished(status="done", trained=1, reused=0, seconds=1.5))
    points = [CurvePoint(iteration=it, train_loss=None, validation_loss=it / 3, validation_accuracy=1) for it in (5, 9)]
    run.append_curve("key", points)
    run.append_curve("key", points[1:])
    lanes = (LaneProgress(arm="ticket", trial=0, round=1, key="key"),)
    run.set_progress(Progress(state="training", lanes=lanes, iteration=3))
    run.request(Request.PAUSE)
    run.request(Request.STOP)
    with store.open("one") as again:
        events = again.events()
        assert [stamped.event for stamped in events] == [
            Note(text="one\ntwo ✓"),
            RunFinished(status="done", trained=1, reused=0, seconds=1.5),
        ]
        assert again.events(after=events[0].id) == events[1:]
        assert abs(events[0].time - time.time()) < 600
        assert (again.curve("key"), again.curve("key", after=5), again.curve("other")) == (points, points[1:], [])
        assert again.progress()[1] == Progress(state="training", lanes=lanes, iteration=3)
        assert again.requested() is Request.STOP
        assert (again.study(), again.study_name, again.created) == (tiny(), "tiny", run.created)


def test_a_new_run_has_nothing_yet(run: RunFolder) -> None:
    assert (run.events(), run.curve("key"), run.progress(), run.requested()) == ([], [], None, None)


def test_readers_follow_while_a_writer_writes(run: RunFolder, store: Store) -> None:
    seen: list[list[str]] = [[], []]
    trouble: list[BaseException] = []

    def follow(texts: list[str]) -> None:
        try:
            with store.open("one") as reader:
                after = 0
                while len(texts) < 200:
                    for stamped in reader.events(after):
                        after = stamped.id
                        texts.append(stamped.event.text)
        except BaseException as error:
            trouble.append(error)

    readers = [threading.Thread(target=follow, args=(texts,), daemon=True) for texts in seen]
    for reader in readers:
        reader.start()
    for number in range(200):
        run.append(Note(text=str(number)))
        run.set_progress(Progress(state="training", iteration=number))
    for reader in readers:
        reader.join(60)
    assert not trouble
    assert seen == [[str(number) for number in range(200)]] * 2


def test_a_request_from_a_second_place_reaches_the_runner(run: RunFolder, store: Store) -> None:
    for request in Request:
        with store.open("one") as other:
            other.request(request)
        assert run.requested() is request


# Who owns a run


def own_as(run: RunFolder, **facts: str) -> None:
    """Pretend that another process owns the run."""
    run.own()
    with closing(sqlite3.connect(run.folder / "run.db", isolation_level=None)) as connection:
        connection.executemany("UPDATE facts SET value = ? WHERE name = ?", [(it, name) for name, it in facts.items()])


def test_a_run_of_this_process_is_running(run: RunFolder) -> None:
    assert run.status("running") == "interrupted", "nobody owns it yet"
    run.own()
    assert [run.status(told) for told in ("new", "running", "paused", "done")] == ["new", "running", "paused", "done"]


def test_a_run_whose_owner_is_dead_is_interrupted(run: RunFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    own_as(run, pid=str(process.pid))
    assert [run.status(told) for told in ("new", "running", "paused")] == ["interrupted"] * 3
    assert [run.status(told) for told in ("done", "stopped", "failed")] == ["done", "stopped", "failed"]


def test_a_pid_that_another_process_got_since_is_no_owner(run: RunFolder) -> None:
    own_as(run, start="1.0")
    assert not run.owner_alive()


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system keeps when a process began")
def test_a_change_of_the_clock_makes_no_owner_dead(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    run.own()
    began, booted = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600)
    assert run.owner_alive()


def test_a_dead_process_that_nobody_has_asked_for_owns_nothing(run: RunFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        own_as(run, pid=str(process.pid), start=f"{psutil.Process(process.pid).create_time() - psutil.boot_time():.2f}")
        assert not run.owner_alive()


def test_an_owner_on_another_host_lives_by_its_heartbeat(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    own_as(run, host=socket.gethostname() + "-other", beat="1.0")
    assert not run.owner_alive()
    run.beat()
    assert run.owner_alive()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert not run.owner_alive()


# Names and lists


def test_a_home_without_runs_lists_none_and_is_not_made(store: Store) -> None:
    assert store.runs() == []
    assert not store.home.exists()


def test_runs_are_listed_newest_first_and_damaged_ones_last(
    store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for place, name in enumerate(("b", "c", "a", "broken")):
        monkeypatch.setattr(time, "time", lambda place=place: now + place)
        with store.create(tiny(), name) as folder:
            folder.append(RunFinished(status="done", trained=0, reused=0, seconds=1.0))
    (store.home / "runs" / "broken" / "run.db").write_bytes(b"not a database" * 100)
    (store.home / "runs" / ".a.123.part").mkdir()
    found = store.runs()
    assert [(it.id, it.status) for it in found] == [("a", "done"), ("c", "done"), ("b", "done"), ("broken", "damaged")]
    assert (found[0].study, found[0].seconds) == ("tiny", 1.0)


def test_a_real_run_is_summed_up(finished: RunFolder) -> None:
    (summary,) = Store(finished.folder.parent.parent).runs()
    assert (summary.study, summary.status, summary.dataset) == ("tiny", "done", "digits")
    assert (summary.rounds_done, summary.rounds_total) == (32, 32)
    assert summary.seconds > 0


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\n", "a b", "-a", ".a", "x" * 101, "é", "a\0"])
def test_a_name_that_is_none_is_refused_in_one_line(store: Store, tiny: Tiny, name: str) -> None:
    for use in (lambda: store.create(tiny(), name), lambda: store.open(name)):
        with pytest.raises(BadInput) as caught:
            use()
        assert len(str(caught.value).splitlines()) == 1
        assert "allowed: " in str(caught.value)
    assert not store.home.exists()


def test_a_run_that_there_is_not_names_those_that_there_are(run: RunFolder, store: Store, tiny: Tiny) -> None:
    with pytest.raises(BadInput, match="run 'two': there is none of that name; allowed: one"):
        store.open("two")
    with pytest.raises(BadInput, match="--name 'one': there is a run of that name"):
        store.create(tiny(), "one")


def test_runs_without_a_name_never_meet(store: Store, tiny: Tiny) -> None:
    names = set()
    for _ in range(3):
        with store.create(tiny()) as folder:
            names.add(folder.id)
    assert len(names) == 3
    assert all(name.startswith("tiny-2") for name in names)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "run.db").unlink(), "is missing"),
        (lambda folder: (folder / "run.db").write_bytes(b"x" * 5000), "cannot be read"),
        (lambda folder: (folder / "run.db").write_bytes(b""), "cannot be read"),
    ],
    ids=["missing", "no database", "empty"],
)
def test_a_damaged_run_is_one_line(store: Store, tiny: Tiny, damage: Callable[[Path], object], words: str) -> None:
    store.create(tiny(), "one").close()
    damage(store.home / "runs" / "one")
    with pytest.raises(BadInput, match=words):
        store.open("one")
    assert store.runs()[0].status == "damaged"


def test_a_damaged_event_or_study_is_one_line(run: RunFolder, store: Store) -> None:
    with closing(sqlite3.connect(run.folder / "run.db", isolation_level=None)) as connection:
        connection.execute('INSERT INTO events VALUES (1, 0, \'{"event": "no such"}\', "")')
        prove(connection)
    with pytest.raises(BadInput, match="an event is damaged") as caught:
        run.events()
    assert len(str(caught.value).splitlines()) == 1
    assert store.runs()[0].status == "damaged"
    (run.folder / "study.toml").write_text("name = ")
    with pytest.raises(BadInput, match=r"study.toml: not TOML"):
        run.study()
    (run.folder / "study.toml").write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"study.toml"):
        run.study()


def test_a_run_that_cannot_be_made_leaves_no_folder(store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(BadInput, match="cannot be written: No space left on device"):
        store.create(tiny(), "one")
    assert list((store.home / "runs").iterdir()) == []


# The machine


def test_the_machine_is_remembered_and_a_damaged_sheet_knows_nothing(tmp_path: Path) -> None:
    facts = MachineFacts(tmp_path / "machine.json")
    assert (facts.numerics, facts.lanes, facts.devices, facts.memory, facts.rates) == ("", 0, 0, 0, {})
    facts.keep(numerics="here", lanes=4, rates={"lenet": 10.0}, devices=2, memory=80)
    facts.keep(numerics="there", lanes=2, rates={"conv": 5.0}, devices=1, memory=40)
    again = MachineFacts(tmp_path / "machine.json")
    assert (again.numerics, again.lanes, again.devices, again.memory) == ("there", 4, 1, 40)
    assert again.rates == {"lenet": 10.0, "conv": 5.0}
    (tmp_path / "machine.json").write_text("{")
    assert (again.numerics, again.lanes, again.rates) == ("", 0, {})
