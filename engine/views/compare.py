"""Arms and runs over each other: what their trials measured at each P_m, and how far apart they are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from engine.spec import differences
from engine.views.numbers import Table
from engine.views.trials import SAME_LEVEL, WITHIN, Quantity, StudyRun, accuracy, early_stop, mean_and_error, partners


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


@dataclass(frozen=True)
class Track:
    """An arm of one of the runs that are laid over each other, under a name of its own among them."""

    name: str
    run: StudyRun
    arm: str


def tracks(runs: Sequence[StudyRun]) -> tuple[Track, ...]:
    """All arms of the runs; of several runs with the run's number, from 1, before the arm's name."""
    return tuple(
        Track(f"{number} {arm.name}" if len(runs) > 1 else arm.name, run, arm.name)
        for number, run in enumerate(runs, 1)
        for arm in run.view.arms
    )


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


def margins_over(found: Sequence[Track], base: str, quantity: Quantity) -> list[tuple[Point, ...]]:
    """Of each track its `margins` over the one of that name; none over itself."""
    over = next(track for track in found if track.name == base)
    return [() if track is over else margins(track.run, track.arm, over.run, over.arm, quantity) for track in found]


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


def points_table(lines: Mapping[str, Sequence[Point]], x: str, unit: str) -> Table:
    """The points of lines by their names; `x` and `unit` say what their places and values are."""
    columns = ("line", x, "round", f"mean ({unit})", f"standard error ({unit})", "least", "greatest", "trials")
    rows = (
        (name, point.x, point.round, point.mean, point.error, point.low, point.high, point.count)
        for name, line in lines.items()
        for point in line
    )
    return Table(columns, tuple(rows))


def compare_json(runs: Sequence[StudyRun], base: str | None = None) -> dict[str, Any]:
    """The comparison as the contract of `compare --json` has it."""
    found = tracks(runs)
    over = margins_over(found, base, accuracy) if base is not None else [()] * len(found)
    return {
        "runs": [
            {
                "run": run.view.run,
                "study": run.study.name,
                "network": run.study.base.network.name,
                "data": run.study.base.data.name,
            }
            for run in runs
        ],
        "to": base,
        "lines": [
            {
                "name": track.name,
                "run": track.run.view.run,
                "arm": track.arm,
                "accuracy": _rows(points(track.run, track.arm, accuracy)),
                "early_stop": _rows(points(track.run, track.arm, early_stop)),
                "to_dense": _rows(gains(track.run, track.arm, accuracy)),
                "to": None if base is None else _rows(margin),
            }
            for track, margin in zip(found, over, strict=True)
        ],
        "differences": [
            {"field": item.path, "values": list(item.values)} for item in differences([run.study for run in runs])
        ],
    }


def _rows(line: Sequence[Point]) -> list[dict[str, Any]]:
    return [
        {
            "p_m": point.x,
            "round": point.round,
            "mean": point.mean,
            "se": point.error,
            "min": point.low,
            "max": point.high,
            "trials": point.count,
        }
        for point in line
    ]
