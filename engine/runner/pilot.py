"""What happens between two calls to the devices: progress, heartbeat, and what a person asks for."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from engine.lanes import Reading
from engine.plan import Place
from engine.store import CurvePoint, Event, LaneProgress, Paused, Progress, Request, Resumed, RunFolder, Stamped

_RATE_WINDOW = 30.0
_POLL = 0.1


class Pilot:
    """Keeps the run's folder up to date and obeys requests."""

    def __init__(self, folder: RunFolder, report: Callable[[Stamped], None] | None):
        self.run_id = folder.id
        self._folder, self._report = folder, report
        self._progress = Progress(state="preparing")
        self._recent: deque[tuple[float, int]] = deque()
        self._steps_before = 0
        self.curves: list[list[Reading]] = []
        self.paused_seconds = 0.0

    def say(self, event: Event) -> None:
        """Keep an event and pass it on."""
        stamped = self._folder.append(event)
        if self._report is not None:
            self._report(stamped)

    def begin(self, steps: int, rounds: int, done: int) -> None:
        """`steps` of all lanes are to be trained in `rounds` rounds, of which `done` are stored."""
        self._show(steps_total=steps, rounds_total=rounds, rounds_done=done)

    def board(self, lanes: list[tuple[Place, str]], iterations: int) -> None:
        """These lanes train now."""
        self.curves = [[] for _ in lanes]
        self.paused_seconds = 0.0
        self._steps_before = self._progress.steps_done
        self._recent.clear()
        self._show(
            state="compiling",
            iteration=0,
            iterations=iterations,
            lanes=tuple(LaneProgress(arm=p.arm, trial=p.trial, round=p.number, key=key) for p, key in lanes),
        )

    def between(self, iteration: int, readings: list[list[Reading]]) -> bool:
        """Called after each call to the devices: False when the run is to stop."""
        for lane, curve, new in zip(self._progress.lanes, self.curves, readings, strict=True):
            if new:
                curve.extend(new)
                self._folder.append_curve(lane.key, points(new))
        steps = self._steps_before + iteration * len(self._progress.lanes)
        self._tick(steps)
        rate = self.rate()
        left = self._progress.steps_total - steps
        self._show(
            state="training",
            iteration=iteration,
            steps_done=steps,
            rate=rate,
            eta=None if rate is None else left / rate,
        )
        return self._obey()

    def testing(self) -> None:
        """The lanes are at their end and are tested."""
        self._show(state="testing")

    def landed(self, rounds: int) -> None:
        """So many rounds more are done."""
        self._show(rounds_done=self._progress.rounds_done + rounds)

    def rate(self) -> float | None:
        """Iterations of all lanes a second, of late; None when too little has been seen."""
        if len(self._recent) < 2:
            return self._progress.rate
        (then, before), (now, after) = self._recent[0], self._recent[-1]
        return (after - before) / (now - then)

    def _tick(self, steps: int) -> None:
        now = time.monotonic()
        self._recent.append((now, steps))
        while now - self._recent[0][0] > _RATE_WINDOW:
            self._recent.popleft()

    def _obey(self) -> bool:
        match self._folder.requested():
            case Request.STOP:
                self._show(state="stopping")
                return False
            case Request.PAUSE:
                return self._wait()
            case _:
                return True

    def _wait(self) -> bool:
        self.say(Paused())
        since = time.monotonic()
        while (request := self._folder.requested()) is Request.PAUSE:
            self._show(state="paused", eta=None)
            time.sleep(_POLL)
        self.paused_seconds += time.monotonic() - since
        self._recent.clear()
        if request is Request.STOP:
            self._show(state="stopping")
            return False
        self.say(Resumed())
        return True

    def _show(self, **changes: object) -> None:
        self._progress = self._progress.model_copy(update=changes)
        self._folder.set_progress(self._progress)


def points(readings: Sequence[Reading]) -> list[CurvePoint]:
    """Readings as they are kept: None for what is not finite."""
    return [
        CurvePoint(
            iteration=reading.iteration,
            train_loss=_finite(reading.train_loss),
            validation_loss=_finite(reading.validation_loss),
            validation_accuracy=_finite(reading.validation_accuracy),
        )
        for reading in readings
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
