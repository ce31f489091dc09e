"""What the paper and the article found, as data, and what a run says of it.

Claims are in TOML beside this file. `judge` scores those that speak of a run, by the rules in `engine.claims.verdict`:
t tests over trials, one-sided for one-sided claims, nothing decided on one trial. Pure; SciPy is loaded when a
verdict is asked for.
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
