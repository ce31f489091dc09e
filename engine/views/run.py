"""A run as its events tell it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.store.events import (
    DatasetFacts,
    Diverged,
    EarlyBird,
    InvariantFailed,
    LayerCount,
    Magnitudes,
    Note,
    Paused,
    Resumed,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    Signal,
    Similarity,
)
from engine.store.reading import RunReader, Stamped
from engine.views.log import LogLine, Rounds, diverged_words, guard_words, signal_words, started_words


@dataclass(frozen=True)
class RoundView:
    """A finished round of a trial. `p_m` in percent, accuracies from 0 to 1, layers in order of depth."""

    round: int
    key: str
    reused: bool
    p_m: float
    survivors: int
    layers: Mapping[str, LayerCount]
    early_stop_iteration: int | None
    validation_loss: float | None
    validation_accuracy: float | None
    test_accuracy: float | None
    test_accuracy_end: float | None
    test_accuracy_pruned: float | None
    seconds: float
    diverged: bool
    collapsed: bool
    similarity: Mapping[str, Similarity]
    magnitudes: Mapping[str, Magnitudes]
    early_bird: EarlyBird | None

    @property
    def spearman(self) -> dict[str, float | None]:
        """Per layer, the correlation of |w| with the round before, over weights alive in both."""
        return {name: self.similarity[name].alive if name in self.similarity else None for name in self.layers}


@dataclass(frozen=True)
class TrialView:
    """The rounds of one seed that are known so far, by number."""

    seed: int
    rounds: Mapping[int, RoundView] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmView:
    """An arm: which rounds it will have, and its trials."""

    name: str
    kind: str
    planned: tuple[int, ...]
    trials: tuple[TrialView, ...]


@dataclass(frozen=True)
class RunView:
    """All that the events of a run say. `status`: new, running, paused, done, stopped or failed.

    The store alone knows whether the owner of a running run still lives.
    """

    run: str = ""
    study: str = ""
    status: str = "new"
    dataset: DatasetFacts | None = None
    layers: Mapping[str, int] = field(default_factory=dict)
    arms: tuple[ArmView, ...] = ()
    running: frozenset[tuple[str, int, int]] = frozenset()
    rounds_total: int = 0
    rounds_done: int = 0
    distinct: int = 0
    trained: int = 0
    reused: int = 0
    device: str = ""
    lanes: int = 0
    started: float | None = None
    seconds: float | None = None
    message: str = ""
    signals: tuple[Signal, ...] = ()
    log: tuple[LogLine, ...] = ()
    last_event: int = 0

    def arm(self, name: str) -> ArmView:
        """The arm of that name. Raises KeyError."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)


def fold(view: RunView, events: Iterable[Stamped]) -> RunView:
    """The view after `events`, which follow `view.last_event`."""
    log = list(view.log)
    finished: list[RoundFinished] = []
    rounds: Rounds | None = None
    for stamped in events:
        event, time = stamped.event, stamped.time
        say = _Sayer(log, time)
        view = replace(view, last_event=stamped.id)
        match event:
            case RunStarted():
                view, rounds = _started(view, event, time), None
                say("info", started_words(event))
            case RunResumed():
                view = replace(view, status="running", running=frozenset(), seconds=None, message="")
                say("info", f"taken up again: {view.rounds_done} of {view.rounds_total} rounds known")
            case RoundStarted():
                view = replace(view, running=view.running | {(event.arm, event.trial, event.round)})
            case RoundFinished():
                finished.append(event)
                view = replace(
                    view,
                    running=view.running - {(event.arm, event.trial, event.round)},
                    rounds_done=view.rounds_done + 1,
                    trained=view.trained + (not event.reused),
                    reused=view.reused + event.reused,
                )
                rounds = rounds or Rounds(view.arms)
                for level, text in rounds.say(event):
                    say(level, text)
            case Diverged():
                view = replace(view, running=view.running - {(event.arm, event.trial, event.round)})
                say("warning", diverged_words(event))
            case Signal():
                say(*signal_words(event))
                view = replace(view, signals=(*view.signals, event))
            case InvariantFailed():
                say("error", guard_words(event))
            case Note():
                say("info", event.text)
            case Paused():
                view = replace(view, status="paused")
                say("info", "paused")
            case Resumed():
                view = replace(view, status="running")
                say("info", "resumed")
            case RunFinished():
                view = replace(
                    view,
                    status=event.status,
                    running=frozenset(),
                    seconds=event.seconds,
                    message=event.message,
                )
                level = {"done": "good", "stopped": "warning", "failed": "error"}[event.status]
                say(level, summary(view))
    return replace(view, arms=_with_rounds(view.arms, finished), log=tuple(log))


def read_run(folder: RunReader) -> RunView:
    """The run as all of its events tell it. Raises BadInput where they are damaged."""
    return fold(RunView(run=folder.id, study=folder.study_name), folder.events())


def summary(view: RunView) -> str:
    """How the run ended, in one line."""
    if view.status == "done" and view.trained == 0:
        words = f"done: nothing was trained, all {view.rounds_done} rounds were already stored"
    else:
        words = f"{view.status}: {view.trained} rounds trained, {view.reused} reused"
    if view.seconds is not None:
        words += f", {view.seconds:.1f} s"
    return f"{words}; {view.message}" if view.message else words


class _Sayer:
    def __init__(self, log: list[LogLine], time: float):
        self.log, self.time = log, time

    def __call__(self, level: str, text: str) -> None:
        self.log.append(LogLine(self.time, level, text))


def _started(view: RunView, event: RunStarted, time: float) -> RunView:
    arms = tuple(
        ArmView(arm.name, arm.kind, arm.rounds, tuple(TrialView(seed) for seed in arm.seeds)) for arm in event.arms
    )
    return replace(
        view,
        run=view.run or event.run,
        study=event.study,
        status="running",
        dataset=event.dataset,
        layers=event.layers,
        arms=arms,
        rounds_total=sum(len(arm.planned) * len(arm.trials) for arm in arms),
        distinct=event.distinct,
        device=event.device,
        lanes=event.lanes,
        started=time,
    )


def _with_rounds(arms: tuple[ArmView, ...], finished: list[RoundFinished]) -> tuple[ArmView, ...]:
    if not finished:
        return arms
    added: dict[tuple[str, int], dict[int, RoundView]] = {}
    for event in finished:
        added.setdefault((event.arm, event.trial), {})[event.round] = _round_view(event)
    return tuple(
        replace(
            arm,
            trials=tuple(
                replace(trial, rounds=dict(sorted({**trial.rounds, **added.get((arm.name, place), {})}.items())))
                for place, trial in enumerate(arm.trials)
            ),
        )
        for arm in arms
    )


def _round_view(event: RoundFinished) -> RoundView:
    result = event.result
    return RoundView(
        round=event.round,
        key=event.key,
        reused=event.reused,
        p_m=result.p_m,
        survivors=result.survivors,
        layers=result.layers,
        early_stop_iteration=result.early_stop_iteration,
        validation_loss=result.validation_loss,
        validation_accuracy=result.validation_accuracy,
        test_accuracy=result.test_accuracy,
        test_accuracy_end=result.test_accuracy_end,
        test_accuracy_pruned=result.test_accuracy_pruned,
        seconds=result.seconds,
        diverged=result.diverged,
        collapsed=result.collapsed,
        similarity=event.similarity,
        magnitudes=result.magnitudes,
        early_bird=result.early_bird,
    )
