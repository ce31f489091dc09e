"""What is kept: whole or absent, believed only when proven, and readable while it is written."""

import errno
import os
import re
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
import pytest

from engine.errors import BadInput
from engine.networks import Snapshot
from engine.spec import Study
from engine.store import (
    CurvePoint,
    LaneProgress,
    LayerCount,
    LockLost,
    MachineProfile,
    Note,
    Progress,
    Request,
    RoundFinished,
    RoundResult,
    RunFinished,
    RunFolder,
    Store,
    StoredRound,
    load_round,
)
from engine.store import files as store_files
from engine.store.run_db import prove

Tiny = Callable[..., Study]
KEY = "ab" + "0" * 38
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def run(store: Store, tiny: Tiny) -> Iterator[RunFolder]:
    with store.create(tiny(), "one") as folder:
        yield folder


def a_round(key: str = KEY) -> StoredRound:
    """A small round with every kind of awkward number in it."""
    kernel = np.array([[1.5, -0.0, np.nan], [np.inf, 0.0, 0.0]], np.float32)
    output = np.array([[1e-45], [2.0], [3.0]], np.float32)
    params = {"output/kernel": output, "dense1/kernel": kernel, "dense1/bias": np.full(3, -0.0, np.float32)}
    state = {"norm/mean": np.array(0.5, np.float32), "norm/none": np.zeros(0, np.float32)}
    final, best = Snapshot(params, state), Snapshot({name: -array for name, array in params.items()}, state)
    result = RoundResult(
        iterations=10,
        early_stop_iteration=None,
        validation_loss=None,
        test_accuracy=0.1,
        test_accuracy_end=1.0,
        test_accuracy_pruned=0.5,
        layers={"dense1": LayerCount(survivors=4, size=6), "output": LayerCount(survivors=3, size=3)},
        seconds=0.25,
        diverged=True,
    )
    curve = [CurvePoint(iteration=5, train_loss=None, validation_loss=0.1, validation_accuracy=1 / 3)]
    masks = {
        "output/kernel": np.ones((3, 1), bool),
        "dense1/kernel": np.array([[True, True, True], [True, False, False]]),
    }
    best.params["dense1/kernel"][1, 1:] = 0.0
    return StoredRound(key, result, curve, masks, final, best, {7: best, 0: final})


def same_round(one: StoredRound, other: StoredRound) -> None:
    assert (one.key, one.result, one.curve) == (other.key, other.result, other.curve)
    assert list(one.masks) == list(other.masks)
    for name, mask in one.masks.items():
        assert mask.dtype == other.masks[name].dtype == bool
        np.testing.assert_array_equal(mask, other.masks[name])
    assert one.snapshots.keys() == other.snapshots.keys()
    pairs = [
        (one.final, other.final),
        (one.best, other.best),
        *((one.snapshots[at], other.snapshots[at]) for at in one.snapshots),
    ]
    for snapshot, that in pairs:
        for arrays, others in ((snapshot.params, that.params), (snapshot.state, that.state)):
            assert arrays.keys() == others.keys()
            for name, array in arrays.items():
                assert (array.dtype, array.shape) == (others[name].dtype, others[name].shape)
                assert array.tobytes() == others[name].tobytes(), name


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
    assert noticed > 1.98 * len(places), "every byte is in a digest, but for the digest's own name"


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


def test_parts_of_a_round_are_read_and_proven_without_the_rest(store: Store) -> None:
    whole = a_round()
    store.rounds.write(whole)
    path = store.rounds.path(KEY)
    sound, weight = path.read_bytes(), np.float32(np.nan).tobytes()
    assert sound.count(weight) >= 2
    path.write_bytes(sound.replace(weight, np.float32(1).tobytes()))
    assert store.rounds.read(KEY) is None
    assert load_round(path) is None
    masks = store.rounds.read_masks(KEY)
    assert masks is not None
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        name: mask.tolist() for name, mask in whole.masks.items()
    }
    assert (store.rounds.read_result(KEY), store.rounds.read_curve(KEY)) == (whole.result, whole.curve)
    bits = np.packbits(whole.masks["dense1/kernel"]).tobytes() + np.packbits(whole.masks["output/kernel"]).tobytes()
    assert sound.count(bits) == 1
    path.write_bytes(sound.replace(bits, b"\xff\xff"))
    assert store.rounds.read_masks(KEY) is None
    path.write_bytes(sound.replace(b"0.25", b"0.26"))
    assert store.rounds.read_result(KEY) is None


