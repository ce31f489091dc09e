"""What the pages of Compare show: courses, and their picture. Knows no window."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.text import Text

from engine.claims import Claim, Outcome, Verdict
from engine.claims.model import AtDensity, FractionAboveDense, SpeedUp
from engine.views import (
    ComparedArm,
    Point,
    StudyRun,
    Table,
    accuracy,
    aligned,
    compared_arms,
    early_stop,
    gains,
    margins_over,
    points,
    points_table,
    sweep_densities,
    sweep_lines,
)
from screens.comparing import Course, course, level_rows, mean_words, percent
from screens.plots import Line, Picture
from screens.text import plain
from screens.verdicts import MARKS

LEFT = "weights left %"
ACCURACY, STOP = "test accuracy %", "early-stop iteration"
BUDGET = "training data %"

NOT_BEGUN = "The first rounds are at work; each one finished is a point here."
NO_BUDGETS = """All arms of these runs learn from all the data that their studies take.

Less data is compared where arms differ in the fraction that they learn from, as in less-data-lenet:
{mode.configure} for Configure, and there the preset."""
DATA_NOTE = "dense: round 0 of as much data; in parentheses how much a ticket is above it, by trial"
ONE_ARM = """There is no other arm with the same P_m and seeds.

{compare.base} takes another arm to compare with; in Runs ({mode.runs}) {runs.pick} takes more runs."""


@dataclass(frozen=True)
class Sheet:
    """Courses over P_m or over data budgets.

    `levels`: P_m, falling, of which one is told at a time; `base`: what a course is compared with there. `told_over`:
    it is told with every number, and `note` says what. `level`: a line across, with its name. `marks`: by name of a
    course, signs by round, each with its words in `signs`.
    """

    title: str
    courses: tuple[Course, ...]
    x_name: str
    y_name: str
    levels: tuple[float, ...]
    unit: str = "%"
    digits: int = 2
    signed: bool = False
    base: str = ""
    told_over: bool = False
    note: str = ""
    level: tuple[str, float] | None = None
    empty: str = NOT_BEGUN
    marks: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    signs: tuple[tuple[str, str], ...] = ()

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the numbers."""
        courses = self.courses if self.told_over else [replace(item, over=()) for item in self.courses]
        known = [item for item in courses if item.points]
        name = "data %" if self.x_name == BUDGET else "P_m %"
        return level_rows(name, known, digits=self.digits, signed=self.signed)

    def level_near(self, at: float) -> float:
        """Of the levels below 100% that the most courses have, the one that is nearest."""
        counts = {level: sum(item.near(level)[0] is not None for item in self.courses) for level in self.levels}
        pruned = {level: count for level, count in counts.items() if level < 100} or counts
        return nearest_level([level for level, count in pruned.items() if count == max(pruned.values())], at)

    def table(self) -> Table:
        """The numbers in full."""
        return points_table({item.name: item.points for item in self.courses}, self.x_name, self.unit)

    def picture(self) -> Picture:
        """The courses as lines."""
        data = self.x_name == BUDGET
        return Picture(
            self.title,
            tuple(self._line(item) for item in self.courses if item.points),
            x_name=self.x_name,
            y_name=self.y_name,
            log_x=True,
            falls=not data,
            level=self.level,
            empty=self.empty,
            least_height=0.5,
            signs=self.signs,
        )

    def _line(self, item: Course) -> Line:
        marks = self.marks.get(item.name, {})
        return Line(
            item.name,
            tuple(point.x for point in item.points),
            tuple(point.mean for point in item.points),
            item.style,
            low=tuple(point.low for point in item.points),
            high=tuple(point.high for point in item.points),
            error=tuple(math.nan if point.error is None else point.error for point in item.points),
            trials=tuple(point.count for point in item.points),
            rounds=tuple(point.round for point in item.points),
            signs=tuple(marks.get(point.round, "") for point in item.points),
            about=item.about,
        )


def nearest_level(levels: Sequence[float], at: float) -> float:
    """The level nearest to that one; that one itself where there is none."""
    return min(levels, key=lambda level: abs(math.log(level / at)), default=at)


