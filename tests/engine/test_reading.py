"""A run that cannot be read is busy, foreign, absent, newer or damaged, and says which; all else works on."""

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sample_run import write_sample

from engine.errors import BadInput, LabError
from engine.store import LockLost, Paused, Problem, RunResumed, State, Store, Unreadable, find_problems, locks, run_db
from engine.store.reading import reading
from engine.views import read_run, show_json
from lth_tui import cli

NOBODY = 65534
PLAIN_USER = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sound")
    write_sample(home, "ref")
    write_sample(home, "other")
    return home


@pytest.fixture
def home(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_db, "_READ_SECONDS", 0.05)
    home = tmp_path / "home"
    shutil.copytree(sound, home)
    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    monkeypatch.setenv("LTH_TUI_SETTINGS", str(tmp_path / "settings.toml"))
    return home


CALLS = [["runs"], ["show", "ref"], ["compare", "ref", "other"], ["claims", "ref"]]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lth-tui", *words])
        code = cli.main()
        return code, *capfd.readouterr()

    return call


def shown(home: Path, run: str = "ref", *, curves: bool = True) -> str:
    """All that is said of a run, as JSON."""
    store = Store(home)
    with store.open(run) as folder:
        view = read_run(folder)
        found = show_json(view, folder.status(view.status))
        drawn = [folder.curve(key) for key in store.rounds.kept()] if curves else []
        return json.dumps([found, folder.title, folder.note, repr(drawn), folder.study().hash], sort_keys=True)


def statuses(home: Path) -> dict[str, str]:
    return {item.id: item.status for item in Store(home).runs()}


def snapshot(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".db-shm"}


def repair(home: Path) -> list[Problem]:
    found = list(find_problems(Store(home)))
    for problem in found:
        if problem.repair is not None:
            problem.repair()
    return found


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE facts SET value = value")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@pytest.fixture
def open_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home in a place that other users can come to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        there = Path(folder) / "home"
        shutil.copytree(home, there)
        monkeypatch.setenv("LTH_TUI_HOME", str(there))
        monkeypatch.setenv("LTH_TUI_SETTINGS", f"{folder}/settings.toml")
        monkeypatch.chdir(folder)
        yield there
        monkeypatch.chdir("/")


@contextmanager
def plain_user() -> Iterator[None]:
    """Become a user who is neither root nor the owner of the files."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def given_to(root: Path, *, folders: int, files: int) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(folders if path.is_dir() else files)


# Busy


def test_a_run_that_another_process_has_locked_is_busy_and_left_alone(home: Path) -> None:
    before = shown(home)
    with locked(home / "runs" / "ref" / "run.db"):
        assert statuses(home) == {"ref": "busy", "other": "done"}
        with pytest.raises(Unreadable, match="cannot be read now") as caught:
            Store(home).open("ref")
        assert caught.value.state is State.BUSY
        (problem,) = repair(home)
        assert problem.repair is None
        assert "another process has locked it" in problem.what
        with pytest.raises(BadInput, match="cannot be read now"):
            Store(home).delete("ref")
    assert shown(home) == before
    assert list(find_problems(Store(home))) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT])
def test_a_disk_that_fails_now_damages_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    before = snapshot(home)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as failing:
        failing.setattr(run_db, "_opened", fail)
        failing.setattr("engine.store.tensors.TensorFile.__init__", fail)
        assert statuses(home) == {"ref": "busy", "other": "busy"}
        assert {problem.repair for problem in repair(home)} == {None}
    assert {path: data for path, data in snapshot(home).items() if path.name != "summaries.db"} == before


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (sqlite3.SQLITE_BUSY, State.BUSY),
        (sqlite3.SQLITE_BUSY_RECOVERY, State.BUSY),
        (sqlite3.SQLITE_IOERR_READ, State.BUSY),
        (sqlite3.SQLITE_READONLY_ROLLBACK, State.READ_ONLY),
        (sqlite3.SQLITE_CORRUPT, State.DAMAGED),
        (sqlite3.SQLITE_CORRUPT_VTAB, State.DAMAGED),
        (sqlite3.SQLITE_NOTADB, State.DAMAGED),
    ],
)
def test_sqlites_own_words_decide(tmp_path: Path, code: int, state: State) -> None:
    error = sqlite3.DatabaseError("said")
    error.sqlite_errorcode = code
    with pytest.raises(Unreadable) as caught, reading(tmp_path / "x"):
        raise error
    assert caught.value.state is state


# Read-only and foreign


@PLAIN_USER
def test_a_home_that_cannot_be_written_is_read(open_home: Path, command: Command) -> None:
    home = open_home
    before = shown(home)
    for words in CALLS:
        command(*words)  # a plain user may not import what root has installed
    given_to(home, folders=0o555, files=0o444)
    with plain_user():
        assert statuses(home) == {"ref": "done", "other": "done"}
        assert shown(home) == before
        for words in CALLS:
            code, out, err = command(*words)
            assert (code, err) == (0, ""), words
            assert out
        with Store(home).open("ref") as folder, pytest.raises(LabError, match="cannot be written"):
            folder.append(Paused())
    assert shown(home) == before


DIES_IN_A_WRITE = """
import os, sys
from pathlib import Path
from engine.store import Store
with Store(Path(sys.argv[1])).open("ref") as folder:
    if sys.argv[2] == "DELETE":
        folder._connection.execute("PRAGMA journal_mode = DELETE")
    folder._connection.execute("PRAGMA wal_autocheckpoint = 0")
    folder.describe(title="the last word")
    os._exit(0)