def test_a_round_holds_its_survivors_and_masks_as_bits(store: Store) -> None:
    from safetensors.numpy import load_file

    store.rounds.write(a_round())
    arrays = load_file(store.rounds.path(KEY))
    assert {name: array.shape for name, array in arrays.items() if name.startswith(("final/", "mask/"))} == {
        "final/dense1/kernel": (4,),
        "final/dense1/bias": (3,),
        "final/output/kernel": (3,),
        "mask/dense1/kernel": (1,),
        "mask/output/kernel": (1,),
    }
    assert set(arrays) - {"curve", "mask/dense1/kernel", "mask/output/kernel"} == {
        f"{group}{name}"
        for group in ("final", "best", "at0", "at7")
        for name in ("/dense1/kernel", "/dense1/bias", "/output/kernel", ".state/norm/mean", ".state/norm/none")
    }


def test_a_stranger_audits_a_round_with_numpy(store: Store) -> None:
    stored = a_round()
    store.rounds.write(stored)
    path = store.rounds.path(KEY)
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "file-formats.md").read_text(), re.S | re.M)
    code += "for moment in ('final', 'best', 'at7'):\n    np.savez(f'{path}.{moment}', **dense(moment))\n"
    audit = [sys.executable, "-c", code, str(path)]
    ran = subprocess.run(audit, cwd=path.parent, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{KEY}: 77.78% of the weights, test accuracy 0.1\n"
    for moment, snapshot in (("final", stored.final), ("best", stored.best), ("at7", stored.snapshots[7])):
        with np.load(f"{path}.{moment}.npz") as found:
            assert set(found) == snapshot.params.keys()
            for name, array in snapshot.params.items():
                assert found[name].tobytes() == array.tobytes()
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    assert subprocess.run(audit, cwd=path.parent, capture_output=True).returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="folders have other permissions here")
def test_what_is_kept_is_its_users_alone(store: Store, tiny: Tiny) -> None:
    before = os.umask(0)
    try:
        store.create(tiny(), "one").close()
        store.rounds.write(a_round())
        store.round_locks.take(KEY, "one")
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


def test_the_curve_of_a_finished_round_is_in_its_file_alone(run: RunFolder, store: Store) -> None:
    stored = a_round()
    run.append_curve(KEY, stored.curve)
    store.rounds.write(stored)
    place = {"arm": "ticket", "trial": 0, "round": 0, "key": KEY}
    run.append(RoundFinished(**place, reused=False, result=stored.result, similarity={}))
    with closing(sqlite3.connect(run.folder / "run.db")) as connection:
        assert connection.execute("SELECT * FROM curves").fetchall() == []
    assert (run.curve(KEY), run.curve(KEY, after=4), run.curve(KEY, after=5)) == (stored.curve, stored.curve, [])
    store.rounds.path(KEY).write_bytes(b"damaged")
    assert run.curve(KEY) == []


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


OWN = """
import pathlib, sys
from engine.errors import BadInput
from engine.store import Note, RunFolder
with RunFolder(pathlib.Path(sys.argv[1])) as run:
    try:
        run.own()
    except BadInput as error:
        print(error)
        sys.exit(2)
    run.append(Note(text="mine"))
    print("owned", flush=True)
    sys.stdin.read()
"""


