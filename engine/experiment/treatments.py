"""Treatments: the weights that survivors start from, and the iteration of the schedule at which they start.

A treatment is a class registered with `engine.registry.treatment`. Its keyword-only parameters with defaults are what a
study may set in `restart.parameters`. Round 0 has none: it starts from the initial weights.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.registry import treatment

if TYPE_CHECKING:
    from engine.experiment.sources import RoundSources
    from engine.networks import Snapshot


@dataclass(frozen=True)
class Read:
    """A snapshot that a treatment reads: of `parent`, whose masks are pruned, or `dense`, the trial's round 0; after
    `iteration`, or at the end if that is None."""

    role: str
    iteration: int | None = None


class Treatment:
    """Base class of treatments. A subclass defines `weights` and whatever differs from these defaults.

    `takes_iteration`: the study gives `restart.iteration`, which becomes `iteration`. `for_controls`: controls of a
    ticket can start from the same weights, because they do not depend on its masks. `constant_lr`: the learning rate
    is the schedule's last one throughout.
    """

    takes_iteration: ClassVar[bool] = False
    for_controls: ClassVar[bool] = False
    constant_lr: ClassVar[bool] = False
    iteration: int = 0

    @property
    def reads(self) -> tuple[Read, ...]:
        """The rounds that `weights` reads."""
        return ()

    @property
    def start_iteration(self) -> int:
        """The iteration of the schedule at which the round starts."""
        return 0

    def weights(self, w: "RoundSources") -> "Snapshot":
        """The network that the round starts from, before the pruned weights are set to zero."""
        raise NotImplementedError


@treatment("reset", "the initial weights", source="Frankle & Carbin 2019, section 2")
class Reset(Treatment):
    for_controls = True

    def weights(self, w: "RoundSources") -> "Snapshot":
        return w.initial


@treatment(
    "rewind", "the dense network's weights at an iteration; the schedule continues there", source="Frankle et al. 2020"
)
class Rewind(Treatment):
    takes_iteration = True
    for_controls = True

    @property
    def reads(self) -> tuple[Read, ...]:
        return (Read("dense", self.iteration),)

    @property
    def start_iteration(self) -> int:
        return self.iteration

    def weights(self, w: "RoundSources") -> "Snapshot":
        return w.snapshot("dense", self.iteration)


@treatment("reinit", "fresh weights in every round")
class Reinit(Treatment):
    def weights(self, w: "RoundSources") -> "Snapshot":
        return w.drawn(w.round_seed)


@treatment("reshuffle", "the survivors' initial weights, shuffled within each layer", source="Zhou et al. 2019")
class Reshuffle(Treatment):
    def weights(self, w: "RoundSources") -> "Snapshot":
        from engine.networks import Snapshot
        from engine.pruning import reshuffled

        return Snapshot(reshuffled(w.initial.params, w.masks, w.round_seed), w.initial.state)


@treatment("keep", "the trained weights, at the schedule's last learning rate (fine-tuning)", source="Han et al. 2015")
class Keep(Treatment):
    constant_lr = True

    @property
    def reads(self) -> tuple[Read, ...]:
        return (Read("parent"),)

    def weights(self, w: "RoundSources") -> "Snapshot":
        return w.final("parent")


@treatment("lr-rewind", "the trained weights, with the whole schedule again", source="Renda et al. 2020")
class LearningRateRewind(Treatment):
    @property
    def reads(self) -> tuple[Read, ...]:
        return (Read("parent"),)

    def weights(self, w: "RoundSources") -> "Snapshot":
        return w.final("parent")
