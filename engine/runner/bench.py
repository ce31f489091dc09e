"""The five steps of the experiment, for the rounds of one plan: initialise, train, prune, reset, train again."""

import math
import time
from collections import defaultdict
from functools import cache, lru_cache, partial

from engine import datasets
from engine.errors import BadInput, LabError
from engine.lanes import (
    DataOnDevices,
    Lane,
    LaneEnd,
    Pace,
    Pack,
    Program,
    Reading,
    batch_order,
    learning_rates,
    machine,
    train,
)
from engine.masks import Masks, Weights, counts_of, full_masks, guards, magnitudes, masked, prune, random_masks
from engine.networks.build import initial_weights
from engine.plan import DatasetMark, Dense, Pruned, RandomLike, Round, SameAs, make_plan
from engine.runner.pilot import Pilot, points
from engine.spec import Study
from engine.store import LayerCount, RoundResult, Store, StoredRound

_KEPT_ROUNDS = 8
_KEPT_ORDERS = 16


class Bench:
    """The data, the plan and the store: all that rounds are made from. Raises BadInput for a study impossible here."""

    def __init__(self, study: Study, store: Store):
        self.dataset = datasets.load(study.base.data.name, store.home)
        mark = DatasetMark.of(datasets.entry(study.base.data.name, store.home))
        if mark.fingerprint != self.dataset.fingerprint:
            raise BadInput(f"data set {mark.name}: it cannot be kept below {store.home}; allowed: a folder with room")
        self.plan = make_plan(study, mark, machine().tag)
        self.split = datasets.split(self.dataset, study.base.data.seed)
        self._rounds = store.rounds
        self._stored = lru_cache(_KEPT_ROUNDS)(self._read)
        self._initial = lru_cache(_KEPT_ROUNDS)(self._draw)
        self._order = lru_cache(_KEPT_ORDERS)(partial(batch_order, self.split.train))
        self._on_devices = cache(self._put)
        self._paces: defaultdict[Program, Pace] = defaultdict(Pace)

    def program(self, item: Round) -> Program:
        """The program that trains a round."""
        return Program.of(item.network, self.dataset.image_shape, self.dataset.classes, item.train)

    def train(self, rounds: list[Round], width: int, pilot: Pilot) -> list[StoredRound] | None:
        """Train rounds of one program side by side and prove each; None when stopped on the way."""
        begun = time.perf_counter()
        lanes = [self._lane(item) for item in rounds]
        pack = Pack(self.program(rounds[0]), lanes, self._on_devices(min(width, machine().devices)), width)
        for item, lane, started in zip(rounds, lanes, pack.started(), strict=True):
            guards.starts_from(started, self._initial(item.weights_seed), lane.masks, item.number)
            guards.validation_unseen(lane.order, self.split.validation, len(self.dataset.train_labels), item.number)
        if not train(pack, self._paces[pack.program], pilot.between):
            return None
        pilot.testing()
        ends = pack.finish()
        seconds = time.perf_counter() - begun - pilot.paused_seconds
        return [
            self._concluded(item, end, curve, seconds)
            for item, end, curve in zip(rounds, ends, pilot.curves, strict=True)
        ]

    def prove_stored(self, item: Round, stored: StoredRound) -> None:
        """The guards on a round from the store."""
        self._prove_masks(item, stored.masks)
        guards.all_dead_zero("weights", (stored.final, stored.best), stored.masks, item.number)

    def _lane(self, item: Round) -> Lane:
        masks = self._masks(item)
        return Lane(
            start=masked(self._initial(item.weights_seed), masks),
            masks=masks,
            order=self._order(item.train.batch, item.train.iterations, item.order_seed),
            rates=learning_rates(item.train),
            validation=self.split.validation,
            mean=self.split.mean,
            std=self.split.std,
        )

    def _masks(self, item: Round) -> Masks:
        match item.masks:
            case Dense():
                return full_masks(self.plan.layers)
            case Pruned(parent=parent, ladder=ladder, number=number):
                before = self._stored(parent)
                return prune(magnitudes(before.final), before.masks, ladder, number)
            case SameAs(ticket=ticket):
                return self._stored(ticket).masks
            case RandomLike(ticket=ticket, seed=seed):
                return random_masks(self._stored(ticket).masks, seed)

    def _prove_masks(self, item: Round, masks: Masks) -> None:
        guards.on_ladder(masks, item.ladder, item.number)
        match item.masks:
            case Pruned(parent=parent):
                guards.only_shrinks(masks, self._stored(parent).masks, item.number)
            case SameAs(ticket=ticket):
                law = "a re-initialised control has the ticket's mask"
                guards.same_masks(law, masks, self._stored(ticket).masks, item.number)
            case RandomLike(ticket=ticket):
                guards.same_counts(masks, self._stored(ticket).masks, item.number)
            case Dense():
                pass

    def _concluded(self, item: Round, end: LaneEnd, readings: list[Reading], seconds: float) -> StoredRound:
        # The masks that came back from the device are the ones that were trained with.
        self._prove_masks(item, end.masks)
        guards.all_dead_zero("weights", (end.final, end.best), end.masks, item.number)
        guards.all_dead_zero("optimizer moments", end.moments, end.masks, item.number)
        stopped = math.isfinite(end.best_loss)
        counts = counts_of(end.masks)
        result = RoundResult(
            iterations=item.train.iterations,
            early_stop_iteration=end.best_iteration if stopped else None,
            validation_loss=end.best_loss if stopped else None,
            test_accuracy=end.test_accuracy if stopped else None,
            test_accuracy_end=end.test_accuracy_end if end.finite else None,
            layers={
                layer.name: LayerCount(survivors=counts[layer.name], size=layer.size) for layer in self.plan.layers
            },
            seconds=seconds,
            diverged=not end.finite,
        )
        return StoredRound(item.key, result, points(readings), end.masks, end.final, end.best)

    def _read(self, key: str) -> StoredRound:
        stored = self._rounds.read(key)
        if stored is None:
            raise LabError(f"{self._rounds.path(key)}: a round that was just kept cannot be read; is the disk sound?")
        return stored

    def _draw(self, seed: int) -> Weights:
        return initial_weights(self.plan.study.base.network.name, self.dataset.image_shape, self.dataset.classes, seed)

    def _put(self, devices: int) -> DataOnDevices:
        data = self.dataset
        return DataOnDevices.put(devices, (data.train_images, data.train_labels), (data.test_images, data.test_labels))
