"""The graph of rounds: the inputs and the content key of each round."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from engine import registry
from engine.analysis import WINDOW
from engine.errors import BadInput
from engine.experiment.arms import ArmKind
from engine.experiment.treatments import Reset, Treatment
from engine.networks import LayerShape, Network, build, image_problem
from engine.pruning import PruningSchedule, pruned_layers, pruning_schedule
from engine.registry import Registry
from engine.spec import Arm, Data, EarlyBird, Prune, Recipe, Study, Train, digest, round_seed
from engine.spec.problems import shown

if TYPE_CHECKING:
    from engine.datasets import DatasetStatus

KEY_FORMAT = 3
"""Part of every key. Increment it when the engine's results for the same study change."""


@dataclass(frozen=True)
class DatasetInfo:
    """The facts of a data set in a plan: name, fingerprint, image shape `[H, W, C]`, classes, sizes of splits."""

    name: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    classes: int
    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, entry: "DatasetStatus") -> Self:
        return cls(
            name=entry.name,
            fingerprint=entry.fingerprint,
            image_shape=entry.image_shape,
            classes=entry.classes,
            train=entry.train - entry.validation,
            validation=entry.validation,
            test=entry.test,
        )


@dataclass(frozen=True)
class RoundId:
    """The position of a round in the study: arm, trial (from 0), number (0 is dense)."""

    arm: str
    trial: int
    number: int


@dataclass(frozen=True)
class Input:
    """A round that another round depends on: its role, its key, and the iteration of the weights that are read (None
    for masks and final weights).

    Roles: `parent`, whose masks are pruned; `ticket`, whose masks a control uses; `dense`, the trial's round 0.
    """

    role: str
    key: str
    iteration: int | None = None


@dataclass(frozen=True, eq=False)
class Round:
    """One network to train. Several arms can share it.

    Seeds: `seed` is the trial's, from which subsets, bounds and scores are drawn; `own_seed` the arm kind's;
    `weights_seed` draws the initial weights; `order_seed` draws the order of examples, crops and dropout. `arm` makes
    the masks and `treatment` the first weights, both from `inputs`. `schedule` and `number` say how many weights
    survive.
    """

    key: str
    number: int
    data: Data
    network: str
    network_parameters: Mapping[str, Any]
    train: Train
    prune: Prune
    schedule: PruningSchedule
    layers: tuple[LayerShape, ...]
    arm: ArmKind
    treatment: Treatment
    inputs: tuple[Input, ...]
    seed: int
    own_seed: int
    weights_seed: int
    order_seed: int
    keep_signs: bool
    stop_on_collapse: bool

    @property
    def dependencies(self) -> frozenset[str]:
        """The keys of the rounds that must be finished first."""
        return frozenset(item.key for item in self.inputs)

    @property
    def parent(self) -> str | None:
        """The key of the round that the masks are pruned from; None for dense rounds and controls."""
        return next((item.key for item in self.inputs if item.role == "parent"), None)

    @property
    def start_iteration(self) -> int:
        """The iteration of the schedule at which the round starts."""
        return self.treatment.start_iteration

    @property
    def iterations(self) -> int:
        """Steps of training."""
        return self.train.iterations - self.start_iteration

    @property
    def group(self) -> tuple[int, bool]:
        """Iterations, and whether weights are clamped. Only rounds of one program and one group can share a batch of
        lanes."""
        return self.iterations, self.train.clamp is not None

    @property
    def early_bird(self) -> EarlyBird:
        """The early-bird mode; off in the last round, which is not pruned further."""
        return self.prune.early_bird if self.number + 1 < len(self.schedule.survivors) else "off"


@dataclass(frozen=True, eq=False)
class Plan:
    """All rounds of a study: `rounds` by key in topological order, `round_keys` in the study's order."""

    study: Study
    dataset: DatasetInfo
    network: Network
    rounds: dict[str, Round]
    round_keys: dict[RoundId, str]

    @property
    def layers(self) -> tuple[LayerShape, ...]:
        """The layers with a kernel; a recipe may leave some unpruned."""
        return self.network.layers

    def recipe(self, arm: Arm) -> Recipe:
        """The arm's recipe."""
        return self._recipes[arm.name]

    def arm_seeds(self, arm: Arm) -> tuple[int, ...]:
        """Return the seed of each network of the arm: the trial's, or the copy's own."""
        return tuple(own for _, _, own in self.study.copies(arm))

    def arm_rounds(self, arm: Arm) -> tuple[int, ...]:
        """Return the numbers of the arm's rounds, including 0, the dense round."""
        return _numbers(arm, self._recipes[arm.name])

    @cached_property
    def _recipes(self) -> dict[str, Recipe]:
        return {arm.name: self.study.recipe(arm) for arm in self.study.arm}

    @cached_property
    def most_at_once(self) -> int:
        """The maximum number of rounds that can train at the same time: those with one number."""
        return max(Counter(item.number for item in self.rounds.values()).values())

    @cached_property
    def ids_of(self) -> dict[str, list[RoundId]]:
        """The ids of each round, by key."""
        found: dict[str, list[RoundId]] = {key: [] for key in self.rounds}
        for place, key in self.round_keys.items():
            found[key].append(place)
        return found

    @cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """The rounds that depend directly on each round, by key, in the plan's order."""
        found: dict[str, list[str]] = {key: [] for key in self.rounds}
        for item in self.rounds.values():
            for key in item.dependencies:
                found[key].append(item.key)
        return {key: tuple(keys) for key, keys in found.items()}

    @cached_property
    def rewind_points(self) -> dict[str, frozenset[int]]:
        """The iterations at which other rounds read the weights of each round, by key."""
        found: dict[str, set[int]] = {key: set() for key in self.rounds}
        for item in self.rounds.values():
            for read in item.inputs:
                if read.iteration is not None:
                    found[read.key].add(read.iteration)
        return {key: frozenset(iterations) for key, iterations in found.items()}


