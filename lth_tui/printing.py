"""What is printed: tables by Rich, plots by plotext."""

import errno
import os
import time
from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.datasets import Contents, DatasetStatus
from engine.spec import Study
from engine.store import RunSummary
from engine.views import (
    RunView,
    SignalSummary,
    accuracy_table,
    distance_table,
    early_bird_epochs,
    signal_summaries,
    summary,
)
from screens.drawing import draw
from screens.pictures import accuracy_picture
from screens.text import SIGNAL_MARKS, SIGNAL_WORDS, percent, plain

PLOT_HEIGHT = 18
MOST_OF_TITLE = 30
MOST_CLASSES = 40
_MOST_STRETCHES = 4


def console() -> Console:
    """Standard output; 100 columns where it is no terminal, so that tables keep their form in files and pipes."""
    found = PlainConsole(highlight=False)
    return found if found.is_terminal else PlainConsole(highlight=False, width=100)


class PlainConsole(Console):
    """A console that ends no process: a pipe that is closed is an error as for everything else that is printed."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def table_of(*headers: str) -> Table:
    """A plain table with bold headers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(text_of(header))
    return table


def text_of(words: str) -> Text:
    """Words that may be a stranger's, as text: neither markup nor control characters do anything."""
    return Text(plain(words))


def print_presets(studies: Mapping[str, Study]) -> None:
    """A line a preset: what it runs and what to look for."""
    table = table_of("preset", "data", "trials", "arms", "what to look for")
    for name, study in studies.items():
        arms = ", ".join(arm.name for arm in study.arm)
        table.add_row(*map(text_of, (name, study.base.data.name, str(study.trials), arms, study.about)))
    console().print(table)


def print_runs(found: Sequence[RunSummary], *, filtered: bool = False) -> None:
    """A line a run; without any, what to do."""
    if not found:
        console().print("No run is like that." if filtered else "No runs yet. Start one: lth-tui run quickstart")
        return
    columns = {
        "run": [item.id for item in found],
        "status": [item.status for item in found],
        "accuracy": [percent(item.best) for item in found],
        "rounds": [f"{item.rounds_done}/{item.rounds_total}" for item in found],
        "title": [_cut(item.title) for item in found],
        "data": [item.dataset for item in found],
        "started": [time.strftime("%Y-%m-%d %H:%M", time.localtime(item.created)) for item in found],
        "took": ["" if item.seconds is None else duration(item.seconds) for item in found],
        "study": [item.study for item in found],
    }
    if not any(columns["title"]):
        del columns["title"]
    out = console()
    room, shown = out.width + 2, []
    for name, cells in columns.items():
        room -= 2 + max(cell_len(plain(cell)) for cell in (name, *cells))
        # Names are never cut, for runs are asked for by them; what has no room then is left out.
        if room < 0 and name != "run":
            break
        shown.append(name)
    table = table_of(*shown)
    for column in table.columns:
        column.no_wrap = True
    for cells in zip(*(columns[name] for name in shown), strict=True):
        table.add_row(*map(text_of, cells))
    out.print(table, soft_wrap=True)


def _cut(title: str) -> str:
    return title if len(title) <= MOST_OF_TITLE else title[: MOST_OF_TITLE - 1] + "…"


def print_data(entries: Sequence[DatasetStatus]) -> None:
    """A line a data set; for those not ready, what to do."""
    table = table_of("data set", "images", "training", "validation", "test", "")
    for entry in entries:
        shape = "x".join(map(str, entry.image_shape))
        counts = (entry.train - entry.validation, entry.validation, entry.test)
        told = "ready" if entry.ready else entry.advice
        table.add_row(*map(text_of, (entry.name, shape, *map(str, counts), told)))
    console().print(table)


def print_contents(found: Contents) -> None:
    """A line a class, the first ones where there are many, and the sum; below, what was left out and guessed."""
    out = console()
    table = table_of("class", *found.parts)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, name in enumerate(found.classes[:MOST_CLASSES]):
        table.add_row(*map(text_of, (name, *(str(counts[label]) for counts in found.parts.values()))))
    if len(found.classes) > MOST_CLASSES:
        table.add_row(text_of(f"and {len(found.classes) - MOST_CLASSES} more"))
    table.add_row(*map(text_of, (f"all {len(found.classes)}", *(str(sum(each)) for each in found.parts.values()))))
    out.print(table)
    print_notes(found.notes, out)


def print_notes(notes: Sequence[str], out: Console) -> None:
    """A line a note on what was left out, converted or guessed."""
    for note in notes:
        out.print(text_of(f"note: {note}"), soft_wrap=True)


