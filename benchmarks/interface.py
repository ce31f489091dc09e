"""The interface beside the training: what it costs, how long a key takes to reach the screen meanwhile, and how much
is sent to the terminal.

The interface is a process of its own under a pseudo-terminal of 120x40, read as a terminal would read it.
"""

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyte

from benchmarks.sides import Sides, Spread, line
from engine.spec import load_study, to_toml
from engine.store import RoundFinished, Store

COLUMNS, ROWS = 120, 40
ITERATIONS, ROUNDS, KEYS = 12_000, 7, 300
PATIENCE = 120.0
WATCHED = 20.0
"""Seconds for which what is sent is counted."""
_MODES = ("2", "1 run"), ("1", "preset")
_CELLS = ("\x1b[C", "round 2 with 1"), ("\x1b[D", "round 1 with 0")
"""Keys and what is shown when they have done their work."""

STUDY = """
name = "bench"
trials = 2
seed = {seed}
[base.data]
name = "digits"
[base.train]
iterations = {iterations}
evaluate_every = 500
[base.prune]
rounds = {rounds}
[[arm]]
name = "ticket"
"""
OPEN = "import sys; from pathlib import Path; from lth_tui.app import open_interface; "
OPEN += "sys.exit(open_interface(Path(sys.argv[1]), sys.argv[2], ascii=False, ssh=sys.argv[3] == 'ssh'))"


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        seeds = iter(range(1, 10_000, 10))
        sides = Sides(
            {
                "with": lambda: _with_interface(home, next(seeds)),
                "without": lambda: _without(home, next(seeds)),
            },
            ROUNDS,
        )
        print("interface: LeNet-300-100 on digits, two trials; training rates in iterations/s of all lanes")
        line("with the interface open on Live", sides.rate("with"))
        line("without", sides.rate("without"))
        met = line("with / without", sides.ratio("with", "without"), 0.97)
        return all([met, *_sent(home), *_latency(home / "empty", next(seeds))])


def _study(home: Path, seed: int, rounds: int) -> Path:
    home.mkdir(exist_ok=True)
    path = home / "bench.toml"
    path.write_text(STUDY.format(seed=seed, iterations=ITERATIONS, rounds=rounds))
    return path


def environment(home: Path) -> dict[str, str]:
    settings = str(home / "settings.toml")
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}  # Python keeps its compiled modules, as it does for who uses it
    return {**os.environ, "LTH_TUI_HOME": str(home), "LTH_TUI_SETTINGS": settings, **terminal, **compiled}


def _rate(home: Path) -> float:
    """Iterations a second of the newest run's last round, in which nothing is compiled."""
    store = Store(home)
    with store.open(store.runs()[0].id) as folder:
        rounds = [stamped.event for stamped in folder.events() if isinstance(stamped.event, RoundFinished)]
    last = max(event.round for event in rounds)
    return sum(event.result.iterations / event.result.seconds for event in rounds if event.round == last)


def _without(home: Path, seed: int) -> float:
    train(home, _study(home, seed, 1))
    return _rate(home)


def train(home: Path, study: Path, *options: str) -> None:
    """Run the study of that file to its end, without the interface."""
    command = [sys.executable, "-m", "lth_tui", "run", str(study), *options, "--json"]
    subprocess.run(command, env=environment(home), check=True, stdout=subprocess.DEVNULL)


def _with_interface(home: Path, seed: int) -> float:
    with Screen(home, _study(home, seed, 1)) as screen:
        screen.wait(lambda: "Start" in screen.text())
        screen.press("s")
        screen.wait(lambda: re.search(r"\bdone\b", screen.text()) is not None)
    return _rate(home)


def _sent(home: Path) -> list[bool]:
    """Bytes a second to the terminal while the quickstart study trains, a round every second or so."""
    print(f"interface: sent to the terminal, Live at {COLUMNS}x{ROWS} while the quickstart study trains, in kB/s")
    met = []
    for number, (name, most) in enumerate((("as it is", 15), ("ssh", 3))):
        study = home / "quickstart.toml"
        study.write_text(to_toml(load_study("quickstart", (f"seed={100_000 * (number + 1)}",))))
        with Screen(home, study, ssh=name == "ssh") as screen:
            screen.wait(lambda: "Start" in screen.text())
            screen.press("s")
            screen.wait(lambda: re.search(r"\b[1-9]\d*/171", screen.text()) is not None)
            before = screen.sent
            time.sleep(WATCHED)
            rate = (screen.sent - before) / WATCHED / 1000
            met.append(line(name, Spread(rate, rate, rate), most, at_most=True))
            screen.press("x")
    return met


