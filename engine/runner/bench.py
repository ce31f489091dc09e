"""The five steps of the experiment, for the rounds of one plan: initialise, train, prune, reset, train again."""

import math
import time
from collections import defaultdict
from functools import cache

from engine import datasets
from engine.analysis import EarlyBirdWatch, at_chance, distance_from_uniform, histogram
from engine.errors import BadInput
from engine.lanes import DataOnDevices, Kept, LaneEnd, Pace, Pack, Program, Reading, machine, train
from engine.masks import Masks, Weights, counts_of, guards, masked
from engine.plan import DatasetMark, Dense, Pruned, RandomLike, Round, SameAs, make_plan
from engine.runner.making import Ingredients, Maker
from engine.runner.pilot import Pilot, points
from engine.spec import Study
from engine.store import EarlyBird, LayerCount, Magnitudes, RoundResult, Store, StoredRound


class Bench:
    """The data, the plan and the store: all that rounds are made from. Raises BadInput for a study impossible here."""

    def __init__(self, study: Study, store: Store):
        self.dataset = datasets.load(study.base.data.name, store.home)
        mark = DatasetMark.of(datasets.entry(study.base.data.name, store.home))
        if mark.fingerprint != self.dataset.fingerprint:
            raise BadInput(f"data set {mark.name}: it cannot be kept below {store.home}; allowed: a folder with room")
        self.plan = make_plan(study, mark, machine().tag)
        self.split = datasets.split(self.dataset, study.base.data.seed)
        self._maker = Maker(self.plan, self.dataset, self.split, store.rounds)
        self._on_devices = cache(self._put)
        self._paces: defaultdict[Program, Pace] = defaultdict(Pace)

    def program(self, item: Round) -> Program:
        """The program that trains a round."""
        return Program.of(item.network, self.dataset.image_shape, self.dataset.classes, item.train, item.iterations)

    def train(self, rounds: list[Round], width: int, pilot: Pilot) -> list[StoredRound] | None:
        """Train rounds of one program side by side and prove each; None when stopped on the way."""
        begun = time.perf_counter()
        made = [self._maker.ingredients(item) for item in rounds]
        program = self.program(rounds[0])
        pack = Pack(program, [each.lane for each in made], self._on_devices(min(width, machine().devices)), width)
        for item, each, started in zip(rounds, made, pack.started(), strict=True):
            guards.starts_from(started, each.named, each.lane.masks, item.number)
            guards.validation_unseen(
                each.lane.order, self.split.validation, len(self.dataset.train_labels), item.number
            )
        pruned = self._just_pruned(rounds, made, pack)
        watch = _Watch(self._maker, rounds, made, [self.plan.marks_of(item.key) for item in rounds])

        def between(iteration: int, readings: list[list[Reading]], kept: Kept | None) -> bool:
            going = pilot.between(iteration, readings)
            if going and kept is not None:
                watch.take(iteration, kept)
            return going and not watch.over

        if not train(pack, self._paces[program], between, watch.iterations) and not watch.over:
            return None
        pilot.testing()
        ends = watch.settled(pack)
        seconds = time.perf_counter() - begun - pilot.paused_seconds
        return [
            self._concluded(item, each, end, curve, watch, lane, pruned[lane], seconds)
            for lane, (item, each, end, curve) in enumerate(zip(rounds, made, ends, pilot.curves, strict=True))
        ]

    def prove_stored(self, item: Round, stored: StoredRound) -> None:
        """The guards on a round from the store."""
        self._prove_masks(item, stored.masks)
        guards.all_dead_zero("weights", (stored.final, stored.best), stored.masks, item.number)

    def _prove_masks(self, item: Round, masks: Masks) -> None:
        guards.on_ladder(masks, item.ladder, item.number)
        stored = self._maker.stored
        match item.masks:
            case Pruned(parent=parent):
                guards.only_shrinks(masks, stored(parent).masks, item.number)
            case SameAs(ticket=ticket):
                law = "a control has the ticket's mask"
                guards.same_masks(law, masks, stored(ticket).masks, item.number)
            case RandomLike(ticket=ticket):
                guards.same_counts(masks, stored(ticket).masks, item.number)
            case Dense():
                pass

    def _concluded(
        self,
        item: Round,
        made: Ingredients,
        end: LaneEnd,
        readings: list[Reading],
        watch: "_Watch",
        lane: int,
        pruned: float | None,
        seconds: float,
    ) -> StoredRound:
        # The masks that came back from the device are the ones that were trained with.
        self._prove_masks(item, end.masks)
        guards.all_dead_zero("weights", (end.final, end.best), end.masks, item.number)
        guards.all_dead_zero("optimizer moments", end.moments, end.masks, item.number)
        trained = watch.trained[lane]
        readings = [reading for reading in readings if reading.iteration <= trained]
        best = next((r for r in readings if r.iteration == end.best_iteration), None)
        if not math.isfinite(end.best_loss):
            best = None
        counts = counts_of(end.masks)
        result = RoundResult(
            iterations=trained,
            early_stop_iteration=best and item.first + best.iteration,
            validation_loss=best and end.best_loss,
            validation_accuracy=best and best.validation_accuracy,
            test_accuracy=best and end.test_accuracy,
            test_accuracy_end=end.test_accuracy_end if end.finite else None,
            test_accuracy_pruned=pruned,
            layers={
                layer.name: LayerCount(survivors=counts[layer.name], size=layer.size) for layer in self.plan.layers
            },
            magnitudes=_distribution(self._maker.start(item), end) if end.finite else {},
            early_bird=watch.early_bird(lane),
            seconds=seconds,
            diverged=not end.finite,
            collapsed=best is None or at_chance(best.validation_accuracy, self.dataset.classes),
        )
        return StoredRound(
            key=item.key,
            result=result,
            curve=points(readings, item.first),
            masks=end.masks,
            final=end.final,
            best=end.best,
            marks={mark: masked(weights, end.masks) for mark, weights in watch.marks[lane].items()},
        )

    def _just_pruned(self, rounds: list[Round], made: list[Ingredients], pack: Pack) -> list[float | None]:
        """Test accuracy of the networks that rounds were pruned from, under the new masks and not trained again."""
        parents = [item.masks.parent if isinstance(item.masks, Pruned) else None for item in rounds]
        if not any(parents):
            return [None] * len(rounds)
        weights = [
            masked(self._maker.stored(parent).final, each.lane.masks) if parent else each.lane.start
            for parent, each in zip(parents, made, strict=True)
        ]
        return [accuracy if parent else None for parent, accuracy in zip(parents, pack.tested(weights), strict=True)]

    def _put(self, devices: int) -> DataOnDevices:
        data = self.dataset
        return DataOnDevices.put(devices, (data.train_images, data.train_labels), (data.test_images, data.test_labels))