def print_run(view: RunView, status: str, study: Study | None = None, said: Sequence[str] = ()) -> None:
    """What people have `said` of a run, its table, its plot, what the numbers say, and how it ended; where an arm of
    its `study` clamps weights, also how their magnitudes are spread."""
    out = console()
    for words in said:
        out.print(text_of(words))
    if view.dataset is None:
        out.print(text_of(f"{view.run}: {status}; no round is known yet"))
        return
    facts = view.dataset
    parts = f"{facts.train} training, {facts.validation} validation, {facts.test} test examples"
    measure = "test accuracy in percent at the lowest validation loss: mean (min-max)"
    out.print(text_of(f"{view.study} on {facts.name}: {parts}; {measure}"))
    found = accuracy_table(view)
    print_abreast(out, found.columns, [list(map(str, row)) for row in found.rows], 2)
    if found.rows:
        import plotext

        out.print(draw(plotext.active(), accuracy_picture(view), min(out.width, 100), PLOT_HEIGHT))
    _print_findings(out, view)
    if study is not None and any(study.recipe(arm).train.clamp is not None for arm in study.arm):
        _print_distances(out, view)
    last = summary(view) if view.status in ("done", "stopped", "failed") else status
    out.print(text_of(f"{view.run}: {last}"))


def print_abreast(out: Console, header: Sequence[str], rows: Sequence[Sequence[str]], first: int) -> None:
    """A table in parts that fit, each with the `first` columns, so that every number stays whole."""
    for columns in _abreast([max(map(len, cells)) for cells in zip(header, *rows, strict=True)], out.width, first):
        table = table_of(*(header[column] for column in columns))
        for column in table.columns:
            column.justify = "right"
        for row in rows:
            table.add_row(*(text_of(row[column]) for column in columns))
        out.print(table)


def _abreast(widths: list[int], room: int, first: int) -> list[list[int]]:
    """The columns of each part: as many as fit after the first ones."""
    tables: list[list[int]] = []
    used = room
    for column, width in enumerate(widths[first:], first):
        if used + width + 2 > room or not tables:
            tables.append([*range(first)])
            used = sum(widths[:first]) + 2 * (first - 1)
        tables[-1].append(column)
        used += width + 2
    return tables or [[*range(first)]]


def _print_findings(out: Console, view: RunView) -> None:
    """A line an arm and kind of signal, its layers together that signal in the same rounds; below, the rules."""
    found = signal_summaries(view)
    if not found:
        return
    out.print("\nWhat the numbers say", style="bold")
    for _, alike in groupby(found, lambda item: (item.arm, item.kind, item.first, item.last, item.trials)):
        items = list(alike)
        layers = ", ".join(item.layer for item in items if item.layer is not None)
        words = plain(" ".join(filter(None, (f"{items[0].arm}:", layers, _words(view, items[0])))))
        out.print(Text(f"{SIGNAL_MARKS[items[0].kind]} {words}"))
    for kind, rule in {item.kind: item.rule for item in found}.items():
        out.print(Text(f"{SIGNAL_MARKS[kind]} {SIGNAL_WORDS[kind]}: {plain(rule)}", "dim"))


def _words(view: RunView, item: SignalSummary) -> str:
    when = _span("round", item.first, item.last)
    words = f"{SIGNAL_WORDS[item.kind]} in {when} ({item.trials} of {_trials(item.of)})"
    if item.kind != "early-bird":
        return words
    stretches = early_bird_epochs(view, item.arm)
    if len(stretches) > _MOST_STRETCHES or len(stretches) == 1:
        ends = [end for _, epochs in stretches for end in epochs]
        return f"{words}, {_span('epoch', min(ends), max(ends))}"
    return f"{words}: " + ", ".join(f"{_span('epoch', *epochs)} of {_span('round', *at)}" for at, epochs in stretches)


def _span(name: str, first: int, last: int) -> str:
    return f"{name} {first}" if first == last else f"{name}s {first}-{last}"


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _print_distances(out: Console, view: RunView) -> None:
    """How far the magnitudes of each layer of round 0 are from uniform, before training and after."""
    found = distance_table(view)
    if not found.rows:
        return
    table = table_of(*found.columns)
    for row in found.rows:
        table.add_row(*(text_of(str(cell)) for cell in row))
    out.print("\nMagnitudes of round 0", style="bold")
    out.print(table)
    out.print(Text("Kolmogorov-Smirnov distance from uniform, before training → after; means over the trials", "dim"))


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
