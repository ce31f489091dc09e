"""Verdicts on claims in words: the same in a window and printed."""

from engine.claims import Outcome, Source, Verdict
from screens.comparing import number

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
