"""Snapshots and early-bird masks of lanes while they train."""

from engine.analysis import EarlyBirdWatch
from engine.experiment import Round
from engine.networks import Snapshot
from engine.runner.inputs import InputBuilder, RoundInputs
from engine.store import Checkpoint, CurvePoint, EarlyBird
from engine.training import DeviceSnapshot, Evaluation, LaneState


class EpochMonitor:
    """Collects snapshots that other rounds rewind to and the masks of each epoch; ends lanes at their early bird."""

    def __init__(
        self, maker: InputBuilder, rounds: list[Round], made: list[RoundInputs], rewind_points: list[frozenset[int]]
    ):
        self._maker, self._rounds, self._made, self._wanted = maker, rounds, made, rewind_points
        self._birds = [EarlyBirdWatch() if item.early_bird != "off" else None for item in rounds]
        self._epochs = [
            _epochs(item, each) if bird else frozenset[int]()
            for item, each, bird in zip(rounds, made, self._birds, strict=True)
        ]
        self.iterations: frozenset[int] = frozenset().union(*rewind_points, *self._epochs)
        self.ended: dict[int, LaneState] = {}
        self.snapshots: list[dict[int, Snapshot]] = [{} for _ in rounds]

    @property
    def over(self) -> bool:
        """Whether every lane has ended at its early bird and has the snapshots that other rounds rewind to."""
        left = all(own <= taken.keys() for own, taken in zip(self._wanted, self.snapshots, strict=True))
        return left and len(self.ended) == len(self._rounds)

    def trained(self, lane: int) -> int:
        """The steps that a lane has trained for when it is done."""
        return int(self.ended[lane]["iteration"]) if lane in self.ended else self._rounds[lane].iterations

    def observe(self, iteration: int, kept: DeviceSnapshot) -> None:
        """Take the snapshot of an iteration."""
        if iteration not in self.iterations:
            return
        snapshots = kept.snapshots()
        for lane, (item, each, bird) in enumerate(zip(self._rounds, self._made, self._birds, strict=True)):
            if iteration in self._wanted[lane]:
                self.snapshots[lane][iteration] = snapshots[lane]
            if bird and iteration in self._epochs[lane] and lane not in self.ended:
                bird.observe(iteration, self._maker.early_bird_mask(item, each.lane.masks, snapshots[lane]))
                if bird.found is not None and item.early_bird == "stop":
                    self.ended[lane] = kept.states()[lane]

    def open(self, lane: int, readings: list[Evaluation]) -> list[Evaluation]:
        """The new evaluations of a lane that count: none once it has ended."""
        return [] if lane in self.ended else readings

    def early_bird(self, lane: int) -> EarlyBird | None:
        """The distances between the masks of a lane's epochs so far; None where none are made."""
        bird = self._birds[lane]
        if bird is None:
            return None
        first = self._rounds[lane].start_iteration
        return EarlyBird(
            iterations=tuple(first + iteration for iteration in bird.iterations),
            distances=tuple(bird.distances),
            found=bird.found,
        )

    def checkpoints(self, states: list[LaneState], curves: list[list[CurvePoint]], seconds: float) -> list[Checkpoint]:
        """Checkpoints from which the lanes continue at `states`."""
        found = []
        for lane, (item, state, curve, bird) in enumerate(zip(self._rounds, states, curves, self._birds, strict=True)):
            found.append(
                Checkpoint(
                    key=item.key,
                    iteration=int(state["iteration"]),
                    seconds=seconds,
                    state=state,
                    ended=self.ended.get(lane),
                    curve=list(curve),
                    snapshots=dict(self.snapshots[lane]),
                    early_bird=self.early_bird(lane),
                    recent=list(bird.recent) if bird else [],
                )
            )
        return found

    def restore(self, checkpoints: list[Checkpoint]) -> None:
        """Continue from checkpoints of the lanes."""
        for lane, (item, checkpoint) in enumerate(zip(self._rounds, checkpoints, strict=True)):
            self.snapshots[lane] = dict(checkpoint.snapshots)
            if checkpoint.ended is not None:
                self.ended[lane] = checkpoint.ended
            told = checkpoint.early_bird
            if told is not None:
                self._birds[lane] = EarlyBirdWatch(
                    iterations=[iteration - item.start_iteration for iteration in told.iterations],
                    distances=list(told.distances),
                    found=told.found,
                    recent=list(checkpoint.recent),
                )


def _epochs(item: Round, made: RoundInputs) -> frozenset[int]:
    """The iterations at which a round finishes an epoch."""
    count = item.iterations * item.train.batch // len(made.rows)
    return frozenset(-(-epoch * len(made.rows) // item.train.batch) for epoch in range(1, count + 1))
