"""Measures: pure functions of finished rounds.

A **measure** is one function of a `FinishedRound` that returns a number for the network, or a number by layer. It is
registered with `engine.registry.measure(name, help, unit=..., low=..., high=...)`, where unit and range are optional.
Every measure is computed when a round ends (`measure_round`). `compare_rounds` measures a round against the one before
it in its trial; every pair of rounds is in `engine.analysis.pairs`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine import registry
from engine.analysis.magnitudes import histogram
from engine.analysis.measures.finished import FinishedRound
from engine.analysis.overlap import chance_jaccard, jaccard
from engine.analysis.ranks import correlations
from engine.registry import Entry
from engine.store.events import Magnitudes, Similarity

Values = dict[str, float | None]
"""Values of a measure by layer, or under "" for the whole network; None if not finite."""

__all__ = [
    "FinishedRound",
    "RoundMeasures",
    "Values",
    "compare_rounds",
    "measure_round",
    "values_of",
]


@dataclass(frozen=True)
class RoundMeasures:
    """The measures of a finished round.

    `magnitudes` by layer, empty where a weight is not finite; `measures` by name; `problems`, the measures that failed,
    with the reason.
    """

    magnitudes: dict[str, Magnitudes]
    measures: dict[str, Values]
    problems: dict[str, str] = field(default_factory=dict)


def measure_round(round: FinishedRound) -> RoundMeasures:
    """Return the distribution of the magnitudes and every registered measure of a round.

    A measure that raises is left out and reported in `problems`: it costs no training.
    """
    measures: dict[str, Values] = {}
    problems: dict[str, str] = {}
    for entry in registry.measure.entries():
        try:
            measures[entry.name] = values_of(entry, round)
        except Exception as error:  # a plug-in may raise anything
            problems[entry.name] = f"measure {entry.name!r} failed: {type(error).__name__}: {error}"
    return RoundMeasures(_magnitudes(round), measures, problems)


def compare_rounds(now: FinishedRound, before: FinishedRound) -> dict[str, Similarity]:
    """Return how alike the layers of a round and of the one before it in its trial are."""
    found = {}
    for layer, name in now.layers.items():
        mine, theirs = now.masks[name], before.masks[name]
        alive, everywhere = correlations(now.ranked[layer], before.ranked[layer])
        chance = chance_jaccard(int(np.count_nonzero(mine)), int(np.count_nonzero(theirs)), mine.size)
        found[layer] = Similarity(alive=alive, all=everywhere, jaccard=jaccard(mine, theirs), chance=chance)
    return found


def values_of(entry: Entry[Any], round: FinishedRound) -> Values:
    """Return one measure of a round. Exceptions of the measure pass through."""
    with np.errstate(all="ignore"):
        found = entry.value(round)
    values = found if isinstance(found, Mapping) else {"": found}
    return {str(layer): float(value) if math.isfinite(value) else None for layer, value in values.items()}


def _magnitudes(round: FinishedRound) -> dict[str, Magnitudes]:
    found = {}
    for layer, ranked in round.ranked.items():
        before, after = round.ordered_start[layer], ranked.values
        if not (ranked.finite and (not before.size or np.isfinite(before[-1]))):
            return {}
        (start, start_top), (end, end_top) = histogram(before), histogram(after)
        found[layer] = Magnitudes(
            start=start,
            end=end,
            start_top=start_top,
            end_top=end_top,
            start_distance=round.start_distances[layer],
            end_distance=round.end_distances[layer],
        )
    return found
