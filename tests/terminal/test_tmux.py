"""The interface in tmux: a run is left at work there, and come back to from a terminal of another size."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from consoles import Console, end_runs, until

from engine.store import Request, Store

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

CLIENT = "import os, sys; os.execvp('tmux', ['tmux', '-L', 'lab', '-f', '/dev/null', *sys.argv[2:]])"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a tmux server of its own, in whose shell `lab` opens the interface."""
    command = tmp_path / "lab"
    command.write_text(f'#!/bin/sh\n"{sys.executable}" -m lth_tui\necho "ended with $?"\n', encoding="utf-8")
    command.chmod(0o700)
    variables = {
        "TERM": "xterm-256color",
        "TMUX_TMPDIR": str(tmp_path),
        "SHELL": "/bin/sh",
        "ENV": "",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LTH_TUI_HOME": str(tmp_path / "home"),
    }
    yield variables
    end_runs(tmp_path / "home")  # first: an interface whose terminal goes away hands its run over
    tmux(variables, "kill-server")


def tmux(server: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["tmux", "-L", "lab", *arguments],
        env={**os.environ, **server},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout


def rows(client: Console) -> list[str]:
    return [line.rstrip() for line in client.screen.display]


def is_whole(client: Console, server: dict[str, str]) -> bool:
    """Whether the interface reaches from corner to corner, and is what tmux has of it."""
    found = rows(client)
    reaches = found[0].startswith(" 1 Configure") and len(found[0]) == client.screen.columns - 1
    reaches = reaches and len(found[-1]) == client.screen.columns and found[-1].endswith("^p palette")
    return reaches and found == tmux(server, "capture-pane", "-p").splitlines()


def the_run(home: Path) -> str:
    (run,) = Store(home).names()
    return run


def steps(home: Path) -> int:
    """Of all networks of the run, so far."""
    with Store(home).open(the_run(home)) as folder:
        found = folder.progress()
    return found[1].steps_done if found else 0


def test_detach_and_attach(console: Callable[..., Console], server: dict[str, str], tmp_path: Path):
    home = tmp_path / "home"
    first = console(CLIENT, home, "new-session", "sh", ";", "set", "-g", "status", "off", **server)
    first.keys(b"lab\r")
    first.until("s Start", "165,000 iterations")
    first.keys(b"s")
    first.until("▶ training", seconds=90)
    first.keys(b"2")
    first.until("1 run", "⏎ Open")
    first.keys(b"\x02d")
    assert first.end() == 0

    before = steps(home)
    until(lambda: steps(home) > before)
    with Store(home).open(the_run(home)) as folder:
        folder.request(Request.PAUSE)

    second = console(CLIENT, home, "attach", size=(120, 36), **server)
    second.until("‖ paused", "quickstart on digits")
    second.shows(lambda: "paused" in second.screen.display[0])
    for size in ((120, 36), (80, 24)):
        second.resize(*size)
        second.shows(lambda: is_whole(second, server))
        whole = rows(second)
        second.keys(b"\x0c?")
        second.until("Keys in Runs")
        second.keys(b"\x1b")
        second.shows(lambda: "Keys in" not in second.text and is_whole(second, server))
        assert rows(second) == whole, "as it is when all of it is sent anew"

    second.keys(b"3p")
    second.until("▶ training", "layers, ")
    second.keys(b"q")
    second.until("is at work")
    second.keys(b"s")
    second.until("ended with 0", seconds=90)
    assert Store(home).runs()[0].status == "stopped"
    second.keys(b"exit\r")
    assert second.end() == 0