"""


@PLAIN_USER
@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_what_a_killed_writer_left_beside_a_database_is_read_from_a_read_only_home(
    open_home: Path, journal: str
) -> None:
    home = open_home
    database = home / "runs" / "ref" / "run.db"
    subprocess.run(
        [sys.executable, "-c", DIES_IN_A_WRITE, str(home), journal], cwd=Path(__file__).parents[2], check=True
    )
    Path(f"{database}-shm").unlink(missing_ok=True)
    given_to(home, folders=0o555, files=0o444)
    with plain_user(), Store(home).open("ref") as folder:
        assert folder.title == "the last word"


@PLAIN_USER
@pytest.mark.parametrize("closed", ["", "runs", "runs/ref"])
def test_what_belongs_to_another_user_is_said_in_a_line(open_home: Path, command: Command, closed: str) -> None:
    home = open_home
    calls = [["show", "ref"], ["bundle", "ref", "x.lth"], ["claims", "ref"], ["compare", "ref"]]
    for words in (["runs"], *calls):
        command(*words)  # a plain user may not import what root has installed
    Path("x.lth").unlink(missing_ok=True)
    given_to(home, folders=0o755, files=0o644)
    (home / closed).chmod(0o700)
    with plain_user():
        for words in calls if closed == "runs/ref" else [["runs"], *calls, ["delete", "ref"]]:
            code, out, err = command(*words)
            assert (code, out, len(err.splitlines())) == (2, "", 1), (words, err)
            assert "belongs to another user" in err
        if closed == "runs/ref":
            assert statuses(home) == {"ref": "foreign", "other": "done"}
    assert statuses(home) == {"ref": "done", "other": "done"}


def test_a_relative_home_in_a_deleted_folder_is_said_in_a_line(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setenv("LTH_TUI_HOME", "home")
    monkeypatch.setenv("LTH_TUI_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        for words in (["runs"], ["show", "x"], ["data"], ["restore"]):
            code, out, err = command(*words)
            assert (code, out, len(err.splitlines())) == (2, "", 1), (words, err)
    finally:
        os.chdir(tmp_path)


# Damaged


def first_page(home: Path) -> bytes:
    return (home / "runs" / "ref" / "run.db").read_bytes()[:4096]


def flip_first_page(home: Path, places: list[int]) -> None:
    """Flip the highest bit of each of these bytes, one after the other: the other run is listed, and no number of this
    one is another."""
    database = home / "runs" / "ref" / "run.db"
    whole, before = database.read_bytes(), Store(home).runs()
    reference = {item.id: item for item in before}
    for place in places:
        data = bytearray(whole)
        data[place] ^= 0x80
        database.write_bytes(data)
        for left in database.parent.glob("run.db-*"):
            left.unlink()
        found = {item.id: item for item in Store(home).runs()}
        assert found["other"] == reference["other"], place
        assert found["ref"].status in ("damaged", "newer") or found["ref"] == reference["ref"], place
    database.write_bytes(whole)


def test_a_flipped_bit_in_a_database_is_one_line_of_the_list(home: Path) -> None:
    places = random.Random(0).sample(range(4096), 60)
    flip_first_page(home, [16, 18, 24, 28, 44, 56, 60, *places])


@pytest.mark.slow
def test_each_flipped_bit_of_the_first_page_is_one_line_of_the_list(home: Path) -> None:
    flip_first_page(home, list(range(4096)))


@pytest.mark.parametrize("table", ["facts", "events"])
def test_text_that_is_not_utf8_is_damage(home: Path, command: Command, table: str) -> None:
    database = home / "runs" / "ref" / "run.db"
    column = "value" if table == "facts" else "event"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(f"UPDATE {table} SET {column} = CAST(x'ff41ff' AS TEXT)")
    assert statuses(home) == {"ref": "damaged", "other": "done"}
    for words in (["show", "ref"], ["claims", "ref"], ["bundle", "ref", "x.lth"]):
        code, out, err = command(*words)
        assert (code, out, len(err.splitlines())) == (2, "", 1), words
    repair(home)
    assert statuses(home) == {"ref": "interrupted", "other": "done"}


# Repair


def test_a_dry_run_changes_nothing_and_says_what_a_repair_would_do(home: Path) -> None:
    database = home / "runs" / "ref" / "run.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET time = time + 1 WHERE id = 20")
    with Store(home).open("ref") as folder:
        folder.describe(title="kept", note="as well")
    before = snapshot(home)
    (problem,) = find_problems(Store(home))
    assert "19 events are proven and kept; `lth-tui resume ref` adds the others" in problem.remedy
    assert snapshot(home) == before
    repair(home)
    with Store(home).open("ref") as folder:
        assert len(folder.events()) == 19
        assert (folder.title, folder.note) == ("kept", "as well")
    assert (database.parent / "run.db.damaged-1").read_bytes() == before[database]


@pytest.mark.parametrize("statement", ["DELETE FROM facts WHERE name = 'head'", "UPDATE progress SET progress = 'x'"])
def test_a_repair_never_empties_what_was_finished(home: Path, statement: str) -> None:
    with Store(home).open("ref") as folder:
        folder._connection.execute("INSERT OR REPLACE INTO progress VALUES (1, 0, '', '')")
    before = shown(home)
    with closing(sqlite3.connect(home / "runs" / "ref" / "run.db", isolation_level=None)) as connection:
        connection.execute(statement)
    assert len(repair(home)) == 1
    assert shown(home) == before
    assert statuses(home)["ref"] == "done"


EDITS: dict[str, Callable[[str], str]] = {
    "other numbers": lambda text: text.replace("iterations = 40", "iterations = 900"),
    "a renamed arm": lambda text: text.replace('"reinit"', '"renamed"'),
    "no TOML": lambda text: text + "= =",
    "a valid study without a digest": lambda text: text.partition("\n")[2],
}


@pytest.mark.parametrize("edit", EDITS)
def test_the_study_that_was_run_is_the_one_in_the_database(home: Path, command: Command, edit: str) -> None:
    path, before = home / "runs" / "ref" / "study.toml", shown(home)
    text = path.read_text()
    judged = command("claims", "ref", "--json")
    path.write_text(EDITS[edit](text))
    assert shown(home) == before
    code, out, err = command("claims", "ref", "--json")
    assert (code, out) == judged[:2]
    assert "study.toml is not the study that was run" in err
    (problem,) = repair(home)
    assert "study.toml is not the study that was run" in problem.what
    assert path.read_text() == text
    assert shown(home) == before


def test_a_study_that_is_not_proven_is_not_taken_for_a_damaged_database(home: Path) -> None:
    folder = home / "runs" / "ref"
    path = folder / "study.toml"
    path.write_text(path.read_text().replace("iterations = 40", "iterations = 67"))
    (folder / "run.db").write_bytes(b"x" * 5000)
    before = snapshot(home)
    (problem,) = repair(home)
    assert problem.repair is None
    assert snapshot(home) == before


def test_a_run_in_training_is_not_repaired(home: Path) -> None:
    with Store(home).open("ref") as folder:
        folder.own()
        folder._connection.execute("UPDATE events SET time = time + 1 WHERE id = 20")
        before = snapshot(home)
        (problem,) = find_problems(Store(home))
        assert problem.repair is not None
        with pytest.raises(BadInput, match="in use"):
            problem.repair()
        assert snapshot(home) == before


# Two writers


def test_where_locks_do_not_exclude_the_one_that_was_first_stops(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems grant a lock on each machine."""
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: None)
    with Store(home).open("ref") as first, Store(home).open("ref") as second:
        first.own()
        first.append(Paused())
        second.own()
        second.append(Paused())
        before = len(second.events())
        for write in (lambda: first.append(Paused()), lambda: first.append_curve("a" * 40, [])):
            with pytest.raises(LockLost):
                write()
        second.append(Paused())
        assert len(second.events()) == before + 1


