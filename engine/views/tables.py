"""Numbers behind the pictures: the rows of a run and its JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.store.events import RoundFinished, Signal
from engine.views.compare import Point, aligned, same_level
from engine.views.run import ArmView, RunView
from engine.views.signals import signals_of


def table_rows(view: RunView) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of test accuracy against P_m: a column an arm (mean, min-max), rows at matching P_m.

    A cell whose P_m is not that of its row names its own.
    """
    header = ["round", "P_m %", *(arm.name for arm in view.arms)]
    rows = [
        [_numbers(cells), f"{p_m:.2f}", *(_cell(point, p_m) for point in cells)]
        for p_m, cells in aligned([_points(arm) for arm in view.arms])
    ]
    return header, rows


def _points(arm: ArmView) -> list[Point]:
    """Mean test accuracy in percent of every round, NaN where no trial has a finite one."""
    found: list[Point] = []
    for number in arm.planned:
        rounds = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        values = {
            seed: it.result.test_accuracy * 100 for seed, it in enumerate(rounds) if it.result.test_accuracy is not None
        }
        if values:
            found.append(Point.of(rounds[0].p_m, number, values))
        elif rounds:
            found.append(Point(rounds[0].p_m, number, math.nan, None, math.nan, math.nan, 0))
    return found


def _numbers(cells: Sequence[Point | None]) -> str:
    """The numbers of the rounds in a row."""
    return "/".join(map(str, sorted({point.round for point in cells if point is not None})))


def _cell(point: Point | None, p_m: float) -> str:
    if point is None or not point.count:
        return "-"
    spread = f" ({point.low:.2f}-{point.high:.2f})" if point.count > 1 else ""
    own = "" if same_level(point.x, p_m) else f" at {point.x:.2f}%"
    return f"{point.mean:.2f}{spread}{own}"


def distance_rows(view: RunView, number: int = 0) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a round's distances from uniform, before training and after, means over the trials: a row a
    layer, a column an arm, those left out that share their rounds with one before."""
    known: dict[str, list[RoundFinished]] = {}
    for arm in view.arms:
        rounds = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        rounds = [item for item in rounds if item.result.magnitudes]
        if rounds and rounds[0].key not in {items[0].key for items in known.values()}:
            known[arm.name] = rounds
    rows = [[layer, *(_distances(rounds, layer) for rounds in known.values())] for layer in view.layers]
    return ["layer", *known], rows if known else []


def _distances(rounds: Sequence[RoundFinished], layer: str) -> str:
    found = [item.result.magnitudes[layer] for item in rounds]
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


def _round(item: RoundFinished, signals: Sequence[Signal]) -> Mapping[str, Any]:
    return {
        "round": item.round,
        "p_m": item.p_m,
        "survivors": item.survivors,
        "layers": {name: layer.model_dump(mode="json") for name, layer in item.result.layers.items()},
        "early_stop_iteration": item.result.early_stop_iteration,
        "validation_loss": item.result.validation_loss,
        "validation_accuracy": item.result.validation_accuracy,
        "test_accuracy": item.result.test_accuracy,
        "test_accuracy_end": item.result.test_accuracy_end,
        "test_accuracy_pruned": item.result.test_accuracy_pruned,
        "collapsed": item.result.collapsed,
        "spearman": item.spearman,
        "signals": [{"kind": it.kind, "layer": it.layer, "text": it.text} for it in signals],
        "magnitudes": {name: found.model_dump(mode="json") for name, found in item.result.magnitudes.items()},
        "measures": item.result.measures,
        "early_bird": item.result.early_bird.model_dump(mode="json") if item.result.early_bird else None,
        "seconds": item.result.seconds,
        "key": item.key,
        "reused": item.reused,
    }
