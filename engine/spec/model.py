"""The typed study. Every value that changes a result is here, and nothing else is."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.spec.problems import Impossible, impossible

ArmKind = Literal["ticket", "one-shot", "reinit", "random-mask"]
ARM_KINDS: tuple[str, ...] = get_args(ArmKind)
CONTROLS: frozenset[str] = frozenset({"reinit", "random-mask"})

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Rate = Annotated[float, Field(gt=0, lt=1)]
LayerKind = Literal["dense", "conv", "output"]

SEED_STRIDE = 1000
"""Trials and controls per ticket are fewer than this, so that seeds derived by it never meet."""


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Model):
    """What is learned from. `seed` draws the validation split, the same for every trial."""

    name: Annotated[str, Field(description="a data set's name")] = "digits"
    seed: Annotated[int, Field(ge=0, lt=2**31, description="draws the validation examples")] = 0


class Network(Model):
    """The network's architecture."""

    name: Annotated[Literal["lenet-300-100"], Field(description="the architecture")] = "lenet-300-100"


class Train(Model):
    """How one round is trained. Times are in iterations (optimizer steps).

    `warmup` raises the learning rate linearly from 0 over the first iterations; the `step` schedule
    multiplies it by `decay` at each of `milestones`.
    """

    iterations: Annotated[int, Field(ge=1, le=10_000_000, description="optimizer steps in a round")] = 50_000
    batch: Annotated[int, Field(ge=1, le=65_536, description="examples in a step")] = 60
    optimizer: Annotated[Literal["adam", "sgd"], Field(description="the update rule")] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=100, description="before schedule and warm-up")] = 1.2e-3
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd")] = 0.9
    schedule: Annotated[Literal["constant", "step"], Field(description="of the learning rate")] = "constant"
    milestones: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(strict=False, max_length=100, description="iterations at which a step schedule decays"),
    ] = ()
    decay: Annotated[float, Field(gt=0, lt=1, description="factor at each milestone")] = 0.1
    warmup: Annotated[int, Field(ge=0, description="iterations of linear warm-up")] = 0
    evaluate_every: Annotated[int, Field(ge=1, description="iterations between validations")] = 100

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if (self.schedule == "step") != bool(self.milestones):
            allowed = "one or more with schedule 'step', none with 'constant'"
            raise impossible("milestones", list(self.milestones), allowed)
        if list(self.milestones) != sorted(set(self.milestones)):
            raise impossible("milestones", list(self.milestones), "iterations in rising order, each once")
        if "momentum" in self.model_fields_set and self.optimizer != "sgd":
            raise impossible("momentum", self.momentum, "only with optimizer 'sgd'")
        if "decay" in self.model_fields_set and self.schedule != "step":
            raise impossible("decay", self.decay, "only with schedule 'step'")
        if self.warmup > self.iterations:
            raise impossible("warmup", self.warmup, f"at most the iterations, {self.iterations}")
        return self


class Prune(Model):
    """What goes after each round: `rate` of each layer's survivors, the output layer at half of it.

    `rates` sets the rate of a kind of layer apart. In global scope the layers are ranked together
    and `rate` is of all of them. Frankle & Carbin 2019, section 2 and figure 2.
    """

    rounds: Annotated[int, Field(ge=0, le=100, description="times that the network is pruned")] = 20
    rate: Annotated[Rate, Field(description="fraction of the survivors pruned in a round")] = 0.2
    rates: Annotated[dict[LayerKind, Rate], Field(description="rates of kinds of layers")] = {}
    scope: Annotated[Literal["layerwise", "global"], Field(description="rank each layer, or all together")] = (
        "layerwise"
    )
    criterion: Annotated[Literal["magnitude"], Field(description="which weights go: the smallest")] = "magnitude"

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if self.scope == "global" and self.rates:
            raise impossible("rates", self.rates, "only with scope 'layerwise'; global scope has one rate")
        return self

    def rate_of(self, kind: LayerKind) -> float:
        """The rate of a kind of layer in layerwise scope."""
        usual: dict[LayerKind, float] = {"dense": self.rate, "conv": self.rate, "output": self.rate / 2}
        return (usual | self.rates)[kind]


class Recipe(Model):
    """Everything that makes an arm's numbers, but for seeds."""

    data: Data = Data()
    network: Network = Network()
    train: Train = Train()
    prune: Prune = Prune()


