"""The rows of a form: what the study is called, its arms, and its recipe."""

import tomllib
from functools import cache

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from engine.spec import preset_names, preset_text
from screens.form import BASE, Checked, Form
from screens.keys import keyed
from screens.specs import RECIPE, STUDY_FIELDS, FieldSpec, Texts
from screens.widgets.fields import ArmRow, FieldRow, Heading, Row


@cache
def _abouts() -> Texts:
    """Every preset, and what it is about."""
    return {name: str(tomllib.loads(preset_text(name)).get("about", "")) for name in preset_names()}


class PresetRow(FieldRow):
    """The study that the form began with, and the list of others."""

    SPEC = FieldSpec("preset", "preset", "choice", "a study to begin with; what was in the form can be undone to")

    def __init__(self, source: str):
        super().__init__(self.SPEC, source)
        self._own = source

    def show(self, source: str) -> None:
        """Tell what the form was filled from."""
        self.value = source
        if source not in _abouts():
            self._own = source

    @property
    def choices(self) -> Texts:
        return _abouts() if self._own in _abouts() else {self._own: "as it was opened", **_abouts()}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A study takes the place of what was typed: from the list alone."""
        return action != "step"


class FormRows(VerticalScroll, can_focus=False):
    """A row for each field and arm of a form that was filled from `source`."""

    def __init__(self, form: Form, source: str):
        super().__init__(id="form")
        self._begun, self._source = form, source

    def compose(self) -> ComposeResult:
        form, hidden = self._begun, self._begun.hidden()
        with Vertical(classes="section"):
            yield PresetRow(self._source)
            for spec in STUDY_FIELDS:
                yield FieldRow(spec, form.texts[spec.path])
        words = "{arm.switch} on/off, {arm.edit} edits, {configure.add-arm} adds"
        yield Heading("arms", keyed(self.app, words))
        with Vertical(id="arms", classes="section"):
            for choice in form.arms:
                yield ArmRow(choice)
        for title, specs in RECIPE.items():
            with Vertical(classes="section"):
                yield Heading(title)
                for spec in specs:
                    row = FieldRow(spec, form.texts[BASE + spec.path])
                    row.display = BASE + spec.path not in hidden
                    yield row

    def on_mount(self) -> None:
        self.preset = self.query_one(PresetRow)
        self.fields = {path_of(row): row for row in self.query(FieldRow) if row is not self.preset}

    @property
    def arms(self) -> list[ArmRow]:
        """The rows of the arms, in their order."""
        return list(self.query(ArmRow))

    @property
    def wrong(self) -> list[Row]:
        """The rows that say something wrong."""
        return [row for row in self.query(Row) if row.problem]

    async def show(self, form: Form, source: str) -> None:
        """Say what another form says."""
        self.preset.show(source)
        for path, row in self.fields.items():
            row.value = form.texts[path]
        await self.list_arms(form)

    async def list_arms(self, form: Form) -> None:
        """A row for each arm of the form."""
        rows, arms = self.arms, form.arms
        for row, choice in zip(rows, arms, strict=False):
            row.choice = choice
        for row in rows[len(arms) :]:
            await row.remove()
        if self.is_attached:  # the screen may be closing
            await self.query_one("#arms").mount(*(ArmRow(choice) for choice in arms[len(rows) :]))

    def judge(self, form: Form, checked: Checked) -> str:
        """Put each problem beside its row, and show the rows that make sense; the problem that has no row."""
        hidden, told = form.hidden(), checked.of(None)
        for path, row in self.fields.items():
            row.tell(told.pop(path, ""))
            if row.display != (path not in hidden):
                row.display = path not in hidden
        for number, arm in enumerate(self.arms):
            arm.tell(checked.line(number))
        return told.get("", "")


def path_of(row: FieldRow) -> str:
    """Where the row's field is in the study."""
    return BASE + row.spec.path if "." in row.spec.path else row.spec.path
