"""The typed study: a recipe, the arms that vary it, and seeds."""

import hashlib
import json
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from engine import registry
from engine.spec.names import ArmKindName, check_parameters
from engine.spec.problems import Impossible, impossible, printable
from engine.spec.recipe import Model, Parameters, Recipe

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

SEED_STRIDE = 1000
"""Exclusive limit of trials and of controls per ticket, so derived seeds are distinct."""
MAX_ROUNDS = 20_000
"""Maximum rounds of a study. The paper's largest study has a few thousand."""


def round_seed(seed: int, number: int) -> int:
    """Return the seed of round `number` of a trial; the dense round uses the trial's seed."""
    return seed + SEED_STRIDE * (SEED_STRIDE + number) if number else seed


_REPLACED = {
    "prune": (("rounds", ("rounds", "levels")), ("levels", ("rounds", "levels")), ("criterion", ("parameters",))),
    "restart": (("treatment", ("iteration", "parameters")),),
}
"""Base fields that an arm's field resets, since they belong to another criterion or treatment."""


class Arm(Model):
    """One variant of the study. Its tables `data`, `train`, `prune` and `restart` override the base recipe's fields.

    `kind` defines how its rounds get their masks, with `parameters`. Controls are made from tickets of the arm `of`;
    random kinds, `per_ticket` times. `rounds` limits one-shot arms and controls to some rounds. `order_seed` draws
    another order of examples, crops and dropout (`order_seed` + t for trial t), so two copies of one network train
    under different noise.
    """

    name: Name
    kind: Annotated[ArmKindName, Field(description="the procedure")]
    of: Annotated[Name, Field(description="the arm that a control is made from")] = "ticket"
    per_ticket: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="controls made from each ticket")] = 1
    rounds: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None,
        Field(strict=False, description="rounds to do; all when left out"),
    ] = None
    order_seed: Annotated[int | None, Field(ge=0, lt=2**31 - 2**21, description="draws another order")] = None
    parameters: Parameters = {}
    data: dict[str, Any] = {}
    train: dict[str, Any] = {}
    prune: dict[str, Any] = {}
    restart: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _kind_from_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "kind" not in given:
            name = given.get("name")
            if isinstance(name, str) and name in registry.arm:
                return {**given, "kind": name}
        return given

    @model_validator(mode="after")
    def _combination(self) -> Self:
        for field, fact, fits in (("of", "control", self.control), ("per_ticket", "draws", self.draws)):
            if field in self.model_fields_set and not fits:
                kinds = sorted(repr(entry.name) for entry in registry.arm.entries() if getattr(entry.value, fact))
                allowed = f"only with kind {' or '.join(kinds)}, not {self.kind!r}"
                raise impossible(field, getattr(self, field), allowed)
        if self.parameters:
            check_parameters(registry.arm.entry(self.kind), self.parameters, "parameters")
        for field in ("name", "seed"):
            if field in self.data:
                raise impossible(("data", field), self.data[field], "in base only: all arms learn from the same data")
        if self.rounds is not None:
            if self.iterative:
                raise impossible("rounds", list(self.rounds), f"not with kind {self.kind!r}, which does them all")
            if not self.rounds or list(self.rounds) != sorted(set(self.rounds)):
                raise impossible("rounds", list(self.rounds), "rounds in rising order, each once")
        return self

    @property
    def control(self) -> bool:
        """Whether the arm is made from the rounds of a ticket arm."""
        return bool(registry.arm[self.kind].control)

    @property
    def draws(self) -> bool:
        """Whether the kind is random, so a study can have several copies per ticket."""
        return bool(registry.arm[self.kind].draws)

    @property
    def iterative(self) -> bool:
        """Whether every round is pruned from the previous one: a ticket arm."""
        return bool(registry.arm[self.kind].prunes == "previous")

    @property
    def copies(self) -> int:
        """Networks per trial."""
        return self.per_ticket if self.draws else 1

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        tables = {"data": self.data, "train": self.train, "prune": self.prune, "restart": self.restart}
        return {name: table for name, table in tables.items() if table}


