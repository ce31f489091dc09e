"""Signals of a run, aggregated over rounds and trials."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.store.events import EarlyBird, RoundFinished, Signal, SignalKind
from engine.views.run import RunView

KINDS: tuple[SignalKind, ...] = ("stabilised", "ranks-collapsed", "early-bird", "collapsed")
"""All kinds of signals, in display order."""


@dataclass(frozen=True)
class SignalSummary:
    """Signals of one kind, of an arm and one of its layers (None: the whole network).

    `first` and `last` are rounds; `trials` of the arm's `of` have the signal; `rule` is what it goes by.
    """

    kind: SignalKind
    arm: str
    layer: str | None
    first: int
    last: int
    trials: int
    of: int
    rule: str


def signal_summaries(view: RunView) -> list[SignalSummary]:
    """Summarise the signals of a run over trials and rounds, by arm, kind and depth of the layer."""
    groups: dict[tuple[str, SignalKind, str | None], list[Signal]] = {}
    for signal in view.signals:
        groups.setdefault((signal.arm, signal.kind, signal.layer), []).append(signal)
    order = [(arm.name, kind, layer) for arm in view.arms for kind in KINDS for layer in (None, *view.layers)]
    return [
        SignalSummary(
            kind=kind,
            arm=arm,
            layer=layer,
            first=min(signal.round for signal in found),
            last=max(signal.round for signal in found),
            trials=len({signal.trial for signal in found}),
            of=len(view.arm(arm).trials),
            rule=rule_of(found[0]),
        )
        for arm, kind, layer in order
        if (found := groups.get((arm, kind, layer)))
    ]


def round_marks(item: RoundFinished) -> tuple[SignalKind, ...]:
    """Return the signals of a round as a whole: accuracy at chance, an early bird."""
    bird: tuple[SignalKind, ...] = ("early-bird",) if item.result.early_bird and item.result.early_bird.found else ()
    return ("collapsed", *bird) if item.result.collapsed else bird


def rule_of(signal: Signal) -> str:
    """The rule by which a signal was given, as its text states it in parentheses at its end."""
    return signal.text.rpartition(" (")[2].removesuffix(")")


def newest_signals(view: RunView) -> list[Signal]:
    """The newest signal of each kind, the newest first."""
    found: dict[SignalKind, Signal] = {}
    for signal in reversed(view.signals):
        found.setdefault(signal.kind, signal)
    return list(found.values())


def signals_of(view: RunView, arm: str, trial: int) -> Mapping[int, tuple[Signal, ...]]:
    """The signals of a trial by round."""
    found: dict[int, tuple[Signal, ...]] = {}
    for signal in view.signals:
        if (signal.arm, signal.trial) == (arm, trial):
            found[signal.round] = (*found.get(signal.round, ()), signal)
    return found


def stabilised_first(view: RunView, arm: str, trial: int) -> list[tuple[str, int]]:
    """The layers of a trial whose ranking stabilised, each with the round in which it did; the first ones first."""
    told = [
        (signal.layer, number)
        for number, signals in signals_of(view, arm, trial).items()
        for signal in signals
        if signal.kind == "stabilised" and signal.layer is not None
    ]
    depth = list(view.layers)
    return sorted(dict(reversed(told)).items(), key=lambda item: (item[1], depth.index(item[0])))


def early_bird_epochs(view: RunView, arm: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(first and last round, earliest and latest epoch) of an arm's early birds over its trials; rounds that follow
    each other and found theirs in the same epochs are one."""
    stretches: list[tuple[tuple[int, int], tuple[int, int]]] = []
    before: int | None = None
    for place, number in enumerate(view.arm(arm).planned):
        epochs = [bird.found for bird in _birds(view, arm, number) if bird.found is not None]
        if not epochs:
            continue
        ends = min(epochs), max(epochs)
        if stretches and before == place - 1 and stretches[-1][1] == ends:
            stretches[-1] = (stretches[-1][0][0], number), ends
        else:
            stretches.append(((number, number), ends))
        before = place
    return stretches


def _birds(view: RunView, arm: str, number: int) -> Iterator[EarlyBird]:
    for trial in view.arm(arm).trials:
        item = trial.rounds.get(number)
        if item is not None and item.result.early_bird is not None:
            yield item.result.early_bird
