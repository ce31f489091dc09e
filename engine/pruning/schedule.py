"""How many weights are left after each round: decided before anything is trained."""

import math
from dataclasses import dataclass

from engine.networks import LayerShape
from engine.spec import Prune


@dataclass(frozen=True)
class PruningSchedule:
    """Survivors by round.

    `groups`: parameters ranked together, by path; each layer alone in layerwise scope, all in one in global scope.
    `survivors[k][g]`: weights left in group g in round k; round 0 is dense.
    """

    groups: tuple[tuple[str, ...], ...]
    survivors: tuple[tuple[int, ...], ...]

    def p_m(self, number: int) -> float:
        """Percentage of prunable weights left in round `number`."""
        return 100 * sum(self.survivors[number]) / sum(self.survivors[0])


def pruning_schedule(layers: tuple[LayerShape, ...], recipe: Prune) -> PruningSchedule:
    """The ladder of P_m.

    By rounds, each takes `round(rate * survivors)` weights of each group, half to even. By levels, every group
    is at `size * (1 - rate) ** t`, rounded, with the t at which all together are at the level: where rounds of
    these rates would pass it.
    """
    if recipe.scope == "global":
        groups: tuple[tuple[str, ...], ...] = (tuple(layer.parameter for layer in layers),)
        rates = [recipe.rate]
        sizes = [sum(layer.size for layer in layers)]
    else:
        groups = tuple((layer.parameter,) for layer in layers)
        rates = [recipe.rate_of(layer.kind) for layer in layers]
        sizes = [layer.size for layer in layers]
    steps = [tuple(sizes)]
    if recipe.levels:
        steps += [_at_level(sizes, rates, level / 100) for level in recipe.levels]
    else:
        for _ in range(recipe.rounds):
            steps.append(tuple(left - round(rate * left) for left, rate in zip(steps[-1], rates, strict=True)))
    return PruningSchedule(groups, tuple(steps))


def _at_level(sizes: list[int], rates: list[float], level: float) -> tuple[int, ...]:
    from scipy.optimize import brentq  # here: a ladder by rounds is not to wait for SciPy

    # In units of the fastest group's time, so that the smallest rates get there too.
    decays = [math.log1p(-rate) for rate in rates]
    decays = [decay / -min(decays) for decay in decays]

    def left(time: float) -> list[float]:
        return [size * math.exp(decay * time) for size, decay in zip(sizes, decays, strict=True)]

    def excess(time: float) -> float:
        return sum(left(time)) - level * sum(sizes)

    end = 1.0
    while excess(end) > 0:
        end *= 2
    return tuple(round(count) for count in left(brentq(excess, 0.0, end)))
