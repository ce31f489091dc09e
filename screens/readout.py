"""A cell of a heatmap in words, and the legend of its colours."""

import math

from rich.style import Style
from rich.text import Text

from engine.views import RunView
from screens.text import plain
from screens.widgets.palette import Scale, cell_text, shade


def pair_words(view: RunView, arm: str, trial: int, layer: str, rounds: tuple[int, int]) -> Text:
    """All that is measured of one layer between two rounds."""
    earlier, later = min(rounds), max(rounds)
    known = view.arm(arm).trials[trial].rounds
    head = Text.assemble((f"{plain(layer)}, round {later} with {earlier}", "bold"))
    if earlier == later:
        left = f": {known[later].p_m:.2f}% of all weights left" if later in known else ": not known yet"
        return head + Text(left)
    if later not in known or layer not in known[later].similarity:
        return head + Text(": not known yet")
    similarity = known[later].similarity[layer]
    if earlier not in similarity.rounds:
        return head + Text(": not measured")
    at = similarity.rounds.index(earlier)
    counts = known[later].layers[layer]
    words = (
        f":  Spearman alive {_number(similarity.alive[at])}  all {_number(similarity.all[at])}"
        f"   Jaccard {_number(similarity.jaccard[at])}, chance {_number(similarity.chance[at])}"
        f"   left {counts.survivors / counts.size:.1%}"
    )
    return head + Text(words)


def _number(value: float | None) -> str:
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.3f}"


def legend(scale: Scale, width: int, *, sixteen: bool) -> Text:
    """The colours from low to high with their numbers, and the sign for what is missing."""
    steps = 7 if width >= 60 else 5
    text = Text.assemble(("colours ", Style(dim=True)))
    for number in range(steps):
        value = scale.low + (scale.high - scale.low) * number / (steps - 1)
        text.append(cell_text(value, 5), shade(number / (steps - 1), sixteen=sixteen))
    text.append("  · none  ", Style(dim=True))
    return text
