"""Verdicts on claims as they are printed."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from engine.claims import RULE, SOURCES, Verdict
from engine.spec import Study
from lth_tui.printing import console, table_of
from lth_tui.reproduce import Experiment

_MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?", "not measured": "–"}
_BOUNDS = {"at least": "≥", "at most": "≤", "about": "≈"}
_SOURCES = {"paper": "paper", "article": "article", "replications": "repeats", "mode connectivity": "modes"}


def print_claims(run: str, status: str, study: Study, verdicts: Sequence[Verdict]) -> None:
    """A line a claim with its verdict, in word and mark; below, what they rest on."""
    out = console()
    out.print(f"{run}: {study.name}, {study.base.network.name} on {study.base.data.name}, {status}", markup=False)
    if not verdicts:
        out.print("No claim of the paper or the article speaks of this network, data and arms.")
        return
    _print_verdicts(out, [("", verdicts)])
    if verdicts[0].caveat:
        out.print(verdicts[0].caveat[0].upper() + verdicts[0].caveat[1:] + ".", markup=False)


def print_reproduction(found: Sequence[Experiment]) -> None:
    """What became of each experiment, and one table of verdicts: each claim once, from the first that measured it."""
    out = console()
    table = table_of("experiment", "data", "status", "run")
    for item in found:
        words = (item.study.name, item.study.base.data.name, item.status, item.run or item.problem)
        table.add_row(*map(Text, words))
    out.print(table)
    chosen: dict[str, tuple[str, Verdict]] = {}
    for item in found:
        for verdict in item.verdicts:
            known = chosen.get(verdict.claim.id)
            if known is None or (known[1].outcome == "not measured" != verdict.outcome):
                chosen[verdict.claim.id] = item.study.name, verdict
    names = dict.fromkeys(item.study.name for item in found)
    parts = [(name, [verdict for own, verdict in chosen.values() if own == name]) for name in names]
    if chosen:
        _print_verdicts(out, parts)
    for caveat in dict.fromkeys(verdict.caveat for _, verdict in chosen.values() if verdict.caveat):
        which = dict.fromkeys(name for name, verdict in chosen.values() if verdict.caveat == caveat)
        out.print(f"{', '.join(which)}: {caveat}.", markup=False)


def _print_verdicts(out: Console, parts: Sequence[tuple[str, Sequence[Verdict]]]) -> None:
    """A table of the parts' verdicts under their titles, and what they rest on."""
    table = table_of("claim", "source", "claimed", "measured", "n", "verdict")
    for column, width in zip(table.columns, (None, 9, 12, 16, 3, 15), strict=True):
        column.width = width
    for title, verdicts in parts:
        if title and verdicts:
            table.add_row(Text(title, "bold"))
        for item in verdicts:
            row = (
                item.claim.text,
                _source(item),
                _claimed(item),
                item.reason or _measured(item),
                f"{item.trials} of {item.trials + item.left_out}" if item.left_out else str(item.trials or ""),
                f"{_MARKS[item.outcome]} {item.outcome}" + (f"\n  {item.more} more" if item.more else ""),
            )
            table.add_row(*map(Text, row))
    out.print(table)
    everything = [item for _, verdicts in parts for item in verdicts]
    counts = {outcome: sum(item.outcome == outcome for item in everything) for outcome in _MARKS}
    out.print(", ".join(f"{_MARKS[outcome]} {outcome}: {count}" for outcome, count in counts.items()), markup=False)
    out.print(RULE, markup=False)
    out.print("Measured: mean ± standard error (least to most) over n trials; x is a ratio, points are of accuracy.")
    for source in dict.fromkeys(item.claim.source for item in everything):
        out.print(f"{_SOURCES[source]}: {SOURCES[source]}", markup=False)
    if any(item.claim.second_hand for item in everything):
        out.print("*: quoted second hand")


def _source(item: Verdict) -> str:
    section = f" §{item.claim.section[0]}" if item.claim.source == "paper" else ""
    return _SOURCES[item.claim.source] + section + ("*" if item.claim.second_hand else "")


def _claimed(item: Verdict) -> str:
    unit = f" {item.unit}" if item.unit == "points" else item.unit
    tolerance = f"\n± {item.claim.tolerance:g}" if item.claim.tolerance else ""
    return f"{_BOUNDS[item.claim.direction]} {item.claim.claimed:g}{unit}{tolerance}"


def _measured(item: Verdict) -> str:
    """Mean ± standard error, and the extremes."""
    words = _number(item.mean) + ("" if item.error is None else f" ± {_number(item.error)}")
    return words + (f"\n({_number(item.low)} to {_number(item.high)})" if item.trials > 1 else "")


def _number(value: float | None) -> str:
    text = "" if value is None else f"{value:.2f}"
    return "0.00" if text == "-0.00" else text
