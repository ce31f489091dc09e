"""Writes a run's events, curves and progress into its folder, and obeys requests to pause and stop."""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from engine.errors import Unwritable
from engine.experiment import Round, RoundId
from engine.runner.resources import ResourceMonitor
from engine.store import CurvePoint, Event, LaneProgress, Note, Paused, Progress, Request, Resumed, RunFolder, Stamped

PROGRESS_SECONDS = 0.1
"""At least so long between two writes of the progress, unless the run waits, pauses or stops."""
RETRY_SECONDS = 3.0
"""Between two tries to write what could not be written."""
_RATE_WINDOW = 30.0
_POLL = 0.1
_WAIT = 0.5

Result = TypeVar("Result")


class Stopped(Exception):
    """A stop was requested while the run could not go on."""


@dataclass(eq=False)
class BatchProgress:
    """A batch in training: its rounds, each in a lane, after `iteration` of `iterations` steps."""

    lanes: tuple[LaneProgress, ...]
    iterations: int
    iteration: int = 0

    @property
    def steps(self) -> int:
        """Steps of all lanes so far."""
        return self.iteration * len(self.lanes)


@dataclass
class _Shown:
    """The parts of `Progress` that change as a run goes on."""

    state: str = "preparing"
    about: str = ""
    steps_done: int = 0
    steps_total: int = 0
    rounds_done: int = 0
    rounds_total: int = 0
    eta: float | None = None
    batches: list[BatchProgress] = field(default_factory=list)


