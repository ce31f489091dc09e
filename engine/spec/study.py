"""The typed study: a recipe, the arms that vary it, and seeds."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator

from engine.spec.problems import Impossible, impossible, printable
from engine.spec.recipe import Model, Recipe

ArmKind = Literal["ticket", "one-shot", "reinit", "random-mask", "retrain"]
ARM_KINDS: tuple[str, ...] = get_args(ArmKind)
CONTROLS: frozenset[str] = frozenset({"reinit", "random-mask", "retrain"})
DRAWN: frozenset[str] = frozenset({"reinit", "random-mask"})
"""Controls that draw something of their own, of which each ticket can have several."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

SEED_STRIDE = 1000
"""Trials and controls per ticket are fewer than this, so that seeds derived by it never meet."""
MAX_ROUNDS = 20_000
"""Of all arms and trials. The paper's largest study has some thousand."""


class Arm(Model):
    """One variant of the study. Its tables `data`, `train`, `prune` and `restart` override the base recipe's fields.

    `kind`: `ticket` prunes iteratively; `one-shot` prunes the dense network once, to the P_m of each round.
    Controls are made from the tickets of `of`: `reinit` trains their masks from fresh weights, `per_ticket` times;
    `random-mask` keeps their layer counts in random places; `retrain` trains the tickets themselves under other
    `data` or `train`. `rounds` limits one-shot and controls to some rounds.
    """

    name: Name
    kind: Annotated[ArmKind, Field(description="the procedure")]
    of: Annotated[Name, Field(description="the arm that a control is made from")] = "ticket"
    per_ticket: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="controls made from each ticket")] = 1
    rounds: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...] | None,
        Field(strict=False, description="rounds to do; all when left out"),
    ] = None
    data: dict[str, Any] = {}
    train: dict[str, Any] = {}
    prune: dict[str, Any] = {}
    restart: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _kind_from_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "kind" not in given and given.get("name") in ARM_KINDS:
            return {**given, "kind": given["name"]}
        return given

    @model_validator(mode="after")
    def _combination(self) -> Self:
        for field, kinds in (("of", CONTROLS), ("per_ticket", DRAWN)):
            if field in self.model_fields_set and self.kind not in kinds:
                allowed = f"only with kind {' or '.join(map(repr, sorted(kinds)))}, not {self.kind!r}"
                raise impossible(field, getattr(self, field), allowed)
        for field in ("name", "seed"):
            if field in self.data:
                raise impossible(("data", field), self.data[field], "in base only: all arms learn from the same data")
        if self.rounds is not None:
            if self.kind == "ticket":
                raise impossible("rounds", list(self.rounds), "not with kind 'ticket', which does them all")
            if not self.rounds or list(self.rounds) != sorted(set(self.rounds)):
                raise impossible("rounds", list(self.rounds), "rounds in rising order, each once")
        return self

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        tables = {"data": self.data, "train": self.train, "prune": self.prune, "restart": self.restart}
        return {name: table for name, table in tables.items() if table}


class Study(Model):
    """A question: a base recipe, its arms, and how many trials of each.

    `seed` is the first trial's seed; trial t has `seed + t`. Control r of a trial draws from the trial's
    seed + 1000 (r + 1), and that is the seed shown for it; what a treatment draws for round n comes from
    seed + 1000 (1000 + n).
    """

    name: Name
    about: Annotated[str, Field(max_length=2000, description="what to look for"), AfterValidator(printable)] = ""
    trials: Annotated[int, Field(ge=1, lt=SEED_STRIDE, description="seeds of each arm")] = 5
    seed: Annotated[int, Field(ge=0, lt=2**31 - 2**21, description="of the first trial")] = 1
    base: Recipe = Recipe()
    arm: Annotated[tuple[Arm, ...], Field(strict=False, min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _combination(self) -> Self:
        kinds: dict[str, str] = {}
        rounds = 0
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
            if arm.kind in CONTROLS:
                _control_fits(arm, recipe, self.recipe(self.named(arm.of)), place)
            if arm.rounds and arm.rounds[-1] > recipe.prune.steps:
                allowed = f"at most the {recipe.prune.steps} rounds of prune"
                raise impossible(("arm", place, "rounds"), list(arm.rounds), allowed)
            networks = self.trials * (arm.per_ticket if arm.kind in DRAWN else 1)
            rounds += networks * (1 + len(arm.rounds or range(recipe.prune.steps)))
        if rounds > MAX_ROUNDS:
            raise impossible("trials", self.trials, f"at most {MAX_ROUNDS} rounds in all; these are {rounds}")
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
                below = tables.get(name, {})
                if name == "prune" and table.keys() & {"rounds", "levels"}:
                    below = {field: value for field, value in below.items() if field not in ("rounds", "levels")}
                tables[name] = {**below, **table}
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


def _control_fits(arm: Arm, recipe: Recipe, ticket: Recipe, place: int) -> None:
    for table in ("prune", "restart"):
        if getattr(recipe, table) != getattr(ticket, table):
            allowed = f"nothing: a control has the masks and weights of {arm.of!r}"
            raise impossible(("arm", place, table), getattr(arm, table), allowed)
    if arm.kind != "reinit" and ticket.restart.treatment not in ("reset", "rewind"):
        allowed = f"an arm with treatment 'reset' or 'rewind' for kind {arm.kind!r}"
        raise impossible(("arm", place, "of"), arm.of, allowed)
    rewound = ticket.restart.treatment == "rewind" and arm.kind != "reinit"
    if rewound and recipe.train.iterations != ticket.train.iterations:
        allowed = f"{ticket.train.iterations}, the iterations of {arm.of!r}, which is rewound"
        raise impossible(("arm", place, "train", "iterations"), recipe.train.iterations, allowed)


def digest(value: Any) -> str:
    """Hex SHA-256 (first 40 characters) of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
