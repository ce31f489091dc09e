"""Tables of numbers for print, CSV, TSV, JSON and data frames. Pure."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from engine.spec import differences
from engine.store import RunSummary
from engine.store.events import Magnitudes, RoundFinished, Signal
from engine.store.state import mean_or_none
from engine.views.grids import Grid
from engine.views.run import ArmView, RunView
from engine.views.signals import signals_of
from engine.views.statistics import (
    Curve,
    Point,
    StudyRun,
    accuracy,
    aligned,
    compared_arms,
    early_stop,
    gains,
    margins_over,
    points,
    same_density,
)

Value: TypeAlias = str | int | float | None

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What words that a spreadsheet takes for a formula begin with."""


@dataclass(frozen=True)
class Table:
    """Columns by name, with their units, and rows of as many values; None and NaN are no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def records(self) -> list[dict[str, Value]]:
        """A dict a row, by column: what JSON and data frames are made of; NaN is None."""
        return [
            {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row}
            for row in (zip(self.columns, values, strict=True) for values in self.rows)
        ]


def csv_text(table: Table) -> str:
    """Return the table as CSV (RFC 4180). Numbers round-trip.

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


# Of a run, as it is printed


def accuracy_table(view: RunView) -> Table:
    """Return test accuracy against P_m in words: a column an arm (mean, min-max), rows at matching P_m.

    A cell whose P_m is not that of its row names its own.
    """
    rows = (
        (_numbers(cells), f"{p_m:.2f}", *(_mean_words(point, p_m) for point in cells))
        for p_m, cells in aligned([_points(arm) for arm in view.arms])
    )
    return Table(("round", "P_m %", *(arm.name for arm in view.arms)), tuple(rows))


def _points(arm: ArmView) -> list[Point]:
    """Mean test accuracy in percent of every round, NaN where no trial has a finite one."""
    found: list[Point] = []
    for number in arm.planned:
        rounds = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        values = {
            seed: it.result.test_accuracy * 100 for seed, it in enumerate(rounds) if it.result.test_accuracy is not None
        }
        if values:
            found.append(Point.of(rounds[0].p_m, number, values))
        elif rounds:
            found.append(Point(rounds[0].p_m, number, math.nan, None, math.nan, math.nan, 0))
    return found


def _numbers(cells: Sequence[Point | None]) -> str:
    """The numbers of the rounds in a row."""
    return "/".join(map(str, sorted({point.round for point in cells if point is not None})))


def _mean_words(point: Point | None, p_m: float) -> str:
    if point is None or not point.count:
        return "-"
    spread = f" ({point.low:.2f}-{point.high:.2f})" if point.count > 1 else ""
    own = "" if same_density(point.x, p_m) else f" at {point.x:.2f}%"
    return f"{point.mean:.2f}{spread}{own}"


def distance_table(view: RunView, number: int = 0) -> Table:
    """Return a round's distances from uniform, before training and after, means over the trials: a row a
    layer, a column an arm, those left out that share their rounds with one before."""
    known: dict[str, list[RoundFinished]] = {}
    for arm in view.arms:
        rounds = [trial.rounds[number] for trial in arm.trials if number in trial.rounds]
        rounds = [item for item in rounds if item.result.magnitudes]
        if rounds and rounds[0].key not in {items[0].key for items in known.values()}:
            known[arm.name] = rounds
    rows = ((layer, *(_distances(rounds, layer) for rounds in known.values())) for layer in view.layers if known)
    return Table(("layer", *known), tuple(rows))


def _distances(rounds: Sequence[RoundFinished], layer: str) -> str:
    found = [item.result.magnitudes[layer] for item in rounds]
    before = mean_or_none(item.start_distance for item in found)
    after = mean_or_none(item.end_distance for item in found)
    return f"{before:.3f} → {after:.3f}"


def show_json(view: RunView, status: str) -> dict[str, Any]:
    """Return the run in the format of `show --json`."""
    return {
        "run": view.run,
        "study": view.study,
        "status": status,
        "dataset": view.dataset.model_dump(mode="json") if view.dataset else None,
        "arms": [
            {
                "name": arm.name,
                "trials": [
                    {"seed": trial.seed, "rounds": _rounds(view, arm.name, place)}
                    for place, trial in enumerate(arm.trials)
                ],
            }
            for arm in view.arms
        ],
    }


def _rounds(view: RunView, arm: str, trial: int) -> list[Mapping[str, Any]]:
    signals = signals_of(view, arm, trial)
    return [_round(item, signals.get(item.round, ())) for item in view.arm(arm).trials[trial].rounds.values()]


def _round(item: RoundFinished, signals: Sequence[Signal]) -> Mapping[str, Any]:
    return {
        "round": item.round,
        "p_m": item.p_m,
        "survivors": item.survivors,
        "layers": {name: layer.model_dump(mode="json") for name, layer in item.result.layers.items()},
        "early_stop_iteration": item.result.early_stop_iteration,
        "validation_loss": item.result.validation_loss,
        "validation_accuracy": item.result.validation_accuracy,
        "test_accuracy": item.result.test_accuracy,
        "test_accuracy_end": item.result.test_accuracy_end,
        "test_accuracy_pruned": item.result.test_accuracy_pruned,
        "collapsed": item.result.collapsed,
        "spearman": item.spearman,
        "signals": [{"kind": it.kind, "layer": it.layer, "text": it.text} for it in signals],
        "magnitudes": {name: found.model_dump(mode="json") for name, found in item.result.magnitudes.items()},
        "measures": item.result.measures,
        "early_bird": item.result.early_bird.model_dump(mode="json") if item.result.early_bird else None,
        "seconds": item.result.seconds,
        "key": item.key,
        "reused": item.reused,
    }


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
    """Return the comparison in the format of `compare --json`."""
    found = compared_arms(runs)
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
                "name": compared.name,
                "run": compared.run.view.run,
                "arm": compared.arm,
                "accuracy": _rows(points(compared.run, compared.arm, accuracy)),
                "early_stop": _rows(points(compared.run, compared.arm, early_stop)),
                "to_dense": _rows(gains(compared.run, compared.arm, accuracy)),
                "to": None if base is None else _rows(margin),
            }
            for compared, margin in zip(found, over, strict=True)
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
