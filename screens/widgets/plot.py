"""A plot in a window: drawn only when it changed."""

from collections.abc import Callable
from functools import partial

from rich.text import Text
from textual_plotext import PlotextPlot
from textual_plotext.plot import Plot

from screens.drawing import Lines, Picture, draw, lines_of


class LinePlot(PlotextPlot, can_focus=True):
    """A plot of a `Picture`, its title and legend above it."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._picture = Picture("")
        self._cache: tuple[object, Text] | None = None

    @property
    def picture(self) -> Picture:
        """What is drawn."""
        return self._picture

    def show(self, picture: Picture) -> None:
        """Draw `picture`, if it is another."""
        if picture != self._picture:
            self._picture = picture
            self.refresh()

    def still(self) -> Callable[[], Lines]:
        """What draws it for a file."""
        return partial(lines_of, Plot, self._picture)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render(self) -> Text:
        key = (self._picture, self.size, self.has_focus)
        if self._cache is None or self._cache[0] != key:
            drawn = draw(self.plt, self._picture, *self.size, focused=self.has_focus)
            self._cache = (key, drawn)
        return self._cache[1]
