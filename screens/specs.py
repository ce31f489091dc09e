"""The fields of a study: where each is, what it is called and means, and when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine import registry
from engine.registry import Registry

FOLDER = "folder:"
"""The data set that a path follows."""

Kind = Literal["words", "whole", "number", "wholes", "numbers", "rounds", "names", "parameters", "choice"]
Texts = Mapping[str, str]


class Entries(Mapping[str, str]):
    """The names of a registry's entries, those of plug-ins too, each with its line of help."""

    def __init__(self, entries: Registry[Any]):
        self._entries = entries

    def __getitem__(self, name: str) -> str:
        return self._entries.entry(name).help

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries.names())

    def __len__(self) -> int:
        return len(self._entries.names())


class DatasetEntries(Entries):
    """The same for data sets, and image folders besides."""

    def __getitem__(self, name: str) -> str:
        return "images of your own" if name == FOLDER else super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield FOLDER

    def __len__(self) -> int:
        return super().__len__() + 1


@dataclass(frozen=True)
class FieldSpec:
    """One field. `path` is where it is: in the study, in an arm, or in a recipe.

    `choices` are what it can be, each with what that means; `empty` is what no text stands for, '' where there must
    be one. `needs` are other fields of the same form, and what their texts must be for this one to make sense;
    `neutral` is the table's field and the value that an arm gives where it does not, but did in what it stands on.
    `base_only` fields are the same for all arms; `paper` ones are told by the paper.
    """

    path: str
    label: str
    kind: Kind
    help: str
    choices: Texts = field(default_factory=dict)
    empty: str = ""
    needs: tuple[tuple[str, Callable[[str], bool]], ...] = ()
    neutral: tuple[str, Any] | None = None
    base_only: bool = False
    paper: bool = False


def unmet(spec: FieldSpec, texts: Texts) -> str:
    """The field for whose text this one makes no sense; '' where it does."""
    return next((path for path, fits in spec.needs if path in texts and not fits(texts[path])), "")


def _one_of(*texts: str) -> Callable[[str], bool]:
    return lambda text: text in texts


def _below_one(text: str) -> bool:
    try:
        return float(text) != 1
    except ValueError:
        return False


def is_control(kind: str) -> bool:
    """Whether arms of that kind are made from the rounds of a ticket arm."""
    return kind in registry.arm and bool(registry.arm[kind].control)


def draws(kind: str) -> bool:
    """Whether arms of that kind draw something, so that each ticket can have several."""
    return kind in registry.arm and bool(registry.arm[kind].draws)


def _skips_rounds(kind: str) -> bool:
    """Whether arms of that kind can leave rounds out: those that do not prune the round before."""
    return kind in registry.arm and registry.arm[kind].prunes != "previous"


def _takes_iteration(treatment: str) -> bool:
    return treatment in registry.treatment and bool(registry.treatment[treatment].takes_iteration)


def _takes(entries: Registry[Any], parameter: str) -> Callable[[str], bool]:
    """Whether the entry of a name has that parameter."""
    return lambda name: name in entries and parameter in entries.entry(name).parameters


def _parametric(entries: Registry[Any]) -> Callable[[str], bool]:
    """Whether the entry of a name has parameters."""
    return lambda name: name in entries and bool(entries.entry(name).parameters)


def _has(kind: str) -> Callable[[str], bool]:
    """Whether a network has layers of that kind; true where that cannot be found out."""
    return lambda network: not (kinds := layer_kinds(network)) or kind in kinds


def layer_kinds(network: str) -> frozenset[str]:
    """The kinds of layers of a network; none for one that cannot be built for images of 64x64 pixels."""
    from engine.networks import build

    try:
        return frozenset(layer.kind for layer in build(network, (64, 64, 3), 10).layers)
    except (KeyError, ValueError):
        return frozenset()


YES_NO = {"no": "", "yes": ""}

STUDY_FIELDS = (
    FieldSpec("name", "name", "words", "what the run is called; letters, digits, '.', '_' and '-'"),
    FieldSpec("trials", "trials", "whole", "seeds of each arm; bars show their minimum and maximum", paper=True),
    FieldSpec("seed", "first seed", "whole", "trial t has this plus t"),
)

