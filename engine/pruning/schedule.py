"""The pruning schedule: the number of survivors of each round, fixed before training."""

import math
from dataclasses import dataclass

from engine.networks import LayerShape
from engine.spec import Prune


@dataclass(frozen=True)
class PruningSchedule:
    """Survivors by round.

    `groups`: parameters ranked together, by path; one for each layer in layerwise scope, one in all in global scope.
    `survivors[k][g]`: weights left in group g in round k; round 0 is dense.
    """

    groups: tuple[tuple[str, ...], ...]
    survivors: tuple[tuple[int, ...], ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that have a mask, in order of depth."""
        return tuple(name for group in self.groups for name in group)

    def p_m(self, number: int) -> float:
        """Percentage of prunable weights left in round `number`."""
        return 100 * sum(self.survivors[number]) / sum(self.survivors[0])


def pruned_layers(layers: tuple[LayerShape, ...], recipe: Prune) -> tuple[LayerShape, ...]:
    """Return the layers that have a mask: all except those named in `unpruned`, by layer or kind.

    Raises ValueError, with what is allowed, for a name that no layer or kind has and where no layer is left.
    """
    names = {layer.name for layer in layers} | {layer.kind for layer in layers}
    if unknown := [name for name in recipe.unpruned if name not in names]:
        kinds = dict.fromkeys(layer.kind for layer in layers)
        known = ", ".join(dict.fromkeys((*kinds, *(layer.name for layer in layers))))
        raise ValueError(f"kinds and names of the network's layers, not {unknown[0]!r}: {known}")
    left = tuple(layer for layer in layers if not {layer.name, layer.kind} & set(recipe.unpruned))
    if not left:
        raise ValueError("not all layers of the network")
    return left


def pruning_schedule(layers: tuple[LayerShape, ...], recipe: Prune) -> PruningSchedule:
    """The survivors of every round, of the layers that are pruned.

    With `rounds`, each round prunes `round(rate * survivors)` weights of each group, half to even. With `levels`,
    every group has `size * (1 - rate) ** t` survivors, rounded, for the t at which all groups together are at the
    level. Raises ValueError as `pruned_layers` does.
    """
    layers = pruned_layers(layers, recipe)
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
    from scipy.optimize import brentq  # slow to import

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
