"""The claims, read from TOML: a statement, its measure, and its bounds."""

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.spec.names import NetworkName

Direction = Literal["at least", "at most", "about"]
Source = Literal["paper", "article", "replications", "mode connectivity"]
SOURCES: dict[Source, str] = {
    "paper": "Frankle & Carbin, ICLR 2019, arXiv 1803.03635v5",
    "article": "The Lottery Ticket Hypothesis, the article that the project was founded on",
    "replications": "two public replications of the paper with five seeds each",
    "mode connectivity": "Frankle et al. 2020, Linear mode connectivity and the lottery ticket hypothesis",
}
LayerGroup = Literal["all", "output", "hidden", "middle"]
"""By kind of layer. `hidden`: all but the output; `middle`: convolutions, but for the first and the last of them."""

P_m = Annotated[float, Field(gt=0, le=100)]
Rounds = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class OfArm(Model):
    """A measure of one arm."""

    arm: str

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the measure requires."""
        return (self.arm,)


class AgainstArm(OfArm):
    """A measure of one arm, or, where `other` is given, of how it stands to another."""

    other: str | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.arm,) if self.other in (None, self.arm) else (self.arm, str(self.other))


class AtDensity(AgainstArm):
    """An arm at a P_m (percent), or on average over all its rounds between two, against something else.

    That is the dense round of the same trial and arm; with `other`, that arm at the same P_m, or at `other_at`.
    """

    at: P_m | Annotated[tuple[P_m, P_m], Field(strict=False)]
    other_at: P_m | None = None

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if isinstance(self.at, tuple) and (self.at[0] >= self.at[1] or self.other_at is not None):
            raise ValueError("a range of P_m rises, and has no other_at")
        return self


class Accuracy(OfArm):
    """Test accuracy, percent."""

    kind: Literal["accuracy"]
    at: P_m


class AccuracyDifference(AtDensity):
    """Test accuracy of the arm less that of the other, points of a percent."""

    kind: Literal["accuracy-difference"]


class PruningDrop(OfArm):
    """Test accuracy right after pruning, before training again, less that right before it, points of a percent.

    Both with the weights that the round before ended with; a one-shot arm is pruned from its dense round.
    """

    kind: Literal["damage"]
    at: P_m


class SpeedUp(AtDensity):
    """Early-stop iteration of the other over that of the arm: how many times sooner the arm learns."""

    kind: Literal["speed-up"]


class BestGain(OfArm):
    """Test accuracy of the arm's best round less its dense one's, points.

    The best round of each trial is chosen by the mean of the other trials.
    """

    kind: Literal["best-gain"]


class SmallestMatchingDensity(AgainstArm):
    """The smallest P_m, percent, down to which the test accuracy is at least that of the dense round of the same trial.

    Estimated where the running sum of the gains over dense is greatest, so that a lucky round does not count.

    With `other`: that of the other arm over that of the arm, how many times smaller the arm's is.
    """

    kind: Literal["smallest-matching"]


class RankCorrelation(OfArm):
    """Spearman correlation of |w| with the round before, the mean over layers and rounds.

    `variant`: over weights `alive` in both rounds, or `all`. At `rounds`, or at the P_m `at`. `minus_layers`,
    `minus_rounds`: what is subtracted, the same correlation of other layers or of other rounds.
    """

    kind: Literal["rank-correlation"]
    layers: LayerGroup
    variant: Literal["alive", "all"] = "alive"
    rounds: Rounds | None = None
    at: P_m | None = None
    minus_layers: LayerGroup | None = None
    minus_rounds: Rounds | None = None

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if (self.rounds is None) == (self.at is None):
            raise ValueError("either rounds or at")
        return self


class RankAtCollapse(OfArm):
    """The same correlation in the first round whose accuracy is no better than chance (`collapsed`)."""

    kind: Literal["rank-at-collapse"]
    layers: LayerGroup
    variant: Literal["alive", "all"] = "alive"


class DistanceFromUniform(AgainstArm):
    """Kolmogorov-Smirnov distance (0 to 1) of the dense round's trained magnitudes from a uniform distribution, the
    mean over layers; with `other`, less that of the other arm."""

    kind: Literal["distance-from-uniform"]
    layers: LayerGroup = "all"


class FractionAboveDense(Model):
    """Percentage of all networks of `among` (those arms that the run has) with a better test accuracy than the
    dense round of `arm` in the same trial."""

    kind: Literal["share-above"]
    arm: str
    among: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.arm,)


Measure = Annotated[
    Accuracy
    | AccuracyDifference
    | PruningDrop
    | SpeedUp
    | BestGain
    | SmallestMatchingDensity
    | RankCorrelation
    | RankAtCollapse
    | DistanceFromUniform
    | FractionAboveDense,
    Field(discriminator="kind"),
]


def unit(measure: Measure) -> str:
    """Return the unit of a measure."""
    match measure:
        case Accuracy() | FractionAboveDense():
            return "%"
        case AccuracyDifference() | PruningDrop() | BestGain():
            return "points"
        case SpeedUp():
            return "x"
        case SmallestMatchingDensity():
            return "x" if measure.other else "%"
        case RankCorrelation() | RankAtCollapse() | DistanceFromUniform():
            return ""


def in_logarithms(measure: Measure) -> bool:
    """Return whether values are ratios, which are averaged and tested as logarithms."""
    return isinstance(measure, SpeedUp | SmallestMatchingDensity)


class Claim(Model):
    """One finding.

    `text` says it in a sentence; `second_hand`: its number was quoted from a second text. `presets`: where it is
    measured, whose arms say what the measure's arms are. `note`: what here is our own reading, such as a bound for
    a word like "collapse". `claimed` and `tolerance` are in the unit of the measure.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    text: str
    source: Source
    section: str
    second_hand: bool = False
    note: str = ""
    networks: Annotated[tuple[NetworkName, ...], Field(strict=False, min_length=1)]
    datasets: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    presets: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    measure: Measure
    direction: Direction
    claimed: float
    tolerance: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _combination(self) -> Self:
        if self.direction == "about" and self.tolerance == 0:
            raise ValueError("'about' needs a tolerance")
        if in_logarithms(self.measure) and min(self.bounds) <= 0:
            raise ValueError("a ratio is compared with positive numbers")
        return self

    @property
    def bounds(self) -> tuple[float, ...]:
        """What the measured value is tested against: one bound, or, for "about", the lower and the upper."""
        low, high = self.claimed - self.tolerance, self.claimed + self.tolerance
        return {"at least": (low,), "at most": (high,), "about": (low, high)}[self.direction]


class _File(Model):
    claim: Annotated[tuple[Claim, ...], Field(strict=False)]


@cache
def all_claims() -> tuple[Claim, ...]:
    """Every claim of the package, file by file."""
    folder = resources.files("engine") / "claims"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(
        claim for item in files for claim in _File.model_validate(tomllib.loads(item.read_text("utf-8"))).claim
    )