def accuracy_sheet(found: Sequence[ComparedArm], base: str) -> Sheet:
    """Test accuracy at each P_m, and how much it is above that of the arm `base`."""
    lines = [points(compared.run, compared.arm, accuracy) for compared in found]
    dense = {line[0].mean for compared, line in zip(found, lines, strict=True) if line and line[0].round == 0}
    courses = _courses(found, lines, margins_over(found, base, accuracy))
    level = ("dense", dense.pop()) if len(dense) == 1 else None
    return Sheet(f"{ACCURACY} / {LEFT}", courses, LEFT, ACCURACY, _levels(courses), base=base, level=level)


def stop_sheet(found: Sequence[ComparedArm], base: str) -> Sheet:
    """The iteration of the early stop at each P_m, and how much it is above that of the arm `base`."""
    lines = [points(compared.run, compared.arm, early_stop) for compared in found]
    courses = _courses(found, lines, margins_over(found, base, early_stop))
    return Sheet(f"{STOP} / {LEFT}", courses, LEFT, STOP, _levels(courses), unit="iterations", digits=0, base=base)


def dense_sheet(found: Sequence[ComparedArm]) -> Sheet:
    """Accuracy less that of the dense round of the same trial."""
    lines = [gains(compared.run, compared.arm, accuracy) for compared in found]
    return _differences("dense", "points to dense, by trial", _courses(found, lines))


def arm_sheet(found: Sequence[ComparedArm], base: str) -> Sheet:
    """Accuracy less that of another arm at the same P_m in trials of the same seed."""
    courses = _courses(found, margins_over(found, base, accuracy))
    sheet = _differences(base, f"points to {base}, by seed", tuple(item for item in courses if item.name != base))
    return replace(sheet, empty=ONE_ARM)


def data_sheet(runs: Sequence[StudyRun], at: float) -> Sheet:
    """Accuracy of dense networks and tickets on each budget of data, at the level that is nearest to `at`; tickets with
    how much they are above dense on as much data."""
    levels = tuple(sorted({level for run in runs for level in sweep_densities(run)}, reverse=True))
    p_m = nearest_level(levels, at)
    courses: list[Course] = []
    for number, run in enumerate(runs, 1):
        for line in sweep_lines(run, nearest_level(sweep_densities(run), p_m), accuracy):
            name = f"{number} {line.name}" if len(runs) > 1 else line.name
            courses.append(Course(name, line.points, run.study.trials, len(courses), run.view.run, over=line.gains))
    return Sheet(
        f"{ACCURACY} / {BUDGET}, at {percent(p_m)}% of the weights" if levels else f"{ACCURACY} / {BUDGET}",
        tuple(courses),
        BUDGET,
        ACCURACY,
        levels,
        told_over=True,
        note=DATA_NOTE,
        empty=NOT_BEGUN if levels else NO_BUDGETS,
    )


def claim_sheet(claim: Claim, runs: Sequence[StudyRun], verdicts: Sequence[Verdict | None]) -> Sheet:
    """The arms that a claim speaks of, marked with the verdict where it was measured."""
    measure = claim.measure
    arms = {*measure.arms, *(measure.among if isinstance(measure, FractionAboveDense) else ())}
    quantity, name = (early_stop, STOP) if isinstance(measure, SpeedUp) else (accuracy, ACCURACY)
    found = compared_arms(runs)
    mine = [(style, compared) for style, compared in enumerate(found) if compared.arm in arms]
    courses = tuple(course(compared, points(compared.run, compared.arm, quantity), style) for style, compared in mine)
    by_run = dict(zip((run.view.run for run in runs), verdicts, strict=True))
    marks: dict[str, Mapping[int, str]] = {}
    told: set[Outcome] = set()
    for item, (_, compared) in zip(courses, mine, strict=True):
        verdict = by_run[compared.run.view.run]
        if verdict is not None and verdict.trials and compared.arm == measure.arms[0]:
            low, high = _judged_levels(claim, verdict)
            here = [point.round for point in item.points if low <= point.x <= high]
            marks[item.name] = dict.fromkeys(here, MARKS[verdict.outcome])
            told |= {verdict.outcome} if here else set()
    signs = tuple((mark, outcome) for outcome, mark in MARKS.items() if outcome in told)
    levels, digits = _levels(courses), 0 if name == STOP else 2
    return Sheet(f"{name} / {LEFT}", courses, LEFT, name, levels, digits=digits, marks=marks, signs=signs)


