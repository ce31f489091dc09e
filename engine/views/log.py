"""The events of a run as log lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.store.events import Diverged, Event, InvariantFailed, RoundFinished, RunStarted, Signal
from engine.store.state import RunState, mean_or_none

LEVELS = ("detail", "info", "good", "warning", "error")


@dataclass(frozen=True)
class LogLine:
    """An event as text. `time` in seconds since the epoch; `level` is one of LEVELS."""

    time: float
    level: str
    text: str


class RoundWords:
    """Describes finished rounds in relation to earlier ones: dense rounds, other trials, shared rounds."""

    def __init__(self, state: RunState):
        self._state = state
        self._accuracies: dict[tuple[str, int], dict[int, float | None]] = {}
        self._keys: set[str] = set()
        for event in state.rounds.values():
            self._take(event)

    def before(self, event: Event) -> Iterator[tuple[str, str]]:
        """Level and text of a finished round, and of the mean over its arm's trials once it is their last; nothing of
        other events."""
        if not isinstance(event, RoundFinished):
            return
        known = event.key in self._keys
        self._take(event)
        arm, trial, number, result = event.arm, event.trial, event.round, event.result
        found, dense = self._accuracies[arm, number], self._accuracies.get((arm, 0), {})
        origin = ("; shared with another arm" if known else "; stored before") if event.reused else ""
        words = _found(found[trial], dense.get(trial), number, result.p_m)
        yield "detail", f"{_where(arm, trial, number)}: {words}{origin}"
        trials = next((len(it.seeds) for it in self._state.arms if it.name == arm), 0)
        if len(found) == trials > 1 and (number or not event.reused):
            mean, usual = mean_or_none(found.values()), mean_or_none(dense.values())
            above = number > 0 and mean is not None and usual is not None and mean >= usual
            which = f"r{number}" if number else "dense"
            words = _found(mean, usual, number, result.p_m)
            yield "good" if above else "info", f"{arm} {which} mean: {words}"

    def _take(self, event: RoundFinished) -> None:
        self._keys.add(event.key)
        self._accuracies.setdefault((event.arm, event.round), {})[event.trial] = event.result.test_accuracy


def started_words(event: RunStarted) -> str:
    """Return the size of a started run as text."""
    rounds = sum(len(arm.seeds) * len(arm.rounds) for arm in event.arms)
    stored = f", {event.stored} of them stored before" if event.stored else ""
    networks = f"{rounds} rounds of {event.distinct} networks{stored}"
    return f"{event.study} on {event.dataset.name}: {networks}; {event.lanes} at a time on {event.device}"


def diverged_words(event: Diverged) -> str:
    """Return the text for a diverged trial."""
    where = _where(event.arm, event.trial, event.round)
    return f"{where}: the loss is no longer finite; later rounds of this trial are left out"


def signal_words(event: Signal) -> tuple[str, str]:
    """Return level and text of a signal, without its rule."""
    level = "good" if event.kind in ("stabilised", "early-bird") else "warning"
    return level, f"{_where(event.arm, event.trial, event.round)}: {event.text.rpartition(' (')[0] or event.text}"


def invariant_words(event: InvariantFailed) -> str:
    """Return the text for a violated invariant."""
    where = f"round {event.round}" if event.layer is None else f"layer {event.layer}, round {event.round}"
    return f"guard broken at {where}: {event.law} ({event.found})"


def filter_log(log: Sequence[LogLine], words: str) -> list[int]:
    """Return the indices of the lines that contain all words, ignoring case; the name of a level selects that
    level."""
    wanted = words.lower().split()
    if not wanted:
        return list(range(len(log)))
    levels = {word for word in wanted if word in LEVELS}
    texts = [word for word in wanted if word not in LEVELS]
    return [
        place
        for place, line in enumerate(log)
        if (not levels or line.level in levels) and all(word in line.text.lower() for word in texts)
    ]


def _where(arm: str, trial: int, number: int) -> str:
    return f"{arm} t{trial + 1} r{number}" if number else f"{arm} t{trial + 1} dense"


def _found(accuracy: float | None, dense: float | None, number: int, p_m: float) -> str:
    if accuracy is None:
        return "no finite loss"
    if number == 0:
        return f"test accuracy {accuracy:.2%}"
    words = f"{accuracy:.2%} with {p_m:.2f}% left"
    if dense is None:
        return words
    points = 100 * (accuracy - dense)
    if abs(points) < 0.005:
        return f"{words}, as dense"
    return f"{words}, {abs(points):.2f} {'above' if points > 0 else 'below'} dense"
