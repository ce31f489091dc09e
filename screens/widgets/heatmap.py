"""A table of filled cells with a cursor."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from engine.views import Grid
from screens.svg import Lines
from screens.text import SIGNAL_MARKS, plain
from screens.widgets.palette import CURSOR, Scale, cell_text, fitted_scale, marked_text, shade

WIDEST_CELL = 7
TALLEST_CELL = 3


@dataclass(frozen=True)
class Layout:
    """Where the cells are: their size, the width of the row names, the lines above them, and the first ones that can
    be seen."""

    label: int
    header: int
    cell_width: int
    cell_height: int
    columns: int
    rows: int
    first_column: int
    first_row: int


class Heatmap(Widget, can_focus=True):
    """Cells of a `Grid`: colour, number and mark, names at the top and the left, a cursor moved by keys.

    Cells are as large as the space allows; what does not fit scrolls with the cursor.
    """

    BINDINGS = [
        Binding("left,h", "move(0,-1)", "Left", show=False, id="heatmap.left", tooltip="The cell to the left"),
        Binding("right,l", "move(0,1)", "Right", show=False, id="heatmap.right", tooltip="The cell to the right"),
        Binding("up,k", "move(-1,0)", "Up", show=False, id="heatmap.up", tooltip="The cell above"),
        Binding("down,j", "move(1,0)", "Down", show=False, id="heatmap.down", tooltip="The cell below"),
        Binding("home", "move(0,-1000)", "First", show=False, id="heatmap.first", tooltip="The first of the row"),
        Binding("end", "move(0,1000)", "Last", show=False, id="heatmap.last", tooltip="The last of the row"),
    ]

    cursor: var[tuple[int, int]] = var((0, 0))
    """Row and column of the cursor. Who watches it is told at once, and draws in the same frame."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._grid: Grid | None = None
        self._scale = Scale(0.0, 1.0)
        self._first = (0, 0)

    @property
    def grid(self) -> Grid | None:
        """What is drawn."""
        return self._grid

    @property
    def scale(self) -> Scale:
        """The values at the ends of the palette."""
        return self._scale

    def show(self, grid: Grid | None, scale: Scale | None = None) -> None:
        """Draw `grid`, if it is another; the scale is fitted to its values when none is given."""
        if grid is not None and scale is None:
            scale = fitted_scale([value for row in grid.values for value in row])
        if grid == self._grid and scale == self._scale:
            return
        self._grid, self._scale = grid, scale or self._scale
        if grid is not None:
            row, column = self.cursor
            row, column = max(0, min(row, len(grid.rows) - 1)), max(0, min(column, len(grid.columns) - 1))
            self.set_reactive(Heatmap.cursor, (row, column))
        self.refresh()

    def put_cursor(self, row: int, column: int) -> None:
        """Move the cursor; outside of the grid it stays at the edge."""
        if self._grid is None or not self._grid.rows or not self._grid.columns:
            return
        row = max(0, min(row, len(self._grid.rows) - 1))
        column = max(0, min(column, len(self._grid.columns) - 1))
        before, self.cursor = self.cursor, (row, column)
        if self.cursor != before:
            self._refresh_rows({before[0], row})

    def _refresh_rows(self, numbers: set[int]) -> None:
        """Draw those rows again, or everything when they are reached by scrolling."""
        first, layout = self._first, self._layout(self.size)
        if layout is None or self._first != first:
            self.refresh()
            return
        for number in numbers:
            top = layout.header + (number - layout.first_row) * layout.cell_height
            self.refresh(Region(0, top, self.size.width, layout.cell_height))

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor by rows and columns."""
        row, column = self.cursor
        self.put_cursor(row + down, column + right)

    def still(self) -> Callable[[], Lines]:
        """What draws it for a file: all of it, in all colours."""
        return partial(_whole, self._grid, self._scale)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        layout = self._layout(self.size)
        if layout is not None and event.x >= layout.label and event.y >= layout.header:
            row = layout.first_row + (event.y - layout.header) // layout.cell_height
            self.put_cursor(row, layout.first_column + (event.x - layout.label) // layout.cell_width)

    def _layout(self, size: Size) -> Layout | None:
        grid = self._grid
        if grid is None or not grid.rows or not grid.columns or size.width < 6 or size.height < 2:
            return None
        widest = max(len(name) for name in grid.rows) + max(map(len, grid.row_marks.values()), default=0)
        label = min(widest, max(3, size.width // 4)) + 1
        header = 2 if grid.column_marks else 1
        widest_name = max(len(name) for name in grid.columns)
        room = size.width - label
        cell_width = max(1, min(WIDEST_CELL, room // len(grid.columns)))
        if cell_width <= widest_name and cell_width < 3:
            cell_width = min(3, widest_name + 1) if room // 3 >= 12 else cell_width
        cell_height = max(1, min(TALLEST_CELL, (size.height - header) // len(grid.rows)))
        columns, rows = max(1, room // cell_width), max(1, (size.height - header) // cell_height)
        self._first = (
            _scrolled(self._first[0], self.cursor[0], rows, len(grid.rows)),
            _scrolled(self._first[1], self.cursor[1], columns, len(grid.columns)),
        )
        return Layout(label, header, cell_width, cell_height, columns, rows, self._first[1], self._first[0])

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.visual_style.rich_style
        layout = self._layout(self.size)
        if layout is None or self._grid is None:
            return Strip.blank(width, style)
        if y == 0:
            line = self._header(layout)
        else:
            line = self._marks(layout) if y < layout.header else self._cells(layout, y - layout.header)
        return Strip(line).apply_style(style).adjust_cell_length(width, style)

    def _header(self, layout: Layout) -> list[Segment]:
        grid = self._grid
        assert grid is not None
        last = min(len(grid.columns), layout.first_column + layout.columns)
        left = "‹" if layout.first_column else " "
        more = "›" if last < len(grid.columns) else " "
        text = list(" " * (layout.label + layout.cell_width * (last - layout.first_column)))
        free = layout.label
        for number in range(layout.first_column, last):
            start = layout.label + (number - layout.first_column) * layout.cell_width
            name = grid.columns[number]
            start += max(0, layout.cell_width - len(name) + 1) // 2
            if start >= free and start + len(name) <= len(text):
                text[start : start + len(name)] = name
                free = start + len(name) + 1
        name = plain(grid.column_name)
        name = name if len(name) < layout.label else ""
        text[: layout.label] = f"{name:<{layout.label - 1}}{left}"
        return [Segment("".join(text) + more, Style(dim=True))]

    def _marks(self, layout: Layout) -> list[Segment]:
        """What columns as a whole signal, below their names."""
        grid = self._grid
        assert grid is not None
        text = " " * layout.label
        for number in range(layout.first_column, min(len(grid.columns), layout.first_column + layout.columns)):
            marks = "".join(SIGNAL_MARKS[kind] for kind in grid.column_marks.get(number, ()))
            text += marks[: max(1, layout.cell_width - 1)].center(layout.cell_width)
        return [Segment(text, Style(bold=True))]

    def _cells(self, layout: Layout, y: int) -> list[Segment]:
        grid = self._grid
        assert grid is not None
        row = layout.first_row + y // layout.cell_height
        if row >= min(len(grid.rows), layout.first_row + layout.rows):
            return []
        numbered = y % layout.cell_height == layout.cell_height // 2 if layout.cell_height != 2 else y % 2 == 0
        marks = "".join(SIGNAL_MARKS[kind] for kind in grid.row_marks.get(row, ()))
        name = plain(grid.rows[row])[: layout.label - 1 - len(marks)] + marks if numbered else ""
        here = row == self.cursor[0]
        line = [Segment(f"{name:>{layout.label - 1}} ", Style(dim=not here, bold=here))]
        sixteen = self.app.console.color_system in (None, "standard") or self.app.native_ansi_color
        for column in range(layout.first_column, min(len(grid.columns), layout.first_column + layout.columns)):
            value = grid.values[row][column]
            text = self._number(row, column, layout.cell_width) if numbered else " " * layout.cell_width
            finite = math.isfinite(value)
            style = shade(self._scale.fraction(value), sixteen=sixteen) if finite else Style(dim=True)
            if here and column == self.cursor[1]:
                text, style = self._under_cursor(text, style, numbered)
            line.append(Segment(text, style))
        return line

    def _number(self, row: int, column: int, width: int) -> str:
        """The number of a cell, with its mark."""
        assert self._grid is not None
        value, kind = self._grid.values[row][column], self._grid.marks.get((row, column))
        return cell_text(value, width) if kind is None else marked_text(value, SIGNAL_MARKS[kind], width)

    def _under_cursor(self, text: str, style: Style, numbered: bool) -> tuple[str, Style]:
        """The cursor is brackets where they fit, and a colour of its own while the heatmap has the focus."""
        if numbered and text[0] == text[-1] == " " and len(text) >= 5:
            text = f"[{text[1:-1]}]"
        if not self.has_focus:
            return text, style + Style(bold=True, underline=True)
        if self.app.no_color:
            return text, Style(reverse=True, bold=True)
        return text, CURSOR


def _whole(grid: Grid | None, scale: Scale) -> Lines:
    """Every cell with its number, under the grid's title."""
    if grid is None:
        return ()
    names = [
        plain(name) + "".join(SIGNAL_MARKS[kind] for kind in grid.row_marks.get(row, ()))
        for row, name in enumerate(grid.rows)
    ]
    label = max(map(len, (*names, grid.row_name))) + 1
    cell = max(6, *(len(name) + 1 for name in grid.columns)) if grid.columns else 6
    marks = "".join(
        "".join(SIGNAL_MARKS[kind] for kind in grid.column_marks.get(column, ())).center(cell)
        for column in range(len(grid.columns))
    )
    lines = [
        [Segment(plain(grid.title), Style(bold=True))],
        [Segment(f"{grid.row_name:<{label}}" + "".join(name.center(cell) for name in grid.columns))],
        [Segment(" " * label + marks, Style(bold=True))],
    ]
    for row, name in enumerate(names):
        line = [Segment(f"{name:>{label - 1}} ")]
        for column, value in enumerate(grid.values[row]):
            kind = grid.marks.get((row, column))
            text = cell_text(value, cell) if kind is None else marked_text(value, SIGNAL_MARKS[kind], cell)
            finite = math.isfinite(value)
            line.append(Segment(text, shade(scale.fraction(value), sixteen=False) if finite else Style(dim=True)))
        lines.append(line)
    return lines


def _scrolled(first: int, cursor: int, visible: int, total: int) -> int:
    """The first visible of `total`, moved as little as lets the cursor be seen."""
    first = min(first, cursor)
    first = max(first, cursor - visible + 1)
    return max(0, min(first, total - visible))
