"""What is printed: tables by Rich, plots by plotext."""

import math
import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.datasets import Entry
from engine.spec import Study
from engine.store import RunSummary
from engine.views import RunView, accuracy_series, dense_accuracy, summary, table_rows

PLOT_HEIGHT = 18
_MARKERS = ("●", "×", "+", "○", "▲", "■")
_COLOURS = ("green", "red", "blue", "magenta", "cyan", "orange")


def console() -> Console:
    """Standard output; 100 columns where it is no terminal, so that tables keep their form in files and pipes."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=100)


def table_of(*headers: str) -> Table:
    """A plain table with bold headers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header)
    return table


def print_presets(studies: Mapping[str, Study]) -> None:
    """A line a preset: what it runs and what to look for."""
    table = table_of("preset", "data", "trials", "arms", "what to look for")
    for name, study in studies.items():
        arms = ", ".join(arm.name for arm in study.arm)
        table.add_row(name, study.base.data.name, str(study.trials), arms, study.about)
    console().print(table)


def print_runs(found: Sequence[RunSummary]) -> None:
    """A line a run; without any, what to do."""
    if not found:
        console().print("No runs yet. Start one: lth-tui run quickstart")
        return
    table = table_of("run", "study", "data", "status", "rounds", "started", "took")
    for item in found:
        took = "" if item.seconds is None else duration(item.seconds)
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.created))
        rounds = f"{item.rounds_done}/{item.rounds_total}"
        table.add_row(*map(Text, (item.id, item.study, item.dataset, item.status, rounds, started, took)))
    console().print(table)


def print_data(entries: Sequence[Entry]) -> None:
    """A line a data set; for those not ready, what to do."""
    table = table_of("data set", "images", "training", "validation", "test", "")
    for entry in entries:
        shape = "x".join(map(str, entry.image_shape))
        counts = (entry.train - entry.validation, entry.validation, entry.test)
        table.add_row(entry.name, shape, *map(str, counts), "ready" if entry.ready else Text(entry.advice))
    console().print(table)


def print_run(view: RunView, status: str) -> None:
    """The table of a run, its plot, and how it ended."""
    out = console()
    if view.dataset is None:
        out.print(f"{view.run}: {status}; no round is known yet", markup=False)
        return
    facts = view.dataset
    out.print(
        f"{view.study} on {facts.name}: {facts.train} training, {facts.validation} validation, {facts.test} test "
        "examples; test accuracy in percent at the lowest validation loss: mean (min-max)",
        markup=False,
    )
    header, rows = table_rows(view)
    table = table_of(*header)
    for column in table.columns:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    out.print(table)
    if rows:
        out.print(Text.from_ansi(accuracy_plot(view, min(out.width, 100), colour=out.is_terminal)))
    last = summary(view) if view.status in ("done", "stopped", "failed") else status
    out.print(f"{view.run}: {last}", markup=False)


def accuracy_plot(view: RunView, width: int, *, colour: bool) -> str:
    """Test accuracy against P_m, falling to the right on a log scale, the dense accuracy as a line."""
    import plotext

    plotext.clear_figure()
    plotext.plotsize(width, PLOT_HEIGHT)
    shown = [series for series in accuracy_series(view) if series.x]
    # plotext draws no axis backwards: minus the logarithm of P_m falls to the right.
    ticks: dict[float, str] = {}
    for number, series in enumerate(shown):
        places = [-math.log10(p_m) for p_m in series.x]
        ticks.update({place: f"{p_m:.3g}" for place, p_m in zip(places, series.x, strict=True)})
        heights = [100 * value for value in series.mean]
        plotext.plot(places, heights, color=_COLOURS[number % 6], marker="braille")
        plotext.scatter(places, heights, color=_COLOURS[number % 6], marker=_MARKERS[number % 6], label=series.name)
    dense = dense_accuracy(view)
    if dense is not None:
        plotext.hline(100 * dense, "gray")
    chosen = sorted(ticks)[:: max(1, len(ticks) // 8)]
    plotext.xticks(chosen, [ticks[place] for place in chosen])
    plotext.xlabel("P_m: weights left, %")
    plotext.title("test accuracy, %")
    drawn: str = plotext.build()
    plotext.clear_figure()
    return drawn if colour else plotext.uncolorize(drawn)


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
