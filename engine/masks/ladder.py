"""How many weights are left after each round: decided before anything is trained."""

from dataclasses import dataclass

from engine.networks import LayerShape
from engine.spec import Prune


@dataclass(frozen=True)
class Ladder:
    """Survivors by round.

    `groups`: layers ranked together, by name; each layer alone in layerwise scope, all in one in global scope.
    `survivors[k][g]`: weights left in group g in round k; round 0 is dense.
    """

    groups: tuple[tuple[str, ...], ...]
    survivors: tuple[tuple[int, ...], ...]

    def p_m(self, number: int) -> float:
        """Percentage of prunable weights left in round `number`."""
        return 100 * sum(self.survivors[number]) / sum(self.survivors[0])


def ladder(layers: tuple[LayerShape, ...], recipe: Prune) -> Ladder:
    """The ladder of P_m: each round takes `round(rate * survivors)` weights of each group, half to even."""
    if recipe.scope == "global":
        groups: tuple[tuple[str, ...], ...] = (tuple(layer.name for layer in layers),)
        rates = [recipe.rate]
        sizes = [sum(layer.size for layer in layers)]
    else:
        groups = tuple((layer.name,) for layer in layers)
        rates = [recipe.rate_of(layer.kind) for layer in layers]
        sizes = [layer.size for layer in layers]
    steps = [tuple(sizes)]
    for _ in range(recipe.rounds):
        steps.append(tuple(left - round(rate * left) for left, rate in zip(steps[-1], rates, strict=True)))
    return Ladder(groups, tuple(steps))
