"""A recipe: every value that affects the results of a round, except seeds."""

import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from engine import registry
from engine.spec.names import (
    CriterionName,
    NetworkName,
    OptimizerName,
    ScheduleName,
    TreatmentName,
    check_parameters,
    takers,
)
from engine.spec.problems import impossible, printable

EarlyBird = Literal["off", "watch", "stop"]
LayerKind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
MAX_EXAMPLES = 1_000_000_000
"""Maximum examples of a round. Their order is drawn in advance and takes 4 bytes each."""
Rate = Annotated[float, Field(gt=0, lt=1)]
LayerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Parameters = Annotated[
    dict[str, bool | int | float | str | list[bool | int | float | str]],
    Field(max_length=100, description="parameters of what is named beside"),
]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Model):
    """The training data. `seed` draws the validation split, the same for every trial.

    Each trial draws its own `fraction` of the training examples, stratified by class or not. A relative `folder:PATH`
    is made absolute.
    """

    name: Annotated[str, Field(max_length=4096, description="a data set's name"), AfterValidator(printable)] = "digits"
    seed: Annotated[int, Field(ge=0, lt=2**31, description="draws the validation examples")] = 0
    fraction: Annotated[float, Field(gt=0, le=1, description="of the training examples")] = 1.0
    subset: Annotated[Literal["stratified", "random"], Field(description="how a fraction is drawn")] = "stratified"

    @field_validator("name")
    @classmethod
    def _absolute(cls, name: str) -> str:
        kind, colon, path = name.partition(":")
        return f"{kind}:{os.path.abspath(os.path.expanduser(path))}" if colon and kind == "folder" and path else name

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if self.fraction == 1 and self.subset != "stratified":
            raise impossible("subset", self.subset, "only with a fraction below 1")
        return self


class Network(Model):
    """The network's architecture; `parameters` are the network's, such as `width`."""

    name: Annotated[NetworkName, Field(description="the architecture")] = "lenet-300-100"
    parameters: Parameters = {}

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if self.parameters:
            check_parameters(registry.network.entry(self.name), self.parameters, "parameters")
        return self


class Train(Model):
    """How a round is trained. Times are in iterations (optimizer steps).

    `warmup` raises the learning rate linearly from 0 over the first iterations; the `step` schedule
    multiplies it by `decay` at each of `milestones`, `cosine` lowers it to zero at the last iteration. `weight_decay`
    times each parameter is added to its gradient before momentum, as in PyTorch's SGD. `dropout` is the rate at which
    units are left out. `augment`
    pads each example with four black pixels, crops it to its size at a random place and flips it left to right half
    of the time, anew in every step (He et al. 2016, section 4.2; the paper's Conv-N do not). With `order` round,
    every round draws its own order of examples, crops and dropout, the same for all arms of a trial; with trial, all
    rounds of a trial repeat one draw. `clamp` c keeps every weight's magnitude below a bound of its own, drawn
    uniformly between 0 and c standard deviations of its layer's initial weights, afresh for every round. Most weights
    end at their bounds, so magnitudes are about uniform and carry no information. Bounds that are the same in every
    round would determine which weights survive, and survivors would do better than random ones.
    """

    iterations: Annotated[int, Field(ge=1, le=10_000_000, description="optimizer steps in a round")] = 50_000
    batch: Annotated[int, Field(ge=1, le=65_536, description="examples in a step")] = 60
    optimizer: Annotated[OptimizerName, Field(description="the update rule")] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=100, description="before schedule and warm-up")] = 1.2e-3
    momentum: Annotated[float, Field(ge=0, lt=1, description="of the optimizer, such as sgd")] = 0.9
    nesterov: Annotated[bool, Field(description="Nesterov momentum, of the optimizer")] = False
    weight_decay: Annotated[float, Field(ge=0, le=1, description="L2 coefficient, added to the gradients")] = 0.0
    schedule: Annotated[ScheduleName, Field(description="of the learning rate")] = "constant"
    milestones: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(strict=False, max_length=100, description="iterations at which a step schedule decays"),
    ] = ()
    decay: Annotated[float, Field(gt=0, lt=1, description="factor at each milestone")] = 0.1
    warmup: Annotated[int, Field(ge=0, description="iterations of linear warm-up")] = 0
    evaluate_every: Annotated[int, Field(ge=1, description="iterations between validations")] = 100
    dropout: Annotated[float, Field(ge=0, lt=1, description="rate at which units are left out")] = 0.0
    augment: Annotated[bool, Field(description="random crops and flips of the examples")] = False
    order: Annotated[
        Literal["round", "trial"], Field(description="draw the order of examples for each round, or once a trial")
    ] = "round"
    clamp: Annotated[
        float | None, Field(gt=0, le=100, description="largest bound of a magnitude, in initial standard deviations")
    ] = None

    @model_validator(mode="after")
    def _combination(self) -> Self:
        rule, schedule = registry.optimizer.entry(self.optimizer), registry.schedule.entry(self.schedule)
        if ("milestones" in schedule.parameters) != bool(self.milestones):
            allowed = f"one or more with schedule {takers(registry.schedule, 'milestones')}, none with others"
            raise impossible("milestones", list(self.milestones), allowed)
        if list(self.milestones) != sorted(set(self.milestones)):
            raise impossible("milestones", list(self.milestones), "iterations in rising order, each once")
        if "momentum" in self.model_fields_set and "momentum" not in rule.parameters:
            raise impossible("momentum", self.momentum, f"only with optimizer {takers(registry.optimizer, 'momentum')}")
        if self.nesterov and not ("nesterov" in rule.parameters and self.momentum):
            allowed = f"only with optimizer {takers(registry.optimizer, 'nesterov')} and a momentum above 0"
            raise impossible("nesterov", self.nesterov, allowed)
        if "decay" in self.model_fields_set and "decay" not in schedule.parameters:
            raise impossible("decay", self.decay, f"only with schedule {takers(registry.schedule, 'decay')}")
        if self.batch * self.iterations > MAX_EXAMPLES:
            allowed = f"at most {MAX_EXAMPLES // self.iterations} with {self.iterations} iterations"
            raise impossible("batch", self.batch, f"{allowed}: {MAX_EXAMPLES} examples in a round")
        if self.warmup > self.iterations:
            raise impossible("warmup", self.warmup, f"at most the iterations, {self.iterations}")
        return self


