"""What is under the cursor in words, and the legend of colours and marks."""

import math

from rich.style import Style
from rich.text import Text

from engine.analysis import BIRD_RULE
from engine.store import Magnitudes, SignalKind
from engine.views import KINDS, RunView, rule_of, signals_of, similarity_of
from engine.views.grids import NETWORK, Pairs
from screens.text import SIGNAL_MARKS, SIGNAL_STYLES, SIGNAL_WORDS, amount, plain
from screens.widgets.palette import Scale, cell_text, shade


def pair_words(
    view: RunView, arm: str, trial: int, layer: str, rounds: tuple[int, int], pairs: Pairs | None = None
) -> Text:
    """All that is measured of one layer between two rounds, and what the later one signals."""
    earlier, later = min(rounds), max(rounds)
    known = view.arm(arm).trials[trial].rounds
    head = Text.assemble((f"{plain(layer)}, round {later} with {earlier}", "bold"))
    told = _signals(view, arm, trial, later, layer)
    if earlier == later:
        left = f": {known[later].p_m:.2f}% of all weights left" if later in known else ": not known yet"
        return head + Text(left) + told
    similarity = similarity_of(known, (earlier, later), pairs or {}).get(layer)
    if similarity is None:
        return head + Text(": not known yet") + told
    counts = known[later].result.layers[layer]
    words = (
        f":  Spearman alive {_number(similarity.alive)}  all {_number(similarity.all)}"
        f"   Jaccard {_number(similarity.jaccard)}, chance {_number(similarity.chance)}"
        f"   left {counts.survivors / counts.size:.1%}"
    )
    return head + Text(words) + told


def measure_cell(view: RunView, arm: str, trial: int, row: str, number: int, measure: str) -> Text:
    """A registered measure of a round, of a layer or of the whole network."""
    item = view.arm(arm).trials[trial].rounds.get(number)
    head = Text.assemble((f"{plain(row)}, round {number}", "bold"))
    if item is None:
        return head + Text(": not known yet")
    values = item.result.measures.get(measure)
    if values is None:
        return head + Text(f":  {measure} was not measured")
    value = values.get("" if row == NETWORK else row)
    layer = None if row == NETWORK else row
    return head + Text(f":  {plain(measure)} {_number(value)}") + _signals(view, arm, trial, number, layer)


def bird_words(view: RunView, arm: str, trial: int, number: int, epoch: int) -> Text:
    """The distance of the masks of two epochs, and whether the round has an early bird."""
    item = view.arm(arm).trials[trial].rounds.get(number)
    head = Text.assemble((f"round {number}, epoch {epoch} with {epoch - 1}", "bold"))
    if item is None:
        return head + Text(": not known yet")
    bird = item.result.early_bird
    if bird is None:
        return head + Text(": not watched, for nothing is pruned after this round")
    if epoch > len(bird.iterations):
        return head + Text(": the round was over") + _signals(view, arm, trial, number)
    head += Text(f":  mask distance {bird.distances[epoch - 2]:.4f}   iteration {bird.iterations[epoch - 1]}")
    if bird.found is None:
        return head + Text(f"\nno early bird in this round: {BIRD_RULE}", "dim")
    return head + _signals(view, arm, trial, number)


def magnitude_words(view: RunView, arm: str, trial: int, layer: str, number: int) -> Text:
    """What is measured of a layer's magnitudes in a round, and what the round signals."""
    item = view.arm(arm).trials[trial].rounds.get(number)
    head = Text.assemble((f"{plain(layer)}, round {number}", "bold"))
    if item is None:
        return head + Text(": not known yet")
    found = item.result.magnitudes.get(layer)
    if found is None:
        return head + Text(": not measured")
    words = (
        f":  {amount(sum(found.end))} weights   Kolmogorov-Smirnov distance from uniform {found.start_distance:.3f} "
        f"before training, {found.end_distance:.3f} after"
        f"   greatest |w| {found.start_top:.3g} before, {found.end_top:.3g} after"
    )
    return head + Text(words) + _signals(view, arm, trial, number, layer)


def magnitude_title(layer: str, number: int, found: Magnitudes | None) -> str:
    """What the axes of the histograms are."""
    return f"{layer} r{number}: weights a bin % / |w|, % of the greatest" if found else f"{layer} r{number}"


def _signals(view: RunView, arm: str, trial: int, number: int, layer: str | None = None) -> Text:
    """A line with its rule for each signal of a round that is of the whole network or of `layer`."""
    lines = Text()
    for signal in signals_of(view, arm, trial).get(number, ()):
        if signal.layer in (None, layer):
            bird = view.arm(arm).trials[trial].rounds[number].result.early_bird
            when = f" in epoch {bird.found}" if signal.kind == "early-bird" and bird else ""
            words = f"{SIGNAL_MARKS[signal.kind]} {SIGNAL_WORDS[signal.kind]}{when}: {plain(rule_of(signal))}"
            lines.append(f"\n{words}", SIGNAL_STYLES[signal.kind])
    return lines


def _number(value: float | None) -> str:
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.3f}"


def legend(scale: Scale, kinds: set[SignalKind], width: int, *, sixteen: bool) -> Text:
    """The colours from low to high with their numbers, the sign for what is missing, and the marks."""
    steps = 7 if width >= 60 else 5
    text = Text.assemble(("colours ", Style(dim=True)))
    for number in range(steps):
        value = scale.low + (scale.high - scale.low) * number / (steps - 1)
        text.append(cell_text(value, 5), shade(number / (steps - 1), sixteen=sixteen))
    text.append("  · none  ", Style(dim=True))
    marks = Text("  ").join(
        Text.assemble((SIGNAL_MARKS[kind], "bold"), (f" {SIGNAL_WORDS[kind]}", Style(dim=True)))
        for kind in KINDS
        if kind in kinds
    )
    return text + Text("\n") + marks if kinds else text