def _judged_levels(claim: Claim, verdict: Verdict) -> tuple[float, float]:
    """The least and the greatest P_m that a verdict rests on; none where it rests on a whole arm."""
    at = claim.measure.at if isinstance(claim.measure, AtDensity) else None
    if isinstance(at, tuple):
        return at
    return (100.0, 0.0) if verdict.p_m is None else (verdict.p_m, verdict.p_m)


def level_words(
    sheet: Sheet,
    level: float,
    room: tuple[int, int],
    hidden: Collection[str] = (),
    chosen: str | None = None,
    more: str = "",
) -> Text:
    """What every course but the hidden ones has at that level, as far as there is room for it (columns, lines), of the
    `chosen` one in any case; `more` tells how to get to the others. Of a sheet with a note that instead."""
    if sheet.note:
        return Text(sheet.note, "dim")
    found = [(item, *item.near(level)) for item in sheet.courses if item.name not in hidden]
    counts = {here.count for _, here, _ in found if here is not None}
    words = Text.assemble((f"at {percent(level)}% left", "bold"))
    words.append(f", n={counts.pop()}" if len(counts) == 1 else "")
    words.append(", ± std. error", "dim")
    if any(over for _, _, over in found):
        words.append(f" (less {plain(sheet.base)}, by seed)", "dim")
    entries: list[Text] = []
    at = 0
    for item, here, over in found:
        if here is not None:
            at = len(entries) if item.name == chosen else at
            line = Line(item.name, (), (), item.style)
            entry = Text.assemble((line.marker, f"color({line.colour})"), f" {plain(item.name)} ")
            entry.append(mean_words(here, digits=sheet.digits, signed=sheet.signed), "bold")
            entry.append(f" ({mean_words(over, digits=sheet.digits, signed=True)})" if over else "")
            entry.append(f" n={here.count}" if counts else "", "dim")
            entries.append(entry)
    return _flow(words, entries, *room, at, more)


def _flow(words: Text, entries: Sequence[Text], width: int, lines: int, at: int, more: str) -> Text:
    """The words and entries after them in so many lines. Where they do not all fit, a part of them with the one `at`
    that place, and how many others there are."""
    rows, count = _packed(words, entries, width, lines)
    if count < len(entries):
        first, room = 0, len(f" +{len(entries)}{more}")
        while (last := first + (packed := _packed(words, entries[first:], width, lines, room))[1]) <= at:
            first = last
        rows, count = packed
        rows[-1].append(f" +{len(entries) - count}{more}", "dim")
    return Text("\n").join(rows)


def _packed(words: Text, entries: Sequence[Text], width: int, lines: int, room: int = 0) -> tuple[list[Text], int]:
    """Rows that begin with the words, the last of which leaves some room, and how many entries they have: one at
    least."""
    rows = [words.copy()]
    for number, entry in enumerate(entries):
        if rows[-1].cell_len + entry.cell_len + 2 > width - (room if len(rows) == lines else 0):
            if len(rows) == lines and number:
                return rows, number
            rows.append(Text())
        rows[-1].append("  " if rows[-1].cell_len else "")
        rows[-1].append_text(entry)
    return rows, len(entries)


def _courses(
    found: Sequence[ComparedArm], lines: Sequence[tuple[Point, ...]], over: Sequence[tuple[Point, ...]] = ()
) -> tuple[Course, ...]:
    above = over or [()] * len(found)
    return tuple(
        course(compared, line, style, its)
        for style, (compared, line, its) in enumerate(zip(found, lines, above, strict=True))
    )


def _levels(courses: Sequence[Course]) -> tuple[float, ...]:
    return tuple(x for x, _ in aligned([item.points for item in courses]))


def _differences(name: str, y_name: str, courses: tuple[Course, ...]) -> Sheet:
    return Sheet(
        f"{y_name} / {LEFT}",
        courses,
        LEFT,
        y_name,
        _levels(courses),
        unit="points",
        signed=True,
        level=(name, 0.0),
    )
