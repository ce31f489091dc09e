"""Rows of a form: a label, a control, and under it the problem of what was typed."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox, Input, Label, Select, Static

from screens.form import ArmChoice, FieldSpec
from screens.text import plain


class ProblemLine(Static):
    """One line of advice; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def tell(self, words: str) -> None:
        self.display = bool(words)
        self.update(Content(f"✗ {plain(words)}") if words else "")


class Row(Vertical):
    """A row of the form."""

    _told = ""

    class Changed(Message):
        """Something in a row has a new value."""

    def tell(self, words: str) -> None:
        """Show what is wrong beside the row; nothing for ''."""
        if words != self._told:
            self._told = words
            self.set_class(bool(words), "-wrong")
            self.query_one(ProblemLine).tell(words)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())


class FieldRow(Row):
    """A field of the study."""

    def __init__(self, spec: FieldSpec, value: str, choices: Iterable[str] = ()):
        super().__init__()
        self.spec = spec
        self._first = value
        choices = tuple(choices) or spec.choices
        self._choices = choices if value in choices else (*choices, value)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self.spec.label, markup=False)
            if self.spec.kind == "choice":
                choices = [(plain(name), name) for name in self._choices]
                yield Select(choices, value=self._first, allow_blank=False, compact=True)
            else:
                yield Input(self._first, compact=True, select_on_focus=False)
        yield ProblemLine()

    def on_mount(self) -> None:
        self.query_one("Input, Select").tooltip = self.spec.help

    @property
    def value(self) -> str:
        """The text of the field."""
        control = self.query_one("Input, Select")
        return control.value if isinstance(control, Input) else str(control.value)  # type: ignore[attr-defined]

    @value.setter
    def value(self, text: str) -> None:
        control = self.query_one("Input, Select")
        if isinstance(control, Select) and text not in self._choices:
            self._choices = (*self._choices, text)
            control.set_options([(plain(name), name) for name in self._choices])
        control.value = text  # type: ignore[attr-defined]


class Switch(Checkbox):
    """A checkbox whose mark, not only its colour, tells whether it is on."""

    BUTTON_LEFT, BUTTON_RIGHT = "[", "]"

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]  # noqa: N802
        return "x" if self.value else " "


class ArmRow(Row):
    """An arm: on or off, how many of it per ticket, and in which rounds."""

    def __init__(self, choice: ArmChoice):
        super().__init__()
        self._choice = choice

    def compose(self) -> ComposeResult:
        choice = self._choice
        with Horizontal():
            words = choice.name if choice.name == choice.kind else f"{choice.name} ({choice.kind})"
            yield Switch(Content(plain(words)), choice.on, compact=True)
            if choice.control:
                yield Label("x", classes="times")
                yield Input(choice.per_ticket, compact=True, classes="per-ticket", select_on_focus=False)
            if choice.kind != "ticket":
                yield Label("rounds", classes="of-rounds")
                yield Input(choice.rounds, compact=True, classes="rounds", select_on_focus=False)
        yield ProblemLine()

    def on_mount(self) -> None:
        self.query_one(Checkbox).tooltip = "space switches the arm on or off"
        for control in self.query(".per-ticket"):
            control.tooltip = "made from each ticket"
        for control in self.query(".rounds"):
            control.tooltip = "all, or some: 3,7,9-12"

    @property
    def choice(self) -> ArmChoice:
        """The arm as the row has it now."""
        begun = self._choice
        per_ticket = self.query(".per-ticket").results(Input)
        rounds = self.query(".rounds").results(Input)
        return ArmChoice(
            begun.name,
            begun.kind,
            self.query_one(Checkbox).value,
            next((control.value for control in per_ticket), ""),
            next((control.value for control in rounds), ""),
            begun.place,
        )
