"""The view of a run for screens, tables and claims."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.store.events import (
    DatasetFacts,
    Diverged,
    InvariantFailed,
    Note,
    Paused,
    Resumed,
    RoundFinished,
    RunFinished,
    RunResumed,
    RunStarted,
    Signal,
)
from engine.store.run_db import RunReader, Stamped
from engine.store.state import ArmTrialRound, RunState
from engine.views.log import LogLine, RoundWords, diverged_words, invariant_words, signal_words, started_words


@dataclass(frozen=True)
class TrialView:
    """The finished rounds of one seed, by number."""

    seed: int
    rounds: Mapping[int, RoundFinished] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmView:
    """An arm: the rounds that it will have, and its trials."""

    name: str
    kind: str
    planned: tuple[int, ...]
    trials: tuple[TrialView, ...]


@dataclass(frozen=True)
class RunView:
    """A run at one moment: its `state` by arms and trials, and its `log` in words. Never changed."""

    run: str = ""
    study: str = ""
    state: RunState = field(default_factory=RunState)
    arms: tuple[ArmView, ...] = ()
    log: tuple[LogLine, ...] = ()

    @property
    def status(self) -> str:
        """new, running, paused, done, stopped or failed."""
        return self.state.status

    @property
    def dataset(self) -> DatasetFacts | None:
        """The data set; None before the run started."""
        return self.state.started.dataset if self.state.started else None

    @property
    def layers(self) -> Mapping[str, int]:
        """Prunable weights by layer, in order of depth."""
        return self.state.started.layers if self.state.started else {}

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kind of each layer, such as conv, dense or output."""
        return self.state.started.kinds if self.state.started else {}

    @property
    def device(self) -> str:
        """What the run trains on."""
        return self.state.started.device if self.state.started else ""

    @property
    def distinct(self) -> int:
        """Networks to be trained, rounds that arms share counted once."""
        return self.state.started.distinct if self.state.started else 0

    @property
    def running(self) -> frozenset[ArmTrialRound]:
        """The rounds in training."""
        return frozenset(self.state.training)

    @property
    def rounds_total(self) -> int:
        """The rounds that all trials will have."""
        return self.state.rounds_total

    @property
    def rounds_done(self) -> int:
        """The finished ones."""
        return len(self.state.rounds)

    @property
    def trained(self) -> int:
        """Finished rounds that this run trained."""
        return self.state.trained

    @property
    def reused(self) -> int:
        """Finished rounds taken from another arm or run."""
        return self.state.reused

    @property
    def seconds(self) -> float | None:
        """Seconds of work; None until the run ended."""
        return self.state.seconds

    @property
    def message(self) -> str:
        """The final message."""
        return self.state.message

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All signals in the order in which they were reported."""
        return tuple(self.state.signals)

    @property
    def last_event(self) -> int:
        """The number of the newest event."""
        return self.state.last_event

    def arm(self, name: str) -> ArmView:
        """The arm of that name. Raises KeyError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)


def fold(view: RunView, events: Iterable[Stamped]) -> RunView:
    """Return the view after `events`, which follow `view.last_event`."""
    state, log = view.state.copy(), list(view.log)
    words = RoundWords(state)
    for stamped in events:
        log += [LogLine(stamped.time, level, text) for level, text in words.before(stamped.event)]
        state.add(stamped)
        log += [LogLine(stamped.time, level, text) for level, text in _words(stamped, state)]
    started = state.started
    run, study = (view.run or started.run, started.study) if started else (view.run, view.study)
    return RunView(run, study, state, _arms(state), tuple(log))


def read_run(folder: RunReader) -> RunView:
    """Return the run after all of its events. Raises BadInput where they are damaged."""
    return fold(RunView(run=folder.id, study=folder.study_name), folder.events())


def summary(view: RunView) -> str:
    """Return how the run ended, in one line."""
    return _summary(view.state)


def _arms(state: RunState) -> tuple[ArmView, ...]:
    rounds: dict[tuple[str, int], dict[int, RoundFinished]] = {}
    for (arm, trial, number), event in sorted(state.rounds.items(), key=lambda item: item[0][2]):
        rounds.setdefault((arm, trial), {})[number] = event
    return tuple(
        ArmView(
            arm.name,
            arm.kind,
            arm.rounds,
            tuple(TrialView(seed, rounds.get((arm.name, trial), {})) for trial, seed in enumerate(arm.seeds)),
        )
        for arm in state.arms
    )


def _words(stamped: Stamped, state: RunState) -> list[tuple[str, str]]:
    """Levels and texts of an event that is in the state."""
    match stamped.event:
        case RunStarted() as event:
            return [("info", started_words(event))]
        case RunResumed():
            return [("info", f"resumed: {len(state.rounds)} of {state.rounds_total} rounds are finished")]
        case Diverged() as event:
            return [("warning", diverged_words(event))]
        case Signal() as event:
            return [signal_words(event)]
        case InvariantFailed() as event:
            return [("error", invariant_words(event))]
        case Note() as event:
            return [("info", event.text)]
        case Paused():
            return [("info", "paused")]
        case Resumed():
            return [("info", "continued")]
        case RunFinished() as event:
            level = {"done": "good", "stopped": "warning", "failed": "error"}[event.status]
            return [(level, _summary(state))]
        case _:
            return []


def _summary(state: RunState) -> str:
    if state.status == "done" and state.trained == 0:
        words = f"done: nothing was trained, all {len(state.rounds)} rounds were already stored"
    else:
        words = f"{state.status}: {state.trained} rounds trained, {state.reused} reused"
    if state.seconds is not None:
        words += f", {state.seconds:.1f} s"
    return f"{words}; {state.message}" if state.message else words
