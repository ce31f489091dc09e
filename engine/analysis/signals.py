"""What a series of numbers says: stabilisation and collapse, each by a stated rule."""

from collections.abc import Sequence

STABLE, STABLE_RUN = 0.8, 2
COLLAPSED, ONCE = 0.1, 0.3
CHANCE_FACTOR = 1.5

STABLE_RULE = f"rank correlation with the round before at least {STABLE} in {STABLE_RUN} rounds running"
COLLAPSE_RULE = f"rank correlation with the round before at most {COLLAPSED}, after at least {ONCE}"
CHANCE_RULE = f"validation accuracy at most {CHANCE_FACTOR} times chance"


def stabilised(series: Sequence[float | None]) -> bool:
    """Whether the newest value completes, for the first time, a run of stable ones."""
    stable = [value is not None and value >= STABLE for value in series]
    runs = [all(stable[end - STABLE_RUN : end]) for end in range(STABLE_RUN, len(stable) + 1)]
    return bool(runs) and runs[-1] and not any(runs[:-1])


def ranks_collapsed(series: Sequence[float | None]) -> bool:
    """Whether the newest value is, for the first time, collapsed."""
    highest, fallen = -1.0, [False]
    for value in series:
        fallen.append(value is not None and value <= COLLAPSED and highest >= ONCE)
        highest = max(highest, -1.0 if value is None else value)
    return fallen[-1] and not any(fallen[:-1])


def at_chance(accuracy: float, classes: int) -> bool:
    """Whether an accuracy (0 to 1) is no better than chance, within a factor."""
    return accuracy <= CHANCE_FACTOR / classes
