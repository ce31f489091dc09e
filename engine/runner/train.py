"""The experiment, for the rounds of one plan:

1. *initialise or reset*: `Trainer.prepare` prunes the parent's weights and sets the survivors to where the treatment
   says (`inputs.py`);
2. *train*: a worker trains a batch of such rounds side by side (`workers.py`);
3. *prune*: the masks of the next round are made from the trained weights, when that one is prepared;
4. *prove invariants*: `Trainer.prove`, before any other round is made from this one;
5. *conclude*: `Trainer.result` and `Trainer.measured` make of it what is stored.
"""

from collections.abc import Hashable
from dataclasses import replace
from math import isfinite

from engine import datasets
from engine.analysis import at_chance
from engine.analysis.measures import measure_round
from engine.errors import BadInput, InvariantViolated
from engine.experiment import DatasetInfo, Round, make_plan
from engine.networks import Snapshot, layer_of
from engine.pruning import Masks, counts_of, invariants, masked
from engine.runner.finished import FinishedRounds
from engine.runner.inputs import InputBuilder, RoundInputs
from engine.runner.workers import Batch, LocalWorker, TrainedRound, Worker
from engine.spec import Study
from engine.store import Checkpoint, LayerCount, RoundResult, Store, StoredRound
from engine.training import Program, machine

Group = tuple[Program, Hashable]
"""A program, and what else the rounds of one batch share."""


class Trainer:
    """What the rounds of a study are made from: the data, the plan, and the rounds before. Raises BadInput for a study
    that is impossible on its data."""

    def __init__(self, study: Study, store: Store):
        self.dataset = datasets.load(study.base.data.name, store.home)
        mark = DatasetInfo.of(datasets.entry(study.base.data.name, store.home))
        if mark.fingerprint != self.dataset.fingerprint:
            raise BadInput(f"data set {mark.name}: it cannot be kept below {store.home}; allowed: a folder with room")
        self.plan = make_plan(study, mark, machine().tag)
        self.split = datasets.split(self.dataset, study.base.data.seed)
        self.finished = FinishedRounds(store.rounds)
        self.inputs = InputBuilder(self.plan, self.dataset, self.split, self.finished.get)
        self._checkpoints = store.checkpoints

    def workers(self) -> list[Worker]:
        """The workers of a run: the devices of this process."""
        return [LocalWorker(self.dataset, self.inputs, self.plan.most_at_once)]

    def program(self, item: Round) -> Program:
        """The program that trains a round."""
        data = self.dataset
        return Program.of(item.network, data.image_shape, data.classes, item.train, item.network_parameters)

    def group(self, item: Round) -> Group:
        """What rounds must share to be trained in one batch."""
        return self.program(item), item.group

    def checkpoint(self, item: Round) -> Checkpoint | None:
        """The checkpoint of a round; None when it is trained from its start, also where the checkpoint lacks weights
        that other rounds now rewind to."""
        found = self._checkpoints.read(item.key) if self._checkpoints.has(item.key) else None
        if found is None:
            return None
        passed = {mark for mark in self.plan.rewind_points[item.key] if mark <= found.iteration}
        return found if passed <= found.snapshots.keys() else None

    def prepare(self, item: Round) -> RoundInputs:
        """Prune, then initialise or reset: the masks of a round and the weights that it starts from.

        Raises Lost when a round that it depends on cannot be read, InvariantViolated.
        """
        made = self.inputs.ingredients(item)
        examples = len(self.dataset.train_labels)
        invariants.validation_unseen(made.lane.order, self.split.validation, examples, item.number)
        return made

    def batch(self, rounds: list[Round], inputs: list[RoundInputs], checkpoints: list[Checkpoint]) -> Batch:
        """What a worker needs to train these rounds. Raises Lost."""
        return Batch(
            program=self.program(rounds[0]),
            rounds=rounds,
            inputs=inputs,
            rewind_points=[self.plan.rewind_points[item.key] for item in rounds],
            pruned_from=[
                _pruned(self.finished.get(item.parent).final, each.lane.masks) if item.parent else None
                for item, each in zip(rounds, inputs, strict=True)
            ],
            checkpoints=checkpoints,
        )

    def prove(self, item: Round, trained: TrainedRound) -> None:
        """Raise InvariantViolated unless all invariants hold for a round that was trained."""
        lane = trained.lane
        # The masks that came back from the device are the ones that were trained with.
        self.inputs.check_masks(item, lane.masks)
        for what, count in lane.nonzero_pruned.items():
            if count:
                arrays, _, name = what.rpartition(" ")
                law = f"pruned {arrays} are exactly zero"
                raise InvariantViolated(law, round=item.number, layer=layer_of(name), found=f"{count} are not")

    def prove_stored(self, item: Round, stored: StoredRound) -> None:
        """Raise InvariantViolated unless all invariants hold for a round from the store."""
        self.inputs.check_masks(item, stored.masks)
        invariants.all_pruned_zero("weights", (stored.final.params, stored.best.params), stored.masks, item.number)

    def result(self, item: Round, trained: TrainedRound) -> StoredRound:
        """What is stored of a round, but for what `measured` adds."""
        lane, curve = trained.lane, trained.curve
        stop = item.start_iteration + lane.best_iteration
        best = next((point for point in curve if point.iteration == stop), None) if isfinite(lane.best_loss) else None
        accuracy = best.validation_accuracy if best else None
        counts = counts_of(lane.masks)
        result = RoundResult(
            iterations=trained.iterations,
            early_stop_iteration=best and best.iteration,
            validation_loss=best and lane.best_loss,
            validation_accuracy=accuracy,
            test_accuracy=best and lane.test_accuracy,
            test_accuracy_end=lane.test_accuracy_end if lane.finite else None,
            test_accuracy_pruned=trained.test_accuracy_pruned,
            layers={
                layer.name: LayerCount(survivors=counts[layer.parameter], size=layer.size) for layer in item.layers
            },
            early_bird=trained.early_bird,
            seconds=trained.seconds,
            diverged=not lane.finite,
            collapsed=accuracy is None or at_chance(accuracy, self.split.majority, len(self.split.validation)),
        )
        return StoredRound(
            key=item.key,
            result=result,
            curve=curve,
            masks=lane.masks,
            final=lane.final,
            best=lane.best,
            snapshots={mark: _pruned(snapshot, lane.masks) for mark, snapshot in trained.snapshots.items()},
        )

    def measured(self, item: Round, stored: StoredRound) -> StoredRound:
        """The round with the measures of its own weights."""
        if stored.result.diverged:
            return stored
        found = measure_round(self.finished.measurable(item.key, lambda: self.inputs.start(item)))
        measures = {"magnitudes": found.magnitudes, "measures": found.measures}
        return replace(stored, result=stored.result.model_copy(update=measures))


def _pruned(snapshot: Snapshot, masks: Masks) -> Snapshot:
    return Snapshot(masked(snapshot.params, masks), snapshot.state)
