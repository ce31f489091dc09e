"""The graph of rounds."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from engine.datasets import Entry
from engine.errors import BadInput
from engine.masks import Ladder, ladder
from engine.networks import LayerShape, layer_shapes
from engine.spec import CONTROLS, Arm, Data, Recipe, Study, Train, digest
from engine.spec.model import SEED_STRIDE

KEY_FORMAT = 1
"""Raised when the engine comes to compute something else from the same study."""


@dataclass(frozen=True)
class DatasetMark:
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
class Dense:
    """Nothing is pruned."""


@dataclass(frozen=True)
class Pruned:
    """The masks of round `parent`, pruned by the criterion on its last weights to step `number` of the ladder."""

    parent: str
    criterion: str
    ladder: Ladder
    number: int


@dataclass(frozen=True)
class SameAs:
    """The ticket's masks, bit for bit."""

    ticket: str


@dataclass(frozen=True)
class RandomLike:
    """As many weights in each layer as the ticket has, in places drawn from `seed`."""

    ticket: str
    seed: int


MaskSource = Dense | Pruned | SameAs | RandomLike


@dataclass(frozen=True)
class Place:
    """Where a round stands in the study: arm, trial (from 0), number (0 is dense)."""

    arm: str
    trial: int
    number: int


@dataclass(frozen=True)
class Round:
    """One network to train, wherever the study needs it.

    `weights_seed` draws the weights that survivors start from, `order_seed` the order of the examples.
    """

    key: str
    data: Data
    network: str
    train: Train
    weights_seed: int
    order_seed: int
    masks: MaskSource
    ladder: Ladder
    number: int

    @property
    def needs(self) -> str | None:
        """The key of the round that must be there first."""
        match self.masks:
            case Pruned(parent=key) | SameAs(ticket=key) | RandomLike(ticket=key):
                return key
            case Dense():
                return None


@dataclass(frozen=True)
class Plan:
    """All rounds of a study: `rounds` by key in an order that can be trained in, `places` in order of the study."""

    study: Study
    mark: DatasetMark
    layers: tuple[LayerShape, ...]
    rounds: dict[str, Round]
    places: dict[Place, str]

    def arm_seeds(self, arm: Arm) -> tuple[int, ...]:
        """What each trial of the arm draws from: the trial's seed, or each control's own."""
        return tuple(own for _, _, own in _trials(self.study, arm))

    def arm_rounds(self, arm: Arm) -> tuple[int, ...]:
        """The rounds of the arm; 0, the dense one, is in all of them."""
        return _numbers(arm, self.study.recipe(arm))

    def places_of(self, key: str) -> list[Place]:
        return [place for place, other in self.places.items() if other == key]


def make_plan(study: Study, mark: DatasetMark, numerics: str) -> Plan:
    """The rounds of `study` on the data set of `mark`, with keys that hold all that makes their numbers.

    `numerics` names the versions and the device that compute. Raises BadInput for what only the data can show
    to be impossible.
    """
    rounds: dict[str, Round] = {}
    places: dict[Place, str] = {}
    layers = layer_shapes(study.base.network.name, mark.image_shape, mark.classes)
    for position, arm in enumerate(study.arm):
        recipe = study.recipe(arm)
        where = f"arm.{position}.train.batch" if "batch" in arm.train else "base.train.batch"
        if recipe.train.batch > mark.train:
            allowed = f"at most the {mark.train} training examples of {mark.name}"
            raise BadInput(f"{study.name}: {where}: found {recipe.train.batch}; allowed: {allowed}")
        steps = ladder(layers, recipe.prune)
        for trial, (ticket_trial, base, own) in enumerate(_trials(study, arm)):
            previous = ""
            for number in _numbers(arm, recipe):
                source = _masks(
                    arm, number, previous, places.get(Place(arm.of, ticket_trial, number), ""), own, recipe, steps
                )
                fresh = arm.kind == "reinit" and number > 0
                key = _key(recipe, mark, numerics, own if fresh else base, base, source)
                rounds.setdefault(
                    key,
                    Round(
                        key=key,
                        data=recipe.data,
                        network=recipe.network.name,
                        train=recipe.train,
                        weights_seed=own if fresh else base,
                        order_seed=base,
                        masks=source,
                        ladder=steps,
                        number=number,
                    ),
                )
                places[Place(arm.name, trial, number)] = key
                if arm.kind == "ticket" or number == 0:
                    previous = key
    return Plan(study, mark, layers, rounds, places)


def _trials(study: Study, arm: Arm) -> list[tuple[int, int, int]]:
    """(trial of the ticket, its seed, own seed) of each trial of an arm."""
    seeds = study.trial_seeds()
    if arm.kind not in CONTROLS:
        return [(trial, seed, seed) for trial, seed in enumerate(seeds)]
    return [
        (trial, seed, seed + SEED_STRIDE * (copy + 1))
        for trial, seed in enumerate(seeds)
        for copy in range(arm.per_ticket)
    ]


def _numbers(arm: Arm, recipe: Recipe) -> tuple[int, ...]:
    return (0, *(arm.rounds or range(1, recipe.prune.rounds + 1)))


def _masks(
    arm: Arm,
    number: int,
    previous: str,
    ticket: str,
    own: int,
    recipe: Recipe,
    steps: Ladder,
) -> MaskSource:
    if number == 0:
        return Dense()
    if arm.kind in ("ticket", "one-shot"):
        return Pruned(previous, recipe.prune.criterion, steps, number)
    return SameAs(ticket) if arm.kind == "reinit" else RandomLike(ticket, own)


def _key(
    recipe: Recipe, mark: DatasetMark, numerics: str, weights_seed: int, order_seed: int, source: MaskSource
) -> str:
    masks: dict[str, Any] = {"source": type(source).__name__, **asdict(source)}
    if isinstance(source, Pruned):
        # Only the step that is taken: a longer ladder of the same rates shares its first rounds.
        masks = {**masks, "ladder": [source.ladder.groups, source.ladder.survivors[source.number]]}
    return digest(
        {
            "format": KEY_FORMAT,
            "numerics": numerics,
            "data": {"fingerprint": mark.fingerprint, **recipe.data.model_dump(mode="json")},
            "network": recipe.network.model_dump(mode="json"),
            "train": recipe.train.model_dump(mode="json"),
            "weights_seed": weights_seed,
            "order_seed": order_seed,
            "masks": masks,
        }
    )
