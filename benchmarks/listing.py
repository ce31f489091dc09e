"""A home with a thousand runs: how long its list takes to read, and from the key to the filled screen."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.interface import Screen, milliseconds, train
from benchmarks.sides import Spread, line
from engine.store import Store

RUNS, TIMES = 1000, 9
_FILLED = "1,000 runs"

STUDY = """
name = "bench"
trials = 3
[base.data]
name = "digits"
[base.train]
iterations = 20
evaluate_every = 5
[base.prune]
rounds = 18
[[arm]]
name = "ticket"
[[arm]]
name = "random-mask"
"""
READ = "import sys, time; from pathlib import Path; from engine.store import Store; began = time.perf_counter(); "
READ += "Store(Path(sys.argv[1])).runs(); print(time.perf_counter() - began)"


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        size = _fill(home)
        print(f"listing: {RUNS} runs of 114 rounds, {size / 1e3:.0f} kB each; in ms")
        line("read for the first time, while the list fills", Spread.of([_read(home)]))
        time.sleep(5)  # what was written just now is read again
        _read(home)
        cold = Spread.of([_read(home) for _ in range(TIMES)])
        store = Store(home)
        store.runs()
        met = [
            line("read by a new process", cold, 200, at_most=True),
            line("and again, every two seconds", Spread.of([_again(store) for _ in range(TIMES)]), 40, at_most=True),
        ]
        first, later = _keys(home)
        met.append(line("the key to the filled screen, the first time", first, 300, at_most=True))
        met.append(line("and later", later, 300, at_most=True))
        return all(met)


def _fill(home: Path) -> int:
    """A run that the engine made, many times over; the bytes of its database."""
    path = home / "bench.toml"
    path.write_text(STUDY)
    train(home, path, "--name", "bench")
    made = home / "runs" / "bench"
    for number in range(1, RUNS):
        shutil.copytree(made, made.with_name(f"bench-{number:04}"))
    return (made / "run.db").stat().st_size


def _read(home: Path) -> float:
    """In a process of its own."""
    told = subprocess.run([sys.executable, "-c", READ, str(home)], check=True, capture_output=True, text=True)
    return 1000 * float(told.stdout)


def _again(store: Store) -> float:
    began = time.perf_counter()
    store.runs()
    return 1000 * (time.perf_counter() - began)


def _keys(home: Path) -> tuple[Spread, Spread]:
    """From the key of Runs to the terminal's having been sent the list: in new processes, and in one of them again."""
    first, later = [], []
    for _ in range(TIMES // 3):
        with Screen(home, home / "bench.toml") as screen:
            screen.wait(lambda: "Start" in screen.text())
            time.sleep(1)
            first.append(milliseconds(screen, "2", _FILLED))
            for _ in range(3):
                milliseconds(screen, "1", "preset")
                time.sleep(0.5)
                later.append(milliseconds(screen, "2", _FILLED))
    return Spread.of(first), Spread.of(later)
