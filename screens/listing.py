"""A list of runs in words: its columns, a line a run, and what is said of the one under the cursor. Knows no window."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from engine.store import ACTIVE, UNREADABLE, RunSummary
from engine.views import ORDERS
from screens.text import duration, moment, percent, plain, sparkline, status_text

PICKED = "●"
RISING, FALLING = "▲", "▼"
_FULL_WORDS_FROM, _WIDE_FROM = 92, 110


@dataclass(frozen=True)
class Column:
    """`name` heads it, and is one of ORDERS where runs can be ordered by it; `width` in cells, with the gap behind."""

    name: str
    width: int
    right: bool = False


@dataclass(frozen=True)
class Listed:
    """What the list shows: runs in their order, those that are picked, the one at work `here`, the order, and what
    there is to say where no run is shown."""

    runs: tuple[RunSummary, ...] = ()
    picked: tuple[str, ...] = ()
    here: str | None = None
    by: str = "when"
    reverse: bool = False
    empty: str = ""


def columns_of(width: int) -> list[Column]:
    """The columns that fit into so many cells: the name takes what the others leave."""
    full, wide = width >= _FULL_WORDS_FROM, width >= _WIDE_FROM
    found = [
        Column("", 2),
        Column("status", 20 if full else 14),
        Column("name", 0),
        Column("data", 14 if wide else 8),
        Column("rounds", 8),
        Column("acc", 8, right=True),
        Column("by round", 21 if wide else 12 if full else 9),
        Column("when", 11),
        Column("took", 11),
    ]
    for name, least in (("took", 100), ("data", 76), ("when", 68)):
        if width < least:
            found = [column for column in found if column.name != name]
    rest = width - sum(column.width for column in found)
    return [Column("name", max(rest, 8)) if column.name == "name" else column for column in found]


def orders_of(columns: Sequence[Column]) -> list[str]:
    """By what the runs can be ordered, from left to right."""
    return [column.name for column in columns if column.name in ORDERS]


def header(columns: Sequence[Column], by: str, *, reverse: bool) -> Content:
    """The heads of the columns, with a mark at the one of the order."""

    def head(column: Column) -> Content:
        if column.name != by:
            return Content(_fit(column.name, column))
        mark = FALLING if ORDERS[by][1] != reverse else RISING
        return Content.styled(_fit(f"{column.name}{mark}", column), "underline")

    return Content.assemble(*map(head, columns))


def line(run: RunSummary, columns: Sequence[Column], *, picked: bool, here: str | None) -> Content:
    """A run in a line."""
    cells: list[Content | str] = []
    for column in columns:
        match column.name:
            case "":
                cells.append(_fit(PICKED if picked else "", column))
            case "status":
                where = "here" if run.id == here else "elsewhere"
                word = run.status if run.status not in ACTIVE else where
                if run.status in ACTIVE and column.width >= 20:
                    word = f"{run.status} {where}"
                cells.append(status_text(run.status, word).pad_right(column.width - len(word) - 2))
            case "name":
                cells.append(_fit(plain(run.name), column))
            case "data":
                cells.append(_fit(plain(run.dataset) or "-", column))
            case "rounds":
                cells.append(_fit(f"{run.rounds_done}/{run.rounds_total}" if run.rounds_total else "-", column))
            case "acc":
                cells.append(_fit(percent(run.best), column))
            case "by round":
                cells.append(_fit(sparkline([mean.accuracy for mean in run.rounds], column.width - 1), column))
            case "when":
                cells.append(_fit(moment(run.created), column))
            case "took":
                cells.append(_fit("-" if run.seconds is None else duration(run.seconds), column))
    return Content.assemble(*cells)


def called(run: RunSummary) -> str:
    """A run's name, and its id where that is another."""
    return run.name if run.name == run.id else f"{run.name} ({run.id})"


def about(run: RunSummary, here: str | None, follow: str, *, tall: bool) -> Content:
    """What is said of a run: which it is and its state, what was found, and its note; where it may not be `tall`, in
    two lines, of which the note takes the second. `follow`: how one of another process is followed."""
    state = run.status
    if run.status in ACTIVE:
        state = f"{run.status} here" if run.id == here else f"{run.status} in another process; {follow}"
    title = f"{run.title}   " if run.title else ""
    first = Content.assemble((plain(title), "bold"), plain(run.id), "   ", (state, "dim"))
    if run.status in UNREADABLE:
        return Content("\n").join([first, Content("It cannot be read: lth-tui doctor says why.")])
    parts = [f"{run.study} on {run.dataset}" if run.dataset else run.study]
    if run.rounds:
        newest = run.rounds[-1]
        at = f"{percent(newest.accuracy)} at {newest.p_m:.1f}% left"
        parts.append(f"dense {percent(run.dense)}, best {percent(run.best)}, newest {at}")
    if run.arms:
        parts.append(f"{'arm' if len(run.arms) == 1 else 'arms'} {', '.join(run.arms)}")
    if run.device:
        parts.append(run.device)
    found = Content(plain("; ".join(parts)))
    notes = [Content.assemble(("note  ", "dim"), plain(words)) for words in run.note.splitlines() if words]
    return Content("\n").join([first, found, *notes] if tall else [first, *(notes or [found])[:1]])


def _fit(words: str, column: Column) -> str:
    """`words` in just the column's cells, the last of which are a gap."""
    room = column.width - 1
    if cell_len(words) > room:
        words = set_cell_size(words, room - 1) + "…"
    space = " " * (room - cell_len(words))
    return f"{space}{words} " if column.right else f"{words}{space} "
