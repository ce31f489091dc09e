"""The inputs of arm kinds and treatments: other rounds, seeds and the schedule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from engine.networks import LayerShape, Snapshot

if TYPE_CHECKING:
    from engine.pruning import Masks, PruningSchedule
    from engine.store import StoredRound


@dataclass(frozen=True, eq=False)
class RoundSources:
    """One round before it is trained: `w` of arm kinds and treatments.

    **Arguments:** `number` of the round; `layers` that have a mask; `schedule`, the survivors of every round; `seed`
    of the trial; `own_seed`, from which the arm kind draws; `round_seed`, from which a treatment draws for this round.
    Properties are computed on first use. A *role* is `parent` (the round that masks are pruned from),
    `ticket` (of a control: the ticket's round of the same number) or `dense` (the trial's round 0).
    """

    number: int
    layers: tuple[LayerShape, ...]
    schedule: "PruningSchedule"
    seed: int
    own_seed: int
    round_seed: int
    weights_seed: int
    keys: Mapping[str, str]
    drawn: Callable[[int], Snapshot]
    """Initial weights from a seed."""
    pruned: "Callable[[], Masks]"
    """The masks of `parent` after this round's step of the schedule, by the recipe's criterion."""
    made: "Callable[[], Masks]"
    finished: "Callable[[str], StoredRound]"

    @property
    def initial(self) -> Snapshot:
        """The initial weights of the trial, or of this copy for an arm with fresh weights."""
        return self.drawn(self.weights_seed)

    @cached_property
    def masks(self) -> "Masks":
        """The masks of this round."""
        return self.made()

    def masks_of(self, role: str) -> "Masks":
        """The masks of another round. Raises KeyError for a role that this round does not have."""
        return self.finished(self.keys[role]).masks

    def final(self, role: str) -> Snapshot:
        """The final weights of another round."""
        return self.finished(self.keys[role]).final

    def snapshot(self, role: str, iteration: int) -> Snapshot:
        """The weights of another round after `iteration`."""
        return self.finished(self.keys[role]).snapshots[iteration]
