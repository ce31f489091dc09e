"""Studies, folders of pictures, runs and bundles from strangers: refused in one line, and nothing is harmed."""

import io
import os
import re
import shutil
import sqlite3
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import Forged, Members
from lies import BUNDLES, ESCAPE, PICKLE, RUN_NAMES
from PIL import Image
from sample_run import write_sample

from engine.export import open_bundle, write_bundle
from engine.store import Store
from engine.store.events import EVENT
from engine.store.run_db import prove

POSIX = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices are POSIX's")


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return write_sample(tmp_path_factory.mktemp("sound"), "mine")


@pytest.fixture
def home(sound: Store, tmp_path: Path) -> Path:
    """A home with a run and its rounds, so that there is something to harm."""
    return shutil.copytree(sound.home, tmp_path / "home")


@pytest.fixture(scope="session")
def members(sound: Store, tmp_path_factory: pytest.TempPathFactory) -> Members:
    """What a sound bundle holds, but for the manifest."""
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle("mine", sound, folder / "one.lth", lambda stage, done: None)
    with zipfile.ZipFile(folder / "one.lth") as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


@pytest.fixture
def refused(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command, which must end in one line and code 2 with everything as it was; the line."""
    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        before = state_of(tmp_path)
        code, out, err = command(*words, capfd=capfd, monkeypatch=monkeypatch)
        assert (code, out) == (2, ""), err
        assert len(err.splitlines()) == 1
        assert err.startswith("lth-tui: ")
        assert len(err) < 1500
        assert err.rstrip("\n").isprintable()
        assert state_of(tmp_path) == before
        return err

    return refused


def command(*words: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    from lth_tui.cli import main

    monkeypatch.setattr(sys, "argv", ["lth-tui", *words])
    capfd.readouterr()
    code = main()
    return code, *capfd.readouterr()


def state_of(folder: Path) -> dict[str, object]:
    """Every name below `folder` with what is in it, of the databases without SQLite's own notes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if path.name.endswith(("-wal", "-shm")) or (path.name == "data" and not any(path.iterdir())):
            continue
        whole = stat.S_ISREG(mode) and path.stat().st_size < 50_000_000
        found[str(path)] = path.read_bytes() if whole else mode
    return found


# Bundles


@pytest.mark.parametrize("case", BUNDLES)
def test_a_hostile_bundle_is_refused(case: str, members: Members, refused: Any, tmp_path: Path) -> None:
    forge, words = BUNDLES[case]
    forged = Forged(dict(members))
    forge(forged)
    forged.write(tmp_path / "evil.lth")
    line = refused("open", "evil.lth")
    assert words in line
    assert "evil.lth: " in line


def test_a_forgery_without_a_lie_is_opened(members: Members, home: Path, tmp_path: Path) -> None:
    Forged(dict(members)).write(tmp_path / "good.lth")
    assert open_bundle(tmp_path / "good.lth", Store(home), lambda stage, done: None).run == "one"


@POSIX
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing", "loop", "too long", "escape"])
def test_what_is_no_file_is_no_bundle(kind: str, refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "evil.lth"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "device":
            path = Path("/dev/zero")
        case "too long":
            path = tmp_path / ("x" * 300)
        case "escape":
            path = tmp_path / ESCAPE
        case _:
            pass
    refused("open", str(path))


# Studies


def arms(text: str) -> str:
    return f'name = "x"\n{text}\n[[arm]]\nname = "ticket"\n'


def about(text: str) -> str:
    return arms(f'about = "{text}"')


STUDIES: dict[str, tuple[str | bytes, str]] = {
    "lists in lists": ("x = " + "[" * 49_000 + "]" * 49_000, "nested too deeply"),
    "tables in tables": ("x = " + "{a=" * 30_000, "nested too deeply"),
    "lists in an arm": (arms("") + "data = " + "[" * 40_000, "nested too deeply"),
    "a key of many steps": (".".join("a" * 45_000) + " = 1", "line 1: 44999 dots; allowed: at most 300 in a line"),
    "a table of many steps": ("x = 1\n[" + ".".join("a" * 45_000) + "]", "line 2: 44999 dots"),
    "a key of quoted steps": (".".join(['"a b"'] * 15_000) + " = 1", "line 1: 14999 dots"),
    "a flood of keys": ("".join(f"k{n} = 1\n" for n in range(3000)), "(and 3001 more)"),
    "a flood of dotted keys": (arms("") + "".join(f"data.k{n} = 1\n" for n in range(5000)), "an unknown field"),
    "a flood of tables": (arms("") + "".join(f"[t{n}]\n" for n in range(2000)), "an unknown field"),
    "a flood of arms": (arms("") + "[[arm]]\n" * 2000, "arm"),
    "arms to the limit": (
        arms("") + "".join(f'[[arm]]\nname = "a{n}"\nkind = "ticket"\n' for n in range(100)),
        "at most 100",
    ),
    "rounds to the limit": (
        arms("trials = 999") + '[[arm]]\nname = "reinit"\nper_ticket = 999\n',
        "at most 20000 rounds",
    ),
    "examples to the limit": (
        arms("[base.train]\niterations = 10_000_000\nbatch = 65_536"),
        "base.train.batch: found 65536",
    ),
    "a long number": (arms("trials = " + "9" * 90_000), "not TOML"),
    "a long hexadecimal number": (arms("trials = 0x" + "f" * 90_000), "trials: found a number of too many digits"),
    "a long octal number": (arms("seed = 0o" + "7" * 90_000), "seed: found a number of too many digits"),
    "a long fraction": (arms("[base.train]\nlearning_rate = 0." + "1" * 90_000 + "e9999"), "base.train.learning_rate"),
    "a great exponent": (arms("[base.train]\nlearning_rate = 1e99999"), "found Infinity"),
    "not a number": (arms("[base.train]\nlearning_rate = nan"), "a finite number"),
    "minus infinity": (arms("[base.prune]\nrate = -inf"), "a finite number"),
    "a long name": (f'name = "{"x" * 90_000}"\n[[arm]]\nname = "ticket"\n', "name: found "),
    "a long about": (about("x" * 90_000), "at most 2000 characters"),
    "a long data set": (arms(f'[base.data]\nname = "folder:{"x" * 90_000}"'), "at most 4096 characters"),
    "a long arm": (arms("") + f'[[arm]]\nname = "{"a." * 100}"\n', "arm.1.name"),
    "more than a study has": (arms("#" * 100_000), "more than 100000 bytes"),
    "megabytes": (b"#" * 30_000_000, "more than 100000 bytes"),
    "NUL": (arms("trials = 1\0"), "not TOML"),
    "NUL in a name": ('name = "x\\u0000"\n[[arm]]\nname = "ticket"\n', "name: found "),
    "not UTF-8": (b'name = "\xff"', "not UTF-8 at byte 8"),
    "UTF-16": ('name = "x"'.encode("utf-16"), "not UTF-8 at byte 0"),
    "half a character": (b'name = "\xed\xa0\x80"', "not UTF-8"),
    "half a character, escaped": ('name = "\\ud800"', "not TOML"),
    "a pickle": (PICKLE, "not "),
    "a zip": (b"PK\x03\x04" + bytes(range(256)), "not UTF-8"),
    "an escape": (about("\x1b[2J"), "not TOML"),
    "an escaped escape": (about("\\u001b[2J"), "about: found "),
    "an escaped bell": (about("\\u0007"), "printable characters and line breaks"),
    "an escaped C1": (about("\\u009b31m"), "printable characters and line breaks"),
    "a backspace": (about("good\\b\\b\\b\\bevil"), "printable characters and line breaks"),
    "a carriage return": (about("good\\revil"), "printable characters and line breaks"),
    "a line separator": (about("a\\u2028b"), "printable characters and line breaks"),
    "text from right to left": (about("\\u202eevil"), "printable characters and line breaks"),
    "an escape in a name": ('name = "\\u001b[2J"\n[[arm]]\nname = "ticket"\n', "name: found "),
    "an escape in an arm": (arms("") + '[[arm]]\nname = "\\u001b[2J"\nkind = "ticket"\n', "arm.1.name: found "),
    "an escape in a data set": (arms('[base.data]\nname = "folder:\\u001b[2J"'), "base.data.name: found "),
    "an escape in a key": (arms('"\\u001b[2J" = 1'), "an unknown field"),
    "an escape in a kind": (arms("") + '[[arm]]\nname = "x"\nkind = "\\u001b[2J"\n', "arm.1.kind: found "),
    "markup in a name": ('name = "[bold]x[/bold]"\n[[arm]]\nname = "ticket"\n', "name: found "),
    "a name that is a path": ('name = "../../x"\n[[arm]]\nname = "ticket"\n', "name: found "),
    "an arm that is a path": (arms("") + '[[arm]]\nname = "../x"\nkind = "ticket"\n', "arm.1.name: found "),
    "a data set that is a path": (arms('[base.data]\nname = "../../etc"'), "dataset '../../etc' does not exist"),
    "a data set with markup": (arms('[base.data]\nname = "[red]x"'), "dataset '[red]x' does not exist"),
    "code": (arms("trials = __import__('os').system('touch owned')"), "not TOML"),
    "a date": (arms("trials = 9999-12-31T23:59:59Z"), "trials: found "),
}


@pytest.mark.parametrize("case", STUDIES)
def test_a_hostile_study_is_refused(case: str, refused: Any, tmp_path: Path) -> None:
    text, words = STUDIES[case]
    (tmp_path / "evil.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in refused("run", "evil.toml")


@POSIX
@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/full", "/proc/self/mem", "/dev", "/proc/self/fd", "/dev/null", "\x1b[2J", "a\0b"]
)
def test_what_is_no_study_is_refused(path: str, refused: Any) -> None:
    refused("run", path)


@pytest.mark.parametrize(
    "setting",
    [
        "base.data.name=folder:\x1b[2J",
        "about=\x1b[2J",
        "name=../x",
        "\x1b[2J=1",
        ".".join("a" * 500) + "=1",
        "about=" + "[" * 9000,
        "trials=" + "9" * 9000,
        "arm.\x1b[2J.rounds=[1]",
        "base.train.batch=" + "0x" + "f" * 5000,
    ],
)
def test_a_hostile_setting_is_refused(setting: str, refused: Any) -> None:
    refused("run", "quickstart", "--set", setting)


@pytest.mark.parametrize("name", [name for name in RUN_NAMES if isinstance(name, str)])
def test_a_hostile_name_of_a_run_is_refused(name: str, refused: Any) -> None:
    refused("run", "quickstart", f"--name={name}")
    refused("bundle", "--", name, "x.lth")
    refused("show", "--", name)
    refused("claims", "--", name)


# Pictures


def png(width: int, height: int, *, chunks: bytes = b"", data: bytes = b"\0" * 99) -> bytes:
    """A PNG that claims so many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    told = len(data) if length is None else length
    return struct.pack(">I", told) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def sparse(path: Path, start: bytes, size: int) -> None:
    path.write_bytes(start)
    os.truncate(path, size)


def replaced(path: Path, by: Callable[[Path], object]) -> None:
    path.unlink()
    by(path)


PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("#!/bin/sh\nrm -rf /\n"), "neither PNG nor JPEG"),
    "a pickle": (lambda path: path.write_bytes(PICKLE), "neither PNG nor JPEG"),
    "a zip": (lambda path: path.write_bytes(b"PK\x03\x04" * 9), "neither PNG nor JPEG"),
    "a drawing": (
        lambda path: path.write_text("<svg><image href='file:///etc/passwd'/></svg>"),
        "neither PNG nor JPEG",
    ),
    "PostScript": (lambda path: path.write_text("%!PS\n(/etc/passwd) (r) file\n"), "neither PNG nor JPEG"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "a bomb of pixels": (lambda path: path.write_bytes(png(2**31 - 1, 2**31 - 1)), "pixels, at most"),
    "a bomb of rows": (lambda path: path.write_bytes(png(1, 2**31 - 1)), "pixels, at most"),
    "a large picture": (lambda path: path.write_bytes(png(9_000, 9_000)), "at most 1000000 values in an image"),
    "a bomb of text": (
        lambda path: path.write_bytes(png(5, 4, chunks=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000))))),
        "",
    ),
    "a part of 2 GB": (lambda path: path.write_bytes(png(5, 4, chunks=chunk(b"tEXt", b"a\0b", 2**31 - 1))), ""),
    "a part of 4 GB": (lambda path: path.write_bytes(png(5, 4, chunks=chunk(b"IDAT", b"a\0b", 2**32 - 1))), ""),
    "no pixels": (lambda path: path.write_bytes(png(0, 0)), ""),
    "a file of a terabyte": (lambda path: sparse(path, png(5, 4), 2**40), "bytes, at most 300000000 are allowed"),
    "a JPEG of nothing": (lambda path: path.write_bytes(b"\xff\xd8\xff" + bytes(50)), ""),
    "a JPEG of too many pixels": (lambda path: path.write_bytes(jpeg(65_500, 65_500)), "pixels, at most"),
    "a pipe": (lambda path: replaced(path, os.mkfifo), "not a file"),
    "a link to a device": (lambda path: replaced(path, lambda p: p.symlink_to("/dev/zero")), "not a file"),
    "a link to a file of the system": (
        lambda path: replaced(path, lambda p: p.symlink_to("/etc/passwd")),
        "neither PNG nor JPEG",
    ),
    "a link to itself": (lambda path: replaced(path, lambda p: p.symlink_to(p)), "cannot be read"),
    "a link to nothing": (lambda path: replaced(path, lambda p: p.symlink_to("nothing")), "cannot be read"),
    "a link to a folder": (lambda path: replaced(path, lambda p: p.symlink_to("/")), "a folder among the images"),
    "a folder": (lambda path: replaced(path, Path.mkdir), "a folder among the images"),
    "a class that is a link to the system": (
        lambda path: (path.parent.parent / "zzz").symlink_to("/etc"),
        "a folder among the images",
    ),
    "a class with an escape": (lambda path: (path.parent.parent / ESCAPE).mkdir(), "no image in it"),
    "a picture with an escape": (lambda path: (path.parent / f"0{ESCAPE[-9:]}.png").write_text("x"), ""),
}


def jpeg(width: int, height: int) -> bytes:
    """A JPEG that claims so many pixels."""
    file = io.BytesIO()
    Image.new("RGB", (5, 4)).save(file, "jpeg")
    place = file.getvalue().index(b"\xff\xc0") + 5
    return file.getvalue()[:place] + struct.pack(">HH", height, width) + file.getvalue()[place + 4 :]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A sound folder of images, twelve in two classes."""
    folder = tmp_path / "pictures"
    for place, name in enumerate(("cat", "dog")):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(6):
            pixels = np.full((4, 5, 3), 20 * number + place, np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{number}.png")
    return folder


@POSIX
@pytest.mark.parametrize("case", PICTURES)
def test_hostile_pictures_are_refused(case: str, refused: Any, pictures: Path, tmp_path: Path) -> None:
    spoil, words = PICTURES[case]
    spoil(pictures / "train" / "cat" / "0.png")
    (tmp_path / "evil.toml").write_text(arms(f'[base.data]\nname = "folder:{pictures}"\n[base.train]\nbatch = 2'))
    assert words in refused("data", "prepare", f"folder:{pictures}")
    assert words in refused("run", "evil.toml")


@POSIX
@pytest.mark.parametrize(
    "path",
    ["/proc", "/proc/self", "/proc/self/fd", "/dev", "/dev/zero", "/", "/etc/passwd", "", "~root/../..", "x" * 300],
)
def test_a_folder_of_the_system_is_no_data_set(path: str, refused: Any, tmp_path: Path) -> None:
    (tmp_path / "evil.toml").write_text(arms(f'[base.data]\nname = "folder:{path}"'))
    refused("run", "evil.toml")


# Folders of runs


def sql(*statements: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return change


def event(when: str, text: str) -> Callable[[Path], object]:
    """One more, which the digests of the run know of."""

    def change(run: Path) -> None:
        with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as connection:
            connection.execute(f"INSERT INTO events SELECT max(id) + 1, {when}, {text}, '' FROM events")
            with suppress(sqlite3.Error):
                prove(connection)

    return change


def fact(name: str, value: str) -> Callable[[Path], object]:
    return sql(f"INSERT OR REPLACE INTO facts VALUES ('{name}', {value})")


ENDLESS = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, 1.0 AS time, '' AS event FROM n"
FOLDERS: dict[str, Callable[[Path], object]] = {
    "events that are an endless view": sql("DROP TABLE events", f"CREATE VIEW events AS {ENDLESS}"),
    "a trigger": sql("CREATE TRIGGER t AFTER INSERT ON request BEGIN DELETE FROM events; END"),
    "no events": sql("DROP TABLE events"),
    "no facts": sql("DROP TABLE facts"),
    "events of other columns": sql("DROP TABLE events", "CREATE TABLE events (id)"),
    "an event of bytes": event("1.0", "x'ff00'"),
    "an event of a number": event("1.0", "7"),
    "an event that is not UTF-8": event("1.0", "CAST(x'22ff22' AS TEXT)"),
    "an event nested too deeply": event("1.0", f"'{'[' * 50_000}'"),
    "an event at a time of text": event("'then'", '\'{"event":"paused"}\''),
    "an event after all time": event("1e300", '\'{"event":"paused"}\''),
    "a format to come": fact("format", "'99'"),
    "a format of bytes": fact("format", "x'31'"),
    "a database that is a folder": lambda run: ((run / "run.db").unlink(), (run / "run.db").mkdir()),
    "a database that is a device": lambda run: replaced(run / "run.db", lambda path: path.symlink_to("/dev/zero")),
    "a database that is a pipe": lambda run: replaced(run / "run.db", os.mkfifo),
    "a database of zeros": lambda run: (run / "run.db").write_bytes(bytes(9000)),
    "a database cut short": lambda run: os.truncate(run / "run.db", 5000),
}


@POSIX
@pytest.mark.parametrize("case", FOLDERS)
def test_a_hostile_run_is_refused_and_listed_as_unreadable(
    case: str, home: Path, refused: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    FOLDERS[case](home / "runs" / "mine")
    write_sample(home, "sound")
    for words in (("show", "mine"), ("claims", "mine"), ("bundle", "mine", "mine.lth")):
        refused(*words)
    code, out, err = command("runs", capfd=capfd, monkeypatch=monkeypatch)
    assert (code, err) == (0, "")
    state = "newer" if "to come" in case else "absent" if re.search("folder|pipe|device", case) else "damaged"
    assert re.search(rf"mine .* {state}", out)
    assert re.search(r"sound .* done", out)


@POSIX
@pytest.mark.parametrize("kind", ["missing", "pipe", "device", "huge", "not UTF-8", "escape"])
def test_a_hostile_study_of_a_run_is_not_read(
    kind: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "runs" / "mine" / "study.toml"
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            sparse(path, b"#", 2**40)
        case "not UTF-8":
            path.write_bytes(b"\xff")
        case "escape":
            path.write_text(about("\\u001b[2J"))
        case _:
            pass
    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    code, out, err = command("claims", "mine", capfd=capfd, monkeypatch=monkeypatch)
    assert (code, len(err.splitlines())) == (0, 1)
    assert "study.toml is not the study that was run, and is not read" in err
    assert out


def test_a_run_that_writes_to_the_terminal_is_shown_as_text(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every text of a run that a stranger could choose, in a database that nobody checked."""
    evil = "\x1b[2J[b]x[/a]\u202e\x9b1m\x07"

    def spoilt_texts(value: Any) -> Any:
        if isinstance(value, dict):
            kept = ("event", "key", "status", "kind")
            return {name: item if name in kept else spoilt_texts(item) for name, item in value.items()}
        if isinstance(value, list):
            return [spoilt_texts(item) for item in value]
        return value + evil if isinstance(value, str) else value

    store = Store(home)
    with store.open("mine") as run:
        study, told = run.study(), run.events()
    with store.create(study, "evil") as run:
        fact("study", f"'{evil}'")(run.folder)
        texts = [spoilt_texts(stamped.event.model_dump(mode="json")) for stamped in told]
        run.restore(
            0.0, [(stamped.time, EVENT.validate_python(text)) for stamped, text in zip(told, texts, strict=True)]
        )
    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    for words in (("runs",), ("show", "evil"), ("runs", "--json"), ("show", "evil", "--json")):
        code, out, err = command(*words, capfd=capfd, monkeypatch=monkeypatch)
        assert (code, err) == (0, "")
        assert all(char.isprintable() or char == "\n" for char in out), words
        assert "[b]x[/a]" in out