# Others' folders


@pytest.mark.parametrize(("folder", "mode"), [(".", 0o777), ("compiled", 0o755), ("runs", 0o770)])
def test_a_folder_that_others_can_use_is_said_and_made_private(home: Path, folder: str, mode: int) -> None:
    (home / "compiled").mkdir(mode=0o700, exist_ok=True)
    (home / folder).chmod(mode)
    (problem,) = repair(home)
    assert "other users can" in problem.what
    assert (home / folder).stat().st_mode & 0o777 == mode & 0o700
    assert list(find_problems(Store(home))) == []


# The cache of the list


def test_no_byte_of_the_cached_list_changes_it(home: Path) -> None:
    before = Store(home).runs()
    cache = home / "summaries.db"
    for path in home.glob("runs/*/run.db"):
        os.utime(path, (1, 1))
    assert Store(home).runs() == before
    assert cache.exists()
    whole, draw = cache.read_bytes(), random.Random(1)
    places = [at for at in range(len(whole)) if whole[at]]
    for place in draw.sample(places, 150):
        data = bytearray(whole)
        data[place] ^= 1 << draw.randrange(8)
        cache.write_bytes(data)
        assert Store(home).runs() == before, place


# Anything


def mutated(path: Path, draw: random.Random) -> str:
    """Flip a bit, cut the file, empty it or remove it."""
    data = path.read_bytes()
    what = draw.choice(["flip"] * 6 + ["cut", "empty", "remove"]) if data else "remove"
    if what == "flip":
        place = draw.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :])
    elif what == "remove":
        path.unlink()
    else:
        os.truncate(path, draw.randrange(len(data)) if what == "cut" else 0)
    return f"{what} {path}"


