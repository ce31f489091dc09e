"""Numbers behind the pictures: the rows of a run and its JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.store.events import Signal
from engine.views.run import ArmView, RoundView, RunView
from engine.views.signals import signals_of


def table_rows(view: RunView) -> tuple[list[str], list[list[str]]]:
    """Header and rows of accuracy against P_m: a row a round, a column an arm (mean, min-max, trials)."""
    numbers = sorted({number for arm in view.arms for trial in arm.trials for number in trial.rounds})
    header = ["round", "P_m %", *(arm.name for arm in view.arms)]
    rows = [[str(number), _p_m(view, number), *(_cell(arm, number) for arm in view.arms)] for number in numbers]
    return header, rows


def _p_m(view: RunView, number: int) -> str:
    values = (trial.rounds[number].p_m for arm in view.arms for trial in arm.trials if number in trial.rounds)
    return f"{next(values):.2f}"


def _cell(arm: ArmView, number: int) -> str:
    values = [
        trial.rounds[number].test_accuracy
        for trial in arm.trials
        if number in trial.rounds and trial.rounds[number].test_accuracy is not None
    ]
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = 100 * math.fsum(known) / len(known)
    spread = f" ({100 * min(known):.2f}-{100 * max(known):.2f})" if len(known) > 1 else ""
    return f"{mean:.2f}{spread}"


def distance_rows(view: RunView, number: int = 0) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a round's distances from uniform, before training and after, means over the trials: a row a
    layer, a column an arm, those left out that share their rounds with one before."""
    known: dict[str, list[RoundView]] = {}
    for arm in view.arms:
        rounds = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        rounds = [item for item in rounds if item.magnitudes]
        if rounds and rounds[0].key not in {items[0].key for items in known.values()}:
            known[arm.name] = rounds
    rows = [[layer, *(_distances(rounds, layer) for rounds in known.values())] for layer in view.layers]
    return ["layer", *known], rows if known else []


def _distances(rounds: Sequence[RoundView], layer: str) -> str:
    found = [item.magnitudes[layer] for item in rounds]
    before = math.fsum(item.start_distance for item in found) / len(found)
    after = math.fsum(item.end_distance for item in found) / len(found)
    return f"{before:.3f} → {after:.3f}"


def show_json(view: RunView, status: str) -> dict[str, Any]:
    """The run as the contract of `show --json` has it."""
    return {
        "run": view.run,
        "study": view.study,
        "status": status,
        "dataset": view.dataset.model_dump(mode="json") if view.dataset else None,
        "arms": [
            {
                "name": arm.name,
                "trials": [
                    {"seed": trial.seed, "rounds": _rounds(view, arm.name, place)}
                    for place, trial in enumerate(arm.trials)
                ],
            }
            for arm in view.arms
        ],
    }


def _rounds(view: RunView, arm: str, trial: int) -> list[Mapping[str, Any]]:
    signals = signals_of(view, arm, trial)
    return [_round(item, signals.get(item.round, ())) for item in view.arm(arm).trials[trial].rounds.values()]


def _round(item: RoundView, signals: Sequence[Signal]) -> Mapping[str, Any]:
    return {
        "round": item.round,
        "p_m": item.p_m,
        "survivors": item.survivors,
        "layers": {name: layer.model_dump(mode="json") for name, layer in item.layers.items()},
        "early_stop_iteration": item.early_stop_iteration,
        "validation_loss": item.validation_loss,
        "validation_accuracy": item.validation_accuracy,
        "test_accuracy": item.test_accuracy,
        "test_accuracy_end": item.test_accuracy_end,
        "test_accuracy_pruned": item.test_accuracy_pruned,
        "collapsed": item.collapsed,
        "spearman": item.spearman,
        "signals": [{"kind": it.kind, "layer": it.layer, "text": it.text} for it in signals],
        "magnitudes": {name: found.model_dump(mode="json") for name, found in item.magnitudes.items()},
        "early_bird": item.early_bird.model_dump(mode="json") if item.early_bird else None,
        "seconds": item.seconds,
        "key": item.key,
        "reused": item.reused,
    }
