"""Early birds: masks that no longer change while a network is still being trained."""

import numpy as np
from numpy.typing import NDArray

WINDOW, THRESHOLD = 5, 0.1
BIRD_RULE = f"the masks of the last {WINDOW} epochs at most {THRESHOLD} apart"


def mask_distance(first: dict[str, NDArray[np.bool_]], second: dict[str, NDArray[np.bool_]]) -> float:
    """Normalised Hamming distance of two masks, 0 to 1: places that differ, of all."""
    differ = sum(int(np.count_nonzero(mask != second[name])) for name, mask in first.items())
    return differ / sum(mask.size for mask in first.values())


class EarlyBirdWatch:
    """Takes the mask of one epoch after the other; an early bird is found when the last five are all within 0.1 of
    each other (You et al. 2020, section 3)."""

    def __init__(self) -> None:
        self._last: list[dict[str, NDArray[np.bool_]]] = []
        self.iterations: list[int] = []
        self.distances: list[float] = []
        self.found: int | None = None

    def take(self, iteration: int, mask: dict[str, NDArray[np.bool_]]) -> None:
        """The mask drawn at the end of an epoch, after so many iterations."""
        if self._last:
            self.distances.append(mask_distance(mask, self._last[-1]))
        self.iterations.append(iteration)
        self._last = [*self._last, mask][-WINDOW:]
        if self.found is None and len(self._last) == WINDOW:
            pairs = ((a, b) for place, a in enumerate(self._last) for b in self._last[:place])
            if all(mask_distance(a, b) <= THRESHOLD for a, b in pairs):
                self.found = len(self.iterations)
