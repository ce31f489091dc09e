"""A finished round as measures see it."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.analysis.magnitudes import distance_from_uniform
from engine.analysis.ranks import RankedLayer
from engine.networks import Snapshot, layer_of

Masks = Mapping[str, NDArray[np.bool_]]
ByLayer = dict[str, NDArray[np.float32]]


class FinishedRound:
    """The networks that a round started and ended with, and what measures of it share, each computed once when asked
    for.

    **Arguments:** `masks` by parameter, True where a weight is left; `final`, the network after the last iteration;
    `start`, the network that the treatment names, before pruning and clamping, or a function that makes it.
    """

    def __init__(self, masks: Masks, final: Snapshot, start: Snapshot | Callable[[], Snapshot]):
        self.masks, self.final = masks, final
        self._start = start

    @cached_property
    def start(self) -> Snapshot:
        """The network that the treatment names, before pruning and clamping."""
        return self._start if isinstance(self._start, Snapshot) else self._start()

    @cached_property
    def layers(self) -> dict[str, str]:
        """The parameter of every layer with a mask, by the name of the layer, in order of depth."""
        return {layer_of(name): name for name in self.masks}

    @cached_property
    def start_weights(self) -> ByLayer:
        """The weights `[n]` that the survivors of every layer start from, in the order of the flat layer."""
        return self._survivors(self.start)

    @cached_property
    def end_weights(self) -> ByLayer:
        """The survivors `[n]` of every layer at the end, in the order of the flat layer."""
        return self._survivors(self.final)

    @cached_property
    def ordered_start(self) -> ByLayer:
        """The magnitudes of `start_weights` in rising order."""
        return {layer: np.sort(np.abs(values)) for layer, values in self.start_weights.items()}

    @cached_property
    def ranked(self) -> dict[str, RankedLayer]:
        """The survivors of every layer at the end in rising |w|."""
        return {layer: RankedLayer.of(self.end_weights[layer], self.masks[name]) for layer, name in self.layers.items()}

    @cached_property
    def start_distances(self) -> dict[str, float]:
        """How far the magnitudes of `start_weights` are from uniform, by layer."""
        return {layer: distance_from_uniform(values) for layer, values in self.ordered_start.items()}

    @cached_property
    def end_distances(self) -> dict[str, float]:
        """How far the magnitudes of `end_weights` are from uniform, by layer."""
        return {layer: distance_from_uniform(ranked.values) for layer, ranked in self.ranked.items()}

    def _survivors(self, network: Snapshot) -> ByLayer:
        found = {}
        for layer, name in self.layers.items():
            mask, weights = self.masks[name], network.params[name]
            found[layer] = weights.ravel() if mask.all() else weights[mask]
        return found
