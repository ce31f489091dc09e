"""The numbers behind what is shown, in full precision, for other programs. Pure."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from engine.store import RunSummary
from engine.store.events import Magnitudes
from engine.views.grids import Grid
from engine.views.run import RunView
from engine.views.series import Curve
from engine.views.signals import signals_of

Value: TypeAlias = str | int | float | None

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What words that a spreadsheet takes for a formula begin with."""


@dataclass(frozen=True)
class Table:
    """Columns by name, with their units, and rows of as many values; None and NaN are no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def csv_text(table: Table) -> str:
    """The table as RFC 4180 has it. Numbers are written so that reading them gives the same ones.

    Words that a spreadsheet would take for a formula have an apostrophe before them.
    """
    return _written(table, ",", "\r\n")


def tsv_text(table: Table) -> str:
    """The table with tabs, as it is pasted into a spreadsheet."""
    return _written(table, "\t", "\n")


def _written(table: Table, delimiter: str, end: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow([_cell(name) for name in table.columns])
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    return out.getvalue()


def _cell(value: Value) -> Value:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def rounds_table(view: RunView) -> Table:
    """A row for each finished round of a trial, in the order of arms, trials and rounds."""
    measured = _measure_columns(view)
    columns = (
        "arm",
        "trial",
        "seed",
        "round",
        "P_m (%)",
        "weights left",
        "early stop (iteration)",
        "validation loss",
        "validation accuracy (0 to 1)",
        "test accuracy (0 to 1)",
        "test accuracy at the end (0 to 1)",
        "test accuracy once pruned (0 to 1)",
        "training (s)",
        "signals",
        *(" ".join(filter(None, key)) for key in measured),
    )
    rows: list[tuple[Value, ...]] = []
    for arm in view.arms:
        for place, trial in enumerate(arm.trials):
            signals = signals_of(view, arm.name, place)
            for item in trial.rounds.values():
                told = (f"{it.layer} {it.kind}" if it.layer else it.kind for it in signals.get(item.round, ()))
                rows.append(
                    (
                        arm.name,
                        place + 1,
                        trial.seed,
                        item.round,
                        item.p_m,
                        item.survivors,
                        item.result.early_stop_iteration,
                        item.result.validation_loss,
                        item.result.validation_accuracy,
                        item.result.test_accuracy,
                        item.result.test_accuracy_end,
                        item.result.test_accuracy_pruned,
                        item.result.seconds,
                        "; ".join(told),
                        *(item.result.measures.get(name, {}).get(layer) for name, layer in measured),
                    )
                )
    return Table(columns, tuple(rows))


def _measure_columns(view: RunView) -> list[tuple[str, str]]:
    """Name and layer (empty: the whole network) of everything that was measured of a round."""
    found = {
        (name, layer)
        for arm in view.arms
        for trial in arm.trials
        for item in trial.rounds.values()
        for name, values in item.result.measures.items()
        for layer in values
    }
    depth = ["", *view.layers]
    return sorted(found, key=lambda key: (key[0], depth.index(key[1]) if key[1] in depth else len(depth), key[1]))


def layers_table(view: RunView, arm: str, trial: int) -> Table:
    """What is left of each layer in the rounds of a trial."""
    rows = tuple(
        (item.round, item.p_m, name, layer.survivors, layer.size, 100 * layer.survivors / layer.size)
        for item in view.arm(arm).trials[trial].rounds.values()
        for name, layer in item.result.layers.items()
    )
    return Table(("round", "P_m (%)", "layer", "weights left", "weights", "left (%)"), rows)


def curve_table(curve: Curve) -> Table:
    """The validations of one round."""
    columns = ("iteration", "training loss", "validation loss", "validation accuracy (0 to 1)")
    values = zip(curve.iteration, curve.train_loss, curve.validation_loss, curve.validation_accuracy, strict=True)
    return Table(columns, tuple(values))


def grid_table(grid: Grid) -> Table:
    """The cells of a heatmap as they stand."""
    columns = (grid.row_name, *(f"{grid.column_name} {name}" for name in grid.columns))
    return Table(columns, tuple((name, *values) for name, values in zip(grid.rows, grid.values, strict=True)))


def magnitudes_table(found: Magnitudes) -> Table:
    """Weights by bins of |w|, before training and after: each between 0 and its greatest."""
    bins = len(found.end)
    before = ((top * found.start_top / bins, (top + 1) * found.start_top / bins) for top in range(bins))
    after = ((top * found.end_top / bins, (top + 1) * found.end_top / bins) for top in range(bins))
    both = zip(before, found.start, after, found.end, strict=True)
    rows = tuple((*ends, count, *ends_after, count_after) for ends, count, ends_after, count_after in both)
    columns = tuple(f"{name} {when}" for when in ("before", "after") for name in ("|w| from", "|w| to", "weights"))
    return Table(columns, rows)


def runs_table(runs: Sequence[RunSummary]) -> Table:
    """A row a run."""
    columns = (
        *("run", "title", "note", "study", "data", "status", "rounds done", "rounds planned"),
        *("dense accuracy", "best accuracy", "last accuracy", "started (UTC)", "took (s)", "device"),
    )
    rows = (
        (
            *(run.id, run.title, run.note, run.study, run.dataset, run.status, run.rounds_done, run.rounds_total),
            *(run.dense, run.best, run.last, _moment(run.created), run.seconds, run.device),
        )
        for run in runs
    )
    return Table(columns, tuple(rows))


def summary_json(run: RunSummary) -> dict[str, Any]:
    """A run of a list as JSON has it; its rounds as [round, P_m in percent, accuracy]."""
    return {**asdict(run), "name": run.name, "dense": run.dense, "best": run.best, "last": run.last}


def log_table(view: RunView) -> Table:
    """A row an event."""
    rows = ((_moment(line.time), line.level, line.text) for line in view.log)
    return Table(("time (UTC)", "level", "event"), tuple(rows))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
