"""Heatmaps to draw."""

import math
from dataclasses import dataclass
from typing import Literal

from engine.views.run import RunView

Measure = Literal["alive", "all", "jaccard", "chance"]
MEASURES: dict[str, str] = {
    "alive": "Spearman of |w|, alive in both",
    "all": "Spearman of |w|, all weights",
    "jaccard": "Jaccard overlap of masks",
    "chance": "Jaccard overlap of random masks",
}


@dataclass(frozen=True)
class Grid:
    """A table of cells: `values[row][column]`, NaN where there is none; correlations from -1 to 1."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    row_name: str
    column_name: str


def layer_grid(view: RunView, arm: str, trial: int, measure: Measure = "alive") -> Grid:
    """Layer by round: each round against the one before it in the trial."""
    rounds = view.arm(arm).trials[trial].rounds
    later = [number for number in view.arm(arm).planned if number > 0]
    values = tuple(
        tuple(
            _last(getattr(rounds[number].similarity[name], measure))
            if number in rounds and name in rounds[number].similarity
            else math.nan
            for number in later
        )
        for name in view.layers
    )
    title = f"{MEASURES[measure]}: each round with the one before"
    return Grid(title, tuple(view.layers), tuple(map(str, later)), values, "layer", "round")


def round_grid(view: RunView, arm: str, trial: int, layer: str, measure: Measure = "alive") -> Grid:
    """Round by round of one layer; symmetric, 1 on the diagonal."""
    rounds = view.arm(arm).trials[trial].rounds
    planned = view.arm(arm).planned
    pairs: dict[tuple[int, int], float] = {(number, number): 1.0 for number in rounds}
    for number, item in rounds.items():
        if layer in item.similarity:
            similarity = item.similarity[layer]
            for earlier, value in zip(similarity.rounds, getattr(similarity, measure), strict=True):
                pairs[number, earlier] = pairs[earlier, number] = math.nan if value is None else value
    values = tuple(tuple(pairs.get((row, column), math.nan) for column in planned) for row in planned)
    labels = tuple(map(str, planned))
    return Grid(f"{layer}: {MEASURES[measure]}, every pair of rounds", labels, labels, values, "round", "round")


def _last(values: tuple[float | None, ...]) -> float:
    return math.nan if not values or values[-1] is None else values[-1]
