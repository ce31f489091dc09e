"""The interface in a real terminal: it opens, is used, resized and left, and the terminal is as it was."""

import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pyte
import pytest
from consoles import COMMAND, OPEN, ROOT

NOISY = """
import os, sys
from pathlib import Path
import lth_tui.worker
def engine(folder, store):
    os.write(2, b"NOISE FROM NATIVE CODE\\n")
    return "done"
lth_tui.worker.execute.__code__ = engine.__code__
lth_tui.worker.execute.__globals__.update(os=os, sys=sys)
from lth_tui.app import open_interface
sys.exit(open_interface(Path(sys.argv[1])))
"""


TOLD_AT_THE_END = """
import sys, threading, time
from pathlib import Path
import lth_tui.worker
from engine.store import Request
from lth_tui.app import open_interface
from textual.widget import Widget
from textual.widgets._toast import ToastRack
def engine(folder, store):
    while folder.requested() is not Request.STOP:
        time.sleep(0.01)
    return "stopped"
telling = threading.Event()
def wait(self, seconds=None):
    return waited(self, seconds) and telling.wait(30)
def mount(self, *widgets, **where):
    if isinstance(self, ToastRack):
        telling.set()
        end = time.monotonic() + 0.5
        while time.monotonic() < end and not self.app._exit:
            time.sleep(0.01)
    return mounted(self, *widgets, **where)
lth_tui.worker.execute.__code__ = engine.__code__
lth_tui.worker.execute.__globals__.update(Request=Request)
mounted, Widget.mount = Widget.mount, mount
waited, lth_tui.worker.Worker.wait = lth_tui.worker.Worker.wait, wait
sys.exit(open_interface(Path(sys.argv[1])))
"""
"""It is told to leave while it tells of the run's end."""


def hidden(screen: pyte.Screen) -> str:
    """What is written in the colour that it stands on."""
    cells = (screen.buffer[y][x] for y in range(screen.lines) for x in range(screen.columns))
    return "".join(cell.data for cell in cells if cell.data.strip() and cell.fg == cell.bg != "default")


@pytest.mark.parametrize(
    "variables",
    [{"TERM": "xterm-256color"}, {"TERM": "screen"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}],
    ids=["256", "16", "none"],
)
def test_open_use_resize_and_quit(console, tmp_path: Path, variables: dict[str, str]):
    terminal = console(OPEN, tmp_path, **variables)
    terminal.until("1 Configure", "quickstart", "165,000 iterations", "s Start")
    assert not hidden(terminal.screen)
    terminal.keys(b"2")
    terminal.until("No runs yet")
    assert not hidden(terminal.screen)
    terminal.resize(120, 36)
    terminal.until("^p palette")
    terminal.keys(b"?")
    terminal.until("Keys in Runs")
    terminal.keys(b"\x1b")
    terminal.resize(50, 12)
    terminal.until("60x16 is the least")
    terminal.resize(80, 24)
    terminal.until("No runs yet")
    styles = [style.split(b";") for style in re.findall(rb"\x1b\[([0-9;]*)m", terminal.raw)]
    deep = [style for style in styles if b"38" in style or b"48" in style]
    if "NO_COLOR" in variables:
        assert not deep
        assert {code for style in styles for code in style} <= {b"", b"0", b"1", b"2", b"3", b"4", b"7", b"39", b"49"}
    elif variables["TERM"] == "screen":
        assert not deep
    else:
        assert deep
    terminal.keys(b"q")
    assert terminal.end() == 0
    after = terminal.raw[-400:]
    for restored in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l"):
        assert restored in after
    assert b"Traceback" not in terminal.raw
    assert termios.tcgetattr(terminal.master) == terminal.before