class RunSession:
    """The run's folder, kept up to date by the thread that schedules the run."""

    def __init__(self, folder: RunFolder, report: Callable[[Stamped], None] | None):
        self.run_id = folder.id
        self.paused_seconds = 0.0
        """Seconds for which the run was paused or waited for the disk."""
        self._folder, self._report = folder, report
        self._shown = _Shown()
        self._resources = ResourceMonitor()
        self._rate: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._written = 0.0
        self._stale = False

    # Events

    def emit(self, event: Event) -> None:
        """Write an event and pass it on."""
        self.keep(lambda: self._emit(event))

    def conclude(self, event: Event) -> None:
        """Write how the run ended and pass it on. The event is lost when the disk is full."""
        with suppress(Unwritable):
            self.write_progress()
        with suppress(Unwritable):
            self._emit(event)

    def keep(self, write: Callable[[], Result]) -> Result:
        """Return what `write` returns. While the disk refuses it, the run pauses and tries again; why is in its events
        and its progress, or on standard error while these cannot be written either.

        Raises Stopped when a stop is requested meanwhile.
        """
        try:
            return write()
        except Unwritable as error:
            problem = str(error)
        since, noted, said = time.monotonic(), False, False
        about = f"{problem}; goes on when it can be"
        while True:
            if not noted:
                try:
                    self._write(self._progress(state="waiting", about=about, eta=None))
                    self._emit(Note(text=f"paused by itself: {about}"))
                    noted = True
                except Unwritable:
                    if not said:
                        sys.stderr.write(f"{self.run_id} paused by itself: {about}\n")
                        said = True
            self._bide(RETRY_SECONDS)
            with suppress(Unwritable):
                kept = write()
                break
        waited = time.monotonic() - since
        self.paused_seconds += waited
        self._recent.clear()
        self.emit(Note(text=f"goes on after {waited:.0f} s: {problem.split(': ')[0]} can be written again"))
        self._show()
        return kept

    def _bide(self, seconds: float) -> None:
        """Sleep. Raises Stopped when a stop is requested meanwhile."""
        end = time.monotonic() + seconds
        while True:
            if self._folder.requested() is Request.STOP:
                raise Stopped
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(_POLL, left))

    def _emit(self, event: Event) -> None:
        stamped = self._folder.append(event)
        if self._report is not None:
            self._report(stamped)

    # Progress

    def prepare(self) -> None:
        """The data and the plan are being prepared."""
        self._show(now=True, state="preparing")

    def begin(self, steps: int, rounds: int) -> None:
        """The run has `rounds` rounds and trains `steps` steps of all lanes together."""
        self._show(steps_total=steps, rounds_total=rounds)

    def add_steps(self, steps: int) -> None:
        """There are so many steps more (or fewer) to train."""
        self._show(steps_total=self._shown.steps_total + steps)

    def begin_batch(self, rounds: Sequence[Round], places: Sequence[RoundId], *, compiling: bool) -> BatchProgress:
        """These rounds begin to train, each in a lane; `compiling`: their program is not compiled yet."""
        batch = BatchProgress(
            tuple(
                LaneProgress(arm=place.arm, trial=place.trial, round=place.number, key=item.key)
                for item, place in zip(rounds, places, strict=True)
            ),
            rounds[0].iterations,
        )
        if not self._shown.batches:
            self._recent.clear()
        self._shown.batches.append(batch)
        self._show(now=compiling, state="compiling" if compiling else "training")
        return batch

    def resume_batch(self, batch: BatchProgress, iteration: int, curves: Sequence[list[CurvePoint]]) -> None:
        """A batch goes on from checkpoints after so many steps, with the curves that its rounds had then."""
        batch.iteration = iteration
        for lane, curve in zip(batch.lanes, curves, strict=True):
            self._draw(lane.key, curve)
        self._show()

    def advance(self, batch: BatchProgress, iteration: int, new_points: Sequence[list[CurvePoint]]) -> bool:
        """A batch has trained `iteration` steps. Return False when the run must stop; blocks while it is paused."""
        for lane, added in zip(batch.lanes, new_points, strict=True):
            if added:
                self._draw(lane.key, added)
        batch.iteration = iteration
        self._tick()
        left = self._shown.steps_total - self._steps()
        self._show(state="training", eta=left / self._rate if self._rate else None)
        return self._obey()

    def testing(self) -> None:
        """A batch is at its end and is tested."""
        self._show(state="testing")

    def end_batch(self, batch: BatchProgress, *, trained: bool) -> None:
        """A batch ended: its steps count as done when it was `trained` to its end."""
        self._shown.batches.remove(batch)
        steps = batch.iterations * len(batch.lanes) if trained else 0
        self._show(steps_done=self._shown.steps_done + steps)

    def skip(self, steps: int) -> None:
        """This run trained a round before it was interrupted."""
        self._show(steps_done=self._shown.steps_done + steps)

    def take_back(self, done: int, fewer: int) -> None:
        """So many steps that were done, or were no longer to be trained, must be trained after all."""
        self._show(steps_done=self._shown.steps_done - done, steps_total=self._shown.steps_total + fewer)

    def finished(self, rounds: int) -> None:
        """So many rounds are finished."""
        self._show(rounds_done=rounds)

    def going(self) -> bool:
        """Return False when the run must stop; blocks while it is paused."""
        return self._obey()

    def wait(self, about: str) -> bool:
        """Wait a moment for something outside the run. Return False when the run must stop."""
        self._show(state="waiting", about=about, eta=None)
        time.sleep(_WAIT)
        return self._obey()

    def refresh(self) -> None:
        """Write the progress when it has changed and the last write is long enough ago."""
        if self._stale and time.monotonic() - self._written >= PROGRESS_SECONDS:
            self.write_progress()

    def write_progress(self) -> None:
        """Write the progress now. Raises Unwritable."""
        self._write(self._progress())

    @property
    def rate(self) -> float | None:
        """Steps of all lanes a second, of late; None before the first were measured."""
        return self._rate

    def _steps(self) -> int:
        return self._shown.steps_done + sum(batch.steps for batch in self._shown.batches)

    def _tick(self) -> None:
        now = time.monotonic()
        self._recent.append((now, self._steps()))
        while now - self._recent[0][0] > _RATE_WINDOW:
            self._recent.popleft()
        then, before = self._recent[0]
        if now > then:
            self._rate = (self._recent[-1][1] - before) / (now - then)

    def _obey(self) -> bool:
        match self._folder.requested():
            case Request.STOP:
                self._show(now=True, state="stopping")
                return False
            case Request.PAUSE:
                return self._pause()
            case _:
                return True

    def _pause(self) -> bool:
        self.emit(Paused())
        state, since = self._shown.state, time.monotonic()
        while (request := self._folder.requested()) is Request.PAUSE:
            self._show(now=True, state="paused", eta=None)
            time.sleep(_POLL)
        self.paused_seconds += time.monotonic() - since
        self._recent.clear()
        if request is Request.STOP:
            self._show(now=True, state="stopping")
            return False
        self.emit(Resumed())
        self._show(now=True, state=state)
        return True

    def _draw(self, key: str, curve: list[CurvePoint]) -> None:
        self.keep(lambda: self._folder.append_curve(key, curve))

    def _show(self, *, now: bool = False, about: str = "", **changes: object) -> None:
        now = now or changes.get("state") == "waiting"
        for name, value in {"about": about, **changes}.items():
            setattr(self._shown, name, value)
        self._stale = True
        if now or time.monotonic() - self._written >= PROGRESS_SECONDS:
            self.keep(self.write_progress)

    def _progress(self, **changes: object) -> Progress:
        shown, batches = self._shown, self._shown.batches
        facts: dict[str, object] = {
            "state": shown.state,
            "about": shown.about,
            "lanes": tuple(lane for batch in batches for lane in batch.lanes),
            "iteration": batches[0].iteration if batches else 0,
            "iterations": batches[0].iterations if batches else 0,
            "steps_done": self._steps(),
            "steps_total": shown.steps_total,
            "rounds_done": shown.rounds_done,
            "rounds_total": shown.rounds_total,
            "rate": self._rate,
            "eta": shown.eta,
            # Devices may not be queried before JAX is set up.
            "use": self._resources.read() if shown.steps_total else None,
        }
        return Progress.model_validate(facts | changes)

    def _write(self, progress: Progress) -> None:
        self._folder.set_progress(progress)
        self._written, self._stale = time.monotonic(), False
