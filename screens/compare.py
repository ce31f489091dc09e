"""Compare: arms and runs over each other, less data, studies side by side, and what the field claims."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from engine.spec import differences
from engine.views import ComparedArm, StudyRun, compared_arms
from screens.base import PanelScreen, rewrite, seen
from screens.comparing import field_rows, field_table, run_words
from screens.keys import Advice, keyed
from screens.offers import Offer
from screens.overlay import Overlay
from screens.pictures import near_dense
from screens.sheets import (
    Sheet,
    accuracy_sheet,
    arm_sheet,
    claim_sheet,
    data_sheet,
    dense_sheet,
    level_words,
    nearest_level,
    stop_sheet,
)
from screens.text import plain
from screens.verdicts import Judge, Judged, about_claim, claim_rows, side_by_side, verdict_table
from screens.widgets.numbers import NumbersTable
from screens.widgets.plot import LinePlot

EMPTY = """Nothing to compare yet.

Press {mode.runs} for Runs: {runs.open} on a run shows its arms over each other here; {runs.pick} on several runs
lays these over each other. Or {mode.configure} for Configure, and there {configure.start} to start a run."""

ONE_STUDY = """One run is shown, so there is nothing to hold its study against.

Press {mode.runs} for Runs, {runs.pick} on the runs to lay over each other, then {mode.compare}."""
SAME_STUDY = "These studies differ in nothing but names and words."
NO_CLAIMS = "No claim of the paper or the article speaks of the networks, data and arms of these runs."
JUDGING = "Judging…"

PAGES = {
    "accuracy": "accuracy",
    "stop": "early stop",
    "dense": "to dense",
    "arm": "to an arm",
    "data": "less data",
    "studies": "studies",
    "claims": "claims",
}
"""What the screen shows in turn."""

WIDE_FROM = 110
"""Columns of the window from which the numbers stand beside the plot."""
LOW_BELOW = 20
"""Rows of the window below which a claim has few lines."""
FIRST_LEVEL = 10.0
"""P_m, percent, near which the numbers are told at first: where a ticket and its control have parted."""
SHORTEST_CLAIM = 24
"""Columns of a claim at the least; where they are too many, the table scrolls."""
STRIP = 3
"""Lines of numbers under the plot."""
P_M = Binding.Group("P_m")


class CompareScreen(PanelScreen):
    """The picked runs, or the followed one, over each other; one page at a time."""

    MODE = "compare"
    MAIN = "#overlay"

    BINDINGS = [
        Binding("g,tab", "page(1)", "View", id="compare.page", priority=True,
                tooltip="Accuracy, early stop, difference to dense or to an arm, less data, studies, claims"),
        Binding("G,shift+tab", "page(-1)", "View before", show=False, id="compare.page-before", priority=True,
                tooltip="The view before"),
        Binding("number_sign", "numbers", "Numbers", id="compare.numbers",
                tooltip="To the numbers behind the plot, and back to the plot"),
        Binding("left_square_bracket", "level(-1)", "P_m before", id="compare.level-before", group=P_M,
                tooltip="The numbers with more weights left"),
        Binding("right_square_bracket", "level(1)", "Next P_m", id="compare.level-next", group=P_M,
                tooltip="The numbers with fewer weights left"),
        Binding("z", "close", "Close-up", id="compare.close", show=False,
                tooltip="Accuracies near dense, or all of them"),
        Binding("w", "base(1)", "Compare with", id="compare.base", tooltip="Compare with the next arm"),
        Binding("W", "base(-1)", "With the arm before", show=False, id="compare.base-before",
                tooltip="Compare with the arm before"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield Static("", id="compare-pages", markup=False)
        yield Static("", id="compare-runs", markup=False)
        with Horizontal(id="compared"):
            yield LinePlot(id="overlay")
            yield NumbersTable(id="compare-numbers")
            yield Static("", id="compare-words", markup=False)
        yield Static("", id="compare-told", markup=False)
        yield Advice(EMPTY, id="no-compare")

    def on_mount(self) -> None:
        self._page = "accuracy"
        self._at: float | None = None
        self._base = ""
        self._cursor: float | None = None
        self._overlay, self._judge = Overlay(self.lab), Judge()
        self._drawn: object = None
        self._runs: tuple[StudyRun, ...] = ()
        self._names: list[str] = []
        self._sheet: Sheet | None = None
        self._judged: list[Judged] = []
        self._turn_to(self._page)
        self.watch(self._plot, "sight", self._looked, init=False)

    def fitted(self, width: int, height: int) -> None:
        """The numbers beside the plot where there is room for them."""
        self.set_class(width >= WIDE_FROM, "-wide")
        self.set_class(height < LOW_BELOW, "-low")
        self.call_after_refresh(self._redraw)

    # Reading

    def update(self) -> None:
        """Look into the store now and then, and draw what changed."""
        if self._overlay.due():
            self._read()
        self._draw_changed()

    @work(group="compare-read")
    async def _read(self) -> None:
        await self._overlay.read()
        if self.is_attached:
            self._draw_changed()

    def _draw_changed(self) -> None:
        laid = self._overlay.laid()
        known = [(it.name, it.problem, it.run.view.last_event if it.run else 0) for it in laid]
        if known != self._drawn:
            self._drawn = known
            runs = tuple(it.run for it in laid if it.run is not None)
            if [run.view.run for run in runs] != [run.view.run for run in self._runs]:
                self._judged = []
            self._runs = runs
            self._names = [item.name for item in laid if item.run is not None]
            self._redraw()

    # Drawing

    @property
    def _tracks(self) -> tuple[ComparedArm, ...]:
        return compared_arms(self._runs)

    @property
    def _numbers(self) -> list[str]:
        """The runs as they are called in tables and plots."""
        return [str(number) for number in range(1, len(self._runs) + 1)]

    def _redraw(self) -> None:
        begun = bool(self._tracks)
        if begun == self.has_class("-empty"):
            self.set_class(not begun, "-empty")
            self.call_after_refresh(self._focus)
        self.refresh_bindings()
        names = [compared.name for compared in self._tracks]
        if names and self._base not in names:
            self._base = names[0]
        self._tell_pages()
        self._tell_runs()
        if begun:
            self._draw()

    def _tell_pages(self) -> None:
        titles = PAGES | ({"arm": f"to {plain(self._base)[:14]}"} if self._base else {})
        tabs = [Text(f" {title} ", "reverse bold" if page == self._page else "") for page, title in titles.items()]
        here = [*titles].index(self._page)
        rewrite(self.query_one("#compare-pages", Static), seen(tabs, here, self.size.width - 2))

    def _tell_runs(self) -> None:
        if len(self._runs) == 1:
            words = Text(plain(run_words(self._names[0], self._runs[0].study)), "dim")
        else:
            chosen = (it.run for it in self._tracks if it.name == self._plot.sight.line)
            names = [Text(f"{number} {plain(name)}  ") for number, name in enumerate(self._names, 1)]
            words = seen(names, self._runs.index(next(chosen, self._runs[0])) if names else 0, self.size.width - 2)
            words.rstrip()
        for item in self._overlay.laid():
            if item.problem:
                words.append(f"  ! {plain(item.name)} is left out: {plain(item.problem)}", "bold")
        rewrite(self.query_one("#compare-runs", Static), words)

    @work(exclusive=True, group="compare-draw")
    async def _draw(self) -> None:
        """Make what the page shows beside the loop, and show it."""
        page, runs, found = self._page, self._runs, self._tracks
        if page == "claims":
            if not self._judged:
                self._say(JUDGING)
            self._judged = side_by_side(await self._judge.of(runs))
            self._show_claims()
            return
        if page == "studies":
            self._show_studies()
            return
        makers: dict[str, Callable[[], Sheet]] = {
            "accuracy": partial(accuracy_sheet, found, self._base),
            "stop": partial(stop_sheet, found, self._base),
            "dense": partial(dense_sheet, found),
            "arm": partial(arm_sheet, found, self._base),
            "data": partial(data_sheet, runs, self._at or FIRST_LEVEL),
        }
        sheet = await asyncio.to_thread(makers[page])
        if self.is_attached:
            self._show_sheet(sheet)

    def _show_sheet(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._plot.show(sheet.picture())
        self._say("" if sheet.levels else sheet.empty)
        if self.has_class("-numbers") or self.has_class("-wide"):
            self.query_one(NumbersTable).fill(*sheet.rows())
            self._follow_level()
        self._tell_level()

    def _say(self, words: str) -> None:
        """Words in place of plot and numbers, or these."""
        if bool(words) != self.has_class("-words"):
            self.set_class(bool(words), "-words")
            self.call_after_refresh(self._focus)  # what is hidden has no focus
        rewrite(self.query_one("#compare-words", Static), Text(keyed(self.app, words)))

    # Numbers at one P_m

    def _level(self, sheet: Sheet) -> float:
        """The level that is told: the chosen one, or as far as none was chosen one that lets lines be compared."""
        return sheet.level_near(FIRST_LEVEL) if self._at is None else nearest_level(sheet.levels, self._at)

    def _follow_level(self) -> None:
        """Put the table's cursor on the level that is told."""
        if self._sheet is None or self._page == "data":
            return
        level = self._level(self._sheet)
        if level in self._sheet.levels:
            self.query_one(NumbersTable).move_cursor(row=self._sheet.levels.index(level), animate=False)

    def _tell_level(self) -> None:
        sheet = self._sheet
        words = Text()
        if sheet is not None and sheet.levels:
            room, sight = (max(20, self.size.width - 2), STRIP), self._plot.sight
            more = keyed(self.app, ": {plot.line} goes on" if self._plot.has_focus else "")
            words = level_words(sheet, self._level(sheet), room, sight.hidden, sight.line, more)
        rewrite(self.query_one("#compare-told", Static), words)

    @on(NumbersTable.RowHighlighted)
    def _row_chosen(self, event: NumbersTable.RowHighlighted) -> None:
        if self._page == "claims":
            self._show_claim()
        elif self._page != "data" and self._sheet is not None and event.cursor_row < len(self._sheet.levels):
            if event.data_table.has_focus:
                self._at = self._sheet.levels[event.cursor_row]
            self._tell_level()

    def _looked(self) -> None:
        """Tell of the lines that are shown, at the P_m of the plot's cursor once that has moved."""
        at = self._plot.sight.at
        if at != self._cursor:
            self._cursor = at
            if at is not None and self._page not in ("data", "claims"):
                self._at = at
                self._follow_level()
        self._tell_runs()
        if self._page != "claims":
            self._tell_level()

    # Studies and claims

    def _show_studies(self) -> None:
        self._sheet = None
        fields = differences([run.study for run in self._runs])
        self._say(ONE_STUDY if len(self._runs) < 2 else "" if fields else SAME_STUDY)
        self.query_one(NumbersTable).fill(*field_rows(fields, self._names))
        words = f"{len(fields)} fields differ; – is none" if fields else ""
        rewrite(self.query_one("#compare-told", Static), Text(words, "dim"))

    def _show_claims(self) -> None:
        self._say("" if self._judged else NO_CLAIMS)
        table = self.query_one(NumbersTable)
        header, rows, widths = claim_rows(self._judged, self._numbers)
        room = table.size.width - sum(widths) - 2 * len(header) - 3
        table.fill(header, rows, [*widths, max(SHORTEST_CLAIM, room)])
        self._show_claim()

    def _show_claim(self) -> None:
        """The claim under the cursor in full, and its arms as a plot."""
        row = self.query_one(NumbersTable).cursor_row
        if not 0 <= row < len(self._judged):
            rewrite(self.query_one("#compare-told", Static), Text())
            return
        item = self._judged[row]
        self._sheet = claim_sheet(item.claim, self._runs, item.verdicts)
        self._plot.show(self._sheet.picture())
        rewrite(self.query_one("#compare-told", Static), about_claim(item, self._numbers))

    # Keys

    @property
    def _plot(self) -> LinePlot:
        return self.query_one(LinePlot)

    def _turn_to(self, page: str) -> None:
        self._page = page
        self._plot.look(replace(self._plot.sight, x=None, y=None, at=None))  # another page has other axes
        pages = {f"-{other}": other == page for other in PAGES}
        self.update_classes(pages | {"-numbers": page in ("studies", "claims")})
        self._redraw()

    def on_screen_resume(self) -> None:
        self._focus()

    def _focus(self) -> None:
        """To the part that the page is about; what is hidden has no focus."""
        part = NumbersTable if self.has_class("-numbers") else LinePlot
        self.set_focus(None if self.has_class("-empty") else self.query_one(part))

    def action_page(self, by: int) -> None:
        """The next page, or the one before."""
        pages = list(PAGES)
        self._turn_to(pages[(pages.index(self._page) + by) % len(pages)])
        self._focus()

    def action_numbers(self) -> None:
        """From the plot to the numbers, and back."""
        self.set_class(not self.has_class("-numbers"), "-numbers")
        if self._sheet is not None and self._page != "claims":
            self._show_sheet(self._sheet)
        self._focus()

    def action_level(self, by: int) -> None:
        """The next P_m, or the one before."""
        if self._sheet is None or not self._sheet.levels:
            return
        levels = self._sheet.levels
        place = levels.index(self._level(self._sheet)) + by
        self._at = levels[max(0, min(place, len(levels) - 1))]
        if self._page == "data":
            self._draw()
        else:
            self._follow_level()
            self._tell_level()

    def action_close(self) -> None:
        """Look closely at what is near dense, or at everything."""
        self._plot.look_near(None if self._plot.sight.zoomed else near_dense(self._plot.picture))

    def action_base(self, by: int) -> None:
        """Compare with another arm."""
        names = [compared.name for compared in self._tracks]
        self._base = names[(names.index(self._base) + by) % len(names)]
        self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what there is to choose on this page."""
        return self._allowed().get(action, True) if hasattr(self, "_page") else True

    def _allowed(self) -> dict[str, bool]:
        begun, page = bool(self._tracks), self._page
        return {
            "page": begun,
            "numbers": begun and page != "studies",
            "level": begun and page not in ("studies", "claims"),
            "base": len(self._tracks) > 1 and page in ("accuracy", "stop", "arm"),
            "close": begun and page == "accuracy",
            "fill": begun,
        }

    # Files

    def offers(self) -> list[Offer]:
        """The plot with its numbers; of claims and studies their tables."""
        table, name = self.query_one(NumbersTable), f"compare-{self._page}"
        found = [Offer(name, self._sheet.title, self._plot, self._sheet.table)] if self._sheet is not None else []
        if self._page == "claims" and self._judged:
            told = partial(verdict_table, self._judged, self._names)
            return [Offer("compare-verdicts", "claims and verdicts", table, told), *found]
        if self._page == "studies":
            fields = differences([run.study for run in self._runs])
            return [Offer(name, "in what the studies differ", table, partial(field_table, fields, self._names))]
        return found
