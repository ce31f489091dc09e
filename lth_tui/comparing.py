"""Runs over each other as they are printed."""

from collections.abc import Sequence

from rich.console import Console

from engine.spec import differences
from engine.views import ComparedArm, Point, StudyRun, accuracy, compared_arms, gains, margins_over, points
from lth_tui.printing import console, print_abreast, table_of, text_of
from screens.comparing import course, field_rows, level_rows, run_words


def print_comparison(runs: Sequence[StudyRun], base: str | None = None) -> None:
    """What the runs are, their arms' accuracies at each P_m and how much these are above dense or above the arm
    `base`, and in what their studies differ."""
    found = compared_arms(runs)
    out = console()
    for number, run in enumerate(runs, 1):
        words = run_words(run.view.run, run.study)
        out.print(text_of(f"{number} {words}" if len(runs) > 1 else words))
    _print(out, "Test accuracy in percent", found, [points(compared.run, compared.arm, accuracy) for compared in found])
    if base is None:
        lines = [gains(compared.run, compared.arm, accuracy) for compared in found]
        _print(out, "Points above the dense round of the same trial", found, lines, signed=True)
    else:
        title = f"Points above {base} at the same P_m, in trials of the same seed"
        _print(out, title, found, margins_over(found, base, accuracy), signed=True)
    out.print(text_of("Test accuracy is taken at the lowest validation loss: mean ± standard error over the trials."))
    if len(runs) > 1:
        _print_fields(out, runs)


def _print(
    out: Console, title: str, found: Sequence[ComparedArm], lines: Sequence[tuple[Point, ...]], *, signed: bool = False
) -> None:
    known = [course(compared, line) for compared, line in zip(found, lines, strict=True) if line]
    out.print()
    out.print(text_of(title), style="bold")
    if known:
        print_abreast(out, *level_rows("P_m %", known, signed=signed), 1)
    else:
        out.print("none yet")


def _print_fields(out: Console, runs: Sequence[StudyRun]) -> None:
    """In what the studies of the runs differ."""
    fields = differences([run.study for run in runs])
    header, rows = field_rows(fields, [str(number) for number in range(1, len(runs) + 1)])
    out.print()
    out.print("In what the studies differ" if fields else "The studies differ in nothing but names", style="bold")
    table = table_of(*header)
    for row in rows:
        table.add_row(*map(text_of, row))
    if rows:
        out.print(table)
