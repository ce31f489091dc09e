"""What happens between two calls to the devices: progress, heartbeat, and what a person asks for."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from engine.errors import Unwritable
from engine.experiment import Place, Round
from engine.runner.resources import ResourceMonitor
from engine.store import CurvePoint, Event, LaneProgress, Note, Paused, Progress, Request, Resumed, RunFolder, Stamped
from engine.training import Evaluation

_RATE_WINDOW = 30.0
_POLL = 0.1
_WAIT = 0.5
RETRY_SECONDS = 3.0
"""Between two tries to write what could not be written."""

Kept = TypeVar("Kept")


class Stopped(Exception):
    """The run is to stop where it cannot go on."""


class RunSession:
    """Keeps the run's folder up to date and obeys requests."""

    def __init__(self, folder: RunFolder, report: Callable[[Stamped], None] | None):
        self.run_id = folder.id
        self._folder, self._report = folder, report
        self._progress = Progress(state="preparing")
        self._meter = ResourceMonitor()
        self._recent: deque[tuple[float, int]] = deque()
        self._steps_before = 0
        self._firsts: list[int] = []
        self.curves: list[list[CurvePoint]] = []
        self.paused_seconds = 0.0

    def say(self, event: Event) -> None:
        """Keep an event and pass it on."""
        self.keep(lambda: self._tell(event))

    def conclude(self, event: Event) -> None:
        """Keep how the run ended and pass it on. Where the disk takes nothing, its end is not told."""
        with suppress(Unwritable):
            self._tell(event)

    def keep(self, write: Callable[[], Kept]) -> Kept:
        """What `write` gives. While the disk takes nothing the run pauses by itself, and tries again until it does.
        Raises Stopped when it is to stop meanwhile."""
        try:
            return write()
        except Unwritable as error:
            problem = str(error)
        since, told = time.monotonic(), False
        about = f"{problem}; goes on when it can be"
        waiting = self._progress.model_copy(update={"state": "waiting", "about": about, "eta": None})
        while True:
            if not told:
                with suppress(Unwritable):
                    self._folder.set_progress(waiting)
                    self._tell(Note(text=f"paused by itself: {about}"))
                    told = True
            self._bide(RETRY_SECONDS)
            with suppress(Unwritable):
                kept = write()
                break
        waited = time.monotonic() - since
        self.paused_seconds += waited
        self._recent.clear()
        self.say(Note(text=f"goes on after {waited:.0f} s: {problem.split(': ')[0]} can be written again"))
        self._show()
        return kept

    def _bide(self, seconds: float) -> None:
        """Raises Stopped when the run is to stop meanwhile."""
        end = time.monotonic() + seconds
        while True:
            if self._folder.requested() is Request.STOP:
                raise Stopped
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(_POLL, left))

    def _tell(self, event: Event) -> None:
        stamped = self._folder.append(event)
        if self._report is not None:
            self._report(stamped)

    def prepare(self) -> None:
        """The data and the plan are made ready."""
        self._show(state="preparing")

    def begin(self, steps: int, rounds: int) -> None:
        """`steps` of all lanes are to be trained, and `rounds` rounds to be known."""
        self._show(steps_total=steps, rounds_total=rounds)

    def more(self, steps: int) -> None:
        """So many steps more than was said."""
        self._show(steps_total=self._progress.steps_total + steps)

    def board(self, rounds: list[Round], places: list[Place], *, new: bool) -> None:
        """These rounds train now, each in a lane; `new` when their program has yet to be compiled."""
        self._firsts = [item.first for item in rounds]
        self.curves = [[] for _ in rounds]
        self.paused_seconds = 0.0
        self._steps_before = self._progress.steps_done
        self._recent.clear()
        self._show(
            state="compiling" if new else "training",
            iteration=0,
            iterations=rounds[0].iterations,
            lanes=tuple(
                LaneProgress(arm=place.arm, trial=place.trial, round=place.number, key=item.key)
                for item, place in zip(rounds, places, strict=True)
            ),
        )

    def go_on(self, iteration: int, curves: list[list[CurvePoint]]) -> None:
        """The lanes on board go on after so many steps, with what their curves had then."""
        self.curves = [list(curve) for curve in curves]
        for lane, curve in zip(self._progress.lanes, self.curves, strict=True):
            self._draw(lane.key, curve)
        self._show(iteration=iteration, steps_done=self._steps_before + iteration * len(curves))

    def between(self, iteration: int, readings: list[list[Evaluation]]) -> bool:
        """Called after each call to the devices: False when the run is to stop."""
        for lane, first, curve, new in zip(self._progress.lanes, self._firsts, self.curves, readings, strict=True):
            if new:
                added = points(new, first)
                curve.extend(added)
                self._draw(lane.key, added)
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

    def going(self) -> bool:
        """Called where nothing trains: False when the run is to stop."""
        return self._obey()

    def wait(self, about: str) -> bool:
        """Called where nothing can train for now: waits a moment; False when the run is to stop."""
        self._show(state="waiting", about=about, lanes=(), iteration=0, iterations=0, eta=None)
        time.sleep(_WAIT)
        return self._obey()

    def skip(self, steps: int) -> None:
        """A round that this run had trained already."""
        self._show(steps_done=self._progress.steps_done + steps)

    def abandon(self) -> None:
        """What the lanes on board did comes to nothing."""
        self._show(steps_done=self._steps_before)

    def testing(self) -> None:
        """The lanes are at their end and are tested."""
        self._show(state="testing")

    def landed(self, rounds: int) -> None:
        """So many rounds are known."""
        self._show(rounds_done=rounds)

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
        state, since = self._progress.state, time.monotonic()
        while (request := self._folder.requested()) is Request.PAUSE:
            self._show(state="paused", eta=None)
            time.sleep(_POLL)
        self.paused_seconds += time.monotonic() - since
        self._recent.clear()
        if request is Request.STOP:
            self._show(state="stopping")
            return False
        self.say(Resumed())
        self._show(state=state)
        return True

    def _draw(self, key: str, curve: list[CurvePoint]) -> None:
        self.keep(lambda: self._folder.append_curve(key, curve))

    def _show(self, **changes: object) -> None:
        # Before anything is trained devices may not be looked for yet.
        use = self._meter.read() if self._progress.steps_total else None
        self._progress = self._progress.model_copy(update={"about": "", "use": use, **changes})
        self.keep(lambda: self._folder.set_progress(self._progress))


def points(readings: Sequence[Evaluation], first: int = 0) -> list[CurvePoint]:
    """Readings as they are kept, of a round that starts at iteration `first`: None for what is not finite."""
    return [
        CurvePoint(
            iteration=first + reading.iteration,
            train_loss=_finite(reading.train_loss),
            validation_loss=_finite(reading.validation_loss),
            validation_accuracy=_finite(reading.validation_accuracy),
        )
        for reading in readings
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
