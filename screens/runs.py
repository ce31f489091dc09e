"""Runs: everything in the store; found, ordered, picked, described, deleted and brought back."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from textual import on, work
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.errors import BadInput, LabError
from engine.spec import Study
from engine.store import ACTIVE, KEPT_RUNS, UNREADABLE, RunSummary
from engine.views import ordered, runs_table
from screens.base import LabScreen
from screens.describing import DescribeDialog
from screens.keys import Advice, key_of, keyed
from screens.lab import RESUMABLE
from screens.listing import Listed, about, called, orders_of
from screens.messages import EditStudy, OpenRun, StartStudy, TakeUpRun
from screens.offers import Offer
from screens.text import amount, plain
from screens.widgets.filter_line import HELP, FilterLine
from screens.widgets.run_table import RunTable

TALL_FROM = 30
"""Rows of the window from which more is said of the run under the cursor."""

EMPTY = """No runs yet.

Press {mode.configure} for Configure, and there {configure.start}: the quickstart study runs
about a minute on real data. What it finds is kept and shown here, also after you leave.
{runs.restore} brings back a run that was deleted."""

NONE_FOUND = "No run is like that; {runs.clear} shows all of them again."


class RunsScreen(LabScreen):
    """The runs of the store, with the status that is true."""

    MODE = "runs"
    PERIOD = 2.0

    BINDINGS = [
        Binding("escape", "clear", "Clear", id="runs.clear", tooltip="Show all runs; then pick none"),
        Binding("enter,o", "open", "Open", id="runs.open",
                tooltip="Show the run in Live, Heatmaps and Ticket"),
        Binding("r", "take_up", "Resume", id="runs.resume", tooltip="Go on with the run here, where it was"),
        Binding("slash", "filter", "Filter", id="runs.filter", tooltip=f"Only some runs: {HELP}"),
        Binding("space", "pick", "Pick", id="runs.pick", tooltip="Lay the run over others in Compare, or not"),
        Binding("s", "sort(1)", "Sort", id="runs.sort", tooltip="By the next column"),
        Binding("S", "turn", "Turn order", show=False, id="runs.turn", tooltip="The other way round"),
        Binding("w", "describe", "Note", id="runs.describe",
                tooltip="Give the run a title and a note"),
        Binding("delete,backspace", "delete", "Delete", id="runs.delete",
                tooltip=f"Put the run into the trash, from where it can be brought back: the last {KEPT_RUNS} stay"),
        Binding("u", "restore", "Bring back", show=False, id="runs.restore",
                tooltip="The run that was deleted last, and then those before it"),
        Binding("n", "again", "Start again", show=False, id="runs.again", tooltip="The same study as a new run"),
        Binding("e", "edit", "Edit", show=False, id="runs.edit", tooltip="Put the run's study into the form"),
        Binding("f5", "reread", "Reread", id="runs.reread", tooltip="Read the list anew", show=False),
        Binding("down,j", "move(1)", "Down", id="runs.down", tooltip="The next run", show=False),
        Binding("up,k", "move(-1)", "Up", id="runs.up", tooltip="The run before", show=False),
        Binding("pagedown", "page(1)", "Page down", id="runs.pages.down", tooltip="A page of runs on", show=False),
        Binding("pageup", "page(-1)", "Page up", id="runs.pages.up", tooltip="A page of runs back", show=False),
        Binding("home", "end(False)", "First", id="runs.first", tooltip="The first run", show=False),
        Binding("end", "end(True)", "Last", id="runs.last", tooltip="The last run", show=False),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield FilterLine(lambda: self._runs, id="runs-line")
        yield RunTable(id="runs")
        yield Static("", id="chosen-run", markup=False)
        yield Advice(EMPTY, id="no-runs")

    def on_mount(self) -> None:
        self._runs: list[RunSummary] = []
        self._by, self._reverse = "when", False
        self._left = 0
        self._reading = self._swept = False
        self._table.focus()
        self.watch(self._table, "chosen", self._tell_chosen, init=False)

    def fitted(self, width: int, height: int) -> None:
        """More is said of a run where there is room."""
        self.set_class(height >= TALL_FROM, "-tall")
        self.call_after_refresh(self._tell_chosen)

    @property
    def _table(self) -> RunTable:
        return self.query_one(RunTable)

    @property
    def _line(self) -> FilterLine:
        return self.query_one(FilterLine)

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        return self._table.chosen

    # Reading

    def update(self) -> None:
        """Read the list beside the loop, and draw it when it changed."""
        if not self._reading:
            self._reading = True
            self._read()

    @work(group="runs")
    async def _read(self) -> None:
        loop = asyncio.get_running_loop()

        def so_far(found: list[RunSummary], left: int) -> None:
            loop.call_soon_threadsafe(self._take, found, left)

        try:
            runs = await asyncio.to_thread(self.lab.store.runs, so_far)
        finally:
            self._reading = False
        self._take(runs, 0)
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(self.lab.store.trash.sweep)

    def _take(self, runs: list[RunSummary], left: int) -> None:
        """These are the runs, beside some that are still to be read."""
        if not self.is_attached:
            return
        self._runs, self._left = runs, left
        if not left:
            there = {run.id for run in runs}
            self.lab.picked = tuple(run for run in self.lab.picked if run in there)
        self.set_class(not runs and not left, "-empty")
        self._show()

    # Drawing

    def _show(self) -> None:
        runs = ordered(self._line.filter.of(self._runs), self._by, reverse=self._reverse)
        listed = Listed(
            runs=tuple(runs),
            picked=self.lab.picked,
            here=self.lab.active,
            by=self._by,
            reverse=self._reverse,
            empty=keyed(self.app, NONE_FOUND) if self._runs else "",
        )
        self._table.show(listed)
        self._line.say(self._counted(len(runs)))
        self._tell_chosen()

    def _counted(self, shown: int) -> str:
        """How many runs there are, and in which order."""
        total = len(self._runs)
        runs = f"{amount(total)} {'run' if total == 1 else 'runs'}"
        words = [f"{amount(shown)} of {runs}" if shown != total else runs]
        if self._left:
            words.append(f"{amount(self._left)} more to read")
        if self.lab.picked:
            words.append(f"{len(self.lab.picked)} picked")
        if self._line.filter.tests and not self._line.typing:
            words.append(keyed(self.app, "{runs.clear} shows all"))
        return ", ".join(words)

    def _tell_chosen(self) -> None:
        run = self.chosen
        words = Content("") if run is None else self._about(run)
        self.query_one("#chosen-run", Static).update(words, layout=False)
        self.refresh_bindings()

    def _about(self, run: RunSummary) -> Content:
        follow = f"{key_of(self.app, 'runs.open')} follows it"
        return about(run, self.lab.active, follow, tall=self.has_class("-tall"))

    def _can_go_on(self, run: RunSummary | None) -> bool:
        return run is not None and run.status in RESUMABLE and run.id != self.lab.active

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs there is nothing to open; only what did not come to its end goes on; and a filter or picked
        runs are cleared where there are some."""
        if not self.is_mounted:
            return False
        if action == "take_up":
            return self._can_go_on(self.chosen)
        if action == "clear":
            return self._line.used or bool(self.lab.picked)
        if action in ("open", "again", "edit", "pick", "describe", "delete"):
            return self.chosen is not None
        if action in ("filter", "sort"):
            return bool(self._runs)
        return True

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """Why a run cannot go on, or that there is none."""
        run = self.chosen
        if run is None:
            return keyed(self.app, NONE_FOUND) if self._runs else "there is no run"
        words = f"{run.name} is {run.status}"
        return words if run.status in ACTIVE else words + keyed(self.app, "; {runs.again} starts its study again")

    def offers(self) -> list[Offer]:
        """The list as it is shown."""
        runs = self._table.listed.runs
        return [Offer("runs", "the list of runs", self._table, partial(runs_table, runs), file="runs")] if runs else []

    # Finding

    def action_filter(self) -> None:
        """Go to the field of the filter."""
        self._line.open()

    @on(FilterLine.Wanted)
    def _wanted(self) -> None:
        self._show()

    @on(FilterLine.Left)
    def _left_filter(self) -> None:
        self._table.focus()
        self.call_after_refresh(self._show)

    def action_clear(self) -> None:
        """Show all runs; where all are shown, pick none."""
        if not self._line.clear() and self.lab.picked:
            self.lab.picked = ()
            self._show()

    def action_sort(self, by: int) -> None:
        """Order the runs by another column."""
        orders = orders_of(self._table.columns)
        place = orders.index(self._by) + by if self._by in orders else 0
        self._by, self._reverse = orders[place % len(orders)], False
        self._show()

    def action_turn(self) -> None:
        """Order the runs the other way round."""
        self._reverse = not self._reverse
        self._show()

    @on(RunTable.Headed)
    def _headed(self, event: RunTable.Headed) -> None:
        if event.column in orders_of(self._table.columns):
            turned = event.column == self._by and not self._reverse
            self._by, self._reverse = event.column, turned
            self._show()

    # The run under the cursor

    @on(RunTable.Opened)
    def action_open(self) -> None:
        """Follow it."""
        if self.chosen is not None:
            self.post_message(OpenRun(self.chosen.id))

    def action_take_up(self) -> None:
        """Go on with it."""
        if self.chosen is not None:
            self.post_message(TakeUpRun(self.chosen.id))

    def action_again(self) -> None:
        """Run its study again."""
        self._with_study(again=True)

    def action_edit(self) -> None:
        """Put its study into the form."""
        self._with_study(again=False)

    @work(exclusive=True, group="study")
    async def _with_study(self, *, again: bool) -> None:
        run = self.chosen
        if run is None:
            return

        def read() -> Study:
            with self.lab.store.open(run.id) as folder:
                return folder.study()

        try:
            study = await asyncio.to_thread(read)
        except BadInput as error:
            self._complain(error)
            return
        self.post_message(StartStudy(study) if again else EditStudy(study, run.id))

    def action_pick(self) -> None:
        """Lay it over others, or no longer."""
        run, picked = self.chosen, self.lab.picked
        if run is not None:
            self.lab.picked = (
                tuple(item for item in picked if item != run.id) if run.id in picked else (*picked, run.id)
            )
            self._show()

    def action_describe(self) -> None:
        """Give it a title and a note."""
        run = self.chosen
        if run is None:
            return
        if run.status in UNREADABLE:
            self.notify("Note: a run that cannot be read takes none", severity="warning", markup=False)
            return

        def answered(given: tuple[str, str] | None) -> None:
            if given is not None and given != (run.title, run.note):
                self._describe(run, *given)

        self.app.push_screen(DescribeDialog(run), answered)

    @work
    async def _describe(self, run: RunSummary, title: str, note: str) -> None:
        def keep() -> None:
            with self.lab.store.open(run.id) as folder:
                # What another has written meanwhile stays, but for what was changed here.
                folder.describe(title=None if title == run.title else title, note=None if note == run.note else note)

        await self._try(keep)

    def action_delete(self) -> None:
        """Put it into the trash."""
        if self.chosen is not None:
            self._delete(self.chosen)

    @work
    async def _delete(self, run: RunSummary) -> None:
        if await self._try(partial(self.lab.store.delete, run.id)):
            words = f"is in the trash: {key_of(self.app, 'runs.restore')} brings it back"
            self.notify(f"{plain(called(run))} {words}. Its finished rounds stay.", markup=False)

    @work
    async def action_restore(self) -> None:
        """Bring back the run that was deleted last."""
        found: list[str] = []
        if await self._try(lambda: found.append(self.lab.store.restore())):
            back = next((called(run) for run in self._runs if run.id == found[0]), found[0])
            self.notify(plain(f"{back} is back"), markup=False)
            self._table.go_to(found[0])

    async def _try(self, change: Callable[[], object]) -> bool:
        """Change the store in a thread, then read the list; whether that could be done."""
        try:
            await asyncio.to_thread(change)
        except LabError as error:
            self._complain(error)
            return False
        self._take(await asyncio.to_thread(self.lab.store.runs), 0)
        return True

    def _complain(self, error: LabError) -> None:
        self.notify(plain(str(error)), severity="error", markup=False)

    # Moving

    def action_reread(self) -> None:
        """Read the list anew."""
        self.update()

    def action_move(self, by: int) -> None:
        """Some runs on or back."""
        self._table.move(by)

    def action_page(self, way: int) -> None:
        """A page on or back."""
        self._table.move(way * self._table.page)

    def action_end(self, last: bool) -> None:
        """To the first run or the last."""
        self._table.put_cursor(len(self._runs) if last else 0)
