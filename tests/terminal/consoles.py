"""Processes in a pty, and the screens that they draw."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

from engine.store import Store

ROOT = Path(__file__).resolve().parents[2]

OPEN = """
import sys
from pathlib import Path
from lth_tui.app import open_interface
sys.exit(open_interface(Path(sys.argv[1]), *sys.argv[2:]))
"""

COMMAND = """
import os, sys
os.environ["LTH_TUI_HOME"] = sys.argv.pop(1)
from lth_tui.cli import main
sys.exit(main())
"""

# The process takes the pty as its terminal itself: fork without exec is not for a process with JAX's threads.
TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


class Console:
    """A process in a pty, and the screen that it draws. Only the leader of a session is sent SIGHUP."""

    def __init__(
        self,
        code: str,
        home: Path,
        *arguments: str,
        leads: bool = True,
        size: tuple[int, int] = (80, 24),
        **variables: str,
    ):
        hidden = {"NO_COLOR", "COLORTERM", "COLUMNS", "LINES", "TERM_PROGRAM", "TEXTUAL", "LC_ALL", "LC_CTYPE"}
        hidden |= {"SSH_CONNECTION", "SSH_TTY", "LTH_TUI_ASCII", "LTH_TUI_SSH", "TMUX", "TMUX_PANE"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.master, terminal = pty.openpty()
        self.name = os.ttyname(terminal)
        termios.tcsetwinsize(self.master, size[::-1])
        self.before = termios.tcgetattr(self.master)
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL * leads + code, str(home), *arguments],
            cwd=ROOT,
            env={
                **kept,
                "PYTHONPATH": str(ROOT),
                "LANG": "C.UTF-8",
                "LTH_TUI_SETTINGS": str(home / "settings.toml"),
                **variables,
            },
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)

    def read(self) -> bool:
        """Draw what arrived; False at the end."""
        if not select.select([self.master], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        # pyte knows no private parameters of these two kinds; no cell depends on them.
        self.stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9;]*\$p", b"", data))
        return True

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, *told: str, seconds: float = 60) -> None:
        """Wait until the screen shows all that."""
        deadline = time.monotonic() + seconds
        while not all(words in self.text for words in told):
            assert self.read(), f"ended early:\n{self.text}"
            assert time.monotonic() < deadline, f"{told} never shown:\n{self.text}"

    def shows(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Draw what arrives until that holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.read(), f"ended early:\n{self.text}"
            assert time.monotonic() < deadline, f"never so:\n{self.text}"

    def keys(self, data: bytes) -> None:
        os.write(self.master, data)

    def hang_up(self) -> int:
        """Close the terminal under the process; its exit code."""
        os.close(self.master)
        self.master = -1
        return self.process.wait(60)

    def resize(self, width: int, height: int) -> None:
        self.screen.resize(height, width)
        termios.tcsetwinsize(self.master, (height, width))

    def end(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + 20
        while self.process.poll() is None or self.read():
            self.read()
            assert time.monotonic() < deadline, f"did not end:\n{self.text}"
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
        return self.process.wait(5)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        if self.master >= 0:
            os.close(self.master)


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.05)


def end_runs(home: Path) -> None:
    """Let nothing be at work in that home."""
    for name in Store(home).names():
        with Store(home).open(name) as folder:
            found = folder.owner()
            if found is not None:
                os.kill(found.pid, signal.SIGKILL)
