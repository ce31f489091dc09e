"""What a round is made from: masks, the weights that survivors start at, examples in their order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import datasets
from engine.datasets import Dataset, Split
from engine.draws import uniform
from engine.errors import LabError
from engine.lanes import Lane, batch_order, learning_rates
from engine.masks import (
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
from engine.networks.build import initial_weights
from engine.plan import Dense, Final, Initial, Marked, Plan, Pruned, RandomLike, Round, SameAs, Shuffled
from engine.spec import Data
from engine.store import RoundStore, StoredRound

_KEPT = 16
# Keeps these draws apart from others that are made from the same seed.
_BOUND_STREAM = 0xC1A3


class Lost(LabError):
    """A round that was kept cannot be read any more."""

    def __init__(self, key: str, path: Path):
        super().__init__(f"{path}: a round that was kept cannot be read any more")
        self.key = key


@dataclass(frozen=True, eq=False)
class Ingredients:
    """A round ready to be trained: its lane, and the weights that the treatment names, before any is pruned."""

    lane: Lane
    named: Weights
    rows: NDArray[np.int32]


class Maker:
    """Makes the rounds of a plan from the data, seeds, and rounds that are stored. Raises Lost for one that is not."""

    def __init__(self, plan: Plan, dataset: Dataset, split: Split, rounds: RoundStore):
        self._plan, self._dataset, self._split, self._rounds = plan, dataset, split, rounds
        self.stored: Callable[[str], StoredRound] = lru_cache(_KEPT)(self._read)
        self._initial = lru_cache(_KEPT)(self._drawn)
        self._rows = lru_cache(_KEPT)(self._chosen)
        self._order = lru_cache(_KEPT)(self._ordered)

    def ingredients(self, item: Round) -> Ingredients:
        """What a round needs, the rounds that it needs being stored."""
        masks = self.masks(item)
        bounds = self._bounds(item)
        named = _clipped(self.start(item), bounds)
        rates = learning_rates(item.train)
        rates = np.full_like(rates, rates[-1]) if item.fine_tuned else rates
        lane = Lane(
            start=masked(named, masks),
            masks=masks,
            order=self._order(item.data, item.train.batch, item.train.iterations, item.seed)[item.first :],
            rates=rates[item.first :],
            validation=self._split.validation,
            mean=self._split.mean,
            std=self._split.std,
            seed=item.seed,
            bounds=bounds,
        )
        return Ingredients(lane, named, self._rows(item.data, item.seed))

    def masks(self, item: Round) -> Masks:
        """The masks of a round."""
        match item.masks:
            case Dense():
                return full_masks(self._plan.layers)
            case Pruned(parent=parent):
                before = self.stored(parent)
                return self.pruned(self._plan.rounds[parent], before.masks, before.final, item)
            case SameAs(ticket=ticket):
                return self.stored(ticket).masks
            case RandomLike(ticket=ticket, seed=seed):
                return random_masks(self.stored(ticket).masks, seed)

    def pruned(self, parent: Round, masks: Masks, weights: Weights, item: Round) -> Masks:
        """The masks that `item` has if its `parent` has these masks and ends with these weights."""
        assert isinstance(item.masks, Pruned)
        start = weights
        if item.masks.criterion != "magnitude":
            start = _clipped(self.start(parent), self._bounds(parent))
        return prune(scores(item.masks.criterion, start, weights, item.seed), masks, item.ladder, item.number)

    def early_bird_mask(self, item: Round, masks: Masks, weights: Weights) -> Masks:
        """The magnitude mask that the round after `item` would have, were these its last weights."""
        return prune(scores("magnitude", weights, weights, item.seed), masks, item.ladder, item.number + 1)

    def start(self, item: Round) -> Weights:
        """The weights that a round's survivors start at, of dead ones too."""
        match item.start:
            case Initial(seed=seed):
                weights = self._initial(seed)
            case Shuffled(seed=seed, draw=draw):
                weights = reshuffled(self._initial(seed), self.masks(item), draw)
            case Marked(parent=parent, iteration=iteration):
                weights = self.stored(parent).marks[iteration]
            case Final(parent=parent):
                weights = self.stored(parent).final
        return weights if item.signs is None else with_signs(weights, self._initial(item.signs))

    def _read(self, key: str) -> StoredRound:
        stored = self._rounds.read(key)
        if stored is None:
            raise Lost(key, self._rounds.path(key))
        return stored

    def _drawn(self, seed: int) -> Weights:
        return initial_weights(
            self._plan.study.base.network.name, self._dataset.image_shape, self._dataset.classes, seed
        )

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
        for depth, (name, tensors) in enumerate(self._initial(item.seed).items()):
            kernel = tensors["kernel"]
            drawn = uniform(kernel.size, item.seed, _BOUND_STREAM, item.number, depth).reshape(kernel.shape)
            bounds[name] = (drawn * np.float32(item.train.clamp * kernel.std())).astype(np.float32)
        return bounds


def _clipped(weights: Weights, bounds: dict[str, NDArray[np.float32]]) -> Weights:
    return {
        name: {**tensors, "kernel": np.clip(tensors["kernel"], -bounds[name], bounds[name])} if bounds else tensors
        for name, tensors in weights.items()
    }
