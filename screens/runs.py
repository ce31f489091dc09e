"""Runs: everything in the store, the newest first."""

import asyncio
from collections.abc import Iterator
from functools import partial

from textual import on, work
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget
from textual.widgets import DataTable, Static

from engine.errors import BadInput
from engine.store import RunSummary
from engine.views import runs_table
from screens.base import LabScreen
from screens.keys import Advice, key_of
from screens.messages import EditStudy, OpenRun, StartStudy, TakeUpRun
from screens.offers import Offer
from screens.text import duration, moment, plain, status_text

COLUMNS = (("status", 13), ("study", 18), ("data", 8), ("rounds", 8), ("when", 10), ("took", 9))

AT_WORK = ("new", "running", "paused")
RESUMABLE = ("stopped", "interrupted", "failed")

EMPTY = """No runs yet.

Press {mode.configure} for Configure, and there {configure.start}: the quickstart study runs
about a minute on real data. What it finds is kept and shown here, also after you leave."""


class RunsScreen(LabScreen):
    """The runs of the store, with the status that is true."""

    MODE = "runs"
    PERIOD = 2.0

    BINDINGS = [
        Binding("o", "open", "Open", key_display="enter", id="runs.open", tooltip="Show the run in Live and Heatmaps"),
        Binding("r", "take_up", "Resume", id="runs.resume", tooltip="Go on with the run here, where it was"),
        Binding("n", "again", "Start again", id="runs.again", tooltip="The same study as a new run"),
        Binding("e", "edit", "Edit", id="runs.edit", tooltip="Put the run's study into the form"),
        Binding("f5", "reread", "Reread", id="runs.reread", tooltip="Read the list anew", show=False),
        Binding("j", "down", "Down", id="runs.down", tooltip="The next run", show=False),
        Binding("k", "up", "Up", id="runs.up", tooltip="The run before", show=False),
    ]

    def body(self) -> Iterator[Widget]:
        yield DataTable(id="runs", cursor_type="row", zebra_stripes=False)
        yield Static("", id="chosen-run", markup=False)
        yield Advice(EMPTY, id="no-runs")

    def on_mount(self) -> None:
        super().on_mount()
        self._shown: list[RunSummary] | None = None
        self._cells: dict[str, tuple[object, ...]] = {}
        self._resumable = False
        self._reading = False
        table = self._table
        for name, width in COLUMNS:
            table.add_column(name, width=width, key=name)
        table.focus()

    @property
    def _table(self) -> DataTable[object]:
        return self.query_one("#runs", DataTable)

    def update(self) -> None:
        """Read the list beside the loop, and draw it when it changed."""
        if not self._reading:
            self._reading = True
            self._read()

    @work(group="runs")
    async def _read(self) -> None:
        try:
            runs = await asyncio.to_thread(self.lab.store.runs)
        finally:
            self._reading = False
        if self.is_attached:
            self._fill(runs)

    def _fill(self, runs: list[RunSummary]) -> None:
        table = self._table
        before, known, ids = self._cells, list(self._cells), [run.id for run in runs]
        self._cells = {run.id: self._cells_of(run) for run in runs}
        if known == ids and self._shown is not None:
            for run, cells in self._cells.items():
                if cells != before[run]:
                    for (column, _), cell in zip(COLUMNS, cells, strict=True):
                        table.update_cell(run, column, cell)
        else:
            at = known[table.cursor_row] if known and table.cursor_row < len(known) else None
            table.clear()
            for run, cells in self._cells.items():
                table.add_row(*cells, key=run)
            if at in ids:
                table.move_cursor(row=ids.index(at))
            self.set_class(not runs, "-empty")
            self.refresh_bindings()
        self._shown = runs
        self._tell_chosen()

    def _cells_of(self, run: RunSummary) -> tuple[object, ...]:
        rounds = f"{run.rounds_done}/{run.rounds_total}" if run.rounds_total else "-"
        took = "-" if run.seconds is None else duration(run.seconds)
        status = status_text(run.status, "elsewhere" if self._elsewhere(run) else "")
        words = (run.study, run.dataset or "-", rounds, moment(run.created), took)
        # A table takes plain words for markup.
        return (status, *(Content(plain(word)) for word in words))

    def _elsewhere(self, run: RunSummary) -> bool:
        """Whether another process works on the run."""
        return run.status in AT_WORK and run.id != self.lab.active

    @on(DataTable.RowHighlighted)
    def _tell_chosen(self) -> None:
        run = self.chosen
        words = plain(run.id) if run else ""
        if run is not None and self._elsewhere(run):
            words += f"  {run.status} in another process; {key_of(self.app, 'runs.open')} follows it"
        self.query_one("#chosen-run", Static).update(words)
        if (resumable := self._can_go_on(run)) != self._resumable:
            self._resumable = resumable
            self.refresh_bindings()

    def _can_go_on(self, run: RunSummary | None) -> bool:
        return run is not None and run.status in RESUMABLE and run.id != self.lab.active

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        runs, row = self._shown or [], self._table.cursor_row
        return runs[row] if row < len(runs) else None

    def offers(self) -> list[Offer]:
        """The list."""
        runs = self._shown or []
        return [Offer("runs", "the list of runs", self._table, partial(runs_table, runs), file="runs")] if runs else []

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Follow the run under the cursor."""
        if self.chosen is not None:
            self.post_message(OpenRun(self.chosen.id))

    def action_take_up(self) -> None:
        """Go on with the run under the cursor."""
        if self.chosen is not None:
            self.post_message(TakeUpRun(self.chosen.id))

    def action_again(self) -> None:
        """Run the study of the run under the cursor again."""
        self._with_study(again=True)

    def action_edit(self) -> None:
        """Put the study of the run under the cursor into the form."""
        self._with_study(again=False)

    def _with_study(self, *, again: bool) -> None:
        if self.chosen is None:
            return
        try:
            with self.lab.store.open(self.chosen.id) as folder:
                study = folder.study()
        except BadInput as error:
            self.notify(plain(str(error)), severity="error", markup=False)
            return
        self.post_message(StartStudy(study) if again else EditStudy(study, self.chosen.id))

    def action_reread(self) -> None:
        """Read the list anew."""
        self.update()

    def action_down(self) -> None:
        """One run down."""
        self._table.action_cursor_down()

    def action_up(self) -> None:
        """One run up."""
        self._table.action_cursor_up()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs there is nothing to open; only what did not come to its end goes on."""
        if action == "take_up":
            return getattr(self, "_resumable", False)
        if action in ("open", "again", "edit"):
            return bool(getattr(self, "_shown", None))
        return True
