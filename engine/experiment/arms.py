"""Arm kinds: how the rounds of an arm get their masks.

An arm kind is a class registered with `engine.registry.arm`. Its keyword-only parameters with defaults are what a study
may set in the arm's `parameters`. A *control* is made from the rounds of a ticket arm, round by round.
"""

from typing import TYPE_CHECKING, ClassVar

from engine.registry import arm

if TYPE_CHECKING:
    from engine.experiment.sources import RoundSources
    from engine.pruning import Masks


class ArmKind:
    """Base class of arm kinds. A subclass sets `prunes`, or defines `masks` and sets `control`.

    `prunes`: the round that masks are pruned from, `previous` (the one before in its trial) or `dense` (round 0); empty
    for controls. `control`: `masks` may read the ticket's round of the same number. `draws`: it draws from a seed of
    its own, so that a study can have several for each ticket. `fresh_weights`: it starts from initial weights drawn
    from that seed, whatever the treatment.
    """

    prunes: ClassVar[str] = ""
    control: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    fresh_weights: ClassVar[bool] = False

    def masks(self, w: "RoundSources") -> "Masks":
        """The masks of a round after the dense one."""
        return w.pruned()

    def check(self, masks: "Masks", w: "RoundSources") -> None:
        """Check the masks that a round was trained with. Raises InvariantViolated."""
        from engine.pruning import invariants

        if self.prunes:
            invariants.on_schedule(masks, w.schedule, w.number)
            invariants.only_shrinks(masks, w.masks_of("parent"), w.number)


@arm("ticket", "prune after every round, iteratively", source="Frankle & Carbin 2019, section 2")
class Ticket(ArmKind):
    prunes = "previous"


@arm(
    "one-shot", "prune the dense network once, to the density of each round", source="Frankle & Carbin 2019, section 2"
)
class OneShot(ArmKind):
    prunes = "dense"


class _TicketsMask(ArmKind):
    control = True

    def masks(self, w: "RoundSources") -> "Masks":
        return w.masks_of("ticket")

    def check(self, masks: "Masks", w: "RoundSources") -> None:
        from engine.pruning import invariants

        invariants.on_schedule(masks, w.schedule, w.number)
        invariants.same_masks("a control has the ticket's mask", masks, w.masks_of("ticket"), w.number)


@arm("reinit", "the ticket's masks with fresh weights", source="Frankle & Carbin 2019, section 2")
class Reinitialised(_TicketsMask):
    draws = True
    fresh_weights = True


@arm("random-mask", "as many survivors in each layer as the ticket, in random places", source="Frankle & Carbin 2019")
class RandomMask(ArmKind):
    control = True
    draws = True

    def masks(self, w: "RoundSources") -> "Masks":
        from engine.pruning import random_masks

        return random_masks(w.masks_of("ticket"), w.own_seed)

    def check(self, masks: "Masks", w: "RoundSources") -> None:
        from engine.pruning import invariants

        invariants.on_schedule(masks, w.schedule, w.number)
        invariants.same_counts(masks, w.masks_of("ticket"), w.number)


@arm("retrain", "the ticket itself under other data, training or noise")
class Retrain(_TicketsMask):
    pass
