"""A control: the ticket's mask with the inputs of every layer in reverse order."""

import numpy as np

from engine.experiment.arms import ArmKind
from engine.pruning import invariants
from engine.registry import arm


@arm("reversed-mask", "the ticket's masks with the inputs of every layer reversed", source="an example")
class ReversedMask(ArmKind):
    control = True

    def masks(self, w):
        return {name: np.flip(mask, axis=-2).copy() for name, mask in w.masks_of("ticket").items()}

    def check(self, masks, w):
        invariants.same_counts(masks, w.masks_of("ticket"), w.number)
