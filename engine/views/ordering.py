"""Runs of a list in an order."""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import TypeAlias

from engine.store.summary import STATUSES, RunSummary

Key: TypeAlias = Callable[[RunSummary], float | str | None]
ORDERS: dict[str, tuple[Key, bool]] = {
    "when": (lambda run: run.created, True),
    "acc": (lambda run: run.best, True),
    "rounds": (lambda run: run.rounds_done, True),
    "took": (lambda run: run.seconds, True),
    "name": (lambda run: run.name.casefold(), False),
    "data": (lambda run: run.dataset.casefold(), False),
    "status": (lambda run: STATUSES.index(run.status), False),
}
"""By what runs can be ordered, and whether the greatest comes first."""


def ordered(runs: Iterable[RunSummary], by: str, *, reverse: bool = False) -> list[RunSummary]:
    """`runs` by one of ORDERS or against it, those of which that is not known last; equal ones, the newest first."""
    key, falling = ORDERS[by]
    newest = sorted(runs, key=lambda run: (run.created, run.id), reverse=True)
    keyed = [(value, run) for run in newest if (value := key(run)) is not None]
    keyed.sort(key=itemgetter(0), reverse=falling != reverse)
    return [run for _, run in keyed] + [run for run in newest if key(run) is None]
