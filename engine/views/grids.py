"""Grids: the data of heatmaps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

from engine import registry
from engine.store.events import RoundFinished, Signal, SignalKind, Similarity
from engine.views.run import RunView
from engine.views.signals import round_marks, signals_of

Measure: TypeAlias = str
"""One of MEASURES, or the name of a registered measure."""
MEASURES: dict[str, str] = {
    "alive": "Spearman of |w|, alive in both",
    "all": "Spearman of |w|, all weights",
    "jaccard": "Jaccard overlap of masks",
    "chance": "Jaccard overlap of random masks",
}
"""Measures of two rounds."""
NETWORK = "network"
"""The row of a measure of the whole network."""

Pairs = Mapping[tuple[str, str], Mapping[str, Similarity]]
"""Similarity by layer, by the key of the later round and that of the earlier one."""
Marks = Mapping[int, tuple[SignalKind, ...]]


@dataclass(frozen=True)
class Grid:
    """A table of cells: `values[row][column]`, NaN where there is none; correlations from -1 to 1.

    `marks`: signals of cells; `row_marks` and `column_marks`: signals of whole rows and columns.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    row_name: str
    column_name: str
    marks: Mapping[tuple[int, int], SignalKind] = field(default_factory=dict)
    row_marks: Marks = field(default_factory=dict)
    column_marks: Marks = field(default_factory=dict)

    @property
    def kinds(self) -> set[SignalKind]:
        """The kinds of signals that are marked."""
        whole = (kind for marks in (self.row_marks, self.column_marks) for kinds in marks.values() for kind in kinds)
        return {*self.marks.values(), *whole}


def measure_names() -> tuple[str, ...]:
    """Return the measures of a grid of layers by round: MEASURES, then the registered measures."""
    return (*MEASURES, *registry.measure.names())


def measure_words(measure: Measure) -> str:
    """Return the description of a measure; its name if it is not registered."""
    if measure in MEASURES:
        return MEASURES[measure]
    if measure not in registry.measure:
        return measure
    entry = registry.measure.entry(measure)
    unit = entry.facts.get("unit", "")
    return f"{measure}: {entry.help}{f' ({unit})' if unit else ''}"


def layer_grid(view: RunView, arm: str, trial: int, measure: Measure = "alive") -> Grid:
    """Layer by round: each round against the one before it in the trial, or a registered measure of each round."""
    rounds = view.arm(arm).trials[trial].rounds
    between = measure in MEASURES
    numbers = [number for number in view.arm(arm).planned if number > 0 or not between]
    whole = not between and any("" in item.result.measures.get(measure, {}) for item in rounds.values())
    rows = (NETWORK,) if whole else tuple(view.layers)
    values = tuple(
        tuple(_measured(rounds[number], name, measure) if number in rounds else math.nan for number in numbers)
        for name in rows
    )
    signals = signals_of(view, arm, trial)
    marks = {
        (row, numbers.index(number)): kind
        for row, name in enumerate(rows)
        for number, kind in _transitions(signals, name).items()
        if between
    }
    title = f"{measure_words(measure)}: each round with the one before" if between else measure_words(measure)
    axis = _round_marks(rounds, numbers)
    return Grid(title, rows, tuple(map(str, numbers)), values, "layer", "round", marks, column_marks=axis)


def _measured(item: RoundFinished, row: str, measure: Measure) -> float:
    """One cell of a grid of layers by round."""
    if measure in MEASURES:
        return _number(getattr(item.similarity[row], measure)) if row in item.similarity else math.nan
    return _number(item.result.measures.get(measure, {}).get("" if row == NETWORK else row))


def round_grid(
    view: RunView, arm: str, trial: int, layer: str, measure: Measure = "alive", pairs: Pairs | None = None
) -> Grid:
    """Round by round of one layer; symmetric, 1 on the diagonal.

    Neighbours are in the view; other pairs come from `pairs` (`engine.analysis.pairs`), if computed.
    """
    rounds = view.arm(arm).trials[trial].rounds
    planned = view.arm(arm).planned
    cells: dict[tuple[int, int], float] = {(number, number): 1.0 for number in rounds}
    for earlier, later in combinations(rounds, 2):
        found = similarity_of(rounds, (earlier, later), pairs or {}).get(layer)
        if found is not None:
            cells[earlier, later] = cells[later, earlier] = _number(getattr(found, measure))
    values = tuple(tuple(cells.get((row, column), math.nan) for column in planned) for row in planned)
    labels = tuple(map(str, planned))
    marks: dict[tuple[int, int], SignalKind] = {}
    for number, kind in _transitions(signals_of(view, arm, trial), layer).items():
        place = planned.index(number)
        marks[place, place - 1] = marks[place - 1, place] = kind
    axis = _round_marks(rounds, planned)
    title = f"{layer}: {MEASURES[measure]}, every pair of rounds"
    return Grid(title, labels, labels, values, "round", "round", marks, axis, axis)


