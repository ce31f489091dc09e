"""How many output units of a layer have no weight left."""

from engine.networks import layer_of
from engine.registry import measure


@measure("dead-units", "output units of a layer without a living weight", unit="share", source="an example")
def dead_units(round):
    return {layer_of(name): 1 - mask.any(axis=tuple(range(mask.ndim - 1))).mean() for name, mask in round.masks.items()}
