"""A table of numbers in a window."""

from collections.abc import Sequence

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

from screens.text import plain

Cells = Sequence[Sequence[str]]


class NumbersTable(DataTable[Text]):
    """Rows of cells, the first column always in sight; filled anew only when they changed. Plain words are a
    stranger's."""

    BINDINGS = [
        Binding("j", "cursor_down", "Down", id="numbers.down", tooltip="The next row", show=False),
        Binding("k", "cursor_up", "Up", id="numbers.up", tooltip="The row before", show=False),
        Binding("l", "cursor_right", "Right", id="numbers.right", tooltip="Columns to the right", show=False),
        Binding("h", "cursor_left", "Left", id="numbers.left", tooltip="Columns to the left", show=False),
    ]

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, fixed_columns=1)
        self._told: tuple[Sequence[str], Cells, Sequence[int | None]] = ((), (), ())

    def fill(self, header: Sequence[str], rows: Cells, widths: Sequence[int | None] = ()) -> None:
        """Show these rows; the cursor keeps its place. A column without a width has that of its widest cell."""
        if (header, rows, widths) == self._told:
            return
        at, same = self.cursor_row, self._told[0] == header
        self._told = header, rows, widths
        self.clear(columns=True)
        for number, name in enumerate(header):
            self.add_column(Text(plain(name)), width=widths[number] if widths else None)
        for row in rows:
            self.add_row(*(Text(plain(it)) for it in row))
        if same and rows:
            self.move_cursor(row=min(at, len(rows) - 1), animate=False)