def _latency(home: Path, seed: int) -> list[bool]:
    """From a key to the changed screen, in milliseconds: while two lanes train, and idle."""
    with Screen(home, _study(home, seed, 30)) as screen:
        screen.wait(lambda: "Start" in screen.text())
        screen.press("s")
        screen.wait(lambda: re.search(r"training \d+/62", screen.text()) is not None)
        screen.press("4")
        screen.wait(lambda: re.search(r"\b([4-9]|\d\d)/31 rounds", screen.text()) is not None)
        busy = [milliseconds(screen, *_CELLS[number % 2]) for number in range(KEYS)]
        screen.press("3")
        screen.wait(lambda: "iteration" in screen.text())
        screen.press("x")
        screen.wait(lambda: "■ stopped" in screen.text())
        screen.press("4")
        screen.wait(lambda: re.search(r"\d/31 rounds", screen.text()) is not None)
        idle = [milliseconds(screen, *_CELLS[number % 2]) for number in range(KEYS)]
        modes = [milliseconds(screen, *_MODES[number % 2]) for number in range(KEYS // 3)]
    print(f"interface: a key to the changed screen, {COLUMNS}x{ROWS}, in ms; 99th percentiles against 50 ms")
    told = {
        "two lanes training, moving over the heatmap": busy,
        "idle, moving over the heatmap": idle,
        "idle, changing between two screens": modes,
    }
    met = []
    for name, times in told.items():
        line(name, Spread.of(times))
        percentile = statistics.quantiles(times, n=100, method="inclusive")[98]
        met.append(line("  the 99th percentile", Spread(percentile, min(times), max(times)), 50, at_most=True))
    return met


def milliseconds(screen: "Screen", key: str, shown: str) -> float:
    """From a key to the terminal's having been sent what it brings."""
    begun = time.perf_counter()
    elapsed = screen.when(key, shown) - begun
    time.sleep(0.05 + 0.1 * (begun % 1))  # keys come at all phases of the redraw timer
    return 1000 * elapsed


class Screen:
    """The interface under a pseudo-terminal, with a study or as the command alone opens it; leaving it quits the
    interface. `awaited`: what it shows sooner or later, of which `came` tells when it did."""

    def __init__(
        self, home: Path, study: Path | str | None = None, *, ssh: bool = False, awaited: tuple[str, ...] = ()
    ):
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._news = threading.Condition()
        self.sent = 0
        self._came = dict.fromkeys(awaited, 0.0)
        command = [sys.executable, "-m", "lth_tui"]
        if study is not None:
            command = [sys.executable, "-c", OPEN, str(home), str(study), "ssh" if ssh else ""]
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command, env=environment(home), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        for key in ("q", "s"):
            self.press(key)
            time.sleep(0.5)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def text(self) -> str:
        return "\n".join(self._screen.display)

    def wait(self, reached: Callable[[], object]) -> None:
        """Wait for a state of the screen."""
        with self._news:
            if not self._news.wait_for(reached, PATIENCE):
                raise TimeoutError(f"the screen did not come to what was waited for:\n{self.text()}")

    def when(self, key: str, shown: str) -> float:
        """Press a key; the time at which what makes the screen show that had come."""
        with self._news:
            self._came = {shown: 0.0}
            self.press(key)
        return self.came(shown)

    def came(self, shown: str) -> float:
        """The time at which what makes the screen show that had come."""
        self.wait(lambda: self._came[shown])
        return self._came[shown]

    def _read(self) -> None:
        while True:
            try:
                select.select([self._master], [], [])
                data = os.read(self._master, 65536)
            except (OSError, ValueError):
                return
            if not data:
                return
            came = time.perf_counter()  # before the slow reading of it as a terminal
            with self._news:
                self.sent += len(data)
                self._stream.feed(data)
                missing = [shown for shown, then in self._came.items() if not then]
                text = self.text() if missing else ""
                self._came |= {shown: came for shown in missing if shown in text}
                self._news.notify_all()
