"""What is damaged is noticed, said in a line, and made good: no number of it is believed."""

import json
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from resuming import SMALL, copied, execute, same_round, same_run, view_of

from engine import datasets
from engine.errors import BadInput, LabError
from engine.runner import run
from engine.spec import parse_study
from engine.store import (
    CurvePoint,
    Note,
    Paused,
    RoundFinished,
    Stamped,
    Store,
    StoredRound,
    run_db,
)
from engine.views import show_json
from lth_tui import doctor

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
PruningDrop = Callable[[Path], object]
STUDY = parse_study(SMALL, source="small.toml")


@pytest.fixture(scope="module")
def sound(jax_ready: None, new_home: NewHome) -> Path:
    """A home with a run to which nothing happened; not to be written to."""
    home = new_home()
    assert execute(home, STUDY)[0] == "done"
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    return copied(sound, tmp_path / "home")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5000::500] = bytes(len(data[5000::500]))
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds are read from the store again when they are needed, as where there is little memory."""
    monkeypatch.setattr("engine.runner.finished.SHARE_OF_MEMORY", 0.0)


# Rounds


def key_of(home: Path, arm: int, trial: int, number: int) -> str:
    with Store(home).open("r") as folder:
        return view_of(folder).arms[arm].trials[trial].rounds[number].key


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_a_damaged_round_is_trained_again_when_the_run_is_taken_up(
    sound: Path, new_home: NewHome, damage: PruningDrop
) -> None:
    home = new_home()
    assert execute(home, STUDY, 200)[0] == "killed"
    paths = sorted((home / "rounds").glob("*/*"))
    before = {path: path.stat().st_mtime_ns for path in paths[1:]}
    damage(paths[0])
    assert execute(home)[0] == "done"
    same_run(home, sound)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "the others are kept"


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("number", [0, 1])
def test_a_round_damaged_while_the_run_works_is_trained_again(
    sound: Path, new_home: NewHome, forgetful: None, damage: PruningDrop, number: int
) -> None:
    home, left = new_home(), [1]
    store = Store(home)

    def break_it(stamped: Stamped) -> None:
        event = stamped.event
        if isinstance(event, RoundFinished) and (event.arm, event.round) == ("ticket", number) and left[0]:
            left[0] = 0
            damage(store.rounds.path(event.key))

    with store.create(STUDY, "r") as folder:
        assert run(folder, store, break_it) == "done"
    if number == 0:
        (note,) = (event for event in told(home) if isinstance(event, Note))
        assert note.text.endswith("a round that was kept cannot be read any more; it is trained again")
        same_numbers(home, sound)
        assert told(home)[-1].trained == told(sound)[-1].trained
    else:
        # The last round of a trial is not read again: that it is damaged is found when it is next needed.
        assert store.rounds.read(key_of(home, 0, 0, number)) is None


def same_numbers(home: Path, reference: Path) -> None:
    """The same is shown of both, but for times and who trained what; and the rounds are the same."""
    assert numbers(home) == numbers(reference)
    for path in (reference / "rounds").glob("*/*"):
        one, other = Store(home).rounds.read(path.stem), Store(reference).rounds.read(path.stem)
        assert one is not None
        assert other is not None
        same_round(one, other)


def numbers(home: Path) -> dict[str, Any]:
    with Store(home).open("r") as folder:
        view = view_of(folder)
        shown = show_json(view, folder.status(view.status))
    for arm in shown["arms"]:
        for trial in arm["trials"]:
            for item in trial["rounds"]:
                item.update(reused=None, seconds=None)
    return shown


def told(home: Path) -> list[Any]:
    with Store(home).open("r") as folder:
        return [stamped.event for stamped in folder.events()]


def test_a_round_that_is_lost_again_and_again_ends_the_run(
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch, forgetful: None
) -> None:
    home = new_home()
    store = Store(home)
    write = type(store.rounds).write

    def lose(rounds: Any, stored: StoredRound) -> int:
        size = write(rounds, stored)
        if all(layer.survivors == layer.size for layer in stored.result.layers.values()):
            cut(rounds.path(stored.key))
        return size

    monkeypatch.setattr(type(store.rounds), "write", lose)
    with pytest.raises(LabError, match=r"cannot be read any more, for the second time; is the disk sound\?$"):
        execute(home, STUDY)
    with store.open("r") as folder:
        assert view_of(folder).status == "failed"


# Anything


@dataclass
class Known:
    """All that a home says of its run."""

    shown: dict[str, Any]
    curves: dict[str, list[CurvePoint]]
    rounds: dict[str, StoredRound]


def known(home: Path) -> Known:
    """Raises BadInput where something is damaged; of rounds those that can be believed."""
    store = Store(home)
    keys = [path.stem for path in sorted((home / "rounds").glob("*/*"))]
    with store.open("r") as folder:
        view = view_of(folder)
        shown = show_json(view, folder.status(view.status))
        curves = {key: folder.curve(key) for key in keys}
    return Known(shown, curves, {key: found for key in keys if (found := store.rounds.read(key)) is not None})


def corrupted(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    match rng.choice(["flip", "flip", "flip", "flip", "cut", "delete"]):
        case "flip":
            place = rng.randrange(len(data))
            # Most of a database's first pages are all that it has; most bytes of a file are of no account.
            changed = data[place] ^ (1 << rng.randrange(8))
            path.write_bytes(data[:place] + bytes([changed]) + data[place + 1 :])
            return f"byte {place} of {path.name}"
        case "cut":
            left = rng.randrange(len(data))
            os.truncate(path, left)
            return f"{path.name} after {left} bytes"
        case _:
            path.unlink()
            return f"{path.name} deleted"


def corrupt_often(home: Path, times: int, seed: int) -> tuple[int, int]:
    """How many corruptions were noticed, and how many did no harm; there are no others."""
    rng, whole = random.Random(seed), known(home)
    run_folder = home / "runs" / "r"
    rounds = sorted((home / "rounds").glob("*/*"))
    files = [run_folder / "run.db"] * 8 + [run_folder / "study.toml", *rounds]
    noticed = harmless = 0
    for _ in range(times):
        path = rng.choice(files)
        before = path.read_bytes()
        what = corrupted(path, rng)
        try:
            found = known(home)
        except BadInput as error:
            lines = str(error).splitlines()
        else:
            lines = []
            assert found.shown == whole.shown, what
            # A point of a curve may go missing; none is another.
            assert all(set(curve) <= set(whole.curves[key]) for key, curve in found.curves.items()), what
            for key, stored in found.rounds.items():
                same_round(stored, whole.rounds[key])
            lost = len(found.rounds) < len(whole.rounds)
            noticed += lost
            harmless += not lost
        assert len(lines) <= 1, what
        noticed += len(lines)
        for left in run_folder.iterdir():
            if left.name not in ("run.db", "study.toml"):
                left.unlink()
        path.write_bytes(before)
    return noticed, harmless


def test_no_corruption_changes_what_is_shown(home: Path) -> None:
    noticed, harmless = corrupt_often(home, 40, 1)
    assert noticed > harmless


@pytest.mark.slow
def test_no_corruption_of_a_thousand_changes_what_is_shown(home: Path) -> None:
    noticed, harmless = corrupt_often(home, 1000, 2)
    assert noticed > harmless


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET event = replace(event, '0.', '0.1') WHERE event LIKE '%round-finished%'",
        "UPDATE events SET time = time + 1 WHERE id = 2",
        "DELETE FROM events WHERE id = 3",
        "DELETE FROM events WHERE id = (SELECT max(id) FROM events)",
        "DELETE FROM events",
        "INSERT INTO events SELECT max(id) + 1, time, event, digest FROM events",
        "UPDATE facts SET value = 'other' WHERE name = 'study'",
        "UPDATE facts SET value = '1.0' WHERE name = 'created'",
        "DELETE FROM facts WHERE name = 'head'",
        "UPDATE facts SET value = '3 0' WHERE name = 'head'",
    ],
)
def test_a_change_of_what_happened_is_noticed(home: Path, statement: str) -> None:
    with Store(home).open("r") as follower:
        last = view_of(follower).last_event
        with closing(sqlite3.connect(home / "runs" / "r" / "run.db", isolation_level=None)) as connection:
            connection.execute(statement)
        with pytest.raises(BadInput, match=r"^run 'r': an event is damaged in "):
            follower.events()
        assert last > 10
    assert [item.status for item in Store(home).runs()] == ["damaged"]


# The doctor


def signal_summaries(home: Path, capsys: pytest.CaptureFixture[str], *, repair: bool = False) -> tuple[bool, list[str]]:
    well = doctor.examine(home, repair=repair)
    lines = capsys.readouterr().out.splitlines()
    return well, [line for line in lines if line[6:12] == "store " and " runs, " not in line]


def snapshot(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and "compiled" not in path.parts}


def test_nothing_is_amiss_in_a_sound_store(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signal_summaries(home, capsys) == (True, [])


@pytest.mark.parametrize("damage", [scramble, cut, lambda path: path.write_bytes(b"x" * 5000), Path.unlink])
def test_a_damaged_database_is_put_aside_and_the_run_taken_up(
    home: Path, sound: Path, capsys: pytest.CaptureFixture[str], damage: PruningDrop
) -> None:
    database = home / "runs" / "r" / "run.db"
    damage(database)
    damaged = database.read_bytes() if database.exists() else None
    before = snapshot(home)
    well, lines = signal_summaries(home, capsys)
    assert (well, len(lines)) == (False, 1)
    assert lines[0].endswith("(lth-tui doctor --repair)")
    assert snapshot(home) == before
    well, lines = signal_summaries(home, capsys, repair=True)
    assert well
    assert lines[0].endswith("; moved to run.db.damaged-1; `lth-tui resume r` takes its rounds from the store")
    if damaged is not None:
        assert (database.parent / "run.db.damaged-1").read_bytes() == damaged
    assert signal_summaries(home, capsys) == (True, [])
    assert execute(home)[0] == "done"
    with Store(home).open("r") as folder:
        view = view_of(folder)
        assert (view.trained, view.reused) == (0, view.rounds_total)
    same_numbers(home, sound)


def test_a_run_without_database_and_study_is_beyond_help(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut(home / "runs" / "r" / "run.db")
    (home / "runs" / "r" / "study.toml").write_text("name = ")
    before = snapshot(home)
    for repair in (False, True):
        well, lines = signal_summaries(home, capsys, repair=repair)
        assert (well, len(lines)) == (False, 1)
    assert "delete it, or bring its study.toml back" in lines[0]
    assert snapshot(home) == before


def test_a_run_whose_plugin_is_not_loaded_is_not_called_damaged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "runs" / "r"
    study = folder / "study.toml"
    study.write_text(study.read_text().replace("[base.prune]", '[base.prune]\ncriterion = "mine"'))
    assert "mine" in study.read_text()
    (folder / "plugins.json").write_text(json.dumps([{"name": "/there/mine.py", "digest": "0" * 64}]))
    before = snapshot(home)
    for repair in (False, True):
        well, lines = signal_summaries(home, capsys, repair=repair)
        assert not well
        assert lines == [
            "FAIL  store      run 'r': not checked; it comes from the plug-in /there/mine.py: give it with --plugin"
        ]
    assert snapshot(home) == before


def test_another_study_than_the_run_began_with_is_amiss(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "runs" / "r" / "study.toml"
    path.write_text(path.read_text().replace("iterations = 80", "iterations = 90"))
    well, lines = signal_summaries(home, capsys)
    assert not well
    assert "run 'r': study.toml is not the study that the run began with" in lines[0]


def test_what_is_damaged_or_left_over_is_mended(
    home: Path, sound: Path, new_home: NewHome, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(home)
    first, second = (key_of(home, 0, trial, 0) for trial in (0, 1))
    cut(store.rounds.path(first))
    for key in ("ab" * 20, second):
        path = store.checkpoints.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    parts = [store.rounds.path(second).with_name(".x.part"), home / "runs" / ".r.1.part" / "run.db"]
    parts[1].parent.mkdir()
    for path in parts:
        path.write_bytes(b"")
    for path in (parts[0], parts[1].parent):
        os.utime(path, (1, 1))
    young = store.rounds.path(second).with_name(".y.part")
    young.write_bytes(b"")
    (home / "locks" / f"{'ab' * 20}.lock").write_text('{"run": "gone", "host": "here", "pid": 1}')
    well, lines = signal_summaries(home, capsys)
    assert (well, len(lines)) == (False, 6)
    well, lines = signal_summaries(home, capsys, repair=True)
    assert (well, len(lines)) == (True, 6)
    assert store.rounds.path(first).with_name(f"{first}.safetensors.damaged-1").exists()
    assert not any(path.exists() for path in parts)
    assert young.exists()
    assert list((home / "locks").iterdir()) == []
    assert signal_summaries(home, capsys) == (True, [])
    (home / "runs" / "r").rename(home / "runs" / "before")
    assert execute(home, STUDY)[0] == "done"
    again = store.rounds.read(first)
    kept = Store(sound).rounds.read(first)
    assert again is not None
    assert kept is not None
    same_round(again, kept)


# Formats and file systems


def test_a_run_of_a_newer_format_is_refused_in_words(home: Path) -> None:
    with closing(sqlite3.connect(home / "runs" / "r" / "run.db", isolation_level=None)) as connection:
        connection.execute("UPDATE facts SET value = '99' WHERE name = 'format'")
    with pytest.raises(BadInput) as caught:
        Store(home).open("r")
    assert str(caught.value) == (
        f"run 'r': {home}/runs/r/run.db has format 99; allowed: format 3, or the version of lth-tui that wrote the run"
    )


@pytest.mark.parametrize("refusal", ["answers otherwise", "fails"])
def test_a_file_system_without_shared_memory_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    class Remote(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement == "PRAGMA journal_mode = WAL":
                if refusal == "fails":
                    raise sqlite3.OperationalError("locking protocol")
                statement = "PRAGMA journal_mode"
            return super().execute(statement, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(run_db.sqlite3, "connect", lambda *args, **more: connect(*args, factory=Remote, **more))
    with Store(tmp_path).create(STUDY, "r") as folder, Store(tmp_path).open("r") as other:
        assert folder._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert folder._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        folder.append(Paused())
        assert [stamped.event for stamped in other.events()] == [Paused()]


def test_a_damaged_data_set_is_amiss(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets.prepare("digits", home)
    with (home / "data" / "digits" / "train_images.npy").open("r+b") as file:
        file.seek(1000)
        file.write(b"\xee")
    assert not doctor.examine(home)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("FAIL data digits: ") and "is damaged" in line for line in lines)
