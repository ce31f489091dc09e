"""What goes wrong around a run does not change what it finds: full disks, failing writes, full devices."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import pytest
from resuming import SMALL, checkpoints, execute, same_run, view_of

from engine.errors import BadInput, LabError, Unwritable
from engine.runner import session as pilot
from engine.runner import workers as bench
from engine.spec import parse_study
from engine.store import Note, Progress, Request, RoundFinished, RoundStore, RunFolder, Store, StoredRound, files
from engine.training import machine
from lth_tui import cli

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
STUDY = parse_study(SMALL, source="small.toml")
ROOT = Path(__file__).resolve().parents[2]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def sound(jax_ready: None, new_home: NewHome) -> Path:
    """A home with a run to which nothing happened; not to be written to."""
    home = new_home()
    assert execute(home, STUDY)[0] == "done"
    return home


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "RETRY_SECONDS", 0.0)


def notes(home: Path) -> list[str]:
    with Store(home).open("r") as folder:
        return [stamped.event.text for stamped in folder.events() if isinstance(stamped.event, Note)]


def waits(monkeypatch: pytest.MonkeyPatch, act: Callable[[RunFolder], None]) -> list[Progress]:
    """Each time that a run says that it waits, this is done; what it said."""
    said: list[Progress] = []
    tell = RunFolder.set_progress

    def told(folder: RunFolder, now: Progress) -> None:
        tell(folder, now)
        if now.state == "waiting":
            said.append(now)
            act(folder)

    monkeypatch.setattr(RunFolder, "set_progress", told)
    return said


# Writes of files


class Disk:
    """Counts the steps of every file that is kept: opened, written, synced, renamed. From step `at` on, `times` of them
    fail with `error`; what is written then is half of it."""

    def __init__(self, at: int, times: int, error: OSError):
        self.at, self.times, self.error, self.count = at, times, error, 0

    def step(self) -> bool:
        """Whether this step fails."""
        self.count += 1
        return self.at <= self.count < self.at + self.times

    def fail(self, _: object = None) -> None:
        if self.step():
            raise self.error


@contextmanager
def failing(at: int, times: int = 1, error: OSError = FULL) -> Iterator[Disk]:
    disk = Disk(at, times, error)
    opened, renamed, synced = Path.open, Path.replace, os.fsync

    class Short:
        def __init__(self, file: Any):
            self.file = file

        def __enter__(self) -> "Short":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            short = disk.step()
            self.file.write(data[: len(data) // 2] if short else data)
            if short:
                raise disk.error

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def open_part(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.suffix != files.PART:
            return opened(path, *args, **kwargs)
        disk.fail()
        return Short(opened(path, *args, **kwargs))

    def replace(path: Path, to: Path) -> Path:
        disk.fail()
        return renamed(path, to)

    def fsync(handle: int) -> None:
        disk.fail()
        synced(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_part)
        patch.setattr(Path, "replace", replace)
        patch.setattr(files.os, "fsync", fsync)
        yield disk


STEPS = range(1, 5)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("step", STEPS)
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, step: int, number: int) -> None:
    path = tmp_path / "ab" / "file"
    files.write_atomic(path, b"before")
    error = OSError(number, os.strerror(number))
    words = rf"^{path}: cannot be written: {error.strerror}$"
    with failing(step, error=error), pytest.raises(Unwritable, match=words), files.writing(path):
        files.write_atomic(path, b"what comes after")
    assert path.read_bytes() == b"before"
    assert [item.name for item in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 12, 23, 31])
def test_a_disk_that_is_full_for_a_while_is_waited_for(sound: Path, new_home: NewHome, at: int) -> None:
    home = new_home()
    with failing(at, times=3):
        assert execute(home, STUDY)[0] == "done"
    same_run(home, sound)
    first, last = notes(home)
    assert first.startswith(f"paused by itself: {home}")
    assert first.endswith("cannot be written: No space left on device; goes on when it can be")
    assert re.match(rf"goes on after \d+ s: {home}/.* can be written again$", last)
    assert not list(home.rglob(f"*{files.PART}"))


def test_a_run_that_waits_for_the_disk_says_so_and_stops_when_asked(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()

    with monkeypatch.context() as patch, failing(20, times=10**9):
        said = waits(patch, lambda folder: folder.request(Request.STOP))
        assert execute(home, STUDY, every=1e9)[0] == "stopped"
    assert [f"paused by itself: {now.about}" for now in said] == notes(home)
    assert execute(home)[0] == "done"
    same_run(home, sound)


# Writes of the database


def test_a_database_that_is_full_for_a_while_is_waited_for(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, left = new_home(), [0]
    append, bide = RunFolder.append, pilot.RunSession._bide

    def fill(folder: RunFolder, event: object) -> object:
        if isinstance(event, RoundFinished) and left[0] == 0:
            left[0] = 5
            folder._connection.execute("PRAGMA max_page_count = 1")
        return append(folder, event)  # type: ignore[arg-type]

    def empty(self: pilot.RunSession, seconds: float) -> None:
        left[0] -= 1
        if left[0] == 1:
            self._folder._connection.execute("PRAGMA max_page_count = 1000000")
        bide(self, seconds)

    monkeypatch.setattr(RunFolder, "append", fill)
    monkeypatch.setattr(pilot.RunSession, "_bide", empty)
    assert execute(home, STUDY)[0] == "done"
    assert left[0] == 1
    same_run(home, sound)
    assert notes(home)[-1].endswith("run.db can be written again")


def test_a_run_that_waits_and_can_write_nothing_says_why(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, bide = new_home(), pilot.RunSession._bide
    writing, full, seen = RunFolder._writing, [False, False], []

    def fill(folder: RunFolder) -> Any:
        if full[0]:
            raise Unwritable(f"{folder.folder / 'run.db'}: cannot be written: database or disk is full")
        return writing(folder)

    def write(store: RoundStore, stored: StoredRound) -> None:
        if not full[1]:
            full[:] = True, True
        if full[0]:
            raise Unwritable(f"{store.path(stored.key)}: cannot be written: No space left on device")
        kept(store, stored)

    def look(self: pilot.RunSession, seconds: float) -> None:
        with Store(home).open("r") as other:
            seen.append(other.progress())
        full[0] = len(seen) < 3
        bide(self, seconds)

    kept = RoundStore.write
    monkeypatch.setattr(RunFolder, "_writing", fill)
    monkeypatch.setattr(RoundStore, "write", write)
    monkeypatch.setattr(pilot.RunSession, "_bide", look)
    assert execute(home, STUDY)[0] == "done"
    same_run(home, sound)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, "once, however long it waits"
    assert said[0].startswith(f"r paused by itself: {home}")
    assert said[0].endswith("; goes on when it can be")
    for found in seen:
        assert found is not None
        assert (found[1].state, f"r paused by itself: {found[1].about}") == ("waiting", said[0])
    with Store(home).open("r") as folder:
        newest = folder.progress()
        assert newest is not None
        assert newest[1].state != "waiting"


def test_a_run_whose_database_is_full_stops_when_asked(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, append, bide = new_home(), RunFolder.append, pilot.RunSession._bide

    def fill(folder: RunFolder, event: object) -> object:
        if isinstance(event, RoundFinished):
            folder._connection.execute("PRAGMA max_page_count = 1")
        return append(folder, event)  # type: ignore[arg-type]

    def ask(self: pilot.RunSession, seconds: float) -> None:
        with Store(home).open("r") as other:
            other.request(Request.STOP)
        bide(self, 1e9)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", fill)
        patch.setattr(pilot.RunSession, "_bide", ask)
        assert execute(home, STUDY)[0] == "stopped"
    with Store(home).open("r") as folder:
        assert folder.status(view_of(folder).status) in ("interrupted", "stopped")
    assert execute(home)[0] == "done"
    same_run(home, sound)


# Before a run


def test_a_study_that_does_not_fit_on_the_disk_is_refused(
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = new_home()
    usage = shutil.disk_usage(home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50_000_000))
    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["lth-tui", "run", "quickstart"])
    assert cli.main() == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"lth-tui: {home}: 0.07 GB are needed, 0.05 GB are free; "
        "allowed: a disk with room, in LTH_TUI_HOME, or a smaller study"
    )
    assert Store(home).runs() == []


def test_a_run_taken_up_on_a_full_disk_is_refused_and_stays(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    execute(home, STUDY, 100)
    usage = shutil.disk_usage(home)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(BadInput, match=r"0\.00 GB are free"):
            execute(home)
    assert execute(home)[0] == "done"
    same_run(home, sound)


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(BadInput, match=r"home: cannot be written: .*; allowed: a folder that can be, in LTH_TUI_HOME$"):
        Store(tmp_path / "home").check_room(0)


# Death in the middle of a write


DYING = """
import os, sys
from pathlib import Path
from engine.training import lanes as pack
from engine.runner import checkpoints as saving
from engine.store import files
pack.StepTimer.fitting, saving.CHECKPOINT_SECONDS, saving.CHECKPOINT_SHARE = 4, 0.0, float("inf")
left, synced, renamed = [int(sys.argv.pop(1))], os.fsync, Path.replace
def step():
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
def fsync(handle):
    step()
    synced(handle)
