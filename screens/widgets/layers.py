"""What is left of each layer."""

from collections.abc import Mapping

from textual.content import Content
from textual.widget import Widget

from engine.store import RoundFinished, Signal
from engine.views import KINDS
from screens.text import SIGNAL_MARKS, SIGNAL_WORDS, amount, bar, plain


class LayerBars(Widget, can_focus=True):
    """A bar a layer: percent of its weights left and how many, and the rounds in which its ranking stabilised or
    collapsed."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._told: tuple[str, RoundFinished | None, Mapping[str, tuple[Signal, ...]]] = ("", None, {})

    def show(self, whose: str, found: RoundFinished | None, signals: Mapping[str, tuple[Signal, ...]]) -> None:
        """Tell of a round of `whose` (arm and trial), and of the signals of its layers."""
        if (whose, found, signals) != self._told:
            self._told = whose, found, signals
            self.refresh(layout=True)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render(self) -> Content:
        whose, found, signals = self._told
        title = f"layers, {plain(whose)}" if whose else "layers"
        if found is None:
            heading = Content.styled(title, "bold reverse" if self.has_focus else "bold")
            return Content("\n").join([heading, Content.styled("no round yet", "dim")])
        title += f" r{found.round}: {found.p_m:.2f}%"
        lines = [Content.styled(title, "bold reverse" if self.has_focus else "bold")]
        layers = found.result.layers
        label = max(map(len, layers))
        counts = {name: f"{amount(layer.survivors)}/{amount(layer.size)}" for name, layer in layers.items()}
        widest = max(map(len, counts.values()))
        turns = {name: " ".join(_mark(signal) for signal in signals.get(name, ())) for name in layers}
        turned = max(map(len, turns.values()))
        room = self.size.width - label - turned
        if room < widest + 15:
            counts, widest = dict.fromkeys(counts, ""), 0
        width = max(4, min(30, room - widest - 11))
        for name, layer in layers.items():
            share = layer.survivors / layer.size
            lines.append(
                Content.assemble(
                    f"{plain(name):<{label}} ",
                    (bar(share, width), "$primary"),
                    f" {share:6.1%} ",
                    (f"{turns[name]:<{turned}}", "bold"),
                    (f" {counts[name]:>{widest}}", "dim"),
                )
            )
        kinds = {signal.kind for found in signals.values() for signal in found}
        if kinds:
            words = [f"{SIGNAL_MARKS[kind]} {SIGNAL_WORDS[kind].split()[-1]}" for kind in KINDS if kind in kinds]
            lines.append(Content.styled(f"ranking {', '.join(words)}", "dim"))
        return Content("\n").join(lines)


def _mark(signal: Signal) -> str:
    return f"{SIGNAL_MARKS[signal.kind]}r{signal.round}"