class Prune(Model):
    """How a network is pruned after each round: `rate` of each layer's survivors, half of that in the output layer.

    `rates` sets the rate of a kind of layer. In global scope the layers are ranked together and `rate` is that of all
    of them (Frankle & Carbin 2019, section 2 and figure 2). `levels`, instead of `rounds`, are the densities to prune
    to, in percent; each layer is pruned as far as its rate takes it. Layers of the kinds or names in `unpruned` have no
    mask and do not count in the density. `parameters` are the criterion's. `early_bird` makes the next round's mask
    after every epoch of a round, to find when it no longer changes (You et al. 2020); with `stop` the round ends there.
    `stop_on_collapse` skips the rounds after one whose validation accuracy is no better than chance.
    """

    rounds: Annotated[int, Field(ge=0, le=100, description="times that the network is pruned")] = 20
    levels: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=100)], ...],
        Field(strict=False, max_length=100, description="P_m to prune to, in percent"),
    ] = ()
    rate: Annotated[Rate, Field(description="fraction of the survivors pruned in a round")] = 0.2
    rates: Annotated[dict[LayerKind, Rate], Field(description="rates of kinds of layers")] = {}
    scope: Annotated[Literal["layerwise", "global"], Field(description="rank each layer, or all together")] = (
        "layerwise"
    )
    unpruned: Annotated[
        tuple[LayerName, ...],
        Field(strict=False, max_length=1000, description="kinds or names of layers that are never pruned"),
    ] = ()
    criterion: Annotated[CriterionName, Field(description="score of a weight; the lowest are pruned")] = "magnitude"
    parameters: Parameters = {}
    early_bird: Annotated[EarlyBird, Field(description="compare the masks of a round's epochs")] = "off"
    stop_on_collapse: Annotated[bool, Field(description="no rounds after one at chance")] = False

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if self.scope == "global" and self.rates:
            raise impossible("rates", self.rates, "only with scope 'layerwise'; global scope has one rate")
        if self.levels and "rounds" in self.model_fields_set:
            raise impossible("levels", list(self.levels), "only without rounds")
        if list(self.levels) != sorted(set(self.levels), reverse=True):
            raise impossible("levels", list(self.levels), "percentages in falling order, each once")
        if self.parameters:
            check_parameters(registry.criterion.entry(self.criterion), self.parameters, "parameters")
        return self

    @property
    def steps(self) -> int:
        """Number of times that the network is pruned."""
        return len(self.levels) or self.rounds

    def rate_of(self, kind: str) -> float:
        """The rate of a kind of layer in layerwise scope."""
        return self.rates.get(kind, self.rate / 2 if kind == "output" else self.rate)


class Restart(Model):
    """The weights that survivors restart from (the treatment).

    `iteration` is that of treatment `rewind`; `parameters` are the treatment's. `keep_signs` gives each survivor the
    sign of its initial weight (Zhou et al. 2019).
    """

    treatment: Annotated[TreatmentName, Field(description="where survivors restart")] = "reset"
    iteration: Annotated[int | None, Field(ge=1, description="to rewind to")] = None
    parameters: Parameters = {}
    keep_signs: Annotated[bool, Field(description="survivors take their initial signs")] = False

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if not self.model_fields_set & {"treatment", "iteration", "parameters"}:
            return self
        entry = registry.treatment.entry(self.treatment)
        if entry.value.takes_iteration != (self.iteration is not None):
            takes = [repr(it.name) for it in registry.treatment.entries() if it.value.takes_iteration]
            allowed = f"an iteration with treatment {' or '.join(takes)}, none with others"
            raise impossible("iteration", self.iteration, allowed)
        check_parameters(entry, self.parameters, "parameters")
        return self


class Recipe(Model):
    """Everything that affects an arm's results, except seeds."""

    data: Data = Data()
    network: Network = Network()
    train: Train = Train()
    prune: Prune = Prune()
    restart: Restart = Restart()

    @model_validator(mode="after")
    def _combination(self) -> Self:
        iteration = self.restart.iteration
        if iteration is not None and iteration >= self.train.iterations:
            allowed = f"less than the iterations of a round, {self.train.iterations}"
            raise impossible(("restart", "iteration"), iteration, allowed)
        return self
