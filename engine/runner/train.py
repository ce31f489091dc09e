"""The five steps of the experiment, for the rounds of one plan: initialise, train, prune, reset, train again."""

import time
from collections import defaultdict
from functools import cache, lru_cache
from math import isfinite

from engine import datasets
from engine.analysis import at_chance, distance_from_uniform, histogram
from engine.errors import BadInput, InvariantViolated
from engine.experiment import DatasetInfo, Round, make_plan
from engine.networks import Snapshot, layer_of
from engine.pruning import Masks, Weights, counts_of, invariants, masked
from engine.runner.checkpoints import WORTH_KEEPING, CheckpointWriter
from engine.runner.epochs import EpochMonitor
from engine.runner.inputs import InputBuilder, RoundInputs
from engine.runner.lost import Lost
from engine.runner.session import RunSession
from engine.spec import Study
from engine.store import Checkpoint, CurvePoint, LayerCount, Magnitudes, RoundResult, Store, StoredRound
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Evaluation,
    LaneBatch,
    LaneResult,
    LaneState,
    Program,
    StepTimer,
    machine,
    train,
)

_KEPT = 16


class Trainer:
    """The data, the plan and the store: all that rounds are made from. Raises BadInput for a study impossible here."""

    def __init__(self, study: Study, store: Store):
        self.dataset = datasets.load(study.base.data.name, store.home)
        mark = DatasetInfo.of(datasets.entry(study.base.data.name, store.home))
        if mark.fingerprint != self.dataset.fingerprint:
            raise BadInput(f"data set {mark.name}: it cannot be kept below {store.home}; allowed: a folder with room")
        self.plan = make_plan(study, mark, machine().tag)
        self.split = datasets.split(self.dataset, study.base.data.seed)
        self._checkpoints = store.checkpoints
        self._rounds = store.rounds
        self._finished = lru_cache(_KEPT)(self._read)
        self._maker = InputBuilder(self.plan, self.dataset, self.split, self._finished)
        self._on_devices = cache(self._put)
        self._paces: defaultdict[Program, StepTimer] = defaultdict(StepTimer)

    def program(self, item: Round) -> Program:
        """The program that trains a round."""
        return Program.of(item.network, self.dataset.image_shape, self.dataset.classes, item.train)

    def checkpoint(self, item: Round) -> Checkpoint | None:
        """Where a round can go on; None when it is trained from its start. Weights that others now rewind to may not
        have been wanted when it was written."""
        found = self._checkpoints.read(item.key)
        if found is None:
            return None
        passed = {mark for mark in self.plan.rewind_points[item.key] if mark <= found.iteration}
        return found if passed <= found.marks.keys() else None

    def train(
        self, rounds: list[Round], checkpoints: list[Checkpoint], width: int, pilot: RunSession
    ) -> list[StoredRound] | None:
        """Train rounds of one program side by side and prove each: from their start, or all of them from checkpoints
        after as many steps. None when stopped on the way; their checkpoints are then written."""
        begun = time.perf_counter()
        made = [self._maker.ingredients(item) for item in rounds]
        program = self.program(rounds[0])
        pack = LaneBatch(program, [each.lane for each in made], self._on_devices(min(width, machine().devices)), width)
        for item, each, started in zip(rounds, made, pack.started(), strict=True):
            invariants.starts_from(started.params, each.named.params, each.lane.masks, item.number)
            invariants.validation_unseen(
                each.lane.order, self.split.validation, len(self.dataset.train_labels), item.number
            )
        pruned = self._just_pruned(rounds, made, pack)
        watch = EpochMonitor(self._maker, rounds, made, [self.plan.rewind_points[item.key] for item in rounds])
        before = self._restored(checkpoints, pack, watch, pilot)

        def seconds() -> float:
            return before + time.perf_counter() - begun - pilot.paused_seconds

        with CheckpointWriter(self._checkpoints) as saving:

            def save(states: list[LaneState]) -> None:
                pilot.keep(saving.settle)
                saving.save(watch.checkpoints(states, pilot.curves, seconds()))

            def between(iteration: int, readings: list[list[Evaluation]], kept: DeviceSnapshot | None) -> bool:
                going = pilot.between(iteration, [watch.open(lane, new) for lane, new in enumerate(readings)])
                if kept is not None:
                    watch.take(iteration, kept)
                    if saving.due():
                        save(kept.states())
                if saving.failed:
                    pilot.keep(saving.settle)
                return going and not watch.over

            train(pack, self._paces[program], between, watch.iterations, saving.due)
            finished = pack.iteration == pack.iterations or watch.over
            if not finished or saving.since >= WORTH_KEEPING:
                save(pack.states())
            if finished:
                pilot.testing()
                ends = pack.finish(watch.ended)
            pilot.keep(saving.settle)
        if not finished:
            return None
        return [
            self._concluded(item, each, end, curve, watch, lane, pruned[lane], seconds())
            for lane, (item, each, end, curve) in enumerate(zip(rounds, made, ends, pilot.curves, strict=True))
        ]

    def _restored(
        self, checkpoints: list[Checkpoint], pack: LaneBatch, watch: EpochMonitor, pilot: RunSession
    ) -> float:
        """Put a pack where its checkpoints say; the seconds that it had trained. One that does not fit is removed."""
        if not checkpoints:
            return 0.0
        try:
            pack.restore([checkpoint.state for checkpoint in checkpoints])
        except ValueError:
            for checkpoint in checkpoints:
                self._checkpoints.remove(checkpoint.key)
            return 0.0
        watch.restore(checkpoints)
        pilot.go_on(pack.iteration, [checkpoint.curve for checkpoint in checkpoints])
        return max(checkpoint.seconds for checkpoint in checkpoints)

    def prove_stored(self, item: Round, stored: StoredRound) -> None:
        """The guards on a round from the store."""
        self._prove_masks(item, stored.masks)
        invariants.all_dead_zero("weights", (stored.final.params, stored.best.params), stored.masks, item.number)

    def _prove_masks(self, item: Round, masks: Masks) -> None:
        self._maker.check_masks(item, masks)

    def _read(self, key: str) -> StoredRound:
        stored = self._rounds.read(key)
        if stored is None:
            raise Lost(key, self._rounds.path(key))
        return stored

    def _concluded(
        self,
        item: Round,
        made: RoundInputs,
        end: LaneResult,
        curve: list[CurvePoint],
        watch: EpochMonitor,
        lane: int,
        pruned: float | None,
        seconds: float,
    ) -> StoredRound:
        # The masks that came back from the device are the ones that were trained with.
        self._prove_masks(item, end.masks)
        for what, count in end.nonzero_pruned.items():
            if count:
                law = f"pruned {what.rpartition(' ')[0]} are exactly zero"
                layer = layer_of(what.rpartition(" ")[2])
                raise InvariantViolated(law, round=item.number, layer=layer, found=f"{count} are not")
        stop = item.first + end.best_iteration
        best = next((point for point in curve if point.iteration == stop), None) if isfinite(end.best_loss) else None
        accuracy = best.validation_accuracy if best else None
        counts = counts_of(end.masks)
        result = RoundResult(
            iterations=watch.trained(lane),
            early_stop_iteration=best and best.iteration,
            validation_loss=best and end.best_loss,
            validation_accuracy=accuracy,
            test_accuracy=best and end.test_accuracy,
            test_accuracy_end=end.test_accuracy_end if end.finite else None,
            test_accuracy_pruned=pruned,
            layers={
                layer.name: LayerCount(survivors=counts[layer.parameter], size=layer.size) for layer in item.layers
            },
            magnitudes=_distribution(self._maker.start(item).params, end) if end.finite else {},
            early_bird=watch.early_bird(lane),
            seconds=seconds,
            diverged=not end.finite,
            collapsed=accuracy is None or at_chance(accuracy, self.dataset.classes),
        )
        return StoredRound(
            key=item.key,
            result=result,
            curve=curve,
            masks=end.masks,
            final=end.final,
            best=end.best,
            marks={mark: _pruned(snapshot, end.masks) for mark, snapshot in watch.marks[lane].items()},
        )

    def _just_pruned(self, rounds: list[Round], made: list[RoundInputs], pack: LaneBatch) -> list[float | None]:
        """Test accuracy of the networks that rounds were pruned from, under the new masks and not trained again."""
        parents = [item.parent for item in rounds]
        if not any(parents):
            return [None] * len(rounds)
        snapshots = [
            _pruned(self._finished(parent).final, each.lane.masks) if parent else each.lane.start
            for parent, each in zip(parents, made, strict=True)
        ]
        return [accuracy if parent else None for parent, accuracy in zip(parents, pack.tested(snapshots), strict=True)]

    def _put(self, devices: int) -> DataOnDevices:
        data = self.dataset
        return DataOnDevices.put(devices, (data.train_images, data.train_labels), (data.test_images, data.test_labels))


def _pruned(snapshot: Snapshot, masks: Masks) -> Snapshot:
    return Snapshot(masked(snapshot.params, masks), snapshot.state)


def _distribution(start: Weights, end: LaneResult) -> dict[str, Magnitudes]:
    found = {}
    for name, mask in end.masks.items():
        before, after = abs(start[name][mask]), abs(end.final.params[name][mask])
        (start_counts, start_top), (end_counts, end_top) = histogram(before), histogram(after)
        found[layer_of(name)] = Magnitudes(
            start=start_counts,
            end=end_counts,
            start_top=start_top,
            end_top=end_top,
            start_distance=distance_from_uniform(before),
            end_distance=distance_from_uniform(after),
        )
    return found
