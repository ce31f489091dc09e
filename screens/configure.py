"""Configure: a study as a form, what it will cost, and the key that starts it."""

import asyncio
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from textual import events, on, work
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Static

from engine import datasets
from engine.errors import BadInput
from engine.plan import forecast
from engine.spec import Study, load_study, preset_names, preset_text, to_toml
from engine.store import Store
from screens.arm import ArmDialog
from screens.base import LabScreen
from screens.form import BASE, Form, fresh_name, new_arm
from screens.messages import StartStudy
from screens.offers import Offer
from screens.specs import RECIPE, STUDY_FIELDS, FieldSpec, Texts
from screens.text import amount, duration, plain, size
from screens.widgets.fields import ArmRow, FieldRow, Heading, Hint, Row


@cache
def _abouts() -> Texts:
    """Every preset, and what it is about."""
    return {name: str(tomllib.loads(preset_text(name)).get("about", "")) for name in preset_names()}


class PresetRow(FieldRow):
    """The study that the form began with, and the list of others."""

    SPEC = FieldSpec("preset", "preset", "choice", "a study to begin with; another fills the form anew")

    def __init__(self, source: str):
        super().__init__(self.SPEC, source)
        self.own = source

    @property
    def choices(self) -> Texts:
        return _abouts() if self.own in _abouts() else {self.own: "as it was opened", **_abouts()}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A study takes the place of what was typed: from the list alone."""
        return action != "step"


class ConfigureScreen(LabScreen):
    """The rows of a Form."""

    MODE = "configure"
    FORECAST_AFTER = 0.2

    BINDINGS = [
        Binding("s,enter", "start", "Start", id="configure.start", tooltip="Begin a new run of this study"),
        Binding("ctrl+s", "start", "Start", id="configure.start-in-field", show=False, tooltip="Begin, from a field"),
        Binding("e", "edit", "Edit", id="configure.edit", tooltip="Go to the first field of the form"),
        Binding("p", "presets", "Preset", id="configure.presets", tooltip="Choose another preset"),
        Binding("a", "add_arm", "Add arm", id="configure.add-arm", tooltip="Add an arm to the study"),
        Binding("escape", "leave", "Leave field", id="configure.leave", tooltip="Back to the start button"),
    ]

    def body(self) -> Iterator[Widget]:
        self._form = Form(self.lab.study)
        with Vertical(id="configure"):
            with VerticalScroll(id="form", can_focus=False):
                with Vertical(classes="section"):
                    yield PresetRow(self.lab.source)
                    for spec in STUDY_FIELDS:
                        yield FieldRow(spec, self._form.texts[spec.path])
                yield Heading("arms", "space on/off, enter edits, a adds")
                with Vertical(id="arms", classes="section"):
                    for choice in self._form.arms:
                        yield ArmRow(choice)
                hidden = self._form.hidden()
                for title, specs in RECIPE.items():
                    with Vertical(classes="section"):
                        yield Heading(title)
                        for spec in specs:
                            row = FieldRow(spec, self._form.texts[BASE + spec.path])
                            row.display = BASE + spec.path not in hidden
                            yield row
            with VerticalScroll(id="about-study", can_focus=False):
                yield Button("Start  (s)", id="start", variant="success", compact=True)
                yield Static("", id="problems", markup=False)
                yield Static("", id="about", markup=False)
                yield Static("", id="forecast", markup=False)
        yield Hint()

    def on_mount(self) -> None:
        super().on_mount()
        self._study: Study | None = None
        self._timer: Timer | None = None
        self._button = self.query_one("#start", Button)
        self._panes = {name: self.query_one(f"#{name}", Static) for name in ("problems", "about", "forecast")}
        self._hint = self.query_one(Hint)
        self._said: dict[str, str] = {}
        self._fields = {_path(row): row for row in self.query(FieldRow) if not isinstance(row, PresetRow)}
        self.call_after_refresh(self._check)
        self._button.focus()

    async def put(self, study: Study, source: str) -> None:
        """Fill the form with a study."""
        self._form = Form(study)
        self.query_one(PresetRow).value = source
        for path, row in self._fields.items():
            row.value = self._form.texts[path]
        await self._list_arms()
        self._check()

    async def reopen(self) -> None:
        """Fill the form with the study that the laboratory holds now."""
        self.query_one(PresetRow).own = self.lab.source
        await self.put(self.lab.study, self.lab.source)

    async def _list_arms(self) -> None:
        """A row for each arm of the form."""
        rows, arms = list(self.query(ArmRow)), self._form.arms
        for row, choice in zip(rows, arms, strict=False):
            row.choice = choice
        for row in rows[len(arms) :]:
            await row.remove()
        if self.is_attached:  # the screen may be closing
            await self.query_one("#arms").mount(*(ArmRow(choice) for choice in arms[len(rows) :]))

    @on(Row.Changed)
    async def _row_changed(self, event: Row.Changed) -> None:
        row = event.row
        if isinstance(row, PresetRow):
            await self._open_preset(row)
        elif isinstance(row, FieldRow):
            self._form.texts[_path(row)] = row.value
            self._check()

    async def _open_preset(self, row: PresetRow) -> None:
        try:
            await self.put(self.lab.study if row.value == self.lab.source else load_study(row.value), row.value)
        except BadInput as error:
            self.notify(plain(str(error)), severity="error", markup=False)

    @on(ArmRow.Asked)
    async def _arm_asked(self, event: ArmRow.Asked) -> None:
        number = list(self.query(ArmRow)).index(event.row)
        arms = self._form.arms
        if event.what == "edit":
            self._edit_arm(number)
            return
        if event.what == "switch":
            arms[number] = replace(arms[number], on=not arms[number].on)
        else:
            del arms[number]
        await self._list_arms()
        self._check()

    def action_add_arm(self) -> None:
        """Add an arm, and say what it is."""
        arms = self._form.arms
        arms.append(new_arm(fresh_name(arms, "ticket"), "ticket"))
        self._edit_arm(len(arms) - 1, fresh=True)

    def _edit_arm(self, number: int, *, fresh: bool = False) -> None:
        async def edited(changed: bool | None) -> None:
            if fresh and not changed:
                del self._form.arms[number]
            await self._list_arms()
            self._check()
            if fresh and changed:
                list(self.query(ArmRow))[number].visit()

        self.app.push_screen(ArmDialog(self._form, number, fresh=fresh), edited)

    def _check(self) -> None:
        """Judge what the form says, and put each problem beside its row."""
        checked = self._form.check()
        hidden, told = self._form.hidden(), checked.of(None)
        for path, row in self._fields.items():
            row.tell(told.pop(path, ""))
            if row.display != (path not in hidden):
                row.display = path not in hidden
        for number, arm in enumerate(self.query(ArmRow)):
            arm.tell(checked.line(number))
        self._study = checked.study
        self._button.disabled = self._study is None
        wrong = len(self._wrong())
        count = f"{wrong} field{'s' if wrong > 1 else ''} to mend" if wrong else ""
        self._say("problems", plain(told.get("", count)))
        self._say("about", plain(str(checked.tables.get("about", ""))))
        self._explain()
        self._plan_forecast()

    def _wrong(self) -> list[Row]:
        return [row for row in self.query(Row) if row.problem]

    def _explain(self) -> None:
        self._hint.tell(self.focused, self._form.recipe["network.name"])

    def _say(self, where: str, words: str) -> None:
        """Put words into a pane, if they are others; one without words takes no room."""
        if self._said.get(where) != words:
            self._said[where] = words
            pane = self._panes[where]
            pane.display = bool(words)
            pane.update(Content(words))

    def _plan_forecast(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._study is None:
            self._panes["forecast"].update("")
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
            self._panes["forecast"].update(words)
            self._say("problems", problem)
            if problem:
                self._study = None
                self._button.disabled = True

    def offers(self) -> list[Offer]:
        """The study, when it is one."""
        study = self._study
        return [Offer("study", "the study in the form", toml=to_toml(study), file=study.name)] if study else []

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.is_mounted:
            self._plan_forecast()

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Ask for a run of the study in the form."""
        if self._study is not None:
            self.post_message(StartStudy(self._study))
            return
        wrong = self._wrong()
        words = "Not yet: a field is wrong." if wrong else self._said.get("problems") or "Not yet."
        self.notify(words, severity="warning", markup=False)
        if wrong:
            wrong[0].visit()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """What the focused row means, for those without a mouse."""
        self._explain()

    def action_edit(self) -> None:
        """Go to the form."""
        self._fields["name"].visit()

    def action_presets(self) -> None:
        """Open the list of presets."""
        row = self.query_one(PresetRow)
        row.visit()
        row.action_choose()

    def action_leave(self) -> None:
        """Back to the start button."""
        self._button.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaving a field is offered inside one alone."""
        if action == "leave":
            return self.focused is not None and self.focused.id != "start"
        return True


def _path(row: FieldRow) -> str:
    """Where the row's field is in the study."""
    return BASE + row.spec.path if "." in row.spec.path else row.spec.path


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
