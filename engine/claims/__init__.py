"""Claims: published statements that runs are tested against.

A *claim* is data, in the TOML files of this folder; its *measure* is one value per trial; its *verdict* follows the
rules of `engine.claims.verdict`: t tests over trials, one-sided for one-sided claims, undecided with one trial. Pure;
SciPy is imported with the first verdict.
"""

from engine.claims.judge import Verdict, judge, shortcomings, verdict_rows
from engine.claims.measures import Measured, NotMeasured, measured
from engine.claims.model import SOURCES, Claim, Direction, Measure, Source, all_claims, in_logarithms, unit
from engine.claims.verdict import LEVEL, MANY, POWER, RULE, Decision, Outcome, decide, more_trials

__all__ = [
    "LEVEL",
    "MANY",
    "POWER",
    "RULE",
    "SOURCES",
    "Claim",
    "Decision",
    "Direction",
    "Measure",
    "Measured",
    "NotMeasured",
    "Outcome",
    "Source",
    "Verdict",
    "all_claims",
    "decide",
    "in_logarithms",
    "judge",
    "measured",
    "more_trials",
    "shortcomings",
    "unit",
    "verdict_rows",
]