def similarity_of(rounds: Mapping[int, RoundFinished], pair: tuple[int, int], pairs: Pairs) -> Mapping[str, Similarity]:
    """Return the similarity of two rounds, `pair` in rising order, by layer; empty if unknown."""
    earlier, later = pair
    if earlier not in rounds or later not in rounds:
        return {}
    if earlier == max((number for number in rounds if number < later), default=None):
        return rounds[later].similarity
    return pairs.get((rounds[later].key, rounds[earlier].key), {})


def early_bird_grid(view: RunView, arm: str, trial: int) -> Grid:
    """Round by epoch: the distance (0 to 1) between the masks that pruning after this epoch and after the previous one
    would give. Empty if no early bird was watched for."""
    rounds = view.arm(arm).trials[trial].rounds
    planned = view.arm(arm).planned
    birds = {number: item.result.early_bird for number, item in rounds.items() if item.result.early_bird is not None}
    epochs = max((len(bird.distances) for bird in birds.values()), default=0)
    values = tuple(
        (*birds[number].distances, *[math.nan] * (epochs - len(birds[number].distances)))
        if number in birds
        else (math.nan,) * epochs
        for number in planned
    )
    # Distances begin with the second epoch.
    marks: dict[tuple[int, int], SignalKind] = {
        (planned.index(number), bird.found - 2): "early-bird"
        for number, bird in birds.items()
        if bird.found is not None
    }
    collapsed: Marks = {
        row: ("collapsed",) for row, it in enumerate(planned) if it in rounds and rounds[it].result.collapsed
    }
    columns = tuple(str(epoch) for epoch in range(2, epochs + 2))
    title = "mask distance: each epoch with the one before"
    return Grid(title, tuple(map(str, planned)), columns, values, "round", "epoch", marks, collapsed)


@dataclass(frozen=True)
class GridLine:
    """A row of a grid as a line: parallel tuples, a point a cell. `rounds` are those of the points, `marks` what they
    signal."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    rounds: tuple[int, ...]
    marks: tuple[tuple[SignalKind, ...], ...]


def layer_lines(view: RunView, arm: str, trial: int, measure: Measure = "alive") -> list[GridLine]:
    """The grid of layers by round as lines, against P_m in percent; of the rounds that are known."""
    grid, rounds = layer_grid(view, arm, trial, measure), view.arm(arm).trials[trial].rounds
    known = [(place, int(number)) for place, number in enumerate(grid.columns) if int(number) in rounds]
    return [
        GridLine(
            name,
            tuple(rounds[number].p_m for _, number in known),
            tuple(values[place] for place, _ in known),
            tuple(number for _, number in known),
            tuple(_marks_at(grid, row, place) for place, _ in known),
        )
        for row, (name, values) in enumerate(zip(grid.rows, grid.values, strict=True))
    ]


def early_bird_lines(view: RunView, arm: str, trial: int) -> list[GridLine]:
    """The grid of mask distances as lines, one for each round that was watched, against the epoch."""
    grid = early_bird_grid(view, arm, trial)
    return [
        GridLine(
            f"r{number}",
            tuple(map(float, grid.columns)),
            values,
            (int(number),) * len(values),
            tuple(_marks_at(grid, row, place) for place in range(len(values))),
        )
        for row, (number, values) in enumerate(zip(grid.rows, grid.values, strict=True))
        if any(map(math.isfinite, values))
    ]


def _marks_at(grid: Grid, row: int, column: int) -> tuple[SignalKind, ...]:
    return (grid.marks[row, column],) if (row, column) in grid.marks else ()


def _transitions(signals: Mapping[int, tuple[Signal, ...]], layer: str) -> dict[int, SignalKind]:
    """The rounds in which a layer's ranking stabilised or collapsed."""
    return {number: signal.kind for number, told in signals.items() for signal in told if signal.layer == layer}


def _round_marks(rounds: Mapping[int, RoundFinished], numbers: tuple[int, ...] | list[int]) -> Marks:
    """By place in `numbers`: whether the round's accuracy was at chance, and whether it had an early bird."""
    found: dict[int, tuple[SignalKind, ...]] = {}
    for place, number in enumerate(numbers):
        if number in rounds and (kinds := round_marks(rounds[number])):
            found[place] = kinds
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else value
