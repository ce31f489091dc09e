"""The list of runs, of which only the lines that can be seen are ever made."""

from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.store import RunSummary
from screens.listing import Column, Listed, columns_of, header, line


class RunTable(ScrollView, can_focus=True, inherit_bindings=False):
    """A line a run below their heads, and a cursor that stays on its run however the list changes."""

    COMPONENT_CLASSES = {"run-table--header", "run-table--cursor"}

    class Opened(Message):
        """The run under the cursor is asked for with the mouse."""

    class Headed(Message):
        """The head of a column was clicked."""

        def __init__(self, column: str):
            super().__init__()
            self.column = column

    chosen: var[RunSummary | None] = var(None)
    """The run under the cursor. Who watches it is told at once of another one or of a change of it."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._listed = Listed()
        self._row = 0
        self._columns: list[Column] = []

    @property
    def listed(self) -> Listed:
        """What is shown."""
        return self._listed

    @property
    def row(self) -> int:
        """Where the cursor is."""
        return self._row

    @property
    def columns(self) -> list[Column]:
        """The columns for the present width."""
        width = self.scrollable_content_region.width
        if sum(column.width for column in self._columns) != width:
            self._columns = columns_of(width)
        return self._columns

    def show(self, listed: Listed) -> None:
        """Show that. The cursor stays on its run, and that where it is on the screen; of a run that has gone, on its
        line."""
        if listed == self._listed:
            return
        chosen, before = self.chosen, self._row
        self._listed = listed
        if chosen is not None:
            rows = (row for row, run in enumerate(listed.runs) if run.id == chosen.id)
            self._row = next(rows, self._row)
        self._row = max(0, min(self._row, len(listed.runs) - 1))
        self.virtual_size = Size(0, len(listed.runs) + 1)
        self.scroll_to(y=self.scroll_offset.y + self._row - before, animate=False, immediate=True)
        self._see_cursor()
        self.refresh()
        self._choose()

    def go_to(self, run: str) -> bool:
        """Put the cursor on that run; whether it is in the list."""
        for row, item in enumerate(self._listed.runs):
            if item.id == run:
                self.put_cursor(row)
                return True
        return False

    def put_cursor(self, row: int) -> None:
        """Move the cursor; outside of the list it stays at the end."""
        row = max(0, min(row, len(self._listed.runs) - 1))
        if row != self._row:
            before, self._row = self._row, row
            for changed in (before, row):
                self.refresh(Region(0, changed + 1 - self.scroll_offset.y, self.size.width, 1))
            self._see_cursor()
            self._choose()

    def _choose(self) -> None:
        self.chosen = self._listed.runs[self._row] if self._listed.runs else None

    def move(self, by: int) -> None:
        """Move the cursor by so many lines."""
        self.put_cursor(self._row + by)

    @property
    def page(self) -> int:
        """The runs that can be seen at once."""
        return max(1, self.scrollable_content_region.height - 1)

    def _see_cursor(self) -> None:
        top = min(max(self.scroll_offset.y, self._row - self.page + 1), self._row)
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True)

    def on_resize(self) -> None:
        self._see_cursor()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            x = event.x
            for column in self.columns:
                if 0 <= x < column.width:
                    self.post_message(self.Headed(column.name))
                x -= column.width
            return
        row = self.scroll_offset.y + event.y - 1
        if row < len(self._listed.runs):
            again = event.chain == 2 and row == self._row
            self.put_cursor(row)
            if again:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        width, listed = self.scrollable_content_region.width, self._listed
        style, row = self.visual_style, self.scroll_offset.y + y - 1
        if y == 0:
            style = self.get_visual_style("run-table--header")
            content = header(self.columns, listed.by, reverse=listed.reverse)
        elif row < len(listed.runs):
            run = listed.runs[row]
            content = line(run, self.columns, picked=run.id in listed.picked, here=listed.here)
            if row == self._row:
                # A visual style drops what stands for colours that there are not: the reverse.
                return Strip([Segment(content.plain, self.get_component_rich_style("run-table--cursor"))])
        else:
            content = Content(listed.empty if y == 2 and not listed.runs else "")
        parts = content.render(style, end="", parse_style=self._get_style)
        strip = Strip([Segment(text, part.rich_style) for text, part in parts])
        return strip.adjust_cell_length(width, style.rich_style)
