"""Comparisons in words: lines of runs, cells of tables, values of fields. The same in a window and printed."""

import json
from collections.abc import Sequence
from typing import Any

from engine.spec import Difference
from engine.views import Point, StudyRun, Track, aligned, same_level

NONE = "–"


def run_words(run: StudyRun) -> str:
    """What a run is of: its name, study, network and data."""
    study = run.study
    return f"{run.view.run}: {study.name}, {study.base.network.name} on {study.base.data.name}"


def percent(value: float) -> str:
    """A P_m with as many digits as tell it from its neighbours."""
    return f"{value:.2f}" if value < 99.995 else "100"


def number(value: float, *, digits: int = 2, signed: bool = False) -> str:
    """A number with thousands and no minus before a zero."""
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text.replace("-", "+" if signed else "") if float(text.replace(",", "")) == 0 else text


def cell(point: Point | None, p_m: float, trials: int, *, digits: int = 2, signed: bool = False) -> str:
    """Mean ± standard error; in parentheses of how many trials, where not of all, and at which P_m, where it is not
    that of the row."""
    if point is None:
        return NONE
    words = number(point.mean, digits=digits, signed=signed)
    if point.error is not None:
        words += f" ± {number(point.error, digits=digits)}"
    if point.count < trials:
        words += f" (n={point.count})"
    return words if same_level(point.x, p_m) else f"{words} at {percent(point.x)}"


def level_rows(
    lines: Sequence[tuple[Track, Sequence[Point]]], *, digits: int = 2, signed: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of lines at each P_m."""
    rows = [
        [
            percent(x),
            *(
                cell(point, x, track.run.study.trials, digits=digits, signed=signed)
                for point, (track, _) in zip(points, lines, strict=True)
            ),
        ]
        for x, points in aligned([line for _, line in lines])
    ]
    return ["P_m %", *(track.name for track, _ in lines)], rows


def field_rows(found: Sequence[Difference], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the fields in which studies of these names differ."""
    return ["field", *names], [[item.path, *map(value, item.values)] for item in found]


def value(found: Any) -> str:
    """A field's value as it stands in a study's file."""
    if found is None:
        return NONE
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