ARM_FIELDS = (
    FieldSpec(
        "kind", "kind", "choice", "the procedure", Entries(registry.arm),
    ),
    FieldSpec("name", "name", "words", "what the arm is called; letters, digits, '.', '_' and '-'"),
    FieldSpec("of", "of", "choice", "the arm whose tickets these are made from", needs=(("kind", is_control),)),
    FieldSpec(
        "per_ticket", "of each ticket", "whole", "controls that are made from each ticket",
        needs=(("kind", draws),),
    ),
    FieldSpec(
        "rounds", "in rounds", "rounds", "the rounds to do, as in 3, 7, 9-12", empty="all",
        needs=(("kind", _skips_rounds),),
    ),
    FieldSpec(
        "order_seed", "order seed", "whole", "draws another order of examples, crops and dropout", empty="the trial's"
    ),
    FieldSpec(
        "parameters", "parameters", "parameters", "of the kind, as in alpha = 0.5, signed = true", empty="its own",
        needs=(("kind", _parametric(registry.arm)),),
    ),
)  # fmt: skip

_LAYERWISE = ("prune.scope", _one_of("layerwise"))
_NO_RATES = ("prune.rates", {})

RECIPE: Mapping[str, tuple[FieldSpec, ...]] = {
    "data": (
        FieldSpec(
            "data.name", "data set", "choice", "what is learned from", DatasetEntries(registry.dataset),
            base_only=True, paper=True,
        ),
        FieldSpec(
            "data.folder", "folder", "words", "has train/CLASS/ with .png or .jpg files, and may have test/CLASS/",
            needs=(("data.name", _one_of(FOLDER)),), base_only=True,
        ),
        FieldSpec("data.fraction", "fraction", "number", "of the training examples that each trial draws for itself"),
        FieldSpec(
            "data.subset", "drawn", "choice", "how a fraction is drawn",
            {"stratified": "as many of each class", "random": "from all classes together"},
            needs=(("data.fraction", _below_one),), neutral=("data.subset", "stratified"),
        ),
        FieldSpec(
            "data.seed", "validation seed", "whole", "draws the validation examples, the same for every trial",
            base_only=True,
        ),
    ),
    "network": (
        FieldSpec(
            "network.name", "network", "choice", "the architecture", Entries(registry.network),
            base_only=True,
        ),
        FieldSpec(
            "network.parameters", "parameters", "parameters", "of the network, as in width = 0.5", empty="its own",
            needs=(("network.name", _parametric(registry.network)),), base_only=True,
        ),
    ),
    "training": (
        FieldSpec("train.iterations", "iterations", "whole", "optimizer steps in a round", paper=True),
        FieldSpec("train.batch", "batch", "whole", "examples in a step", paper=True),
        FieldSpec(
            "train.optimizer", "optimizer", "choice", "the update rule", Entries(registry.optimizer), paper=True,
        ),
        FieldSpec(
            "train.learning_rate", "learning rate", "number", "size of a step, before schedule and warm-up", paper=True
        ),
        FieldSpec(
            "train.momentum", "momentum", "number", "of the step before that goes into the next",
            needs=(("train.optimizer", _takes(registry.optimizer, "momentum")),), paper=True,
        ),
        FieldSpec(
            "train.nesterov", "nesterov", "choice", "momentum that looks ahead", YES_NO,
            needs=(("train.optimizer", _takes(registry.optimizer, "nesterov")),), neutral=("train.nesterov", False),
        ),
        FieldSpec("train.weight_decay", "weight decay", "number", "times each weight is added to its gradient"),
        FieldSpec(
            "train.schedule", "schedule", "choice", "of the learning rate", Entries(registry.schedule), paper=True,
        ),
        FieldSpec(
            "train.milestones", "milestones", "wholes", "iterations at which the rate decays, as in 20000, 25000",
            empty="none", needs=(("train.schedule", _takes(registry.schedule, "milestones")),),
            neutral=("train.milestones", []), paper=True,
        ),
        FieldSpec(
            "train.decay", "decay", "number", "factor of the learning rate at each milestone",
            needs=(("train.schedule", _takes(registry.schedule, "decay")),), paper=True,
        ),
        FieldSpec(
            "train.warmup", "warm-up", "whole", "iterations in which the learning rate rises from 0", paper=True
        ),
        FieldSpec("train.evaluate_every", "validate every", "whole", "iterations between validations", paper=True),
        FieldSpec("train.dropout", "dropout", "number", "rate at which units are left out of a step", paper=True),
        FieldSpec("train.augment", "crops and flips", "choice", "of the examples, anew in every step", YES_NO),
        FieldSpec(
            "train.order", "order", "choice", "when the order of examples, crops and dropout are drawn",
            {"round": "anew for each round", "trial": "once for all rounds of a trial"},
        ),
        FieldSpec(
            "train.clamp", "clamp", "number", "largest bound of magnitudes, in initial standard deviations",
            empty="off",
        ),
    ),
    "pruning": (
        FieldSpec(
            "prune.rounds", "rounds", "whole", "times that the network is pruned",
            needs=(("prune.levels", _one_of("")),), paper=True,
        ),
        FieldSpec(
            "prune.levels", "levels", "numbers", "instead of rounds: P_m to prune to, in percent, as in 51, 21, 8.8",
            empty="rounds instead",
        ),
        FieldSpec("prune.rate", "pruning rate", "number", "of survivors, each round; output layer half", paper=True),
        FieldSpec(
            "prune.rates.conv", "conv rate", "number", "pruning rate of convolutions", empty="pruning rate",
            needs=(_LAYERWISE, ("network.name", _has("conv"))), neutral=_NO_RATES, paper=True,
        ),
        FieldSpec(
            "prune.rates.dense", "dense rate", "number", "pruning rate of hidden dense layers", empty="pruning rate",
            needs=(_LAYERWISE, ("network.name", _has("dense"))), neutral=_NO_RATES, paper=True,
        ),
        FieldSpec(
            "prune.rates.output", "output rate", "number", "pruning rate of the output layer",
            empty="half the pruning rate", needs=(_LAYERWISE,), neutral=_NO_RATES, paper=True,
        ),
        FieldSpec(
            "prune.scope", "scope", "choice", "which weights are ranked together",
            {"layerwise": "those of each layer", "global": "those of all layers, at one rate"}, paper=True,
        ),
        FieldSpec(
            "prune.criterion", "criterion", "choice", "the weights with the lowest scores are pruned",
            Entries(registry.criterion), paper=True,
        ),
        FieldSpec(
            "prune.parameters", "parameters", "parameters", "of the criterion, as in alpha = 0.5, signed = true",
            empty="its own", needs=(("prune.criterion", _parametric(registry.criterion)),),
        ),
        FieldSpec(
            "prune.unpruned", "never pruned", "names", "kinds or names of layers, as in output, shortcut",
            empty="none", neutral=("prune.unpruned", []),
        ),
        FieldSpec(
            "prune.early_bird", "early bird", "choice", "the next masks drawn after every epoch of a round",
            {"off": "not drawn", "watch": "tells when they have settled", "stop": "ends the round where they have"},
        ),
        FieldSpec(
            "prune.stop_on_collapse", "stop at chance", "choice", "no rounds after one that is no better than chance",
            YES_NO,
        ),
    ),
    "restart": (
        FieldSpec(
            "restart.treatment", "treatment", "choice", "what survivors restart from", Entries(registry.treatment),
            paper=True,
        ),
        FieldSpec(
            "restart.iteration", "rewound to", "whole", "the iteration that a rewind goes back to", empty="none",
            needs=(("restart.treatment", _takes_iteration),),
        ),
        FieldSpec(
            "restart.parameters", "parameters", "parameters", "of the treatment, as in alpha = 0.5, signed = true",
            empty="its own", needs=(("restart.treatment", _parametric(registry.treatment)),),
        ),
        FieldSpec(
            "restart.keep_signs", "keep signs", "choice", "survivors take the signs of their initial weights", YES_NO
        ),
    ),
}  # fmt: skip

RECIPE_FIELDS = tuple(spec for specs in RECIPE.values() for spec in specs)
OVERRIDES = {
    title: overriding for title, specs in RECIPE.items() if (overriding := tuple(s for s in specs if not s.base_only))
}
"""What an arm can have otherwise than the base."""
OVERRIDING_FIELDS = tuple(spec for specs in OVERRIDES.values() for spec in specs)
