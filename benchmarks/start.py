"""How soon the interface is there: from the command to its first whole screen, and from a key to each of the others,
opened for the first time and later, in a home with a small finished run."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.interface import Screen, milliseconds, train
from benchmarks.sides import Spread, line

TIMES, AGAIN = 7, 2
IDLE = 2.0
"""Seconds before the first key."""
_WHOLE, _COSTS = "^p palette", "reused 0 of"
_SCREENS = {
    "2": ("Runs", "bench on digits"),
    "3": ("Live", "accuracy % / weights left %  ›"),
    "4": ("Heatmaps", "every pair of rounds"),
    "5": ("Ticket", "of each input pixel"),
    "6": ("Compare", "P_m %  ticket"),
    "?": ("Help over Compare", "Keys in Compare"),
    "q": ("Compare without it", "early stop  to dense"),
    "1": ("Configure", "the pruning rate"),
}
"""What is shown once a key has done its work, and by no screen before it."""

STUDY = """
name = "bench"
[base.data]
name = "digits"
[base.train]
iterations = 100
evaluate_every = 20
[base.prune]
rounds = 5
[[arm]]
name = "ticket"
[[arm]]
name = "random-mask"
"""


@dataclass
class _Opened:
    """A start, in milliseconds: to the whole screen, to what it tells last, and by keys the first time and later."""

    whole: float
    costs: float
    first: dict[str, float]
    later: dict[str, list[float]]


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        study = home / "bench.toml"
        study.write_text(STUDY)
        train(home, study, "--name", "bench")
        _open(home)  # which leaves the modules compiled
        opened = [_open(home) for _ in range(TIMES)]
    print(f"start: the command alone, in a home with one finished run, {TIMES} times; in ms")
    met = [
        line("to the first whole screen", Spread.of([it.whole for it in opened]), 1000, at_most=True),
        line("to what its study will cost", Spread.of([it.costs for it in opened])),
    ]
    for key, (name, _) in _SCREENS.items():
        met.append(line(f"{name}, first", Spread.of([it.first[key] for it in opened]), 300, at_most=True))
        line(f"{name}, later", Spread.of([value for it in opened for value in it.later[key]]))
    every = [value for it in opened for values in it.later.values() for value in values]
    met.append(line("all of these, later", Spread.of(every), 50, at_most=True))
    return all(met)


def _open(home: Path) -> _Opened:
    begun = time.perf_counter()
    with Screen(home, awaited=(_WHOLE, _COSTS)) as screen:
        whole, costs = (1000 * (screen.came(shown) - begun) for shown in (_WHOLE, _COSTS))
        time.sleep(IDLE)
        rounds = [
            {key: milliseconds(screen, key, shown) for key, (_, shown) in _SCREENS.items()} for _ in range(1 + AGAIN)
        ]
    later = {key: [found[key] for found in rounds[1:]] for key in _SCREENS}
    return _Opened(whole, costs, rounds[0], later)
