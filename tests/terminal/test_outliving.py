"""A run is never lost: it outlives its terminal, goes on without one, and is followed and stopped from another."""

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from consoles import COMMAND, OPEN, ROOT, Console, end_runs, until

from engine.spec import load_study
from engine.store import CurvePoint, Paused, Request, RoundFinished, RunResumed, Store, StoredRound

SHORT = """
name = "short"
trials = 2
[base.train]
iterations = 3000
evaluate_every = 150
[base.prune]
rounds = 3
[[arm]]
name = "ticket"
"""
LONG = SHORT.replace("3000", "100_000")
"""Longer than any test: it ends by being stopped."""

CRASH = """
import sys
from pathlib import Path
from lth_tui.app import open_interface
from lth_tui.shell import LabApp
def broken(self):
    raise ZeroDivisionError("a screen gone wrong")
LabApp.action_help = broken
sys.exit(open_interface(Path(sys.argv[1]), *sys.argv[2:]))
"""

Consoles = Callable[..., Console]


@pytest.fixture
def study(tmp_path: Path) -> Callable[[str], str]:
    """Writes a study; the path of its file."""

    def write(text: str) -> str:
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which nothing is at work once the test is over."""
    yield tmp_path / "home"
    end_runs(tmp_path / "home")


def uninterrupted(home: Path, text: str) -> tuple[Path, str]:
    """The home with that study, run to its end at once, and the run."""
    from engine.runner import run

    (home / "study.toml").write_text(text, encoding="utf-8")
    store = Store(home)
    with store.create(load_study(str(home / "study.toml"))) as folder:
        assert run(folder, store) == "done"
        return home, folder.id


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with the short study, run without interruption."""
    return uninterrupted(tmp_path_factory.mktemp("whole"), SHORT)


def begin(terminal: Console) -> None:
    """Start the study that is ready, and wait until it trains."""
    terminal.until("s Start")
    terminal.keys(b"s")
    terminal.until("▶ training", seconds=240)


def the_run(home: Path) -> str:
    (run,) = Store(home).runs()
    return run.id


def status(home: Path) -> str:
    return Store(home).runs()[0].status


def trains(home: Path) -> bool:
    """Whether the run is in the middle of a round."""
    with Store(home).open(the_run(home)) as folder:
        found = folder.progress()
        return found is not None and found[1].state == "training" and found[1].iteration > 0


def pid_of(home: Path) -> int:
    with Store(home).open(the_run(home)) as folder:
        return int(folder._fact("pid") or 0)


def ask(home: Path, request: Request) -> None:
    with Store(home).open(the_run(home)) as folder:
        folder.request(request)


def found_in(home: Path, run: str) -> dict[tuple[str, int, int], tuple[StoredRound, list[CurvePoint], Any]]:
    with Store(home).open(run) as folder:
        rounds = [stamped.event for stamped in folder.events() if isinstance(stamped.event, RoundFinished)]
        found = {}
        for item in rounds:
            stored = Store(home).rounds.read(item.key)
            assert stored is not None
            found[item.arm, item.trial, item.round] = (stored, folder.curve(item.key), item.similarity)
        assert len(found) == len(rounds), "a round is told once"
        return found


def assert_same(home: Path, whole: tuple[Path, str]) -> None:
    """All that the run found is, bit for bit, what it finds uninterrupted."""
    found, wanted = found_in(home, the_run(home)), found_in(*whole)
    assert found.keys() == wanted.keys()
    for place, (stored, curve, similarity) in found.items():
        other, other_curve, other_similarity = wanted[place]
        assert stored.result.model_copy(update={"seconds": 0.0}) == other.result.model_copy(update={"seconds": 0.0})
        assert (curve, similarity) == (other_curve, other_similarity)
        for layer, mask in stored.masks.items():
            np.testing.assert_array_equal(mask, other.masks[layer])
        for one, two in ((stored.final, other.final), (stored.best, other.best)):
            for arrays, others in ((one.params, two.params), (one.state, two.state)):
                assert arrays.keys() == others.keys()
                for name, values in arrays.items():
                    np.testing.assert_array_equal(values, others[name])


def resumed(home: Path) -> int:
    with Store(home).open(the_run(home)) as folder:
        return sum(isinstance(stamped.event, RunResumed) for stamped in folder.events())


def command(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lth_tui", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LTH_TUI_HOME": str(home), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "leads", [pytest.param(True, id="signal"), pytest.param(False, id="no signal", marks=pytest.mark.slow)]
)
def test_the_interface_outlived_by_its_run(
    console: Consoles, study: Callable[[str], str], home: Path, whole: tuple[Path, str], leads: bool
):
    terminal = console(OPEN, home, study(SHORT), leads=leads, TERM="xterm-256color")
    begin(terminal)
    until(lambda: trains(home))
    assert terminal.hang_up() == 128 + signal.SIGHUP
    until(lambda: status(home) == "done")
    assert resumed(home) == 1
    assert_same(home, whole)
    assert "Traceback" not in (home / "lth-tui.log").read_text(encoding="utf-8")


