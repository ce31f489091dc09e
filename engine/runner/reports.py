"""Events of finished rounds, in an order that depends on the plan alone, each round compared with the one before it."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.analysis import (
    BIRD_RULE,
    CHANCE_RULE,
    COLLAPSE_RULE,
    STABLE_RULE,
    ranks_collapsed,
    stabilised,
)
from engine.analysis.measures import compare_rounds
from engine.errors import Unwritable
from engine.experiment import Plan, RoundId
from engine.runner.finished import FinishedRounds
from engine.runner.history import RunHistory
from engine.runner.lost import Lost
from engine.runner.session import RunSession
from engine.store import Diverged, RoundFinished, RoundResult, Signal, SignalKind, Similarity

Similarities = dict[str, Similarity]


@dataclass(eq=False)
class _Conclusion:
    """The result of a round that `job` computes and writes in the background."""

    job: Callable[[], RoundResult]
    future: Future[RoundResult]
    trained: bool


@dataclass(eq=False)
class _Report:
    """A round of a trial that is to be reported next, once it is written and compared with the round before."""

    place: RoundId
    key: str
    batch: int
    before: str | None
    similarity: Future[Similarities] | None = None
    lost: str | None = None


@dataclass(eq=False)
class _Trial:
    """The rounds of a trial in order, of which the first `reported` are reported or queued for it."""

    rounds: list[tuple[RoundId, str]] = field(default_factory=list)
    reported: int = 0
    collapsed: bool = False
    ranks: defaultdict[str, list[float | None]] = field(default_factory=lambda: defaultdict(list))


class RoundReporter:
    """Reports the rounds of all trials: those of one trial in order, and all in the order in which `finish` is called.

    Comparisons run in the threads of `background`. Events that the run reported before are not emitted again.
    """

    def __init__(
        self, plan: Plan, finished: FinishedRounds, history: RunHistory, session: RunSession, background: Executor
    ):
        self._plan, self._finished, self._history, self._session = plan, finished, history, session
        self._background = background
        self._conclusions: dict[str, _Conclusion] = {}
        self._queue: deque[_Report] = deque()
        self._trials: defaultdict[tuple[str, int], _Trial] = defaultdict(_Trial)
        self._owners: dict[str, RoundId] = {}
        for place, key in plan.round_keys.items():
            self._owners.setdefault(key, place)
            self._trials[place.arm, place.trial].rounds.append((place, key))

    def finish(
        self, key: str, job: Callable[[], RoundResult], future: Future[RoundResult], *, trained: bool, batch: int
    ) -> None:
        """A round is finished. `job` computes and stores its result, which is under way in `future`; it is called again
        when that could not be written. `batch` counts upwards."""
        if key not in self._conclusions:
            self._conclusions[key] = _Conclusion(job, future, trained)
        else:  # it was lost and trained again
            self._conclusions[key].job, self._conclusions[key].future = job, future
            for report in self._queue:
                if report.lost == key:
                    report.lost = None
        for place in self._plan.ids_of[key]:
            self._advance(self._trials[place.arm, place.trial], batch)

    def report(self, wait_for: int = -1) -> None:
        """Emit what is ready, in order; wait for all that was finished in batches up to `wait_for`.

        Raises Lost when a round that is needed for a measure or a comparison cannot be read; what needs it is reported
        once that one is finished again.
        """
        while self._queue and self._queue[0].lost is None:
            report = self._queue[0]
            conclusion = self._conclusions[report.key]
            wait = report.batch <= wait_for
            if not wait and not (conclusion.future.done() and (report.similarity is None or report.similarity.done())):
                return
            try:
                result = self._result(conclusion)
                similarity = report.similarity.result() if report.similarity else {}
            except Lost as lost:
                if self._trained_again(lost.key):
                    self._compute_again(report)
                    continue
                report.lost = lost.key
                raise
            self._queue.popleft()
            self._emit(report, conclusion.trained, result, similarity)

    @property
    def waiting(self) -> bool:
        """Whether rounds are finished that are not reported."""
        return bool(self._queue)

    def _result(self, conclusion: _Conclusion) -> RoundResult:
        try:
            return conclusion.future.result()
        except Unwritable:
            result = self._session.keep(conclusion.job)
            conclusion.future = Future()
            conclusion.future.set_result(result)
            return result

    def _trained_again(self, key: str) -> bool:
        """Whether a round that was lost can be read by now."""
        try:
            self._finished.get(key)
        except Lost:
            return False
        return True

    def _compute_again(self, report: _Report) -> None:
        """Compute what failed because a round was lost."""
        conclusion = self._conclusions[report.key]
        if _was_lost(conclusion.future):
            conclusion.future = self._background.submit(conclusion.job)
        if report.similarity is not None and _was_lost(report.similarity):
            report.similarity = self._compared(report)

    def _advance(self, trial: _Trial, batch: int) -> None:
        while trial.reported < len(trial.rounds):
            place, key = trial.rounds[trial.reported]
            if key not in self._conclusions:
                return
            before = trial.rounds[trial.reported - 1][1] if trial.reported else None
            report = _Report(place, key, batch, before)
            if before is not None and place not in self._history.finished:
                report.similarity = self._compared(report)
            self._queue.append(report)
            trial.reported += 1

    def _compared(self, report: _Report) -> Future[Similarities]:
        assert report.before is not None
        return self._background.submit(partial(self._compare, report.key, report.before))

    def _compare(self, key: str, before: str) -> Similarities:
        return compare_rounds(self._finished.measurable(key), self._finished.measurable(before))

    def _emit(self, report: _Report, trained: bool, result: RoundResult, similarity: Similarities) -> None:
        place, key = report.place, report.key
        event = self._history.finished.get(place)
        if event is None:
            event = RoundFinished(
                arm=place.arm,
                trial=place.trial,
                round=place.number,
                key=key,
                reused=not (trained and self._owners[key] == place),
                result=result,
                similarity=similarity,
            )
            self._session.emit(event)
        facts = {"arm": place.arm, "trial": place.trial, "round": place.number}
        signals = self._signals(self._trials[place.arm, place.trial], event)
        for found in [Signal(kind=kind, layer=layer, text=text, **facts) for kind, layer, text in signals]:
            self._once(found)
        if event.result.diverged:
            self._once(Diverged(key=key, **facts))

    def _once(self, event: Signal | Diverged) -> None:
        if not self._history.told(event):
            self._session.emit(event)

    def _signals(self, trial: _Trial, event: RoundFinished) -> Iterator[tuple[SignalKind, str | None, str]]:
        """Kind, layer and text of the signals of the newest round of a trial."""
        for layer, similarity in event.similarity.items():
            series = trial.ranks[layer]
            series.append(similarity.alive)
            if stabilised(series):
                yield "stabilised", layer, f"the ranking of {layer} stabilised ({STABLE_RULE})"
            if ranks_collapsed(series):
                yield "ranks-collapsed", layer, f"the ranking of {layer} collapsed ({COLLAPSE_RULE})"
        bird = event.result.early_bird
        if bird is not None and bird.found is not None:
            iteration = bird.iterations[bird.found - 1]
            found = f"an early-bird mask was found in epoch {bird.found}, at iteration {iteration}"
            yield "early-bird", None, f"{found} ({BIRD_RULE})"
        if event.result.collapsed and not trial.collapsed:
            trial.collapsed = True
            yield "collapsed", None, f"accuracy collapsed to chance ({CHANCE_RULE})"


def _was_lost(future: Future[Any]) -> bool:
    return future.done() and isinstance(future.exception(), Lost)
