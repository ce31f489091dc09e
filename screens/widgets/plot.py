"""A plot in a window, to be explored by keys and mouse: drawn only when it changed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.reactive import reactive
from textual_plotext import PlotextPlot
from textual_plotext.plot import Plot

from screens.drawing import Composed, compose, lines_of, paint
from screens.keys import keyed
from screens.layout import Layout, Point, across, along, first_point, outermost, pointed, under_cursor
from screens.legend import LINE
from screens.plots import Picture
from screens.sight import (
    Axis,
    Sight,
    Span,
    Way,
    other_bars,
    panned,
    rescaled,
    revealing,
    smoother,
    turned,
    whole,
    zoomed,
)
from screens.svg import Lines

ZOOM = 1.5
"""How much less of an axis a step of zooming shows."""

PAN = 0.25
"""The part of what is shown by which a step moves it."""


def _key(keys: str, action: str, words: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, words, show=False, id=f"plot.{name}", tooltip=tooltip)


class LinePlot(PlotextPlot, can_focus=True):
    """A plot of a `Picture`, its title and legend above it; with the focus, what the cursor reads below it.

    How it is looked at is the person's, and stays with the axes whatever picture of them comes.
    """

    BINDINGS = [
        _key("left,h", "along(-1)", "Left", "left", "The point to the left"),
        _key("right,l", "along(1)", "Right", "right", "The point to the right"),
        _key("up,k", "across(1)", "Line above", "up", "The point of the line above"),
        _key("down,j", "across(-1)", "Line below", "down", "The point of the line below"),
        _key("home", "outermost(-1)", "First point", "first", "The first point of the line"),
        _key("end", "outermost(1)", "Last point", "last", "The last point of the line"),
        _key(
            "plus,equals_sign", "zoom(1)", "Zoom in", "zoom-in", "Less, and larger, about the cursor; so does the wheel"
        ),
        _key("minus,underscore", "zoom(-1)", "Zoom out", "zoom-out", "More, and smaller"),
        _key("greater_than_sign", "zoom(1,'x')", "Zoom in x", "zoom-in-x", "Less of x, and y as it is there"),
        _key("less_than_sign", "zoom(-1,'x')", "Zoom out x", "zoom-out-x", "More of x, and y as it is there"),
        _key("shift+left,H", "pan(-1,0)", "Go left", "pan-left", "What is to the left; so does dragging"),
        _key("shift+right,L", "pan(1,0)", "Go right", "pan-right", "What is to the right"),
        _key("shift+up,K", "pan(0,1)", "Go up", "pan-up", "What is above"),
        _key("shift+down,J", "pan(0,-1)", "Go down", "pan-down", "What is below"),
        _key("0,backspace", "whole", "Whole plot", "whole", "All of it again, also what is still to come"),
        _key("e", "rescale('y')", "Log y", "log-y", "A logarithmic axis, or a linear one"),
        _key("E", "rescale('x')", "Log x", "log-x", "A logarithmic axis, or a linear one"),
        _key("o", "smooth", "Smooth", "smooth", "A moving average, the line itself in points; stronger, then none"),
        _key("b", "bars", "Bars", "bars", "Minimum and maximum of the trials, standard error of their mean, or none"),
        _key("full_stop", "choose(1)", "Next line", "line", "The next line of the legend"),
        _key("comma", "choose(-1)", "Line before", "line-before", "The line before in the legend"),
        _key("i", "turn", "Hide line", "turn", "Hide the chosen line, or show it again; so does a click on a name"),
    ]

    sight: reactive[Sight] = reactive(Sight())
    """How it is looked at. Who watches it is told at once, and draws in the same frame."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._picture = Picture("")
        self._key: object = None
        self._parts = compose(self._picture, self.sight, 0, 0)
        self._drawn: tuple[Composed, Text] | None = None
        self._dragged: tuple[int, int] | None = None
        self._moved = False

    @property
    def picture(self) -> Picture:
        """What is drawn."""
        return self._picture

    @property
    def point(self) -> Point | None:
        """The point under the cursor."""
        layout = self._layout
        return under_cursor(layout, self.sight) if layout else None

    def show(self, picture: Picture) -> None:
        """Draw `picture`, if it is another."""
        before, sight = self._picture, self.sight
        if picture == before:
            return
        if picture.x_name != before.x_name:
            sight = replace(sight, x=None, log_x=None, at=None)
        if picture.y_name != before.y_name:
            sight = replace(sight, y=None, log_y=None)
        self._picture = picture
        self.set_reactive(LinePlot.sight, sight)
        self.refresh()

    def look(self, sight: Sight) -> None:
        """Look at it so."""
        self.sight = sight

    def look_near(self, values: tuple[float, float] | None) -> None:
        """All of x, and of y what is between two values, or with None all."""
        axis = self._picture.axes(self.sight)[1]
        places = [axis.place(value) for value in values or ()]
        y = Span(places[0], places[1] - places[0]) if values and places[0] < places[1] else None
        self.look(replace(self.sight, x=None, y=y))

    def still(self) -> Callable[[], Lines]:
        """What draws it for a file."""
        return partial(lines_of, Plot, self._picture, self.sight)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render(self) -> Text:
        parts = self._composed()
        if self._drawn is None or self._drawn[0] is not parts:
            self._drawn = (parts, paint(self.plt, parts, partial(keyed, self.app)))
        return self._drawn[1]

    def _composed(self) -> Composed:
        """Where everything is."""
        key = (self._picture, self.sight, self.size, self.has_focus)
        if self._key != key:
            self._parts = compose(self._picture, self.sight, *self.size, focused=self.has_focus)
            self._key = key
        return self._parts

    @property
    def _layout(self) -> Layout | None:
        return self._composed().layout

    # What is shown

    def action_zoom(self, by: int, ways: str = "xy") -> None:
        """A smaller part of the plot, about the cursor where that is seen, or with -1 a larger one."""
        if layout := self._layout:
            point = under_cursor(layout, self.sight)
            about = (
                point.place if point and layout.cell(point.place) else (layout.shown.x.middle, layout.shown.y.middle)
            )
            self._zoom(by, about, layout, ways)

    def _zoom(self, by: int, about: tuple[float, float], layout: Layout, ways: str = "xy") -> None:
        self.look(zoomed(self.sight, ZOOM**-by, about, layout.shown, layout.whole, ways))

    def action_pan(self, right: int, up: int) -> None:
        """Show what is beside."""
        if layout := self._layout:
            self.look(panned(self.sight, (PAN * right, PAN * up), layout.shown, layout.whole))

    def action_whole(self) -> None:
        """All of it, also what is still to come."""
        self.look(whole(self.sight))

    def action_rescale(self, way: Way) -> None:
        """The other scale of an axis."""
        before = self._picture.axes(self.sight)["xy".index(way)]
        self.look(rescaled(self.sight, way, before, Axis(not before.log, before.falls)))

    def action_smooth(self) -> None:
        """The next step of smoothing, after the last one none."""
        self.look(smoother(self.sight))

    def action_bars(self) -> None:
        """The next kind of bars, or none."""
        self.look(other_bars(self.sight))

    # Lines and points

    def action_choose(self, by: int) -> None:
        """The next line of the legend, also a hidden one."""
        names = [line.name for line in self._picture.lines]
        if names:
            line = self._chosen_name()
            place = (names.index(line) + by) % len(names) if line in names else 0
            self.look(replace(self.sight, line=names[place]))

    def _chosen_name(self) -> str | None:
        """The chosen line; where none was chosen, the first that is shown."""
        shown = (line.name for line in self._picture.lines if line.name not in self.sight.hidden)
        return self.sight.line if self.sight.line is not None else next(shown, None)

    def action_turn(self) -> None:
        """Hide the chosen line, or show it again."""
        self._turn(self._chosen_name())

    def _turn(self, line: str | None) -> None:
        if line is not None:
            self.look(replace(turned(self.sight, line), line=line))

    def action_along(self, by: int) -> None:
        """The next point of the line."""
        self._go(lambda layout, point: along(layout, point, by))

    def action_across(self, by: int) -> None:
        """The point of the next line."""
        self._go(lambda layout, point: across(layout, point, by))

    def action_outermost(self, by: int) -> None:
        """The last point of the line."""
        self._go(lambda layout, point: outermost(point, by))

    def _go(self, way: Callable[[Layout, Point], Point]) -> None:
        """Move the cursor; where there is none yet, put it there."""
        if layout := self._layout:
            point = under_cursor(layout, self.sight)
            self._put(way(layout, point) if point else first_point(layout, self.sight), layout)

    def _put(self, point: Point | None, layout: Layout) -> None:
        if point is not None:
            line = point.trace.line
            sight = replace(self.sight, line=line.name, at=line.x[point.number])
            self.look(revealing(sight, point.place, layout.shown))

    # The mouse

    def _place(self, event: events.MouseEvent) -> tuple[float, float] | None:
        """The place under the mouse."""
        layout, above = self._layout, len(self._parts.above)
        if layout is None:
            return None
        column, row = event.x - layout.left, above + layout.rows - 1 - event.y
        return layout.place(column, row) if 0 <= column < layout.columns and 0 <= row < layout.rows else None

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._scrolled(1, event)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._scrolled(-1, event)

    def _scrolled(self, by: int, event: events.MouseEvent) -> None:
        layout, about = self._layout, self._place(event)
        if self.has_focus and layout is not None and about is not None:
            event.stop()
            self._zoom(by, about, layout)
            self._keep_under(event, about)

    def _keep_under(self, event: events.MouseEvent, place: tuple[float, float]) -> None:
        """Bring a place back under the mouse, where other labels made the plot narrower or wider."""
        layout, here = self._layout, self._place(event)
        if layout is not None and here is not None:
            x, y = (
                Span(span.start + to - at, span.width) for to, at, span in zip(place, here, layout.shown, strict=True)
            )
            self.look(replace(self.sight, x=x, y=y))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragged, self._moved = (event.x, event.y), False
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        layout = self._layout
        if self._dragged is None or layout is None:
            return
        right, down = event.x - self._dragged[0], event.y - self._dragged[1]
        if right or down:
            self._dragged, self._moved = (event.x, event.y), True
            by = (-right / layout.columns, down / layout.rows)
            self.look(panned(self.sight, by, layout.shown, layout.whole))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        self._dragged = None

    def on_click(self, event: events.Click) -> None:
        layout, place = self._layout, self._place(event)
        if not self._moved and layout is not None and place is not None:
            self._put(pointed(layout, place), layout)
        elif not self._moved:
            self._turn(event.style.meta.get(LINE))