def test_a_terminal_that_goes_with_nothing_at_work(console: Consoles, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color")
    terminal.until("s Start")
    assert terminal.hang_up() == 128 + signal.SIGHUP
    assert not Store(tmp_path).runs()
    assert "Traceback" not in (tmp_path / "lth-tui.log").read_text(encoding="utf-8")


def test_detach_quit_attach_and_stop(console: Consoles, study: Callable[[str], str], home: Path):
    first = console(OPEN, home, study(LONG), TERM="xterm-256color")
    begin(first)
    first.keys(b"d")
    first.until("lth-tui attach", seconds=90)
    run = the_run(home)
    assert pid_of(home) != first.process.pid
    first.until("▶ training", seconds=90)
    first.keys(b"2")
    first.until("elsewhere")
    first.keys(b"q")
    assert first.end() == 0
    assert status(home) == "running"

    second = console(COMMAND, home, "attach", run, TERM="xterm-256color")
    second.until("3 Live", run, "▶ training")
    second.keys(b"p")
    second.until("paused")
    until(lambda: status(home) == "paused" or _told(home, Paused))
    second.keys(b"p")
    second.until("▶ training")
    second.keys(b"x")
    second.until("stopped")
    until(lambda: status(home) == "stopped")
    second.keys(b"q")
    assert second.end() == 0
    assert [item.id for item in Store(home).runs()] == [run]


def _told(home: Path, kind: type) -> bool:
    with Store(home).open(the_run(home)) as folder:
        return any(isinstance(stamped.event, kind) for stamped in folder.events())


@pytest.mark.parametrize(
    "stuck", [pytest.param(False, id="drawing"), pytest.param(True, id="stuck", marks=pytest.mark.slow)]
)
def test_terminated_it_leaves_a_run_that_goes_on(
    console: Consoles, study: Callable[[str], str], home: Path, stuck: bool
):
    terminal = console(OPEN, home, study(LONG), TERM="xterm-256color")
    begin(terminal)
    until(lambda: trains(home))
    if stuck:
        _hold(terminal)
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert (terminal.process.wait(60) if stuck else terminal.end()) == 143
    assert status(home) == "stopped"
    with Store(home).open(the_run(home)) as folder:
        assert not folder.owner_alive()
    if not stuck:
        assert b"\x1b[?1049l" in terminal.raw[-600:]
        assert f"lth-tui resume {the_run(home)}" in terminal.text.replace("\n", "")


def _hold(terminal: Console) -> None:
    """Let nothing more be written to the terminal, and have the interface draw more than waits to be written."""
    held = os.open(terminal.name, os.O_RDWR | os.O_NOCTTY)
    termios.tcflow(held, termios.TCOOFF)
    os.close(held)
    terminal.keys(b"1234" * 100)


@pytest.mark.slow
def test_a_crash_of_the_interface_is_not_one_of_the_run(console: Consoles, study: Callable[[str], str], home: Path):
    terminal = console(CRASH, home, study(LONG), TERM="xterm-256color")
    begin(terminal)
    terminal.keys(b"?")
    terminal.until("the interface failed", "goes on without this terminal", seconds=90)
    assert terminal.end() == 1
    assert status(home) == "running"
    ask(home, Request.STOP)
    until(lambda: status(home) == "stopped")
    assert "ZeroDivisionError" in (home / "lth-tui.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_run_outlives_its_terminal(
    console: Consoles, study: Callable[[str], str], home: Path, tmp_path_factory: pytest.TempPathFactory
):
    text = SHORT.replace("3000", "12000")  # not over before it is known to train
    terminal = console(COMMAND, home, "run", study(text), TERM="xterm-256color")
    until(lambda: Store(home).runs() and trains(home))
    assert terminal.hang_up() == 128 + signal.SIGHUP
    until(lambda: status(home) == "done")
    assert resumed(home) == 1
    assert_same(home, uninterrupted(tmp_path_factory.mktemp("whole"), text))


@pytest.mark.slow
def test_run_detached_resumed_and_followed_to_its_end(study: Callable[[str], str], home: Path, whole: tuple[Path, str]):
    begun = command(home, "run", study(SHORT), "--name", "r", "--detach")
    assert (begun.returncode, begun.stderr) == (0, "")
    assert begun.stdout == "r goes on without this terminal; to follow it: lth-tui attach r\n"
    until(lambda: trains(home))
    refused = command(home, "resume", "r", "--detach")
    assert refused.returncode == 2
    assert "in use by process" in refused.stderr
    os.kill(pid_of(home), signal.SIGTERM)
    until(lambda: status(home) == "stopped")
    assert command(home, "attach", "r").returncode == 130
    assert command(home, "resume", "r", "--detach").returncode == 0
    followed = command(home, "attach", "r")
    assert followed.returncode == 0
    assert "ticket" in followed.stdout
    assert "r: done" in followed.stdout
    assert_same(home, whole)
    log = home / "runs" / "r" / "detached.log"
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_cannot_run_is_told_before_it_is_detached(study: Callable[[str], str], home: Path):
    for arguments, told in (
        (("run", "nonsense", "--detach"), "nonsense"),
        (("run", "quickstart", "--set", "base.data.name=folder:/nowhere", "--detach"), "/nowhere"),
        (("run", "quickstart", "--json", "--detach"), "--json with --detach"),
        (("attach", "nonsense"), "nonsense"),
        (("resume", "nonsense", "--detach"), "nonsense"),
    ):
        found = command(home, *arguments)
        assert found.returncode == 2
        assert told in found.stderr
        assert found.stderr.count("\n") == 1
    assert not Store(home).runs()


def test_a_process_that_dies_at_once_is_told(study: Callable[[str], str], home: Path, tmp_path: Path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "jax.py").write_text('raise ImportError("no such thing as jax")\n', encoding="utf-8")
    found = command(home, "run", study(SHORT), "--detach", PYTHONPATH=f"{tmp_path / 'broken'}:{ROOT}")
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "ended with code 1: ImportError: no such thing as jax" in found.stderr
    assert status(home) == "interrupted"
