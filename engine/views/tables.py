"""Numbers behind the pictures: the rows of a run and its JSON."""

import math
from collections.abc import Mapping
from typing import Any

from engine.views.run import ArmView, RoundView, RunView


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


def show_json(view: RunView, status: str) -> dict[str, Any]:
    """The run as the contract of `show --json` has it."""
    return {
        "run": view.run,
        "study": view.study,
        "status": status,
        "dataset": view.dataset.model_dump() if view.dataset else None,
        "arms": [
            {
                "name": arm.name,
                "trials": [
                    {"seed": trial.seed, "rounds": [_round(item) for item in trial.rounds.values()]}
                    for trial in arm.trials
                ],
            }
            for arm in view.arms
        ],
    }


def _round(item: RoundView) -> Mapping[str, Any]:
    return {
        "round": item.round,
        "p_m": item.p_m,
        "survivors": item.survivors,
        "layers": {name: layer.model_dump() for name, layer in item.layers.items()},
        "early_stop_iteration": item.early_stop_iteration,
        "validation_loss": item.validation_loss,
        "test_accuracy": item.test_accuracy,
        "test_accuracy_end": item.test_accuracy_end,
        "test_accuracy_pruned": item.test_accuracy_pruned,
        "spearman": item.spearman,
        "seconds": item.seconds,
        "key": item.key,
        "reused": item.reused,
    }