class _Watch:
    """What is looked at while a pack trains: weights that others rewind to, and the masks of each epoch."""

    def __init__(self, maker: Maker, rounds: list[Round], made: list[Ingredients], marks: list[frozenset[int]]):
        self._maker, self._rounds, self._made, self._marks = maker, rounds, made, marks
        self._birds = [
            EarlyBirdWatch() if item.early_bird != "off" and item.number + 1 < len(item.ladder.survivors) else None
            for item in rounds
        ]
        self._epochs = [
            _epochs(item, each) if bird else frozenset[int]()
            for item, each, bird in zip(rounds, made, self._birds, strict=True)
        ]
        self.iterations: frozenset[int] = frozenset().union(*marks, *self._epochs)
        self.trained = [item.iterations for item in rounds]
        self.ends: list[LaneEnd | None] = [None] * len(rounds)
        self.marks: list[dict[int, Weights]] = [{} for _ in rounds]

    @property
    def over(self) -> bool:
        """Whether all lanes have ended before their time, and left the weights that others rewind to."""
        left = all(own <= taken.keys() for own, taken in zip(self._marks, self.marks, strict=True))
        return left and all(end is not None for end in self.ends)

    def take(self, iteration: int, kept: Kept) -> None:
        """Look at what was kept at an iteration."""
        weights = kept.weights()
        for lane, (item, each, bird) in enumerate(zip(self._rounds, self._made, self._birds, strict=True)):
            if iteration in self._marks[lane]:
                self.marks[lane][iteration] = weights[lane]
            if bird and iteration in self._epochs[lane] and self.ends[lane] is None:
                bird.take(iteration, self._maker.early_bird_mask(item, each.lane.masks, weights[lane]))
                if bird.found is not None and item.early_bird == "stop":
                    self.ends[lane], self.trained[lane] = kept.ends()[lane], iteration

    def settled(self, pack: Pack) -> list[LaneEnd]:
        """Where each lane ended: before its time, or with the pack."""
        last = [] if self.over else pack.finish()
        return [early or last[lane] for lane, early in enumerate(self.ends)]

    def early_bird(self, lane: int) -> EarlyBird | None:
        bird = self._birds[lane]
        if bird is None:
            return None
        first = self._rounds[lane].first
        return EarlyBird(
            iterations=tuple(first + iteration for iteration in bird.iterations),
            distances=tuple(bird.distances),
            found=bird.found,
        )


def _epochs(item: Round, made: Ingredients) -> frozenset[int]:
    """The iterations at which a round has seen all its examples once more."""
    count = item.iterations * item.train.batch // len(made.rows)
    return frozenset(-(-epoch * len(made.rows) // item.train.batch) for epoch in range(1, count + 1))


def _distribution(start: Weights, end: LaneEnd) -> dict[str, Magnitudes]:
    found = {}
    for name, mask in end.masks.items():
        before, after = abs(start[name]["kernel"][mask]), abs(end.final[name]["kernel"][mask])
        (start_counts, start_top), (end_counts, end_top) = histogram(before), histogram(after)
        found[name] = Magnitudes(
            start=start_counts,
            end=end_counts,
            start_top=start_top,
            end_top=end_top,
            start_distance=distance_from_uniform(before),
            end_distance=distance_from_uniform(after),
        )
    return found
