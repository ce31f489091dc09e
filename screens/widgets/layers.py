"""What is left of each layer."""

from textual.content import Content
from textual.widget import Widget

from engine.views import RoundView
from screens.text import amount, bar, plain


class LayerBars(Widget, can_focus=True):
    """A bar a layer: percent of its weights left, and how many."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._told: tuple[str, RoundView | None] = ("", None)

    def show(self, whose: str, found: RoundView | None) -> None:
        """Tell of a round of `whose` (arm and trial)."""
        if (whose, found) != self._told:
            self._told = whose, found
            self.refresh(layout=True)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render(self) -> Content:
        whose, found = self._told
        title = f"layers, {plain(whose)}" if whose else "layers"
        if found is None:
            heading = Content.styled(title, "bold reverse" if self.has_focus else "bold")
            return Content("\n").join([heading, Content.styled("no round yet", "dim")])
        title += f" r{found.round}: {found.p_m:.2f}%"
        lines = [Content.styled(title, "bold reverse" if self.has_focus else "bold")]
        label = max(len(name) for name in found.layers)
        counts = {name: f"{amount(layer.survivors)}/{amount(layer.size)}" for name, layer in found.layers.items()}
        widest = max(map(len, counts.values()))
        if self.size.width < label + widest + 15:
            counts, widest = dict.fromkeys(counts, ""), 0
        width = max(4, min(30, self.size.width - label - widest - 11))
        for name, layer in found.layers.items():
            share = layer.survivors / layer.size
            lines.append(
                Content.assemble(
                    f"{plain(name):<{label}} ",
                    (bar(share, width), "$primary"),
                    f" {share:6.1%} ",
                    (f"{counts[name]:>{widest}}", "dim"),
                )
            )
        return Content("\n").join(lines)
