"""What a round is trained with: its masks, the weights that it starts from, its examples in their order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from engine import datasets
from engine.datasets import Dataset, Split
from engine.experiment import Plan, Round, RoundSources
from engine.networks import Snapshot, initial_weights
from engine.pruning import (
    Masks,
    TrainedWeights,
    Weights,
    full_masks,
    invariants,
    masked,
    prune,
    scores,
    with_signs,
)
from engine.rng import BOUND_STREAM, GRADIENT_STREAM, permutation, uniform
from engine.runner.gradients import mean_gradient
from engine.spec import Data, round_seed
from engine.store import StoredRound
from engine.training import Lane, batch_order, learning_rates

_KEPT = 16


@dataclass(frozen=True, eq=False)
class RoundInputs:
    """A round ready to be trained: its lane, the weights that the treatment names, before any is pruned, and the
    training examples that it learns from, sorted."""

    lane: Lane
    named: Snapshot
    rows: NDArray[np.int32]


class InputBuilder:
    """Makes the inputs of a plan's rounds. `finished` gives a finished round by key, and raises where there is none."""

    def __init__(self, plan: Plan, dataset: Dataset, split: Split, finished: Callable[[str], StoredRound]):
        self._plan, self._dataset, self._split, self._finished = plan, dataset, split, finished
        self._initial = lru_cache(_KEPT)(partial(initial_weights, plan.network))
        self._rows = lru_cache(_KEPT)(self._chosen)
        self._statistics = lru_cache(_KEPT)(self._measured)
        self._order = lru_cache(_KEPT)(self._ordered)

    def ingredients(self, item: Round) -> RoundInputs:
        """What a round is trained with. The rounds that it needs must be finished."""
        masks = self.masks(item)
        bounds = self._bounds(item)
        begin = self.start(item, masks)
        named = Snapshot(_clipped(begin.params, bounds), begin.state)
        rates = learning_rates(item.train)
        if item.treatment.constant_lr:
            rates = np.full_like(rates, rates[-1])
        mean, std = self._statistics(item.data, item.seed)
        lane = Lane(
            start=Snapshot(masked(named.params, masks), named.state),
            masks=masks,
            order=self._order(item.data, item.train.batch, item.train.iterations, item.seed, item.order_seed)[
                item.start_iteration :
            ],
            rates=rates[item.start_iteration :],
            validation=self._split.validation,
            mean=mean,
            std=std,
            seed=item.order_seed,
            bounds=bounds,
            first=item.start_iteration,
        )
        return RoundInputs(lane, named, self._rows(item.data, item.seed))

    def masks(self, item: Round) -> Masks:
        """The masks of a round."""
        if item.number == 0:
            return full_masks(item.layers)
        return item.arm.masks(self._sources(item))

    def check_masks(self, item: Round, masks: Masks) -> None:
        """Check masks that a round was trained with. Raises InvariantViolated."""
        if item.number == 0:
            invariants.on_schedule(masks, item.schedule, 0)
        else:
            item.arm.check(masks, self._sources(item))

    def pruned(self, item: Round, parent: Round, masks: Masks, weights: Snapshot) -> Masks:
        """The masks of `item` if `parent` has these masks and ends with these weights."""
        return self._next(item, parent, masks, weights, item.number)

    def early_bird_mask(self, item: Round, masks: Masks, weights: Snapshot) -> Masks:
        """The masks that the round after `item` would have if these were its final weights."""
        return self._next(item, item, masks, weights, item.number + 1)

    def start(self, item: Round, masks: Masks | None = None) -> Snapshot:
        """What a round starts from, before anything is pruned. `masks`: its masks, where they are at hand."""
        w = self._sources(item, masks)
        begin = item.treatment.weights(w)
        if not item.keep_signs:
            return begin
        return Snapshot(with_signs(begin.params, self._initial(item.seed).params, w.masks), begin.state)

    def _sources(self, item: Round, masks: Masks | None = None) -> RoundSources:
        def pruned() -> Masks:
            parent = self._plan.rounds[keys["parent"]]
            before = self._finished(parent.key)
            return self.pruned(item, parent, before.masks, before.final)

        keys = {source.role: source.key for source in item.inputs}
        return RoundSources(
            number=item.number,
            layers=item.layers,
            schedule=item.schedule,
            seed=item.seed,
            own_seed=item.own_seed,
            round_seed=round_seed(item.seed, item.number),
            weights_seed=item.weights_seed,
            keys=keys,
            drawn=self._initial,
            pruned=pruned,
            made=lambda: self.masks(item) if masks is None else masks,
            finished=self._finished,
        )

    def _next(self, item: Round, parent: Round, masks: Masks, weights: Snapshot, number: int) -> Masks:
        trained = TrainedWeights(
            layers=item.layers,
            masks=masks,
            number=number,
            seed=item.seed,
            start=lru_cache(1)(lambda: _clipped(self.start(parent).params, self._bounds(parent))),
            end=lambda: weights.params,
            gradient=lru_cache(1)(lambda examples: self._gradient(parent, weights, examples)),
        )
        return prune(scores(item.prune.criterion, trained, item.prune.parameters), masks, item.schedule, number)

    def _gradient(self, item: Round, weights: Snapshot, examples: int) -> Weights:
        """The gradient of the mean loss over `examples` of the round's training examples, all if it has fewer."""
        rows = self._rows(item.data, item.seed)
        chosen = np.sort(rows[permutation(len(rows), item.seed, GRADIENT_STREAM)[:examples]])
        mean, std = self._statistics(item.data, item.seed)
        images, labels = self._dataset.train_images[chosen], self._dataset.train_labels[chosen]
        return mean_gradient(self._plan.network, weights, images, labels, mean, std)

    def _chosen(self, data: Data, seed: int) -> NDArray[np.int32]:
        if data.subset == "random":
            return datasets.random_subset(self._split, data.fraction, seed)
        return datasets.stratified_subset(self._dataset, self._split, data.fraction, seed)

    def _measured(self, data: Data, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return datasets.statistics(self._dataset.train_images, self._rows(data, seed))

    def _ordered(self, data: Data, batch: int, iterations: int, seed: int, order_seed: int) -> NDArray[np.int32]:
        return batch_order(self._rows(data, seed), batch, iterations, order_seed)

    def _bounds(self, item: Round) -> dict[str, NDArray[np.float32]]:
        """The bound of every weight's magnitude, where the recipe clamps: uniform from 0 to `clamp` times the
        standard deviation of the layer's initial weights, drawn for each round of a trial."""
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