class Study(Model):
    """A question: a base recipe, its arms, and how many trials of each.

    `seed` is the first trial's seed; trial t has `seed + t`. Copy r of a control draws from the trial's seed +
    1000 (r + 1), the seed shown for it. Round n draws from seed + 1000 (1000 + n): see `round_seed`.
    """

    name: Name
    about: Annotated[str, Field(max_length=2000, description="what to look for"), AfterValidator(printable)] = ""
    trials: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="seeds of each arm")] = 5
    seed: Annotated[int, Field(ge=0, lt=2**31 - 2**21, description="of the first trial")] = 1
    base: Recipe = Recipe()
    arm: Annotated[tuple[Arm, ...], Field(strict=False, min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _combination(self) -> Self:
        names: set[str] = set()
        rounds = 0
        for place, arm in enumerate(self.arm):
            if arm.name in names:
                raise impossible(("arm", place, "name"), arm.name, "each arm's name once")
            tickets = [it.name for it in self.arm[:place] if it.iterative]
            if arm.control and arm.of not in tickets:
                allowed = f"an arm of kind 'ticket' above it ({', '.join(tickets) or 'there is none'})"
                raise impossible(("arm", place, "of"), arm.of, allowed)
            names.add(arm.name)
            try:
                recipe = self.recipe(arm)
            except ValidationError as error:
                raise Impossible.within(error, Recipe, ("arm", place)) from None
            if arm.control:
                _control_fits(arm, recipe, self.recipe(self.named(arm.of)), place)
            if arm.rounds and arm.rounds[-1] > recipe.prune.steps:
                allowed = f"at most the {recipe.prune.steps} rounds of prune"
                raise impossible(("arm", place, "rounds"), list(arm.rounds), allowed)
            rounds += self.trials * arm.copies * (1 + len(arm.rounds or range(recipe.prune.steps)))
        if rounds > MAX_ROUNDS:
            raise impossible("trials", self.trials, f"at most {MAX_ROUNDS} rounds in all; these are {rounds}")
        return self

    def named(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(arm for arm in self.arm if arm.name == name)

    def recipe(self, arm: Arm) -> Recipe:
        """Return the arm's recipe: the base, the ticket's overrides for a control, then the arm's overrides."""
        tables = self.base.model_dump(exclude_unset=True)
        layers = [arm.overrides]
        if arm.control and arm.of != arm.name:
            layers.insert(0, self.named(arm.of).overrides)
        for layer in layers:
            for name, table in layer.items():
                below = tables.get(name, {})
                replaced = {field for given, fields in _REPLACED.get(name, ()) if given in table for field in fields}
                tables[name] = {**{field: value for field, value in below.items() if field not in replaced}, **table}
        return Recipe.model_validate(tables)

    def copies(self, arm: Arm) -> list[tuple[int, int, int]]:
        """Return trial, trial seed and own seed of each network of an arm, in order."""
        seeds = enumerate(self.trial_seeds())
        if not arm.draws:
            return [(trial, seed, seed) for trial, seed in seeds]
        return [
            (trial, seed, seed + SEED_STRIDE * (copy + 1)) for trial, seed in seeds for copy in range(arm.per_ticket)
        ]

    def trial_seeds(self) -> tuple[int, ...]:
        return tuple(self.seed + trial for trial in range(self.trials))

    @property
    def hash(self) -> str:
        """Hex digest of everything that affects results; names and descriptions do not."""
        arms = [
            {
                **arm.model_dump(
                    mode="json", include={"name", "kind", "of", "per_ticket", "rounds", "order_seed", "parameters"}
                ),
                "recipe": self.recipe(arm).model_dump(mode="json"),
            }
            for arm in self.arm
        ]
        return digest({"trials": self.trials, "seed": self.seed, "arms": arms})


def _control_fits(arm: Arm, recipe: Recipe, ticket: Recipe, place: int) -> None:
    for table in ("prune", "restart"):
        if getattr(recipe, table) != getattr(ticket, table):
            allowed = f"nothing: a control has the masks and weights of {arm.of!r}"
            raise impossible(("arm", place, table), getattr(arm, table), allowed)
    treatment = registry.treatment[ticket.restart.treatment]
    if registry.arm[arm.kind].fresh_weights:
        return
    if not treatment.for_controls:
        fits = [repr(entry.name) for entry in registry.treatment.entries() if entry.value.for_controls]
        allowed = f"an arm with treatment {' or '.join(fits)} for kind {arm.kind!r}"
        raise impossible(("arm", place, "of"), arm.of, allowed)
    if ticket.restart.iteration is not None and recipe.train.iterations != ticket.train.iterations:
        allowed = f"{ticket.train.iterations}, the iterations of {arm.of!r}, which is rewound"
        raise impossible(("arm", place, "train", "iterations"), recipe.train.iterations, allowed)


def digest(value: Any) -> str:
    """Return the first 40 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
