"""A run carried to another machine: the same numbers there, nothing half done, nothing of one's own overwritten."""

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sample_run import sample_study, write_sample

from engine.claims import judge
from engine.errors import BadInput, LabError
from engine.export import open_bundle, write_bundle
from engine.store import Note, RunFolder, Store, StoredRound
from engine.views import RunView, fold, show_json

Told = list[tuple[str, float]]


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return write_sample(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture
def carried(here: Store, tmp_path: Path) -> Path:
    path = tmp_path / "one.lth"
    write_bundle("one", here, path, quiet)
    return path


def quiet(stage: str, done: float) -> None:
    pass


def view_of(store: Store, run: str) -> RunView:
    with store.open(run) as folder:
        return fold(RunView(), folder.events())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same_rounds(one: Store, other: Store, keys: set[str]) -> None:
    for key in keys:
        mine, its = one.rounds.read(key), other.rounds.read(key)
        assert mine is not None
        assert its is not None
        assert (mine.key, mine.result, mine.curve) == (its.key, its.result, its.curve)
        for own, copy in zip(groups(mine), groups(its), strict=True):
            assert {name: array.tobytes() for name, array in own.items()} == {
                name: array.tobytes() for name, array in copy.items()
            }


def groups(stored: StoredRound) -> list[dict[str, Any]]:
    snapshots = (stored.final, stored.best, *stored.snapshots.values())
    return [stored.masks, *(snapshot.params for snapshot in snapshots), *(snapshot.state for snapshot in snapshots)]


# There and back


def test_a_run_is_the_same_there(carried: Path, here: Store, there: Store) -> None:
    opened = open_bundle(carried, there, quiet)
    assert (opened.run, opened.new, opened.known) == ("one", 10, 0)
    mine, its = view_of(here, "one"), view_of(there, "one")
    assert mine == its
    assert show_json(mine, "done") == show_json(its, "done")
    assert judge(mine, sample_study()) == judge(its, sample_study())
    keys = {item.key for arm in mine.arms for trial in arm.trials for item in trial.rounds.values()}
    same_rounds(here, there, keys)
    with here.open("one") as own, there.open("one") as copy:
        assert own.events() == copy.events()
        assert [own.curve(key) for key in keys] == [copy.curve(key) for key in keys]
        assert any(copy.curve(key) for key in keys)
        assert own.study() == copy.study()
    assert here.runs() == there.runs()


def test_a_real_run_is_the_same_there(finished: RunFolder, there: Store, tmp_path: Path) -> None:
    here = Store(finished.folder.parent.parent)
    written = write_bundle(finished.id, here, tmp_path / "real.lth", quiet)
    opened = open_bundle(tmp_path / "real.lth", there, quiet)
    assert opened.new == written.rounds > 10
    assert written.missing == 0
    assert view_of(there, opened.run) == view_of(here, finished.id)
    assert here.runs()[-1:] == there.runs() or finished.id in {run.id for run in there.runs()}


def test_title_and_note_travel_with_it(here: Store, there: Store, tmp_path: Path) -> None:
    title, note = "[/b]\x1b[31m‮the one", "line one\nline two"
    with here.open("one") as run:
        run.describe(title=title, note=note)
    write_bundle("one", here, tmp_path / "told.lth", quiet)
    open_bundle(tmp_path / "told.lth", there, quiet)
    assert [(run.title, run.note) for run in there.runs()] == [(title, note)]


def test_the_commands_work_there_and_print_the_same(
    carried: Path, here: Store, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lth_tui.cli import command_line

    def said(home: Path, *words: str) -> str:
        monkeypatch.setenv("LTH_TUI_HOME", str(home))
        result = CliRunner().invoke(command_line, words, standalone_mode=False, catch_exceptions=False)
        assert result.exception is None
        return result.stdout

    path = carried.with_name("again.lth")
    line = said(here.home, "bundle", "one", str(path))
    assert line.startswith("one: 26 events, 20 validations and 10 rounds, ")
    assert line.strip().endswith("kB")
    assert path.read_bytes() == carried.read_bytes(), "the same run makes the same bytes"
    line = said(there.home, "open", str(path))
    assert line.startswith("one: 26 events and 10 rounds, 0 of them known before, ")
    for words in (("show", "one"), ("show", "one", "--json"), ("claims", "one"), ("runs",)):
        assert said(here.home, *words) == said(there.home, *words)


def test_a_name_that_is_taken_gets_a_number_and_rounds_that_are_known_stay(carried: Path, there: Store) -> None:
    first = [open_bundle(carried, there, quiet) for _ in range(3)]
    assert [(item.run, item.new, item.known) for item in first] == [("one", 10, 0), ("one-2", 0, 10), ("one-3", 0, 10)]
    assert {run.id for run in there.runs()} == {"one", "one-2", "one-3"}
    assert view_of(there, "one-2").run == "one-2", "the run is called what its folder is"


def test_a_round_of_ones_own_is_never_overwritten(carried: Path, there: Store) -> None:
    with zipfile.ZipFile(carried) as archive:
        key = next(name for name in archive.namelist() if "/" in name)[7:47]
    path = there.rounds.path(key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one's own, whatever it is")
    opened = open_bundle(carried, there, quiet)
    assert (opened.new, opened.known) == (9, 1)
    assert path.read_bytes() == b"one's own, whatever it is"


def test_a_run_at_work_is_carried_as_it_is_and_interrupted_there(here: Store, there: Store, tmp_path: Path) -> None:
    with here.create(sample_study(), "two") as folder:
        folder.own()
        folder.append(Note(text="at work"))
        write_bundle("two", here, tmp_path / "two.lth", quiet)
    open_bundle(tmp_path / "two.lth", there, quiet)
    (run,) = there.runs()
    assert (run.id, run.status) == ("two", "interrupted")


def test_rounds_that_are_gone_or_damaged_are_counted_and_left_out(here: Store, there: Store, tmp_path: Path) -> None:
    files = sorted((here.home / "rounds").rglob("*.safetensors"))
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-5])
    written = write_bundle("one", here, tmp_path / "two.lth", quiet)
    assert (written.rounds, written.missing) == (8, 2)
    assert open_bundle(tmp_path / "two.lth", there, quiet).new == 8
    assert view_of(there, "one") == view_of(here, "one")


def test_progress_is_told_for_every_round(here: Store, there: Store, tmp_path: Path) -> None:
    told: Told = []
    write_bundle("one", here, tmp_path / "two.lth", lambda stage, done: told.append((stage, done)))
    assert told == [("packing rounds", done / 10) for done in range(10)]
    told.clear()
    open_bundle(tmp_path / "two.lth", there, lambda stage, done: told.append((stage, done)))
    assert told == [("checking rounds", done / 10) for done in range(10)]


# What it is


def test_a_bundle_is_json_toml_and_safetensors_with_a_true_manifest(carried: Path) -> None:
    with zipfile.ZipFile(carried) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    assert (manifest["format"], manifest["run"], manifest["study"]) == (1, "one", sample_study().hash)
    assert manifest["members"] == {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
    }
    assert {name for name in members if "/" not in name} == {"study.toml", "events.jsonl"}
    assert len([json.loads(line) for line in members["events.jsonl"].splitlines()]) == 26


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_all_that_is_made_is_the_users_alone(carried: Path, there: Store) -> None:
    assert stat.S_IMODE(carried.stat().st_mode) == 0o600
    open_bundle(carried, there, quiet)
    assert stat.S_IMODE(there.home.stat().st_mode) == 0o700
    files = [path for path in there.home.rglob("*") if path.is_file()]
    assert len(files) == 12
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((there.home / "runs" / "one").stat().st_mode) == 0o700


# All or nothing


def test_a_bundle_that_cannot_be_written_leaves_nothing(
    here: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "folder"
    target.mkdir()

    def refused(run: str, path: Path, words: str) -> None:
        with pytest.raises(BadInput, match=words) as caught:
            write_bundle(run, here, path, quiet)
        assert len(str(caught.value).splitlines()) == 1
        assert list(target.iterdir()) == []

    refused("none", target / "a", "there is none of that name; allowed: one")
    refused("one", target / "no" / "a", "cannot be written: No such file")
    refused("one", target, "it is there already")
    refused("one", target / ("a" * 300), "cannot be written: File name too long")
    monkeypatch.setattr(os, "fsync", full)
    refused("one", target / "a", "cannot be written: No space left on device")


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_is_there_is_not_written_over(here: Store, carried: Path) -> None:
    before = carried.read_bytes()
    with pytest.raises(BadInput, match="it is there already; allowed: the name of a new file"):
        write_bundle("one", here, carried, quiet)
    assert carried.read_bytes() == before


@pytest.mark.parametrize("step", ["staging", "linking", "taking in", "stopped"])
def test_an_opening_that_fails_leaves_nothing(
    carried: Path, there: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    there.home.mkdir()
    (there.home / "mine").write_text("mine")
    report: Callable[[str, float], None] = quiet
    if step == "staging":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "linking":
        made, link = [], os.link

        def three(source: Path, target: Path) -> None:
            if len(made) == 3:
                full()
            link(source, target)
            made.append(target)

        monkeypatch.setattr(os, "link", three)
    elif step == "taking in":
        monkeypatch.setattr(Store, "adopt", full)
    else:

        def report(stage: str, done: float) -> None:
            if done > 0.5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt if step == "stopped" else LabError):
        open_bundle(carried, there, report)
    assert files_below(there.home) == {"mine": b"mine"}
    assert not list(there.home.glob(".opening-*"))


def test_what_a_killed_opening_left_is_swept_later(carried: Path, there: Store) -> None:
    for name, age in ((".opening-old", 2 * 24 * 3600), (".opening-new", 60)):
        folder = there.home / name
        folder.mkdir(parents=True)
        when = folder.stat().st_mtime - age
        os.utime(folder, (when, when))
    open_bundle(carried, there, quiet)
    assert [path.name for path in there.home.glob(".opening-*")] == [".opening-new"]


@pytest.mark.parametrize("what", ["disk", "memory"])
def test_what_does_not_fit_is_refused_before_it_is_unpacked(
    carried: Path, there: Store, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    little = type("Little", (), {"free": 10_000, "available": 1_000})
    place = "shutil.disk_usage" if what == "disk" else "psutil.virtual_memory"
    monkeypatch.setattr(place, lambda *_: little)
    monkeypatch.setattr("engine.export.archive.Bundle.blocks", lambda *_: iter([sample_bytes(carried)]))
    with pytest.raises(BadInput, match=f"it takes [0-9]+ bytes of {what} to open; allowed: at most"):
        open_bundle(carried, there, quiet)
    assert not there.home.exists()


def sample_bytes(carried: Path) -> bytes:
    with zipfile.ZipFile(carried) as archive:
        return archive.read("study.toml")
