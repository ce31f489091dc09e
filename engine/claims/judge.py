"""Test claims against a run."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine import registry
from engine.claims.measures import NotMeasured, measured
from engine.claims.model import Claim, FractionAboveDense, RankCorrelation, all_claims, in_logarithms, unit
from engine.claims.verdict import MANY, Outcome, decide
from engine.spec import EXPERIMENTS, QUICK, Study, load_study
from engine.views import RunView
from engine.views.statistics import mean_and_error


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run on a claim.

    `values`: one a trial, in `unit`; `left_out` trials have none, or none yet. `mean` with its standard error `error`,
    `low` and `high` their extremes; for ratios the mean is the geometric one. `p_m` in percent of the round that was
    taken, where it was one. `reason` says why nothing was measured. `caveat`: in what the run differs from the paper's
    settings; `quick` if it falls short of them.
    """

    claim: Claim
    outcome: Outcome
    unit: str
    values: tuple[float, ...]
    left_out: int
    mean: float | None
    error: float | None
    low: float | None
    high: float | None
    p_m: float | None
    p_value: float | None
    more_trials: int | None
    reason: str
    quick: bool
    caveat: str

    @property
    def trials(self) -> int:
        return len(self.values)

    @property
    def more(self) -> str:
        """About how many more trials it takes, in words; empty where that is no question or not known."""
        if self.more_trials is None:
            return ""
        return f"more than {MANY}" if self.more_trials > MANY else f"about {self.more_trials}"


def judge(view: RunView, study: Study) -> list[Verdict]:
    """Return the verdicts on all claims about the network and data set of `study`, whose run is `view`.

    A claim is listed if its presets include the study's name (without "-quick") or if the study has its arms. An arm
    that differs from the claim's preset is not measured.
    """
    quick, caveat = shortcomings(study)
    return [_verdict(claim, view, study, quick, caveat) for claim in all_claims() if _concerns(claim, study)]