class Arm(Model):
    """One variant of the study. Its tables `train` and `prune` override the base recipe's fields.

    `kind`: `ticket` prunes iteratively; `one-shot` prunes the dense network once, to the P_m of each round;
    `reinit` trains the masks of `of` from fresh weights, `per_ticket` times; `random-mask` keeps the layer
    counts of `of` in random places. `rounds` limits one-shot and controls to some rounds.
    """

    name: Name
    kind: Annotated[ArmKind, Field(description="the procedure")]
    of: Annotated[Name, Field(description="the arm that a control is made from")] = "ticket"
    per_ticket: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="controls made from each ticket")] = 1
    rounds: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None,
        Field(strict=False, description="rounds to do; all when left out"),
    ] = None
    train: dict[str, Any] = {}
    prune: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _kind_from_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "kind" not in given and given.get("name") in ARM_KINDS:
            return {**given, "kind": given["name"]}
        return given

    @model_validator(mode="after")
    def _combination(self) -> Self:
        for field in ("of", "per_ticket"):
            if field in self.model_fields_set and self.kind not in CONTROLS:
                allowed = f"only with kind {' or '.join(map(repr, sorted(CONTROLS)))}, not {self.kind!r}"
                raise impossible(field, getattr(self, field), allowed)
        if self.rounds is not None:
            if self.kind == "ticket":
                raise impossible("rounds", list(self.rounds), "not with kind 'ticket', which does them all")
            if not self.rounds or list(self.rounds) != sorted(set(self.rounds)):
                raise impossible("rounds", list(self.rounds), "rounds in rising order, each once")
        return self

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        return {name: table for name, table in (("train", self.train), ("prune", self.prune)) if table}


class Study(Model):
    """A question: a base recipe, its arms, and how many trials of each.

    `seed` is the first trial's seed; trial t has `seed + t`. Control r of a trial draws from the trial's
    seed + 1000 (r + 1), and that is the seed shown for it.
    """

    name: Name
    about: Annotated[str, Field(max_length=2000, description="what to look for")] = ""
    trials: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="seeds of each arm")] = 5
    seed: Annotated[int, Field(ge=0, lt=2**31 - 2**21, description="of the first trial")] = 1
    base: Recipe = Recipe()
    arm: Annotated[tuple[Arm, ...], Field(strict=False, min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _combination(self) -> Self:
        kinds: dict[str, str] = {}
        for place, arm in enumerate(self.arm):
            if arm.name in kinds:
                raise impossible(("arm", place, "name"), arm.name, "each arm's name once")
            if arm.kind in CONTROLS and kinds.get(arm.of) != "ticket":
                tickets = [name for name, kind in kinds.items() if kind == "ticket"]
                allowed = f"an arm of kind 'ticket' above it ({', '.join(tickets) or 'there is none'})"
                raise impossible(("arm", place, "of"), arm.of, allowed)
            kinds[arm.name] = arm.kind
            try:
                recipe = self.recipe(arm)
            except ValidationError as error:
                raise Impossible.within(error, Recipe, ("arm", place)) from None
            if arm.kind in CONTROLS and recipe.prune != self.recipe(self.named(arm.of)).prune:
                allowed = f"nothing: a control has the masks of {arm.of!r}"
                raise impossible(("arm", place, "prune"), arm.prune, allowed)
            if arm.rounds and arm.rounds[-1] > recipe.prune.rounds:
                allowed = f"at most the {recipe.prune.rounds} rounds of prune.rounds"
                raise impossible(("arm", place, "rounds"), list(arm.rounds), allowed)
        return self

    def named(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arm if arm.name == name)

    def recipe(self, arm: Arm) -> Recipe:
        """The base recipe under the arm's overrides (a control's: over those of its ticket)."""
        tables = self.base.model_dump(exclude_unset=True)
        layers = [arm.overrides]
        if arm.kind in CONTROLS and arm.of != arm.name:
            layers.insert(0, self.named(arm.of).overrides)
        for layer in layers:
            for name, table in layer.items():
                tables[name] = {**tables.get(name, {}), **table}
        return Recipe.model_validate(tables)

    def trial_seeds(self) -> tuple[int, ...]:
        return tuple(self.seed + trial for trial in range(self.trials))

    @property
    def hash(self) -> str:
        """Hex digest of all that decides the results: equal for studies that differ only in name and words."""
        arms = [
            {
                **arm.model_dump(mode="json", include={"name", "kind", "of", "per_ticket", "rounds"}),
                "recipe": self.recipe(arm).model_dump(mode="json"),
            }
            for arm in self.arm
        ]
        return digest({"trials": self.trials, "seed": self.seed, "arms": arms})


def digest(value: Any) -> str:
    """Hex SHA-256 (first 40 characters) of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