def state(pid: int) -> str:
    """The letter that the kernel has for the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_ctrl_z_suspends_and_the_shell_takes_it_up_again(console, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color")
    terminal.until("s Start")
    terminal.keys(b"2")
    terminal.until("No runs yet")
    terminal.keys(b"\x1a")
    terminal.shows(lambda: state(terminal.process.pid) == "T")
    assert b"\x1b[?1049l" in terminal.raw[-400:]
    assert termios.tcgetattr(terminal.master) == terminal.before
    drawn = terminal.raw.count(b"No runs yet")
    os.kill(terminal.process.pid, signal.SIGCONT)
    terminal.shows(lambda: terminal.raw.count(b"No runs yet") > drawn)
    terminal.keys(b"q")
    assert terminal.end() == 0


@pytest.mark.parametrize("name", ["dumb", "unknown", "emacs"])
def test_a_terminal_without_a_cursor_is_refused_in_one_line(name: str, console, tmp_path: Path):
    terminal = console(COMMAND, tmp_path, TERM=name)
    assert terminal.end() == 2
    assert b"\x1b" not in terminal.raw
    assert f"TERM={name}: the interface cannot be drawn there; in lines: lth-tui run STUDY" in terminal.text.replace(
        "\n", ""
    )


@pytest.mark.parametrize("variables", [{"COLUMNS": "90", "LINES": "24"}, {"COLUMNS": "40"}, {"LINES": "200"}])
def test_exported_sizes_do_not_freeze_the_window(variables: dict[str, str], console, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color", **variables)
    terminal.until("s Start", "165,000 iterations")
    terminal.resize(140, 40)
    terminal.shows(lambda: len(terminal.text.split("\n")[39].strip()) > 20)  # the bar of keys is at the bottom
    assert "q Quit" in terminal.text.split("\n")[39] or "palette" in terminal.text.split("\n")[39]
    terminal.keys(b"q")
    assert terminal.end() == 0


def test_bytes_that_are_no_text_do_not_end_it(console, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color")
    terminal.until("s Start")
    terminal.keys(b"\x1b[M\xc3\x28\xff\xfe\x80")
    terminal.keys(b"\xe2\x28\xa1")
    for _ in range(50):  # what the noise means as keys is not for this test
        terminal.keys(b"2")
        terminal.read()
        if "No runs yet" in terminal.text:
            break
    terminal.until("No runs yet")
    terminal.keys(b"q")
    assert terminal.end() == 0


def test_native_noise_goes_to_the_log_and_not_to_the_screen(console, tmp_path: Path):
    terminal = console(NOISY, tmp_path, TERM="xterm-256color")
    terminal.until("s Start", "165,000")
    terminal.keys(b"s")
    terminal.until("3 Live", "done")
    terminal.keys(b"q")
    assert terminal.end() == 0
    assert b"NOISE" not in terminal.raw
    log = (tmp_path / "lth-tui.log").read_text()
    assert "NOISE FROM NATIVE CODE" in log


def test_termination_restores_the_terminal(console, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color")
    terminal.until("s Start")
    os.kill(terminal.process.pid, 15)
    assert terminal.end() == 143
    assert b"\x1b[?1049l" in terminal.raw[-400:]


def test_what_is_told_as_it_leaves_is_no_failure(console, tmp_path: Path):
    terminal = console(TOLD_AT_THE_END, tmp_path, TERM="xterm-256color")
    terminal.until("s Start", "165,000")
    terminal.keys(b"s")
    terminal.until("3 Live", "starting")
    os.kill(terminal.process.pid, 15)
    assert terminal.end() == 143
    assert "Traceback" not in (tmp_path / "lth-tui.log").read_text(encoding="utf-8")


def test_without_a_terminal_it_says_what_to_run_instead():
    done = subprocess.run(
        [sys.executable, "-c", "from pathlib import Path\nfrom lth_tui.app import open_interface\n" + HEADLESS],
        cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.stdout == "the interface needs a terminal; without one: lth-tui run STUDY\n['lth_tui.terminal']\n"


HEADLESS = """
import sys
from engine.errors import BadInput
try:
    open_interface(Path("unused"))
except BadInput as error:
    print(error)
print([name for name in ("textual", "jax", "lth_tui.terminal") if name in sys.modules])
"""


def test_a_terminal_of_ascii_is_sent_nothing_else(console, tmp_path: Path):
    terminal = console(OPEN, tmp_path, TERM="xterm-256color", LC_ALL="C")
    terminal.until("1 Configure", "s Start")
    for keys, told in (
        (b"2", "No runs yet"),
        (b"3", "No run is shown"),
        (b"?", "Keys in Live"),
        (b"\x1b", "No run is"),
    ):
        terminal.keys(keys)
        terminal.until(told)
    terminal.keys(b"1p")
    terminal.until("enter chooses")
    terminal.keys(b"\x11")
    assert terminal.end() == 0
    assert terminal.raw.isascii()