def verdict_rows(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """The verdicts as JSON has them."""
    return [
        {
            "id": item.claim.id,
            "claim": item.claim.text,
            "source": item.claim.source,
            "section": item.claim.section,
            "second_hand": item.claim.second_hand,
            "note": item.claim.note,
            "direction": item.claim.direction,
            "claimed": item.claim.claimed,
            "tolerance": item.claim.tolerance,
            "unit": item.unit,
            "verdict": item.outcome,
            "mean": item.mean,
            "se": item.error,
            "min": item.low,
            "max": item.high,
            "values": list(item.values),
            "trials": item.trials,
            "left_out": item.left_out,
            "p_m": item.p_m,
            "p_value": item.p_value,
            "more_trials": item.more_trials,
            "more": item.more,
            "reason": item.reason,
            "quick": item.quick,
            "caveat": item.caveat,
        }
        for item in verdicts
    ]


# Which claims


def _full_name(study: Study) -> str:
    return study.name.removesuffix(QUICK)


def _concerns(claim: Claim, study: Study) -> bool:
    network, data = study.base.network.name, study.base.data.name
    if network not in claim.networks or not (data in claim.datasets or data.startswith("folder:")):
        return False
    if _full_name(study) in claim.presets:
        return True
    return not _why_not(claim, study)


def _why_not(claim: Claim, study: Study) -> str:
    """Return why the study's arms do not match the claim's; empty if they do."""
    names = {arm.name for arm in study.arm}
    missing = [arm for arm in claim.measure.arms if arm not in names]
    if isinstance(claim.measure, FractionAboveDense) and not names & set(claim.measure.among):
        missing.append(claim.measure.among[0])
    if missing:
        return f"no arm {missing[0]!r}"
    reference = _reference(claim, study)
    if reference is None:
        return "no preset tells what its arms are"
    if isinstance(claim.measure, RankCorrelation) and (claim.measure.rounds or claim.measure.minus_rounds):
        mine, its = (one.recipe(one.named(claim.measure.arm)).prune for one in (study, reference))
        if (mine.levels, mine.rate, mine.rates) != (its.levels, its.rate, its.rates):
            return f"the rounds of arm {claim.measure.arm!r} are of other sizes than in {reference.name}"
    named = (arm for arm in claim.measure.arms if arm not in missing)
    return next((why for arm in named if (why := _other_arm(study, reference, arm))), "")


def _reference(claim: Claim, study: Study) -> Study | None:
    """The preset whose arms are meant: the study's own if the claim names it."""
    names = sorted(claim.presets, key=lambda name: name != _full_name(study))
    presets = (_preset(name) for name in names)
    wanted = set(claim.measure.arms)
    for preset in presets:
        if preset.base.network.name == study.base.network.name and wanted <= {arm.name for arm in preset.arm}:
            return preset
    return None


def _other_arm(study: Study, reference: Study, name: str) -> str:
    """Return how the study's arm differs from the preset's; empty if it does not.

    Settings that only cost accuracy or time, such as fewer iterations, are left to `shortcomings`.
    """
    mine, its = study.named(name), reference.named(name)
    a, b = study.recipe(mine), reference.recipe(its)
    pairs: list[tuple[str, object, object]] = [
        ("kind", mine.kind, its.kind),
        ("of", mine.of, its.of),
        ("network.parameters", a.network.parameters, b.network.parameters),
        ("prune.criterion", a.prune.criterion, b.prune.criterion),
        ("prune.scope", a.prune.scope, b.prune.scope),
        ("restart.treatment", a.restart.treatment, b.restart.treatment),
        ("restart.keep_signs", a.restart.keep_signs, b.restart.keep_signs),
        ("train.dropout", a.train.dropout, b.train.dropout),
        ("train.augment", a.train.augment, b.train.augment),
        ("train.clamp", a.train.clamp is not None, b.train.clamp is not None),
        ("data.fraction", mine.data.get("fraction"), its.data.get("fraction")),
        ("data.subset", a.data.subset, b.data.subset),
    ]
    for field, found, meant in pairs:
        if found != meant:
            return f"arm {name!r} is another: its {field} is {found}, not {meant}"
    return ""


def paper_preset(network: str) -> str | None:
    """The preset with the numbers that the paper has for a network; None where it has none."""
    preset: str | None = registry.network.entry(network).facts.get("preset")
    return preset


@cache
def _preset(name: str) -> Study:
    return load_study(name)


# How it was run


def shortcomings(study: Study) -> tuple[bool, str]:
    """Return whether it is a quick run, and its differences from the paper's settings, or ''.

    The settings are those of the preset of the study's name, or else of the network's. A run is quick when it is
    called so, or has fewer iterations, rounds, trials or examples.
    """
    name = _full_name(study)
    known = name.removesuffix(QUICK) in EXPERIMENTS and _preset(name).base.network == study.base.network
    preset = name if known else paper_preset(study.base.network.name)
    if preset is None:
        return False, ""
    paper = _preset(preset)
    mine, its = study.base, paper.base
    fewer: list[str] = []
    for what, found, meant in (
        ("iterations", mine.train.iterations, its.train.iterations),
        ("rounds", mine.prune.steps, its.prune.steps),
        ("trials", study.trials, paper.trials),
    ):
        if found < meant:
            fewer.append(f"{found:,} {what}, not {meant:,}")
    if mine.data.fraction < its.data.fraction:
        fewer.append(f"{mine.data.fraction:.0%} of the data, not {its.data.fraction:.0%}")
    other: list[str] = []
    for field in ("batch", "optimizer", "learning_rate", "schedule", "warmup", "evaluate_every"):
        if getattr(mine.train, field) != getattr(its.train, field):
            other.append(f"{field} {getattr(mine.train, field)}, not {getattr(its.train, field)}")
    if (mine.prune.rate, mine.prune.rates) != (its.prune.rate, its.prune.rates):
        other.append("other pruning rates")
    if mine.data.name != its.data.name:
        other.append(f"{mine.data.name} instead of {its.data.name}")
    quick = bool(fewer) or study.name.endswith(QUICK)
    if not quick and not other:
        return False, ""
    label = "a quick run" if quick else "other settings than the paper's"
    return quick, f"judged on {label}: {'; '.join(fewer + other) or 'its name says so'}"


# The verdict


def _too_early(claim: Claim, view: RunView) -> str:
    known = {arm.name for arm in view.arms if any(trial.rounds for trial in arm.trials)}
    return "" if known.issuperset(claim.measure.arms) else "no round is known yet"


def _verdict(claim: Claim, view: RunView, study: Study, quick: bool, caveat: str) -> Verdict:
    reason = _why_not(claim, study) or _too_early(claim, view)
    values: tuple[float, ...] = ()
    left_out, p_m = 0, None
    if not reason:
        try:
            found = measured(claim.measure, view, study, min(claim.bounds))
        except NotMeasured as error:
            reason = str(error)
        else:
            p_m = found.p_m
            values = tuple(value for value in found.values if value is not None)
            left_out = len(found.values) - len(values)
            reason = "" if values else "no trial has finite numbers for it yet"
    logs = in_logarithms(claim.measure)
    tested = [math.log(value) for value in values] if logs else list(values)
    bounds = tuple(math.log(bound) for bound in claim.bounds) if logs else claim.bounds
    decision = decide(tested, claim.direction, bounds)
    mean, error_of_mean = mean_and_error(tested) if tested else (None, None)
    if logs and mean is not None:
        mean = math.exp(mean)
        error_of_mean = None if error_of_mean is None else mean * error_of_mean  # to first order
    return Verdict(
        claim=claim,
        outcome=decision.outcome,
        unit=unit(claim.measure),
        values=values,
        left_out=left_out,
        mean=mean,
        error=error_of_mean,
        low=min(values, default=None),
        high=max(values, default=None),
        p_m=p_m,
        p_value=decision.p_value,
        more_trials=decision.more_trials,
        reason=reason,
        quick=quick,
        caveat=caveat,
    )
