"""Early birds: masks that stop changing before training ends."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

WINDOW, THRESHOLD = 5, 0.1
BIRD_RULE = f"the masks of the last {WINDOW} epochs at most {THRESHOLD} apart"


def mask_distance(first: dict[str, NDArray[np.bool_]], second: dict[str, NDArray[np.bool_]]) -> float:
    """Return the normalised Hamming distance of two masks, 0 to 1."""
    differ = sum(int(np.count_nonzero(mask != second[name])) for name, mask in first.items())
    return differ / sum(mask.size for mask in first.values())


@dataclass
class EarlyBirdWatch:
    """Observes the mask of each epoch; finds an early bird when the last five are within 0.1 of each other (You et al.
    2020, section 3). `recent`: the masks that the next one is compared with."""

    iterations: list[int] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    found: int | None = None
    recent: list[dict[str, NDArray[np.bool_]]] = field(default_factory=list)

    def observe(self, iteration: int, mask: dict[str, NDArray[np.bool_]]) -> None:
        """Add the mask at the end of an epoch, after `iteration`."""
        if self.recent:
            self.distances.append(mask_distance(mask, self.recent[-1]))
        self.iterations.append(iteration)
        self.recent = [*self.recent, mask][-WINDOW:]
        if self.found is None and len(self.recent) == WINDOW:
            pairs = ((a, b) for place, a in enumerate(self.recent) for b in self.recent[:place])
            if all(mask_distance(a, b) <= THRESHOLD for a, b in pairs):
                self.found = len(self.iterations)