def make_plan(study: Study, dataset: DatasetInfo, numerics: str) -> Plan:
    """Return the rounds of `study` on `dataset`. Keys cover everything that affects results.

    `numerics` names versions and devices. Raises BadInput if the study does not fit the data set or the network.
    """
    name, parameters = study.base.network.name, study.base.network.parameters
    try:
        network = build(name, dataset.image_shape, dataset.classes, **parameters)
    except ValueError as problem:
        own = bool(parameters) and image_problem(name, dataset.image_shape) is None
        found = f"parameters: found {shown(parameters)}" if own else f"name: found {name!r}"
        raise BadInput(f"{study.name}: base.network.{found}; {problem}") from None
    rounds: dict[str, Round] = {}
    round_keys: dict[RoundId, str] = {}
    for position, arm in enumerate(study.arm):
        recipe = study.recipe(arm)
        _fits(study, position, recipe, dataset, network.layers)
        _add_arm(study, arm, recipe, _Arm(arm, recipe, network, dataset, numerics), rounds, round_keys)
    return Plan(study, dataset, network, rounds, round_keys)


class _Arm:
    """The parts that all rounds of an arm share, computed once."""

    def __init__(self, arm: Arm, recipe: Recipe, network: Network, dataset: DatasetInfo, numerics: str):
        self.kind: ArmKind = registry.arm[arm.kind](**arm.parameters)
        self.layers = pruned_layers(network.layers, recipe.prune)
        self.schedule = pruning_schedule(network.layers, recipe.prune)
        restart = recipe.restart
        self.treatment: Treatment = Reset()
        start: list[Any] = _entry(registry.treatment, "reset", {})
        if not self.kind.fresh_weights:
            self.treatment = registry.treatment[restart.treatment](**restart.parameters)
            self.treatment.iteration = restart.iteration or 0
            start = [*_entry(registry.treatment, restart.treatment, restart.parameters), restart.iteration]
        prune = recipe.prune
        criterion = _entry(registry.criterion, prune.criterion, prune.parameters)
        self._dense = {
            "format": KEY_FORMAT,
            "numerics": numerics,
            "data": {"fingerprint": dataset.fingerprint, **recipe.data.model_dump(mode="json", exclude={"name"})},
            "network": _entry(registry.network, recipe.network.name, recipe.network.parameters),
            "train": recipe.train.model_dump(mode="json", exclude={"order"}),
            "plug-ins": [
                registry.optimizer.entry(recipe.train.optimizer).key,
                registry.schedule.entry(recipe.train.schedule).key,
            ],
            "masked": self.schedule.parameters,
        }
        own_masks = type(self.kind).masks is not ArmKind.masks
        self._later = self._dense | {
            "masks": [criterion if self.kind.prunes else None, _entry(registry.arm, arm.kind, arm.parameters)]
            if own_masks
            else criterion,
            "start": start,
            "signs": restart.keep_signs,
        }
        self._watched = None if prune.early_bird == "off" else [prune.early_bird, criterion]
        self._bases: dict[int, str] = {}

    def key(self, number: int, seeds: tuple[int, ...], inputs: tuple[Input, ...]) -> str:
        """The content key of a round."""
        if number not in self._bases:
            self._bases[number] = digest(self._facts(number))
        return digest([self._bases[number], seeds, [[item.role, item.key, item.iteration] for item in inputs]])

    def _facts(self, number: int) -> dict[str, Any]:
        # Only the steps taken so far, so schedules of different length share their first rounds.
        steps = self.schedule.survivors
        facts = {**(self._later if number else self._dense), "number": number}
        facts["schedule"] = [self.schedule.groups, steps[number]] if number else None
        watched = self._watched and number + 1 < len(steps)
        facts["early_bird"] = [self._watched, self.schedule.groups, steps[number + 1]] if watched else None
        return facts


