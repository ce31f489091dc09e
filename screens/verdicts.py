"""Verdicts on claims in words: the same in a window and printed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from engine.claims import Claim, Outcome, Source, Verdict, judge
from engine.views import StudyRun, Table
from screens.comparing import number
from screens.text import plain

MARKS: dict[Outcome, str] = {"holds": "✓", "does not hold": "✗", "undecided": "?", "not measured": "–"}
SOURCE_WORDS: dict[Source, str] = {
    "paper": "paper",
    "article": "article",
    "replications": "repeats",
    "mode connectivity": "modes",
}
SECOND_HAND = "*"
"""Stands after the source of a number that was quoted second hand."""
MEASURED = "mean ± standard error (least to most) over n trials; x is a ratio, points are of accuracy"

_BOUNDS = {"at least": "≥", "at most": "≤", "about": "≈"}


def verdict_words(item: Verdict) -> str:
    """The verdict with its mark."""
    return f"{MARKS[item.outcome]} {item.outcome}"


def source_words(item: Verdict) -> str:
    """Who claims it, and where."""
    section = f" §{item.claim.section[0]}" if item.claim.source == "paper" else ""
    return SOURCE_WORDS[item.claim.source] + section + (SECOND_HAND if item.claim.second_hand else "")


def claimed_words(item: Verdict) -> str:
    """What is claimed, without its tolerance."""
    unit = f" {item.unit}" if item.unit == "points" else item.unit
    return f"{_BOUNDS[item.claim.direction]} {item.claim.claimed:g}{unit}"


def tolerance_words(item: Verdict) -> str:
    """How near is near enough; empty for a claim that forgives nothing."""
    return f"± {item.claim.tolerance:g}" if item.claim.tolerance else ""


def measured_words(item: Verdict) -> str:
    """Mean ± standard error; empty where nothing was measured."""
    if item.mean is None:
        return ""
    return number(item.mean) + ("" if item.error is None else f" ± {number(item.error)}")


def range_words(item: Verdict) -> str:
    """The extremes over the trials; empty of one trial."""
    if item.low is None or item.high is None or item.trials < 2:
        return ""
    return f"({number(item.low)} to {number(item.high)})"


def trials_words(item: Verdict) -> str:
    """How many trials have it, where not all: of how many."""
    return f"{item.trials} of {item.trials + item.left_out}" if item.left_out else str(item.trials or "")


class Judge:
    """Verdicts on runs, kept while the runs stay as they are."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], list[Verdict]] = {}

    async def of(self, runs: Sequence[StudyRun]) -> list[list[Verdict]]:
        """Of each run the verdicts on the claims that speak of it, made in a thread."""
        keys = [(run.view.run, run.view.last_event) for run in runs]
        found: dict[tuple[str, int], list[Verdict]] = {}
        for key, run in zip(keys, runs, strict=True):
            known = self._known.get(key)
            found[key] = known if known is not None else await asyncio.to_thread(judge, run.view, run.study)
        self._known = found
        return [found[key] for key in keys]


@dataclass(frozen=True)
class Judged:
    """A claim with the verdict of each run; None of a run that it does not speak of."""

    claim: Claim
    verdicts: tuple[Verdict | None, ...]


def side_by_side(judged: Sequence[Sequence[Verdict]]) -> list[Judged]:
    """The verdicts of each run, claim by claim."""
    claims = {item.claim.id: item.claim for verdicts in judged for item in verdicts}
    tables = [{item.claim.id: item for item in verdicts} for verdicts in judged]
    return [Judged(claim, tuple(table.get(name) for table in tables)) for name, claim in claims.items()]


def claim_rows(judged: Sequence[Judged], names: Sequence[str]) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows, and widths of all columns but the last, the claims themselves: of one run its verdicts and what was
    measured; of several, by their names, verdicts as marks."""
    rows: list[list[str]] = []
    for item in judged:
        told = [verdict for verdict in item.verdicts if verdict is not None]
        if len(names) > 1:
            cells = ["" if it is None else f"{MARKS[it.outcome]} {measured_words(it)}" for it in item.verdicts]
        else:
            cells = [verdict_words(told[0]), measured_words(told[0])]
        rows.append([*cells, claimed_words(told[0]), item.claim.text])
    kinds = list(names) if len(names) > 1 else ["verdict", "measured"]
    return [*kinds, "claimed", "claim"], rows, [15] * len(kinds) + [13]


def verdict_table(judged: Sequence[Judged], names: Sequence[str]) -> Table:
    """The verdicts in full: a row for each claim and each of the runs of these names."""
    columns = ("run", "claim", "id", "source", "direction", "claimed", "tolerance", "unit", "verdict", "mean")
    found = [(name, it) for item in judged for name, it in zip(names, item.verdicts, strict=True) if it is not None]
    rows = (
        (
            name,
            it.claim.text,
            it.claim.id,
            it.claim.source,
            it.claim.direction,
            it.claim.claimed,
            it.claim.tolerance,
            it.unit,
            it.outcome,
            it.mean,
            it.error,
            it.low,
            it.high,
            it.trials,
            it.p_m,
            it.p_value,
            it.reason,
        )
        for name, it in found
    )
    more = ("standard error", "least", "greatest", "trials", "P_m (%)", "p value", "reason")
    return Table((*columns, *more), tuple(rows))


def about_claim(item: Judged, names: Sequence[str]) -> Text:
    """All of a claim in lines: what is claimed by whom, then what each of the runs of these names says of it."""
    claim = item.claim
    known = [(name, verdict) for name, verdict in zip(names, item.verdicts, strict=True) if verdict is not None]
    lines = [Text(plain(claim.text), "bold")]
    for _, verdict in known[:1]:
        tolerance = f", within {claim.tolerance:g}" if claim.tolerance else ""
        words = f"{source_words(verdict)}: {claimed_words(verdict)}{tolerance}"
        lines.append(Text(plain(f"{words}; {claim.note}" if claim.note else words)))
    for name, verdict in known:
        parts = (measured_words(verdict), range_words(verdict), f"n={trials_words(verdict)}" if verdict.trials else "")
        found = verdict.reason or " ".join(filter(None, parts))
        at = f" at {verdict.p_m:.1f}%" if verdict.p_m is not None else ""
        more = f"; {verdict.more} more to decide" if verdict.more else ""
        words = f"{verdict_words(verdict)}: {found}{at}{more}"
        lines.append(Text(plain(f"{name}  {words}" if len(names) > 1 else words)))
    lines += [Text(plain(verdict.caveat), "dim") for _, verdict in known[:1] if verdict.caveat]
    return Text("\n").join(lines)
