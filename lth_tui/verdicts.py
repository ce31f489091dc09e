"""Verdicts on claims as they are printed."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from engine.claims import RULE, SOURCES, Verdict
from engine.spec import Study
from lth_tui.printing import console, table_of, text_of
from lth_tui.reproduce import Experiment
from screens.text import plain
from screens.verdicts import (
    MARKS,
    MEASURED,
    SECOND_HAND,
    SOURCE_WORDS,
    claimed_words,
    measured_words,
    range_words,
    source_words,
    tolerance_words,
    trials_words,
    verdict_words,
)


def print_claims(run: str, status: str, study: Study, verdicts: Sequence[Verdict]) -> None:
    """A line a claim with its verdict, in word and mark; below, what they rest on."""
    out = console()
    out.print(text_of(f"{run}: {study.name}, {study.base.network.name} on {study.base.data.name}, {status}"))
    if not verdicts:
        out.print("No claim of the paper or the article speaks of this network, data and arms.")
        return
    _print_verdicts(out, [("", verdicts)])
    if verdicts[0].caveat:
        out.print(text_of(verdicts[0].caveat[0].upper() + verdicts[0].caveat[1:] + "."))


def print_reproduction(found: Sequence[Experiment]) -> None:
    """What became of each experiment, and one table of verdicts: each claim once, from the first that measured it."""
    out = console()
    table = table_of("experiment", "data", "status", "run")
    for item in found:
        words = (item.study.name, item.study.base.data.name, item.status, item.run or item.problem)
        table.add_row(*map(text_of, words))
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
        out.print(text_of(f"{', '.join(which)}: {caveat}."))


def _print_verdicts(out: Console, parts: Sequence[tuple[str, Sequence[Verdict]]]) -> None:
    """A table of the parts' verdicts under their titles, and what they rest on."""
    table = table_of("claim", "source", "claimed", "measured", "n", "verdict")
    for column, width in zip(table.columns, (None, 9, 12, 16, 3, 15), strict=True):
        column.width = width
    for title, verdicts in parts:
        if title and verdicts:
            table.add_row(Text(plain(title), "bold"))
        for item in verdicts:
            row = (
                (item.claim.text,),
                (source_words(item),),
                (claimed_words(item), tolerance_words(item)),
                (item.reason,) if item.reason else (measured_words(item), range_words(item)),
                (trials_words(item),),
                (verdict_words(item), f"  {item.more} more" if item.more else ""),
            )
            table.add_row(*(Text("\n").join(map(text_of, filter(None, lines))) for lines in row))
    out.print(table)
    everything = [item for _, verdicts in parts for item in verdicts]
    counts = {outcome: sum(item.outcome == outcome for item in everything) for outcome in MARKS}
    out.print(text_of(", ".join(f"{MARKS[outcome]} {outcome}: {count}" for outcome, count in counts.items())))
    out.print(text_of(RULE))
    out.print(f"Measured: {MEASURED}.")
    for source in dict.fromkeys(item.claim.source for item in everything):
        out.print(text_of(f"{SOURCE_WORDS[source]}: {SOURCES[source]}"))
    if any(item.claim.second_hand for item in everything):
        out.print(f"{SECOND_HAND}: quoted second hand")
