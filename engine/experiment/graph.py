"""The graph of rounds."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

from engine.analysis import WINDOW
from engine.datasets import Entry
from engine.errors import BadInput
from engine.networks import LayerShape, Network, build
from engine.pruning import PruningSchedule, pruning_schedule
from engine.spec import (
    CONTROLS,
    DRAWN,
    SEED_STRIDE,
    Arm,
    Criterion,
    Data,
    EarlyBird,
    Recipe,
    Restart,
    Study,
    Train,
    digest,
)

KEY_FORMAT = 2
"""Raised when the engine comes to compute something else from the same study."""


@dataclass(frozen=True)
class DatasetInfo:
    """What a plan must know of a data set: its name, content and the sizes of its parts; images are `[H, W, C]`."""

    name: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    classes: int
    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, entry: Entry) -> Self:
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
class FullMask:
    """Nothing is pruned."""


@dataclass(frozen=True)
class Pruned:
    """The masks of round `parent`, pruned by the criterion on its last weights to step `number` of the ladder."""

    parent: str
    criterion: Criterion
    schedule: PruningSchedule
    number: int


@dataclass(frozen=True)
class TicketMask:
    """The ticket's masks, bit for bit."""

    ticket: str


@dataclass(frozen=True)
class RandomMask:
    """As many weights in each layer as the ticket has, in places drawn from `seed`."""

    ticket: str
    seed: int


MaskSource = FullMask | Pruned | TicketMask | RandomMask


@dataclass(frozen=True)
class InitialWeights:
    """Fresh weights, drawn from `seed`."""

    seed: int


@dataclass(frozen=True)
class ShuffledWeights:
    """Those weights, the survivors' shuffled within their layer by a draw from `draw`."""

    seed: int
    draw: int


@dataclass(frozen=True)
class SnapshotWeights:
    """The weights of round `parent` as they were at `iteration`."""

    parent: str
    iteration: int


@dataclass(frozen=True)
class FinalWeights:
    """The last weights of round `parent`."""

    parent: str


StartSource = InitialWeights | ShuffledWeights | SnapshotWeights | FinalWeights


@dataclass(frozen=True)
class Place:
    """Where a round stands in the study: arm, trial (from 0), number (0 is dense)."""

    arm: str
    trial: int
    number: int


@dataclass(frozen=True)
class Round:
    """One network to train, wherever the study needs it.

    `seed` is the trial's: it draws the order of the examples, subsets, bounds. Survivors start at `start`, with the
    signs of the initial weights of seed `signs` where there is one, at iteration `first` of the schedule, or, when
    `fine_tuned`, at the schedule's last learning rate throughout. `ladder` and `number` say how many they are.
    """

    key: str
    data: Data
    network: str
    train: Train
    seed: int
    masks: MaskSource
    start: StartSource
    signs: int | None
    first: int
    fine_tuned: bool
    schedule: PruningSchedule
    number: int
    early_bird: EarlyBird
    stop_on_collapse: bool

    @property
    def needs(self) -> frozenset[str]:
        """The keys of the rounds that must be there first."""
        found = set()
        match self.masks:
            case Pruned(parent=key) | TicketMask(ticket=key) | RandomMask(ticket=key):
                found.add(key)
        match self.start:
            case SnapshotWeights(parent=key) | FinalWeights(parent=key):
                found.add(key)
        return frozenset(found)

    @property
    def parent(self) -> str | None:
        """The key of the round that the masks are pruned from; None for dense rounds and controls."""
        return self.masks.parent if isinstance(self.masks, Pruned) else None

    @property
    def iterations(self) -> int:
        """Steps that it trains for."""
        return self.train.iterations - self.first