def _add_arm(
    study: Study, arm: Arm, recipe: Recipe, common: _Arm, rounds: dict[str, Round], round_keys: dict[RoundId, str]
) -> None:
    kind = common.kind
    initial: Treatment = Reset()
    per_round = recipe.train.order == "round"
    for trial, (ticket_trial, seed, own) in enumerate(study.copies(arm)):
        noise = seed if arm.order_seed is None else arm.order_seed + ticket_trial
        before = 0
        for number in _numbers(arm, recipe):
            treatment = initial
            inputs: tuple[Input, ...] = ()
            if number:
                treatment = common.treatment
                roles = {"dense": round_keys[RoundId(arm.of if kind.control else arm.name, ticket_trial, 0)]}
                if kind.control:
                    roles["ticket"] = round_keys[RoundId(arm.of, ticket_trial, number)]
                else:
                    earlier = before if kind.prunes == "previous" else 0
                    roles["parent"] = round_keys[RoundId(arm.name, trial, earlier)]
                inputs = _inputs(treatment, roles)
            weights_seed = own if number and kind.fresh_weights else seed
            own_seed = own if number and kind.draws else 0
            order_seed = round_seed(noise, number) if per_round else noise
            key = common.key(number, (seed, own_seed, weights_seed, order_seed), inputs)
            round_keys[RoundId(arm.name, trial, number)] = key
            before = number
            found = rounds.get(key)
            if found is None:
                rounds[key] = Round(
                    key=key,
                    number=number,
                    data=recipe.data,
                    network=recipe.network.name,
                    network_parameters=recipe.network.parameters,
                    train=recipe.train,
                    prune=recipe.prune,
                    schedule=common.schedule,
                    layers=common.layers,
                    arm=kind,
                    treatment=treatment,
                    inputs=inputs,
                    seed=seed,
                    own_seed=own_seed,
                    weights_seed=weights_seed,
                    order_seed=order_seed,
                    keep_signs=number > 0 and recipe.restart.keep_signs,
                    stop_on_collapse=recipe.prune.stop_on_collapse,
                )
            elif found.stop_on_collapse and not recipe.prune.stop_on_collapse:
                # The round is trained if any arm that shares it continues.
                rounds[key] = replace(found, stop_on_collapse=False)


def _inputs(treatment: Treatment, roles: Mapping[str, str]) -> tuple[Input, ...]:
    found = [Input(role, key) for role, key in roles.items() if role != "dense"]
    for read in treatment.reads:
        item = Input(read.role, roles[read.role], read.iteration)
        if item not in found:
            found.append(item)
    return tuple(found)


def _entry(entries: Registry[Any], name: str, given: Mapping[str, Any]) -> list[Any]:
    """Return the part of a key for a registry entry: its name, its parameters and the digest of its plug-in."""
    entry = entries.entry(name)
    return [name, entry.arguments(given), entry.key]


def _fits(study: Study, position: int, recipe: Recipe, dataset: DatasetInfo, layers: tuple[LayerShape, ...]) -> None:
    """Raise BadInput if an arm's recipe does not fit the data set or the network."""
    arm = study.arm[position]

    def refuse(table: str, field: str, found: object, allowed: str) -> BadInput:
        where = f"arm.{position}" if field in getattr(arm, table) else "base"
        return BadInput(f"{study.name}: {where}.{table}.{field}: found {found}; allowed: {allowed}")

    try:
        pruned_layers(layers, recipe.prune)
    except ValueError as error:
        raise refuse("prune", "unpruned", list(recipe.prune.unpruned), str(error)) from None
    kinds = dict.fromkeys(layer.kind for layer in layers)
    if unknown := [kind for kind in recipe.prune.rates if kind not in kinds]:
        raise refuse("prune", "rates", unknown[0], f"kinds of the network's layers: {', '.join(kinds)}")
    examples = round(dataset.train * recipe.data.fraction)
    stratified = recipe.data.subset == "stratified" and examples < dataset.train
    if stratified and min(examples, dataset.train - examples) < dataset.classes:
        allowed = f"one that takes and leaves out {dataset.classes} or more of the {dataset.train} training examples"
        raise refuse("data", "fraction", f"{recipe.data.fraction:g}", f"{allowed} of {dataset.name}")
    if recipe.train.batch > examples:
        allowed = f"at most the {examples} training examples of {dataset.name} that arm {arm.name!r} learns from"
        raise refuse("train", "batch", recipe.train.batch, allowed)
    epochs, every = -(-WINDOW * examples // recipe.train.batch), recipe.train.evaluate_every
    if recipe.prune.early_bird == "stop" and every > epochs < recipe.train.iterations:
        allowed = f"at most {epochs}, after which early_bird 'stop' can end a round of arm {arm.name!r}"
        raise refuse("train", "evaluate_every", every, allowed)


def _numbers(arm: Arm, recipe: Recipe) -> tuple[int, ...]:
    return (0, *(arm.rounds or range(1, recipe.prune.steps + 1)))
