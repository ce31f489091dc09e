"""Runs that are cut short at chosen moments, and how two runs are compared."""

import math
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import views
from engine.runner import checkpoints as saving
from engine.runner import run, session
from engine.spec import Study
from engine.store import RoundFinished, RunFolder, Store, StoredRound, tensors
from engine.store.state import RunState
from engine.training import LaneBatch
from engine.training import lanes as packs

STUDY = """
name = "cut"
trials = 1
[base.data]
fraction = 0.25
[base.train]
iterations = 80
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "one-shot"
[[arm]]
name = "reinit"
[[arm]]
name = "rewound"
kind = "ticket"
restart = { treatment = "rewind", iteration = 20 }
[[arm]]
name = "watched"
kind = "ticket"
prune = { early_bird = "watch" }
[[arm]]
name = "late"
kind = "ticket"
prune = { early_bird = "stop" }
train = { learning_rate = 1e-5 }
restart = { treatment = "rewind", iteration = 60 }
[[arm]]
name = "wild"
kind = "ticket"
prune = { early_bird = "stop" }
train = { learning_rate = 3e-2 }
[[arm]]
name = "clamped"
kind = "ticket"
train = { clamp = 1.0 }
"""

SMALL = STUDY[: STUDY.index('[[arm]]\nname = "one-shot"')] + STUDY[STUDY.index('[[arm]]\nname = "rewound"') :]
SMALL = (
    SMALL[: SMALL.index('[[arm]]\nname = "watched"')]
    .replace("rounds = 2", "rounds = 1")
    .replace("trials = 1", "trials = 2")
)


ASIDE = re.compile(
    r"resumed:|stopped:|failed:|paused by itself|goes on after|the devices are out of memory|.* is trained again"
)
"""Lines of a log that tell what happened to the run, not in it."""


class Killed(BaseException):
    """The process is dead."""


class Mortal:
    """Counts the moments before and after everything that a run keeps, and dies at one of them: from then on nothing
    is kept any more, as after SIGKILL."""

    def __init__(self, at: int | None):
        self.left, self.count, self.dead = at, 0, False
        self._lock = threading.Lock()

    def moment(self) -> None:
        with self._lock:
            self.count += 1
            self.dead = self.dead or self.count == self.left
            if self.dead:
                raise Killed

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*args: Any) -> Any:
            self.moment()
            result = function(*args)
            self.moment()
            return result

        return mortal


@contextmanager
def mortal(at: int | None, every: float) -> Iterator[Mortal]:
    """Everything within dies at that moment. A call to the devices is of a few steps."""
    life = Mortal(at)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("append", "append_curve", "set_progress"):
            patch.setattr(RunFolder, name, life.around(getattr(RunFolder, name)))
        patch.setattr(tensors, "write_atomic", life.around(tensors.write_atomic))
        patch.setattr(packs.StepTimer, "fitting", 4)
        patch.setattr(saving, "CHECKPOINT_SECONDS", every)
        patch.setattr(saving, "CHECKPOINT_SHARE", math.inf)
        patch.setattr(session, "PROGRESS_SECONDS", 0.0)
        yield life


def execute(home: Path, study: Study | None = None, at: int | None = None, every: float = 0.0) -> tuple[str, int]:
    """Begin the run "r" of a home with `study`, or take it up again, until it ends or dies at moment `at`, with
    checkpoints `every` so many seconds: its status and the moments it lived for. Its locks are released, as the kernel
    does for a dead process."""
    store = Store(home)
    with store.create(study, "r") if study else store.open("r") as folder, mortal(at, every) as life:
        try:
            status = run(folder, store)
        except Killed:
            status = "killed"
    return status, life.count


def view_of(folder: RunFolder) -> views.RunView:
    return views.fold(views.RunView(), folder.events())


def timeless(view: views.RunView) -> views.RunView:
    """A view without what times tell, and without the lines that tell of interruptions."""
    lines = [replace(line, time=0.0, text=re.sub(r"[\d.]+ s\b", "s", line.text)) for line in view.log]
    told = [line for line in lines if not ASIDE.match(line.text)]
    arms = [
        replace(
            arm,
            trials=tuple(
                replace(trial, rounds={number: _timeless(item) for number, item in trial.rounds.items()})
                for trial in arm.trials
            ),
        )
        for arm in view.arms
    ]
    rounds = {place: _timeless(item) for place, item in view.state.rounds.items()}
    started = view.state.started and view.state.started.model_copy(update={"run": ""})
    state = RunState(view.status, started, rounds=rounds, signals=view.state.signals, diverged=view.state.diverged)
    return replace(view, run="", state=state, log=tuple(told), arms=tuple(arms))


def _timeless(item: RoundFinished) -> RoundFinished:
    return item.model_copy(update={"result": item.result.model_copy(update={"seconds": 0.0})})


def same_round(one: StoredRound, other: StoredRound) -> None:
    """Bit for bit, but for the seconds that it took."""
    assert one.result.model_copy(update={"seconds": 0.0}) == other.result.model_copy(update={"seconds": 0.0})
    assert (one.key, one.curve, one.snapshots.keys()) == (other.key, other.curve, other.snapshots.keys())
    for name, mask in one.masks.items():
        assert mask.tobytes() == other.masks[name].tobytes(), name
    pairs = [(one.final, other.final), (one.best, other.best)]
    for snapshot, that in pairs + [(one.snapshots[at], other.snapshots[at]) for at in one.snapshots]:
        for arrays, others in ((snapshot.params, that.params), (snapshot.state, that.state)):
            assert arrays.keys() == others.keys()
            for name, array in arrays.items():
                assert array.tobytes() == others[name].tobytes(), name


def same_run(home: Path, reference: Path, run: str = "r") -> None:
    """What is kept of two runs is the same but for times."""
    one, other = Store(home), Store(reference)
    with one.open(run) as folder, other.open("r") as whole:
        seen, wanted = timeless(view_of(folder)), timeless(view_of(whole))
        for part in vars(wanted):
            assert getattr(seen, part) == getattr(wanted, part), part
        keys = {item.key for arm in wanted.arms for trial in arm.trials for item in trial.rounds.values()}
        for key in keys:
            assert folder.curve(key) == whole.curve(key), key
    for key in keys:
        rounds = [store.rounds.read(key) for store in (one, other)]
        assert None not in rounds
        same_round(*rounds)  # type: ignore[arg-type]
    assert not checkpoints(home)


def checkpoints(home: Path) -> list[Path]:
    return sorted((home / "checkpoints").glob("*/*"))


def copied(home: Path, to: Path) -> Path:
    shutil.copytree(home, to)
    return to


class Restored(LaneBatch):
    """Keeps where packs went on, and how many lanes they had."""

    at: list[tuple[int, int]] = []

    def restore(self, states: Any) -> None:
        super().restore(states)
        self.at.append((self.iteration, self.count))
