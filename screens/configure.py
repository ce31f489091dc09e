"""Configure: a study as a form, what it will cost, and the key that starts it."""

import asyncio
import contextlib
from collections.abc import Iterator

from textual import events, on, work
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import MountError, Widget
from textual.widgets import Button, Label, Select, Static

from engine import datasets
from engine.errors import BadInput
from engine.plan import forecast
from engine.spec import Study, load_study, preset_names, study_problems
from engine.store import Store
from screens.base import LabScreen
from screens.form import FIELDS, arm_choices, filled, place_of, shown_values, tables_of
from screens.messages import StartStudy
from screens.text import amount, duration, plain, size
from screens.widgets.fields import ArmRow, FieldRow, Row


class ConfigureScreen(LabScreen):
    """The form of a study. The tables behind it keep what the form has no field for."""

    MODE = "configure"
    FORECAST_AFTER = 0.2

    BINDINGS = [
        Binding("s,enter", "start", "Start", id="configure.start", tooltip="Begin a new run of this study"),
        Binding("ctrl+s", "start", "Start", id="configure.start-in-field", show=False, tooltip="Begin, from a field"),
        Binding("e", "edit", "Edit", id="configure.edit", tooltip="Go to the first field of the form"),
        Binding("p", "presets", "Preset", id="configure.presets", tooltip="Choose another preset"),
        Binding("escape", "leave", "Leave field", id="configure.leave", tooltip="Back to the start button"),
    ]

    def body(self) -> Iterator[Widget]:
        with Vertical(id="configure"):
            with VerticalScroll(id="form", can_focus=False):
                with Vertical(classes="preset-row"):
                    yield Label("preset")
                    yield Select(
                        [(plain(name), name) for name in self._sources()],
                        value=self.lab.source,
                        allow_blank=False,
                        compact=True,
                        id="preset",
                    )
                data_sets, values = datasets.names(), shown_values(self.lab.study)
                for spec in FIELDS:
                    yield FieldRow(spec, values[spec.path], data_sets if spec.path == "base.data.name" else ())
                yield Label("arms (x of each ticket, in rounds)", classes="heading")
                with Vertical(id="arms"):
                    for choice in arm_choices(self.lab.study):
                        yield ArmRow(choice)
            with VerticalScroll(id="about-study", can_focus=False):
                yield Button("Start  (s)", id="start", variant="success", compact=True)
                yield Static("", id="problems", markup=False)
                yield Static("", id="about", markup=False)
                yield Static("", id="forecast", markup=False)
        yield Static("", id="hint", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self._study: Study | None = None
        self._timer: Timer | None = None
        self._said: dict[str, str] = {}
        self._begun = tables_of(self.lab.study)
        self.call_after_refresh(self._check)
        self.query_one("#start").focus()

    async def put(self, study: Study, source: str) -> None:
        """Fill the form with a study."""
        self._begun = tables_of(study)
        preset = self.query_one("#preset", Select)
        if source not in self._sources():
            source = self.lab.source
        with preset.prevent(Select.Changed):
            preset.value = source
        values = shown_values(study)
        for row in self.query(FieldRow):
            row.value = values[row.spec.path]
        arms = self.query_one("#arms")
        await arms.remove_children()
        with contextlib.suppress(MountError):  # the screen may be closing
            await arms.mount(*(ArmRow(choice) for choice in arm_choices(study)))
        self._check()

    async def reopen(self) -> None:
        """Fill the form with the study that the laboratory holds now."""
        preset = self.query_one("#preset", Select)
        with preset.prevent(Select.Changed):
            preset.set_options([(plain(name), name) for name in self._sources()])
        await self.put(self.lab.study, self.lab.source)

    def _sources(self) -> list[str]:
        names = list(preset_names())
        return names if self.lab.source in names else [self.lab.source, *names]

    @on(Select.Changed, "#preset")
    async def _preset_chosen(self, event: Select.Changed) -> None:
        source = str(event.value)
        try:
            await self.put(self.lab.study if source == self.lab.source else load_study(source), source)
        except BadInput as error:
            self.notify(plain(str(error)), severity="error", markup=False)

    @on(Row.Changed)
    def _row_changed(self) -> None:
        self._check()

    def _check(self) -> None:
        """Validate what the form says, and put each problem beside its row."""
        rows = {row.spec.path: row for row in self.query(FieldRow)}
        arms = list(self.query(ArmRow))
        if not arms:
            return
        values = {path: row.value for path, row in rows.items()}
        tables, owners = filled(self._begun, values, [row.choice for row in arms])
        places: dict[str, Row] = {**rows, **{f"arm:{number}": row for number, row in enumerate(arms)}}
        told: dict[str, str] = {}
        elsewhere: list[str] = []
        for problem in study_problems(tables):
            place = place_of(problem, owners)
            words = f"allowed: {problem.allowed}"
            if place in places:
                told.setdefault(place, words)
            elif problem.field == "arm":
                elsewhere.append("switch on at least one arm")
            else:
                elsewhere.append(str(problem))
        for place, row in places.items():
            row.tell(told.get(place, ""))
        self._study = None if told or elsewhere else Study.model_validate(tables)
        self.query_one("#start", Button).disabled = self._study is None
        count = len(told) + len(elsewhere)
        lines = elsewhere or ([f"{count} field{'s' if count > 1 else ''} to mend"] if told else [])
        self._say("problems", "\n".join(plain(line) for line in lines))
        self._say("about", plain(str(tables.get("about", ""))))
        self._plan_forecast()

    def _say(self, where: str, words: str) -> None:
        """Put words into a Static of that id, if they are others; one without words takes no room."""
        if self._said.get(where) != words:
            self._said[where] = words
            pane = self.query_one(f"#{where}", Static)
            pane.display = bool(words)
            pane.update(Content(words))

    def _plan_forecast(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._study is None:
            self.query_one("#forecast", Static).update("")
        else:
            self._timer = self.set_timer(self.FORECAST_AFTER, self._forecast)

    def _forecast(self) -> None:
        if self._study is not None:
            self._show_forecast(self._study)

    @work(exclusive=True, group="forecast")
    async def _show_forecast(self, study: Study) -> None:
        """Hashing the keys of a large study takes longer than a key press may."""
        words, problem = await asyncio.to_thread(_forecast_words, study, self.lab.store)
        if study is self._study and self.is_attached:
            self.query_one("#forecast", Static).update(words)
            self._say("problems", problem)
            if problem:
                self._study = None
                self.query_one("#start", Button).disabled = True

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.is_mounted and self.query(ArmRow):
            self._plan_forecast()

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Ask for a run of the study in the form."""
        if self._study is None:
            wrong = [row for row in self.query(Row) if row.has_class("-wrong")]
            words = "Not yet: a field is wrong." if wrong else self._said.get("problems") or "Not yet."
            self.notify(words, severity="warning", markup=False)
            if wrong:
                wrong[0].query("Input, Select, Checkbox").first().focus()
            return
        self.post_message(StartStudy(self._study))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """What the focused field means, for those without a mouse."""
        tooltip = event.widget.tooltip
        self._say("hint", plain(tooltip) if isinstance(tooltip, str) else "")

    def action_edit(self) -> None:
        """Go to the form."""
        self.query_one("#form").query("Input").first().focus()

    def action_presets(self) -> None:
        """Open the list of presets."""
        preset = self.query_one("#preset", Select)
        preset.focus()
        preset.action_show_overlay()

    def action_leave(self) -> None:
        """Back to the start button."""
        self.query_one("#start").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaving a field is offered inside one alone."""
        if action == "leave":
            return self.focused is not None and self.focused.id != "start"
        return True


def _forecast_words(study: Study, store: Store) -> tuple[Content, str]:
    """What the study will cost, and why it cannot run, if so."""
    lines: list[tuple[str, str]] = []
    problem = ""
    name = study.base.data.name
    try:
        told = forecast(study, store)
        time = f"{duration(told.seconds)}, {amount(told.rate)} it/s" if told.rate else "not measured here yet"
        if told.iterations == 0:
            time = "nothing to train"
        lines = [
            ("rounds", f"{told.rounds}, {told.distinct} distinct"),
            ("stored", f"{told.stored} of them"),
            ("train", f"{amount(told.iterations)} iterations"),
            ("lanes", f"{told.lanes} at once" if told.lanes else "known after a first run"),
            ("time", time),
            ("disk", size(told.bytes)),
        ]
    except BadInput as error:
        problem = f"cannot run: {plain(str(error))}"
    try:
        entry = datasets.entry(name, store.home)
        lines.append(("data", f"{plain(entry.name)}, {amount(entry.train)}+{amount(entry.test)}"))
        if not entry.ready:
            lines.append(("", plain(entry.advice)))
    except BadInput:
        pass  # which the forecast has said
    width = max((len(label) for label, _ in lines), default=0) + 1
    parts: list[tuple[str, str]] = []
    for label, words in lines:
        parts += [(f"{label:<{width}}" if label else "! ", "dim" if label else "$warning"), (f"{words}\n", "")]
    return Content.assemble(*parts), problem
