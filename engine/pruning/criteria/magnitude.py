"""Criteria of a weight's first and last value (Zhou et al. 2019, arXiv 1905.01067, figure 3), and random pruning."""

from typing import TYPE_CHECKING

from engine.pruning.criteria.base import LayerWeights
from engine.registry import criterion

if TYPE_CHECKING:
    from engine.pruning.criteria.base import Kernel

ZHOU = "Zhou et al. 2019, figure 3"


@criterion("magnitude", "prune the smallest weights", source="Frankle & Carbin 2019; Zhou et al. 2019, large_final")
def magnitude(w: LayerWeights) -> "Kernel":
    return abs(w.end)


@criterion("largest", "prune the largest weights", source=f"{ZHOU}, small_final")
def largest(w: LayerWeights) -> "Kernel":
    return -abs(w.end)


@criterion("random", "prune weights at random")
def random(w: LayerWeights) -> "Kernel":
    return w.uniform()


@criterion("large-init", "prune the weights that started smallest", source=ZHOU)
def large_init(w: LayerWeights) -> "Kernel":
    return abs(w.start)


@criterion("small-init", "prune the weights that started largest", source=ZHOU)
def small_init(w: LayerWeights) -> "Kernel":
    return -abs(w.start)


@criterion("large-init-large-final", "keep weights that are large before and after training", source=f"{ZHOU}, alpha 1")
def large_init_large_final(w: LayerWeights) -> "Kernel":
    return abs(w.start).clip(max=abs(w.end))


@criterion("small-init-small-final", "keep weights that are small before and after training", source=f"{ZHOU}, alpha 1")
def small_init_small_final(w: LayerWeights) -> "Kernel":
    return -abs(w.start).clip(min=abs(w.end))


@criterion("magnitude-increase", "prune the weights that grew least", source=ZHOU)
def magnitude_increase(w: LayerWeights) -> "Kernel":
    return abs(w.end) - abs(w.start)


@criterion("movement", "prune the weights that moved least", source=ZHOU)
def movement(w: LayerWeights) -> "Kernel":
    return abs(w.end - w.start)
