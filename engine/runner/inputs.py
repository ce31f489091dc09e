"""What a round is made from: masks, the weights that survivors start at, examples in their order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import datasets
from engine.datasets import Dataset, Split
from engine.errors import LabError
from engine.experiment import (
    FinalWeights,
    FullMask,
    InitialWeights,
    Plan,
    Pruned,
    RandomMask,
    Round,
    ShuffledWeights,
    SnapshotWeights,
    TicketMask,
)
from engine.networks import Snapshot, initial_weights
from engine.pruning import (
    Masks,
    Weights,
    full_masks,
    masked,
    prune,
    random_masks,
    reshuffled,
    scores,
    with_signs,
)
from engine.rng import BOUND_STREAM, uniform
from engine.spec import Data
from engine.store import StoredRound
from engine.training import Lane, batch_order, learning_rates

_KEPT = 16


class Lost(LabError):
    """A round that was kept cannot be read any more."""

    def __init__(self, key: str, path: Path):
        super().__init__(f"{path}: a round that was kept cannot be read any more")
        self.key = key


@dataclass(frozen=True, eq=False)
class RoundInputs:
    """A round ready to be trained: its lane, and the weights that the treatment names, before any is pruned."""

    lane: Lane
    named: Snapshot
    rows: NDArray[np.int32]


class InputBuilder:
    """Makes the rounds of a plan from the data, seeds, and rounds that are stored. Raises Lost for one that is not."""

    def __init__(self, plan: Plan, dataset: Dataset, split: Split, finished: Callable[[str], StoredRound]):
        self._plan, self._dataset, self._split, self.stored = plan, dataset, split, finished
        self._initial = lru_cache(_KEPT)(self._drawn)
        self._rows = lru_cache(_KEPT)(self._chosen)
        self._order = lru_cache(_KEPT)(self._ordered)

    def ingredients(self, item: Round) -> RoundInputs:
        """What a round needs, the rounds that it needs being stored."""
        masks = self.masks(item)
        bounds = self._bounds(item)
        begin = self.start(item)
        named = Snapshot(_clipped(begin.params, bounds), begin.state)
        rates = learning_rates(item.train)
        rates = np.full_like(rates, rates[-1]) if item.fine_tuned else rates
        lane = Lane(
            start=Snapshot(masked(named.params, masks), named.state),
            masks=masks,
            order=self._order(item.data, item.train.batch, item.train.iterations, item.seed)[item.first :],
            rates=rates[item.first :],
            validation=self._split.validation,
            mean=self._split.mean,
            std=self._split.std,
            seed=item.seed,
            bounds=bounds,
        )
        return RoundInputs(lane, named, self._rows(item.data, item.seed))

    def masks(self, item: Round) -> Masks:
        """The masks of a round."""
        match item.masks:
            case FullMask():
                return full_masks(self._plan.layers)
            case Pruned(parent=parent):
                before = self.stored(parent)
                return self.pruned(self._plan.rounds[parent], before.masks, before.final.params, item)
            case TicketMask(ticket=ticket):
                return self.stored(ticket).masks
            case RandomMask(ticket=ticket, seed=seed):
                return random_masks(self.stored(ticket).masks, seed)

    def pruned(self, parent: Round, masks: Masks, weights: Weights, item: Round) -> Masks:
        """The masks that `item` has if its `parent` has these masks and ends with these weights."""
        assert isinstance(item.masks, Pruned)
        start = weights
        if item.masks.criterion != "magnitude":
            start = _clipped(self.start(parent).params, self._bounds(parent))
        return prune(scores(item.masks.criterion, start, weights, masks, item.seed), masks, item.schedule, item.number)

    def early_bird_mask(self, item: Round, masks: Masks, weights: Weights) -> Masks:
        """The magnitude mask that the round after `item` would have, were these its last weights."""
        return prune(scores("magnitude", weights, weights, masks, item.seed), masks, item.schedule, item.number + 1)

    def start(self, item: Round) -> Snapshot:
        """What a round starts at, before anything is pruned."""
        match item.start:
            case InitialWeights(seed=seed):
                begin = self._initial(seed)
            case ShuffledWeights(seed=seed, draw=draw):
                begin = self._initial(seed)
                begin = Snapshot(reshuffled(begin.params, self.masks(item), draw), begin.state)
            case SnapshotWeights(parent=parent, iteration=iteration):
                begin = self.stored(parent).marks[iteration]
            case FinalWeights(parent=parent):
                begin = self.stored(parent).final
        if item.signs is None:
            return begin
        return Snapshot(with_signs(begin.params, self._initial(item.signs).params, self.masks(item)), begin.state)

    def _drawn(self, seed: int) -> Snapshot:
        return initial_weights(self._plan.network, seed)

    def _chosen(self, data: Data, seed: int) -> NDArray[np.int32]:
        if data.subset == "random":
            return datasets.random_subset(self._split, data.fraction, seed)
        return datasets.stratified_subset(self._dataset, self._split, data.fraction, seed)

    def _ordered(self, data: Data, batch: int, iterations: int, seed: int) -> NDArray[np.int32]:
        return batch_order(self._rows(data, seed), batch, iterations, seed)

    def _bounds(self, item: Round) -> dict[str, NDArray[np.float32]]:
        """The bound of every weight's magnitude, where the recipe clamps: uniform from 0 to `clamp` times the
        standard deviation of the layer's initial weights, each round of a trial its own draw."""
        if item.train.clamp is None:
            return {}
        bounds = {}
        initial = self._initial(item.seed).params
        for depth, layer in enumerate(self._plan.layers):
            kernel = initial[layer.parameter]
            drawn = uniform(kernel.size, item.seed, BOUND_STREAM, item.number, depth).reshape(kernel.shape)
            bounds[layer.parameter] = (drawn * np.float32(item.train.clamp * kernel.std())).astype(np.float32)
        return bounds


def _clipped(weights: Weights, bounds: dict[str, NDArray[np.float32]]) -> Weights:
    return {
        name: np.clip(array, -bounds[name], bounds[name]) if name in bounds else array
        for name, array in weights.items()
    }