@dataclass(frozen=True)
class Plan:
    """All rounds of a study: `rounds` by key in an order that can be trained in, `places` in order of the study."""

    study: Study
    mark: DatasetInfo
    network: Network
    rounds: dict[str, Round]
    places: dict[Place, str]

    @property
    def layers(self) -> tuple[LayerShape, ...]:
        """The layers that can be pruned."""
        return self.network.layers

    def arm_seeds(self, arm: Arm) -> tuple[int, ...]:
        """What each trial of the arm draws from: the trial's seed, or each control's own."""
        return tuple(own for _, _, own in _trials(self.study, arm))

    def arm_rounds(self, arm: Arm) -> tuple[int, ...]:
        """The rounds of the arm; 0, the dense one, is in all of them."""
        return _numbers(arm, self.study.recipe(arm))

    @cached_property
    def most_at_once(self) -> int:
        """Rounds that can be ready together at the most: as many as share a number."""
        return max(Counter(item.number for item in self.rounds.values()).values())

    @cached_property
    def places_of(self) -> dict[str, list[Place]]:
        """Where each round stands, by key."""
        found: dict[str, list[Place]] = {key: [] for key in self.rounds}
        for place, key in self.places.items():
            found[key].append(place)
        return found

    @cached_property
    def rewind_points(self) -> dict[str, frozenset[int]]:
        """The iterations at which other rounds need the weights of each round, by key."""
        found: dict[str, set[int]] = {key: set() for key in self.rounds}
        for item in self.rounds.values():
            if isinstance(item.start, SnapshotWeights):
                found[item.start.parent].add(item.start.iteration)
        return {key: frozenset(iterations) for key, iterations in found.items()}


def make_plan(study: Study, mark: DatasetInfo, numerics: str) -> Plan:
    """The rounds of `study` on the data set of `mark`, with keys that hold all that makes their numbers.

    `numerics` names the versions and the device that compute. Raises BadInput for what only the data can show
    to be impossible.
    """
    name = study.base.network.name
    try:
        network = build(name, mark.image_shape, mark.classes)
    except ValueError as problem:
        raise BadInput(f"{study.name}: base.network.name: found {name!r}; {problem}") from None
    layers = network.layers
    rounds: dict[str, Round] = {}
    places: dict[Place, str] = {}
    for position, arm in enumerate(study.arm):
        recipe = study.recipe(arm)
        _fits(study, position, recipe, mark)
        steps = pruning_schedule(layers, recipe.prune)
        for trial, (ticket_trial, seed, own) in enumerate(_trials(study, arm)):
            keys: dict[int, str] = {}
            for number in _numbers(arm, recipe):
                ticket = places.get(Place(arm.of, ticket_trial, number), "")
                parent = keys.get(number - 1 if arm.kind == "ticket" else 0, "")
                dense = places.get(Place(arm.of, ticket_trial, 0), "") if arm.kind in CONTROLS else keys.get(0, "")
                item = Round(
                    key="",
                    data=recipe.data,
                    network=recipe.network.name,
                    train=recipe.train,
                    seed=seed,
                    masks=_masks(arm, number, parent, ticket, own, recipe, steps),
                    start=_start(arm, number, parent, dense, seed, own, recipe.restart),
                    signs=seed if recipe.restart.keep_signs and number > 0 else None,
                    first=_first(arm, number, recipe.restart),
                    fine_tuned=recipe.restart.treatment == "keep" and number > 0 and arm.kind not in CONTROLS,
                    schedule=steps,
                    number=number,
                    early_bird=recipe.prune.early_bird,
                    stop_on_collapse=recipe.prune.stop_on_collapse,
                )
                item = replace(item, key=_key(item, mark, numerics))
                keys[number] = item.key
                known = rounds.setdefault(item.key, item)
                if known.stop_on_collapse and not item.stop_on_collapse:
                    # It is trained where any of the arms that share it goes on.
                    rounds[item.key] = replace(known, stop_on_collapse=False)
                places[Place(arm.name, trial, number)] = item.key
    return Plan(study, mark, network, rounds, places)


