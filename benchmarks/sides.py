"""Two or more ways of doing the same work, measured in turn."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of several measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}-{self.high:{spec}})"


class Sides:
    """Rates of several sides over several rounds; ratios are taken within a round, where the machine was the same."""

    def __init__(self, sides: Mapping[str, Callable[[], float]], rounds: int):
        for measure in sides.values():
            measure()
        self._rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds):
            order = list(sides.items())
            for name, measure in order if number % 2 == 0 else reversed(order):
                self._rates[name].append(measure())

    def rate(self, name: str) -> Spread:
        return Spread.of(self._rates[name])

    def ratio(self, first: str, second: str) -> Spread:
        return Spread.of([a / b for a, b in zip(self._rates[first], self._rates[second], strict=True)])


def line(what: str, found: Spread, target: float | None = None, *, at_most: bool = False, unit: str = "") -> bool:
    """Print a figure beside its target; whether the median meets it."""
    met = target is None or (found.median <= target if at_most else found.median >= target)
    goal = "" if target is None else f"   target {'at most' if at_most else 'at least'} {target:g}{unit}"
    print(f"{'  ' if met else '! '}{what:62} {found:.2f}{unit}{goal}")
    return met
