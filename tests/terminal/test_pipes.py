"""Input and output of the commands behave as Unix tools' do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from consoles import ROOT

from engine.store import Store

STUDY = """
name = "pipes"
trials = 1
[base.train]
iterations = 40
evaluate_every = 20
[base.prune]
rounds = 1
[[arm]]
name = "ticket"
"""
"""As little as there is to train."""


def shell(command: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `lth-tui` is this one; `$?` is that of the first command of a pipe that fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LTH_TUI_HOME": str(home), "PYTHON": sys.executable, **more}
    environment["LTH_TUI_SETTINGS"] = str(home / "settings.toml")
    function = 'set -o pipefail; lth-tui() { "$PYTHON" -m lth_tui "$@"; }; '
    return subprocess.run(
        ["bash", "-c", function + command],
        cwd=home.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run `ref`."""
    home = tmp_path_factory.mktemp("pipes") / "home"
    home.mkdir()
    (home.parent / "study.toml").write_text(STUDY)
    ran = shell("lth-tui run study.toml --name ref", home)
    assert ran.returncode == 0, ran.stderr
    return home


COMMANDS = [
    "show ref",
    "compare ref",
    "claims ref",
    "doctor",
    "runs",
    "presets",
    "data",
    "describe",
    "--help",
    "settings",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_goes_ends_a_command_as_the_shell_has_it(command: str, home: Path) -> None:
    # `true` reads nothing: the pipe is closed before the first word, whatever its length.
    ran = shell(f"{{ sleep 0.5; lth-tui {command}; }} | true", home)
    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.parametrize("command", ["show ref", "runs", "presets", "--help", "claims ref --json"])
def test_an_output_that_is_full_is_one_line(command: str, home: Path) -> None:
    ran = shell(f"lth-tui {command} >/dev/full", home)
    assert (ran.returncode, ran.stderr) == (1, "lth-tui: standard output: cannot be written: No space left on device\n")


def test_errors_that_nobody_can_hear_keep_the_exit_code(home: Path) -> None:
    for where in ("2>/dev/full", "2>&-", ">&- 2>&-"):
        ran = shell(f"lth-tui show nothing {where}", home)
        assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", ""), where


@pytest.mark.parametrize(
    ("output", "code", "why"),
    [
        ("| head -1", 141, "nobody reads its events any longer"),
        pytest.param(">/dev/full", 1, "No space left on device", marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_events_nobody_takes_stops_at_a_checkpoint(
    output: str, code: int, why: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home.parent / "study.toml").write_text(STUDY.replace("= 40", "= 3000").replace("rounds = 1", "rounds = 2"))
    ran = shell(f"lth-tui run study.toml --json --name cut {output}", home)
    assert ran.returncode == code
    assert f"cut is stopped: {why}; to go on where it was: lth-tui resume cut\n" in ran.stderr
    assert "Traceback" not in ran.stderr
    (found,) = Store(home).runs()
    assert found.status == "stopped"
    assert shell("lth-tui resume cut", home).returncode == 0


def test_a_study_is_taken_from_standard_input(home: Path) -> None:
    for number, source in enumerate(("lth-tui run - <study.toml", "cat study.toml | lth-tui run -")):
        ran = shell(f"{source} --name in-{number}", home)
        assert ran.returncode == 0, ran.stderr
    with Store(home).open("ref") as ref, Store(home).open("in-0") as one, Store(home).open("in-1") as two:
        assert one.study().hash == two.study().hash == ref.study().hash
    for given, said in (("'x = '", "standard input: not TOML"), ("'\\xff'", "standard input: not UTF-8 at byte 0")):
        ran = shell(f"printf {given} | lth-tui run -", home)
        assert ran.returncode == 2
        assert ran.stderr.startswith(f"lth-tui: {said}")
    ran = shell("lth-tui run - <&-", home)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def test_a_bundle_goes_through_a_pipe(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    ran = shell(f"lth-tui bundle ref - | LTH_TUI_HOME={other} lth-tui open -", home)
    assert ran.returncode == 0, ran.stderr
    assert "are on standard output" in ran.stderr
    assert ran.stdout.startswith("ref: ")
    told = [json.loads(shell("lth-tui show ref --json", each).stdout) for each in (home, other)]
    assert told[0]["arms"] == told[1]["arms"]
    assert not [path for each in (home, other) for path in each.glob(".passing-*")]
    ran = shell("printf nonsense | lth-tui open -", home)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


def commands() -> list[str]:
    from click import Group

    from lth_tui.cli import command_line

    found = [""]
    for name, command in command_line.commands.items():
        found.append(name)
        found += [f"{name} {below}" for below in (command.commands if isinstance(command, Group) else ())]
    return found


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_and_the_version(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lth_tui.cli import main

    for option, said in (("--help", "Usage: lth-tui"), ("-h", "Usage: lth-tui"), ("--version", "lth-tui, version ")):
        monkeypatch.setattr("sys.argv", ["lth-tui", *name.split(), option])
        assert main() == 0
        assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_shells_get_their_completion(name: str, home: Path) -> None:
    ran = shell(f"lth-tui completion {name}", home)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"_LTH_TUI_COMPLETE={name}_complete" in ran.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("lth-tui sho", {"show"}),
        ("lth-tui show r", {"ref"}),
        ("lth-tui run quick", {"quickstart"}),
        ("lth-tui data prepare cif", {"cifar10"}),
        ("lth-tui run --det", {"--detach"}),
    ],
)
def test_what_is_begun_is_completed(typed: str, offered: set[str], home: Path) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_LTH_TUI_COMPLETE": "bash_complete"}
    ran = shell("lth-tui", home, **words)
    found = dict(line.split(",", 1)[::-1] for line in ran.stdout.splitlines())
    assert {name for name, kind in found.items() if kind == "plain"} == offered, ran.stderr


@pytest.mark.parametrize("shadow", ["engine.py", "screens.py", "engine/__init__.py"])
@pytest.mark.parametrize("way", ["PYTHONPATH", "working directory"])
def test_packages_of_the_same_names_elsewhere_are_not_taken(shadow: str, way: str, home: Path, tmp_path: Path) -> None:
    place = tmp_path / "p" / shadow
    place.parent.mkdir(parents=True)
    place.write_text("x = 1\n")
    environment = {**os.environ, "LTH_TUI_HOME": str(home), "PYTHONPATH": str(ROOT)}
    if way == "PYTHONPATH":
        environment["PYTHONPATH"] = f"{tmp_path / 'p'}{os.pathsep}{ROOT}"
    cwd = tmp_path / "p" if way == "working directory" else tmp_path
    for words, said in ((["--version"], "lth-tui, version "), (["show", "ref"], "pipes on digits")):
        ran = subprocess.run(
            [sys.executable, "-m", "lth_tui", *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith(said)