def replace(path, to):
    step()
    renamed(path, to)
    step()
files.os.fsync, Path.replace = fsync, replace
from lth_tui.cli import main
sys.exit(main())
"""


def die_at(home: Path, moment: int, arguments: list[str]) -> int:
    environment = {"LTH_TUI_HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "error", "-c", DYING, str(moment), *arguments, "--json"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode


@pytest.mark.parametrize(
    "moment", [23, *(pytest.param(moment, marks=pytest.mark.slow) for moment in (1, 2, 3, 4, 9, 30, 31, 52))]
)
def test_a_run_that_dies_in_a_write_ends_as_if_it_had_not(sound: Path, new_home: NewHome, moment: int) -> None:
    home = new_home()
    (home / "study.toml").write_text(SMALL)
    assert die_at(home, moment, ["run", str(home / "study.toml"), "--name", "r"]) == 9
    assert [item.status for item in Store(home).runs()] == ["interrupted"]
    assert execute(home)[0] == "done"
    same_run(home, sound)


# Devices


class Crowded(bench.LaneBatch):
    """A pack for which the devices have no memory when it is wide."""

    most = 1
    tried: list[int] = []

    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        self.tried.append(self.count)
        if self.count > self.most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")
        return super().dispatch(*args, **kwargs)


def test_a_pack_too_wide_for_the_devices_is_halved(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine().devices < 2:
        pytest.skip("one device only")
    home = new_home()
    monkeypatch.setattr(bench, "LaneBatch", Crowded)
    monkeypatch.setattr(Crowded, "tried", [])
    assert execute(home, STUDY)[0] == "done"
    assert Crowded.tried[0] == min(2, machine().devices)
    assert set(Crowded.tried[1:]) == {1}
    assert notes(home) == ["the devices are out of memory: 1 lanes at once from here on"]
    with Store(home).open("r") as folder:
        assert folder.progress()[1].steps_done == folder.progress()[1].steps_total  # type: ignore[index]
    same_run(home, sound)


def test_a_network_too_large_for_a_device_is_said_in_words(new_home: NewHome, monkeypatch: pytest.MonkeyPatch) -> None:
    home = new_home()
    monkeypatch.setattr(bench, "LaneBatch", Crowded)
    monkeypatch.setattr(Crowded, "most", 0)
    with pytest.raises(LabError, match=r"^base.train.batch 30 of lenet-300-100: one network is more than the memory"):
        execute(home, STUDY)
    with Store(home).open("r") as folder:
        view = view_of(folder)
        assert (view.status, view.message.endswith("allowed: a smaller batch")) == ("failed", True)


def test_a_device_that_disappears_leaves_a_run_that_can_be_taken_up(
    sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vanishing(bench.LaneBatch):
        def dispatch(self, *args: Any, **kwargs: Any) -> Any:
            if self.iteration >= 40:
                raise jax.errors.JaxRuntimeError("UNAVAILABLE: the device is gone")
            return super().dispatch(*args, **kwargs)

    home = new_home()
    with monkeypatch.context() as patch:
        patch.setattr(bench, "LaneBatch", Vanishing)
        with pytest.raises(jax.errors.JaxRuntimeError):
            execute(home, STUDY)
    with Store(home).open("r") as folder:
        view = view_of(folder)
        assert (view.status, view.message) == ("failed", "JaxRuntimeError: UNAVAILABLE: the device is gone")
        assert not folder.owner_alive()
    assert checkpoints(home)
    assert Store(home).round_locks.holders() == {}
    assert execute(home)[0] == "done"
    same_run(home, sound)


def test_a_clock_that_jumps_changes_nothing(sound: Path, new_home: NewHome, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    home, now, looked = new_home(), time.time(), [0]

    def jumping() -> float:
        looked[0] += 1
        return now + (3e6 if looked[0] % 2 else -3e6)

    monkeypatch.setattr(time, "time", jumping)
    assert execute(home, STUDY, 100)[0] == "killed"
    assert execute(home)[0] == "done"
    monkeypatch.undo()
    same_run(home, sound)
    with Store(home).open("r") as folder:
        assert (view_of(folder).seconds or 0) >= 0
