"""The list of runs: quick where nothing changed, true where something did."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Note, RunFinished, RunFolder, RunReader, RunSummary, Store, index
from engine.views import RunView, accuracy_series, dense_accuracy, fold

Tiny = Callable[..., Study]
ROOT = Path(__file__).resolve().parents[2]
DONE = RunFinished(status="done", trained=0, reused=0, seconds=1.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def run(store: Store, tiny: Tiny) -> Iterator[RunFolder]:
    with store.create(tiny(), "one") as folder:
        yield folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written counts as written long ago."""
    monkeypatch.setattr(index, "SETTLED", -60.0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose databases were opened for the list, one after the other."""
    names: list[str] = []

    def open_one(folder: Path) -> RunReader:
        names.append(folder.name)
        return RunReader(folder)

    monkeypatch.setattr(index, "RunReader", open_one)
    return names


@pytest.mark.usefixtures("settled")
def test_locks_are_asked_for_only_where_a_run_may_be_in_training(
    store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(index, "holder_of", lambda path: asked.append(path.parent.name))
    for number in range(20):
        with store.create(tiny(), f"run-{number}") as folder:
            if number:
                folder.append(DONE)
    for _ in range(3):
        asked.clear()
        assert {it.status for it in store.runs()} == {"done", "interrupted"}
        assert set(asked) == {"run-0"}
        assert len(asked) <= 2


def change(database: Path, script: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)


def only(store: Store) -> RunSummary:
    (found,) = store.runs()
    return found


def test_a_real_run_is_summed_up_as_views_have_it(finished: RunFolder) -> None:
    found = only(Store(finished.folder.parent.parent))
    view = fold(RunView(), finished.events())
    ticket = accuracy_series(view)[0]
    assert [(it.round, it.p_m, it.accuracy) for it in found.rounds] == list(
        zip(ticket.rounds, ticket.x, ticket.mean, strict=True)
    )
    assert (found.dense, found.last) == (dense_accuracy(view), ticket.mean[-1])
    chosen = max(found.rounds, key=lambda mean: mean.validation or 0)
    assert found.best == chosen.accuracy, "chosen by validation accuracy: test data choose nothing"
    assert (found.arms, found.trials) == (("ticket", "one-shot", "reinit", "random-mask"), 2)
    assert (found.device, found.seconds, found.name) == (view.device, view.seconds, finished.id)


@pytest.mark.usefixtures("settled")
def test_only_what_has_changed_is_read_again_also_by_another_process(
    store: Store, tiny: Tiny, opened: list[str]
) -> None:
    for name in ("one", "two", "three"):
        with store.create(tiny(), name) as folder:
            folder.append(DONE)
    first = store.runs()
    assert sorted(opened) == ["one", "three", "two"]
    assert store.runs() == Store(store.home).runs() == first
    assert len(opened) == 3
    with store.open("two") as folder:
        database = folder.folder / "run.db"
        before = database.stat().st_mtime_ns
        folder.append(DONE.model_copy(update={"status": "stopped", "seconds": 2.0}))
        assert database.stat().st_mtime_ns == before, "it is in the log beside the database alone"
        for reader in (store, Store(store.home)):
            assert {it.id: it.status for it in reader.runs()} == {"one": "done", "two": "stopped", "three": "done"}
    assert set(opened[3:]) == {"two"}


@pytest.mark.usefixtures("settled")
def test_of_a_run_at_work_only_what_is_new_is_read(
    run: RunFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    events = RunReader.events
    monkeypatch.setattr(RunReader, "events", lambda run, after=0: asked.append(after) or events(run, after))
    run.own()
    for number in range(3):
        run.append(Note(text=str(number)))
        assert only(store).status == "new"
    assert asked == [0, 1, 2]


def test_what_is_written_in_the_same_tick_of_the_clock_is_seen(run: RunFolder, store: Store) -> None:
    run.describe(title="one")
    run.close()
    database = run.folder / "run.db"
    before = database.stat()
    assert only(store).title == "one"
    with store.open("one") as again:
        again.describe(title="two")
    os.utime(database, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert database.stat().st_size == before.st_size
    assert only(store).title == only(Store(store.home)).title == "two"


@pytest.mark.usefixtures("settled")
def test_the_status_stays_true_when_the_owner_dies(run: RunFolder, store: Store, opened: list[str]) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.store import RunFolder; run = RunFolder(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", f"{code}; run.own(); print(); input()", str(run.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert only(store).status == "new"
        process.kill()
    known = len(opened)
    assert only(store).status == "interrupted"
    assert len(opened) == known
    assert only(Store(store.home)).status == "interrupted"


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "harm",
    [
        lambda cache: cache.write_bytes(b"no database" * 1000),
        lambda cache: (cache.unlink(), cache.mkdir()),
        lambda cache: change(cache, "UPDATE summaries SET known = '[]'"),
        lambda cache: change(cache, "DROP TABLE summaries; CREATE TABLE summaries (a)"),
    ],
    ids=["scrambled", "a folder", "other rows", "another table"],
)
def test_the_list_does_not_depend_on_what_is_kept_of_it(
    run: RunFolder, store: Store, opened: list[str], harm: Callable[[Path], object]
) -> None:
    run.append(DONE)
    before = store.runs()
    cache = store.home / "summaries.db"
    harm(cache)
    for _ in range(4):
        assert Store(store.home).runs() == before
    assert len(opened) <= 3 or cache.is_dir(), "it is made anew"
    run.describe(title="new")
    assert only(store).title == "new"


def test_damage_is_told_and_so_is_its_end(run: RunFolder, store: Store) -> None:
    run.append(DONE)
    run.close()
    database = run.folder / "run.db"
    sound = database.read_bytes()
    database.write_bytes(sound[:100])
    assert (only(store).status, only(store).name) == ("damaged", "one")
    database.write_bytes(sound)
    assert only(store).status == "done"
    run.folder.rename(run.folder.with_name("two"))
    assert only(store).id == "two"


def test_a_long_reading_tells_how_far_it_is(store: Store, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_REPORT_EVERY", -1.0)
    for name in ("one", "two", "three"):
        store.create(tiny(), name).close()
    told: list[tuple[int, int]] = []
    store.runs(lambda found, left: told.append((len(found), left)))
    assert told == [(0, 3), (1, 2), (2, 1)]


# What people say of a run


def test_title_and_note_are_kept_beside_what_happens(run: RunFolder, store: Store) -> None:
    run.own()
    with store.open("one") as here, store.open("one") as there:
        here.describe(title="  the first\n one ")
        there.describe(note="line one\nline two\n")
        run.append(Note(text="at work"))
        here.describe(title="the second")
    run.check()
    assert (run.title, run.note) == ("the second", "line one\nline two")
    found = only(store)
    assert (found.id, found.name, found.note) == ("one", "the second", "line one\nline two")


def test_a_title_or_note_without_end_is_refused(run: RunFolder) -> None:
    for more in ({"title": "x" * 101}, {"title": "kept?", "note": "x" * 2001}):
        with pytest.raises(BadInput, match="characters; allowed: at most"):
            run.describe(**more)
    assert (run.title, run.note) == ("", "")


def test_a_title_or_note_that_is_not_what_was_written_is_damage(run: RunFolder, store: Store) -> None:
    run.describe(title="mine", note="long")
    with closing(sqlite3.connect(run.folder / "run.db", isolation_level=None)) as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'title'", (b"\xff" * 10_000,))
        connection.execute("UPDATE facts SET value = replace(value, 'long', 'other') WHERE name = 'note'")
    for name in ("title", "note"):
        with pytest.raises(BadInput, match=f"its {name} in .* is damaged"):
            getattr(run, name)
    assert only(store).status == "damaged"
