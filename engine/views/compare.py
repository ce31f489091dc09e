"""Arms and runs over each other: what their trials measured at each P_m, and how far apart they are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from engine.views.trials import SAME_LEVEL, WITHIN, Quantity, StudyRun, mean_and_error, partners


@dataclass(frozen=True)
class Point:
    """What `count` trials have in round `round`, at `x` percent of the weights (P_m) or of the training examples.

    `error` is the standard error of the mean, None of one trial; `low` and `high` are the least and greatest.
    """

    x: float
    round: int
    mean: float
    error: float | None
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, x: float, number: int, values: Mapping[int, float]) -> Self:
        """Over values by the seed of their trial."""
        found = list(values.values())
        return cls(x, number, *mean_and_error(found), min(found), max(found), len(found))


def points(run: StudyRun, arm: str, quantity: Quantity) -> tuple[Point, ...]:
    """A quantity of an arm in each round that a trial has it in, in falling P_m."""
    return _in_rounds(run, arm, {number: run.by_seed(arm, number, quantity) for number in run.levels(arm)})


def gains(run: StudyRun, arm: str, quantity: Quantity) -> tuple[Point, ...]:
    """Each round less the dense round of the same trial."""
    dense = run.by_seed(arm, 0, quantity)
    later = (number for number in run.levels(arm) if number > 0)
    return _in_rounds(run, arm, {number: _less(run.by_seed(arm, number, quantity), dense) for number in later})


def margins(run: StudyRun, arm: str, base: StudyRun, its: str, quantity: Quantity) -> tuple[Point, ...]:
    """An arm less another, of the same run or not, at the same P_m and in trials of the same seed alone."""
    pairs = partners(run.levels(arm), base.levels(its))
    both = {
        number: _less(run.by_seed(arm, number, quantity), base.by_seed(its, other, quantity))
        for number, other in pairs.items()
    }
    return _in_rounds(run, arm, both)


def _less(values: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    return {seed: value - others[seed] for seed, value in values.items() if seed in others}


def _in_rounds(run: StudyRun, arm: str, found: Mapping[int, Mapping[int, float]]) -> tuple[Point, ...]:
    levels = run.levels(arm)
    known = [Point.of(levels[number], number, values) for number, values in found.items() if values]
    return tuple(sorted(known, key=lambda point: -point.x))


def same_level(x: float, y: float) -> bool:
    """Whether two P_m are the same one."""
    return abs(x - y) <= SAME_LEVEL * y


def aligned(lines: Sequence[Sequence[Point]]) -> list[tuple[float, tuple[Point | None, ...]]]:
    """Lines as rows in falling P_m, a cell a line: each point once, in the row that is nearest.

    The rows are those of the first line; where none stands for the P_m of another line's point, it has its own. So a
    point's P_m may differ from that of its row (`same_level` tells).
    """
    rows: list[tuple[float, dict[int, Point]]] = []
    for column, line in enumerate(lines):
        near = sorted(
            (abs(math.log(point.x / x)), place, number)
            for number, point in enumerate(line)
            for place, (x, _) in enumerate(rows)
            if abs(point.x - x) <= WITHIN * x
        )
        rest = set(range(len(line)))
        for _, place, number in near:
            if number in rest and column not in rows[place][1]:
                rows[place][1][column] = line[number]
                rest.discard(number)
        rows += [(line[number].x, {column: line[number]}) for number in sorted(rest)]
    rows.sort(key=lambda row: -row[0])
    return [(x, tuple(cells.get(column) for column in range(len(lines)))) for x, cells in rows]