def _fits(study: Study, position: int, recipe: Recipe, mark: DatasetInfo) -> None:
    arm = study.arm[position]
    where = f"arm.{position}.train.batch" if "batch" in arm.train else "base.train.batch"
    examples = round(mark.train * recipe.data.fraction)
    if recipe.data.subset == "stratified" and examples < mark.train:
        drawn = f"arm.{position}.data.fraction" if "fraction" in arm.data else "base.data.fraction"
        if min(examples, mark.train - examples) < mark.classes:
            allowed = f"one that takes and leaves out {mark.classes} or more of the {mark.train} training examples"
            raise BadInput(f"{study.name}: {drawn}: found {recipe.data.fraction:g}; allowed: {allowed} of {mark.name}")
    if recipe.train.batch > examples:
        allowed = f"at most the {examples} training examples of {mark.name} that arm {arm.name!r} learns from"
        raise BadInput(f"{study.name}: {where}: found {recipe.train.batch}; allowed: {allowed}")
    epochs, every = -(-WINDOW * examples // recipe.train.batch), recipe.train.evaluate_every
    if recipe.prune.early_bird == "stop" and every > epochs < recipe.train.iterations:
        where = f"arm.{position}.train.evaluate_every" if "evaluate_every" in arm.train else "base.train.evaluate_every"
        allowed = f"at most {epochs}, after which early_bird 'stop' can end a round of arm {arm.name!r}"
        raise BadInput(f"{study.name}: {where}: found {every}; allowed: {allowed}")


def _trials(study: Study, arm: Arm) -> list[tuple[int, int, int]]:
    """(trial of the ticket, its seed, own seed) of each trial of an arm."""
    seeds = study.trial_seeds()
    if arm.kind not in DRAWN:
        return [(trial, seed, seed) for trial, seed in enumerate(seeds)]
    return [
        (trial, seed, seed + SEED_STRIDE * (copy + 1))
        for trial, seed in enumerate(seeds)
        for copy in range(arm.per_ticket)
    ]


def _numbers(arm: Arm, recipe: Recipe) -> tuple[int, ...]:
    return (0, *(arm.rounds or range(1, recipe.prune.steps + 1)))


def _masks(
    arm: Arm, number: int, parent: str, ticket: str, own: int, recipe: Recipe, steps: PruningSchedule
) -> MaskSource:
    if number == 0:
        return FullMask()
    match arm.kind:
        case "ticket" | "one-shot":
            return Pruned(parent, recipe.prune.criterion, steps, number)
        case "reinit" | "retrain":
            return TicketMask(ticket)
        case "random-mask":
            return RandomMask(ticket, own)


def _start(arm: Arm, number: int, parent: str, dense: str, seed: int, own: int, restart: Restart) -> StartSource:
    if number == 0:
        return InitialWeights(seed)
    if arm.kind == "reinit":
        return InitialWeights(own)
    match restart.treatment:
        case "reset":
            return InitialWeights(seed)
        case "rewind":
            assert restart.iteration is not None
            return SnapshotWeights(dense, restart.iteration)
        case "reinit":
            return InitialWeights(seed + SEED_STRIDE * (SEED_STRIDE + number))
        case "reshuffle":
            return ShuffledWeights(seed, seed + SEED_STRIDE * (SEED_STRIDE + number))
        case "keep" | "lr-rewind":
            return FinalWeights(parent)


def _first(arm: Arm, number: int, restart: Restart) -> int:
    """The iteration of the schedule that a round starts at."""
    rewound = number > 0 and arm.kind != "reinit" and restart.treatment == "rewind"
    return restart.iteration or 0 if rewound else 0


def _key(item: Round, mark: DatasetInfo, numerics: str) -> str:
    masks = _facts(item.masks)
    if isinstance(item.masks, Pruned):
        # Only the step that is taken: a longer ladder of the same rates shares its first rounds.
        del masks["number"]
        masks["schedule"] = [item.schedule.groups, item.schedule.survivors[item.number]]
    watched = None
    if item.early_bird != "off" and item.number + 1 < len(item.schedule.survivors):
        watched = [item.early_bird, item.schedule.groups, item.schedule.survivors[item.number + 1]]
    return digest(
        {
            "format": KEY_FORMAT,
            "numerics": numerics,
            "data": {"fingerprint": mark.fingerprint, **item.data.model_dump(mode="json", exclude={"name"})},
            "network": item.network,
            "train": item.train.model_dump(mode="json"),
            "bounds": item.number if item.train.clamp is not None else None,
            "seed": item.seed,
            "masks": masks,
            "start": _facts(item.start),
            "signs": item.signs,
            "first": item.first,
            "fine_tuned": item.fine_tuned,
            "early_bird": watched,
        }
    )


def _facts(source: MaskSource | StartSource) -> dict[str, Any]:
    return {"source": type(source).__name__, **vars(source)}
