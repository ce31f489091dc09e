"""Events: the facts that the engine reports, in order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LayerCount(Model):
    """Survivors and size of a layer."""

    survivors: int
    size: int


class DatasetFacts(Model):
    """A data set's name and the examples in each part."""

    name: str
    train: int
    validation: int
    test: int


class Magnitudes(Model):
    """Survivors' |w| of a layer before training (and clamping) and after: counts in equal bins from 0 to the greatest,
    and the Kolmogorov-Smirnov distance (0 to 1) from a uniform distribution between the same ends."""

    start: tuple[int, ...]
    end: tuple[int, ...]
    start_top: float
    end_top: float
    start_distance: float
    end_distance: float


class EarlyBird(Model):
    """The masks that pruning after each epoch of a round would give. Lists are parallel.

    `distances`: normalised Hamming distance to the mask of the epoch before, from the second epoch on; `found`: the
    epoch (from 1) at which the last five masks were within 0.1 of each other (You et al. 2020), if any.
    """

    iterations: tuple[int, ...]
    distances: tuple[float, ...]
    found: int | None


class RoundResult(Model):
    """The results of a round. Accuracies from 0 to 1; None if a loss was not finite.

    `early_stop_iteration` is the iteration of the lowest validation loss, found afterwards;
    `test_accuracy` is measured there, `test_accuracy_end` after the last iteration, `test_accuracy_pruned` with the
    parent's final weights under the new masks, before training;
    `collapsed`: its validation accuracy is no better than the share of the largest class (`analysis.at_chance`);
    `measures`: by name, then by layer, or under "" of the whole network; None where not finite.
    """

    iterations: int
    early_stop_iteration: int | None
    validation_loss: float | None
    test_accuracy: float | None
    test_accuracy_end: float | None
    test_accuracy_pruned: float | None = None
    layers: dict[str, LayerCount]
    seconds: float
    diverged: bool
    collapsed: bool = False
    validation_accuracy: float | None = None
    magnitudes: dict[str, Magnitudes] = {}
    early_bird: EarlyBird | None = None
    measures: dict[str, dict[str, float | None]] = {}

    @property
    def survivors(self) -> int:
        return sum(layer.survivors for layer in self.layers.values())

    @property
    def p_m(self) -> float:
        """Percentage of prunable weights left."""
        return 100 * self.survivors / sum(layer.size for layer in self.layers.values())


class Similarity(Model):
    """One layer of a round against the round before it in its trial.

    `alive`: Spearman correlation of |w| over the weights that survive in both rounds; `all`: over all weights, pruned
    ones as ties at zero; None where a correlation is undefined. `jaccard`: overlap of the masks; `chance`: what random
    masks of the same counts would have.
    """

    alive: float | None
    all: float | None
    jaccard: float
    chance: float


class ArmPlan(Model):
    """An arm of the run: the seed of each trial and the rounds that each will have."""

    name: str
    kind: str
    seeds: tuple[int, ...]
    rounds: tuple[int, ...]


class RunStarted(Model):
    """`layers`: prunable weights by layer, in order of depth; `kinds`: what the layers are, such as conv, dense or
    output. `numerics` names the versions and devices that compute: rounds of others have other keys."""

    event: Literal["run-started"] = "run-started"
    run: str
    study: str
    hash: str
    dataset: DatasetFacts
    layers: dict[str, int]
    arms: tuple[ArmPlan, ...]
    distinct: int
    stored: int
    device: str
    lanes: int
    numerics: str = ""
    kinds: dict[str, str] = {}


class RunResumed(Model):
    """The run continues after its process ended or was killed."""

    event: Literal["run-resumed"] = "run-resumed"


class RoundStarted(Model):
    event: Literal["round-started"] = "round-started"
    arm: str
    trial: int
    round: int
    key: str


class RoundFinished(Model):
    """A round of a trial is finished: trained, or `reused` from another arm or run."""

    event: Literal["round-finished"] = "round-finished"
    arm: str
    trial: int
    round: int
    key: str
    reused: bool
    result: RoundResult
    similarity: dict[str, Similarity]

    @property
    def p_m(self) -> float:
        """Percentage of prunable weights left."""
        return self.result.p_m

    @property
    def survivors(self) -> int:
        """Prunable weights left."""
        return self.result.survivors

    @property
    def spearman(self) -> dict[str, float | None]:
        """By layer, the correlation of |w| with the round before, over the weights that survive in both."""
        return {name: self.similarity[name].alive if name in self.similarity else None for name in self.result.layers}


class Diverged(Model):
    """A loss is not finite; the later rounds of the trial are skipped."""

    event: Literal["diverged"] = "diverged"
    arm: str
    trial: int
    round: int
    key: str


SignalKind = Literal["stabilised", "ranks-collapsed", "early-bird", "collapsed"]


class Signal(Model):
    """A pattern in the results, with its rule: ranks stabilised or collapsed, an early bird, accuracy at chance.
    `layer` is None for the whole network."""

    event: Literal["signal"] = "signal"
    kind: SignalKind
    arm: str
    trial: int
    round: int
    layer: str | None
    text: str


class InvariantFailed(Model):
    event: Literal["guard-broken"] = "guard-broken"
    law: str
    layer: str | None
    round: int
    found: str


class Note(Model):
    """A message for the log."""

    event: Literal["note"] = "note"
    text: str


class Paused(Model):
    event: Literal["paused"] = "paused"


class Resumed(Model):
    event: Literal["resumed"] = "resumed"


class RunFinished(Model):
    event: Literal["run-finished"] = "run-finished"
    status: Literal["done", "stopped", "failed"]
    trained: int
    reused: int
    seconds: float
    message: str = ""


Event = (
    RunStarted
    | RunResumed
    | RoundStarted
    | RoundFinished
    | Diverged
    | Signal
    | InvariantFailed
    | Note
    | Paused
    | Resumed
    | RunFinished
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class LaneProgress(Model):
    """One lane at work."""

    arm: str
    trial: int
    round: int
    key: str


class ResourceUsage(Model):
    """What the process of a run uses of its machine: `cpu` in cores kept busy, of `cores`; memory in bytes, of all that
    there is; likewise that of its devices, 0 where they have none of their own."""

    cpu: float
    cores: int
    memory: int
    memory_total: int
    device_memory: int = 0
    device_memory_total: int = 0


class Progress(Model):
    """Where the run is now; the newest replaces the one before. Rates are iterations of all lanes a second. `about`:
    what it waits for; `use`: what that takes, once devices are at work."""

    state: Literal["preparing", "compiling", "training", "testing", "waiting", "paused", "stopping"]
    about: str = ""
    lanes: tuple[LaneProgress, ...] = ()
    iteration: int = 0
    iterations: int = 0
    steps_done: int = 0
    steps_total: int = 0
    rounds_done: int = 0
    rounds_total: int = 0
    rate: float | None = None
    eta: float | None = None
    use: ResourceUsage | None = None


class CurvePoint(Model):
    """One validation of one round; None where a value was not finite. Losses in nats per example."""

    iteration: int
    train_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