def mutate_often(home: Path, times: int, seed: int) -> None:
    """After each change of one file everything is read and checked: nothing fails, and no number is another one."""
    store = Store(home)
    store.drafts.keep("mine", b"{}")
    store.machine.keep(numerics="x", lanes=2, rates={"y": 1.5}, devices=2, memory=0)
    checkpoint = store.checkpoints.path("ab" * 20)
    checkpoint.parent.mkdir(parents=True)
    shutil.copyfile(store.rounds.path(store.rounds.kept()[0]), checkpoint)
    store.runs()
    reference = {item.id: item for item in store.runs()}
    drawn = {run: shown(home, run) for run in ("ref", "other")}
    plain = {run: shown(home, run, curves=False) for run in ("ref", "other")}
    lines = refused = 0
    rounds = {key: store.rounds.read_result(key) for key in store.rounds.kept()}
    draw, files = random.Random(seed), sorted(path for path in home.rglob("*") if path.is_file())
    databases = [path for path in files if path.suffix == ".db"]
    for _ in range(times):
        path = draw.choice(draw.choice([files, databases]))
        before = path.read_bytes()
        what = mutated(path, draw)
        again = Store(home)
        for item in again.runs():
            assert item == reference[item.id] or item.status in ("damaged", "newer", "absent"), what
        for run, told in (plain if path.suffix == ".safetensors" else drawn).items():
            try:
                # Of a round that cannot be believed the curve is missing.
                found = shown(home, run, curves=path.suffix != ".safetensors")
            except Unreadable as error:
                found, lines = told, lines + len(str(error).splitlines())
                refused += 1
            assert found == told, what
        for key, result in rounds.items():
            assert again.rounds.read_result(key) in (None, result), what
        list(find_problems(again))
        for left in home.rglob("run.db-*"):
            left.unlink()
        path.write_bytes(before)
    assert 0 < lines == refused


def test_no_change_of_a_file_changes_a_number(home: Path) -> None:
    mutate_often(home, 30, 1)


@pytest.mark.slow
def test_no_change_of_a_thousand_changes_a_number(home: Path) -> None:
    mutate_often(home, 1000, 2)


# Two machines


OWN = """
import sys, time
from pathlib import Path
from engine.errors import BadInput
from engine.store import Store
with Store(Path(sys.argv[1])).open("ref") as run:
    try:
        run.own()
    except BadInput as error:
        print("refused" if "in use" in str(error) else error, flush=True)
    else:
        print("owns", flush=True)
        sys.stdin.read()
"""
ISOLATED = ["unshare", "--fork", "--pid", "--mount-proc", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']
CAN_ISOLATE = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*ISOLATED, "probe", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine makes no namespaces",
)


def two_machines_try(home: Path, times: int) -> None:
    """Processes of two PID namespaces and host names that try to own one run: of each two one does, whoever is first,
    and a third one sees that it is running."""
    with Store(home).open("ref") as run:
        run.append(RunResumed())
    for number in range(times):
        tries = [
            subprocess.Popen(
                [*ISOLATED, f"machine-{name}", sys.executable, "-c", OWN, str(home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            for name in (number, number + 1)
        ]
        words = sorted(process.stdout.readline().strip() for process in tries if process.stdout)
        assert words == ["owns", "refused"], number
        assert statuses(home)["ref"] == "running", number
        with Store(home).open("ref") as run, pytest.raises(BadInput, match="in use"):
            run.own()
        for process in tries:
            process.communicate()
        assert statuses(home)["ref"] == "interrupted", number


@CAN_ISOLATE
def test_of_two_machines_one_writes(home: Path) -> None:
    two_machines_try(home, 2)


@CAN_ISOLATE
@pytest.mark.slow
def test_of_two_machines_one_writes_in_fifty_tries(home: Path) -> None:
    two_machines_try(home, 50)
