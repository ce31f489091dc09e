"""Comparisons in words: courses of runs, cells of tables, values of fields. The same in a window and printed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.spec import Difference, Study
from engine.views import ComparedArm, Point, Table, aligned, same_density

NONE = "–"


@dataclass(frozen=True)
class Course:
    """How a quantity goes over P_m or data budgets: points under a name of their own. `trials`: how many its study has;
    `style`: of its line; `about`: its run.

    `over`: how much each point is above what it is compared with, at the same places as far as that is known.
    """

    name: str
    points: tuple[Point, ...]
    trials: int
    style: int = 0
    about: str = ""
    over: tuple[Point, ...] = ()

    def near(self, x: float) -> tuple[Point | None, Point | None]:
        """The point at x, and how much it is above what it is compared with."""
        here = next((point for point in self.points if same_density(point.x, x)), None)
        return here, next((point for point in self.over if here is not None and point.x == here.x), None)


def course(compared: ComparedArm, points: tuple[Point, ...], style: int = 0, over: tuple[Point, ...] = ()) -> Course:
    """What a track measured."""
    return Course(compared.name, points, compared.run.study.trials, style, compared.run.view.run, over)


def run_words(name: str, study: Study) -> str:
    """What a run is of: its name, study, network and data."""
    return f"{name}: {study.name}, {study.base.network.name} on {study.base.data.name}"


def percent(value: float) -> str:
    """A share with as many digits as tell it from its neighbours."""
    return f"{value:.2f}" if value < 99.995 else "100"


def number(value: float, *, digits: int = 2, signed: bool = False) -> str:
    """A number with thousands and no minus before a zero."""
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text.replace("-", "+" if signed else "") if float(text.replace(",", "")) == 0 else text


def mean_words(point: Point, *, digits: int = 2, signed: bool = False) -> str:
    """Mean ± standard error."""
    words = number(point.mean, digits=digits, signed=signed)
    return words if point.error is None else f"{words} ± {number(point.error, digits=digits)}"


def cell(item: Course, point: Point | None, x: float, *, digits: int = 2, signed: bool = False) -> str:
    """Mean ± standard error, then how much that is above what it is compared with; over how many trials, where not
    over all, and at which P_m, where it is not that of the row."""
    if point is None:
        return NONE
    words = mean_words(point, digits=digits, signed=signed)
    above = next((it for it in item.over if it.x == point.x), None)
    words += "" if above is None else f" ({mean_words(above, digits=digits, signed=True)})"
    words += f" n={point.count}" if point.count < item.trials else ""
    return words if same_density(point.x, x) else f"{words} at {percent(point.x)}"


def level_rows(
    x_name: str, courses: Sequence[Course], *, digits: int = 2, signed: bool = False
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of courses, aligned by where their points are."""
    rows = [
        [
            percent(x),
            *(cell(item, point, x, digits=digits, signed=signed) for item, point in zip(courses, points, strict=True)),
        ]
        for x, points in aligned([item.points for item in courses])
    ]
    return [x_name, *(item.name for item in courses)], rows


def field_rows(found: Sequence[Difference], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the fields in which studies of these names differ."""
    return ["field", *names], [[item.path, *map(value, item.values)] for item in found]


def field_table(found: Sequence[Difference], names: Sequence[str]) -> Table:
    """The same for a file."""
    header, rows = field_rows(found, names)
    return Table(tuple(header), tuple(map(tuple, rows)))


def value(found: Any) -> str:
    """A field's value as it stands in a study's file."""
    if found is None:
        return NONE
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