def owner_of(run: RunFolder) -> subprocess.Popen[str]:
    """A process that owns a run until its standard input ends."""
    command = [sys.executable, "-c", OWN, str(run.folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


def test_a_run_of_this_process_is_running(run: RunFolder) -> None:
    assert run.status("running") == "interrupted", "nobody owns it yet"
    run.own()
    run.own()
    assert [run.status(told) for told in ("new", "running", "paused", "done")] == ["new", "running", "paused", "done"]
    owner = run.owner()
    assert owner is not None
    assert (owner.run, owner.pid) == ("one", os.getpid())
    run.release()
    assert run.owner() is None
    assert not (run.folder / "run.lock").exists()


def test_two_objects_of_one_process_exclude_each_other(run: RunFolder, store: Store) -> None:
    run.own()
    with store.open("one") as other:
        with pytest.raises(BadInput, match=rf"^run 'one': in use by process {os.getpid()} on .*; allowed: "):
            other.own()
        run.release()
        other.own()
        other.release()


def test_a_run_of_another_process_is_its_own_until_it_is_killed(run: RunFolder, store: Store) -> None:
    with owner_of(run) as process:
        assert [run.status(told) for told in ("new", "running", "paused")] == ["new", "running", "paused"]
        with pytest.raises(BadInput, match=rf"in use by process {process.pid} on "):
            run.own()
        process.kill()
    assert [run.status(told) for told in ("new", "running", "paused")] == ["interrupted"] * 3
    assert [run.status(told) for told in ("done", "stopped", "failed")] == ["done", "stopped", "failed"]
    run.own()
    assert run.still_owned()


def test_of_many_processes_that_own_a_run_one_writes_it(run: RunFolder) -> None:
    command = [sys.executable, "-c", OWN, str(run.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    said = [process.stdout.readline() for process in processes]
    for process in processes:
        process.communicate()
    assert sorted(process.returncode for process in processes) == [0, 2, 2, 2]
    assert said.count("owned\n") == 1
    assert [stamped.event for stamped in run.events()] == [Note(text="mine")]


@pytest.mark.parametrize("loss", ["removed", "replaced"])
def test_a_process_that_has_lost_its_lock_writes_nothing_more(run: RunFolder, store: Store, loss: str) -> None:
    run.own()
    run.append(Note(text="before"))
    (run.folder / "run.lock").unlink()
    other = store.open("one")
    if loss == "replaced":
        other.own()
    assert not run.still_owned()
    for write in (
        lambda: run.append(Note(text="after")),
        lambda: run.set_progress(Progress(state="training")),
        lambda: run.append_curve(KEY, []),
    ):
        with pytest.raises(LockLost, match=r"^run 'one': its lock .*run.lock was removed or replaced"):
            write()
    run.release()
    assert other.still_owned() == (loss == "replaced"), "nobody else's lock is released"
    assert [stamped.event for stamped in other.events()] == [Note(text="before")]
    other.close()


def test_a_file_system_without_locks_is_refused(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", without)
    with pytest.raises(BadInput, match=r"run.lock: cannot be locked: No locks available; allowed: a file system with"):
        run.own()
    assert run.owner() is None


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"run": "x", "host": "y", "pid": "z"}', "x" * 5000])
def test_a_lock_without_a_name_is_a_lock(run: RunFolder, store: Store, text: str) -> None:
    run.own()
    (run.folder / "run.lock").write_text(text)
    with store.open("one") as other:
        assert other.owner_alive()
        with pytest.raises(BadInput, match="in use by another process"):
            other.own()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_lock_that_is_no_file_holds_nobody_up(run: RunFolder, make: Callable[[Path], object]) -> None:
    make(run.folder / "run.lock")
    assert run.owner() is None
    assert run.status("running") == "interrupted"


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


def test_each_device_has_figures_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = MachineProfile(tmp_path / "machine.json")

    def figures() -> tuple[object, ...]:
        again = MachineProfile(tmp_path / "machine.json")
        return again.numerics, again.lanes, again.devices, again.memory, again.rates

    nothing = ("", 0, 0, 0, {})
    assert figures() == nothing
    profile.keep(numerics="gpu", lanes=64, rates={"lenet": 900.0}, devices=1, memory=80)
    profile.keep(numerics="gpu", lanes=32, rates={"conv": 5.0}, devices=1, memory=80)
    of_gpu = ("gpu", 64, 1, 80, {"lenet": 900.0, "conv": 5.0})
    assert figures() == of_gpu
    with monkeypatch.context() as laptop:
        laptop.setattr("platform.node", lambda: "laptop")
        assert figures() == nothing, "a home that was moved forecasts nothing from the machine before"
        profile.keep(numerics="cpu", lanes=2, rates={"lenet": 10.0}, devices=2, memory=0)
        assert figures() == ("cpu", 2, 2, 0, {"lenet": 10.0})
    assert figures() == of_gpu
    (tmp_path / "machine.json").write_text("{")
    assert figures() == nothing
