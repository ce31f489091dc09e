"""Rows of a form: a field or an arm a line, and below it the problem of what it says."""

import textwrap
from typing import Protocol, runtime_checkable

from textual import events
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from screens.form import ArmChoice, arm_words
from screens.hints import hint
from screens.keys import keyed
from screens.pick import PickDialog
from screens.specs import FieldSpec, Texts
from screens.text import plain

LABEL_WIDTH = 16
_ARM_KEYS = "{arm.edit} edits it, {arm.switch} switches it on or off, {arm.remove} removes it"


@runtime_checkable
class Explained(Protocol):
    """A widget that can say what it is for."""

    def hint(self, network: str) -> tuple[str, str]:
        """What it is for, and what it can be, with a network."""
        ...


class Heading(Widget):
    """The title of some rows, on a rule."""

    def __init__(self, title: str, words: str = ""):
        super().__init__()
        self._title, self._words = title, words

    def render(self) -> RenderResult:
        left = Content.assemble("─ ", (self._title, "bold"), " ", (f"{self._words} " if self._words else "", "dim"))
        return left + Content("─" * max(self.content_size.width - left.cell_length, 0))


class Row(Widget, can_focus=True):
    """A row of a form. Forms are long: a row is a single widget until it is visited."""

    BINDINGS = [
        Binding("up", "app.focus_previous", "Row above", show=False, id="row.up", tooltip="Go to the row above"),
        Binding("down", "app.focus_next", "Row below", show=False, id="row.down", tooltip="Go to the row below"),
        Binding("pageup", "section(-1)", "Heading above", show=False, id="row.first", tooltip="The heading above"),
        Binding("pagedown", "section(1)", "Heading below", show=False, id="row.last", tooltip="The heading below"),
    ]

    problem = ""

    class Changed(Message):
        """A row says something else."""

        def __init__(self, row: "Row"):
            super().__init__()
            self.row = row

    def tell(self, words: str) -> None:
        """Show what is wrong below the row; nothing for ''."""
        if words != self.problem:
            self.problem = words
            self._fit()
            if words and self.has_focus_within:
                self.call_after_refresh(self.scroll_visible, animate=False)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """As many lines as it takes."""
        height = 1 + len(self._advice())
        if height != self.size.height:
            self.styles.height = height
        self.refresh()

    def _advice(self) -> list[str]:
        words = f"✗ {plain(self.problem)}" if self.problem else ""
        return textwrap.wrap(words, max(self.content_size.width - 2, 20))

    def render(self) -> RenderResult:
        advice = [Content.styled(f"  {line}", "$text-error") for line in self._advice()]
        return Content("\n").join([self.line(), *advice])

    def line(self) -> Content:
        """The row itself."""
        return Content("")

    def hint(self, network: str) -> tuple[str, str]:
        """What the row is for, and what it can be, with a network."""
        return "", ""

    def visit(self) -> None:
        """Go to the row, at once: the next key may be meant for it."""
        self.screen.set_focus(self, scroll_visible=False)
        self.scroll_visible(animate=False)

    def action_section(self, step: int) -> None:
        """To the first row below another heading."""
        rows = [row for row in self.screen.query(Row) if row.display and all(node.display for node in row.ancestors)]
        firsts = {id(row.parent): row for row in reversed(rows)}
        places = list(reversed(firsts))
        place = places.index(id(self.parent)) + step
        if 0 <= place < len(places):
            firsts[places[place]].visit()


class FieldRow(Row):
    """A field: its label and its text. A text is edited in place, a choice in a list."""

    BINDINGS = [
        Binding("enter,space", "choose", "Choose", id="field.choose", tooltip="Choose from the list of what it can be"),
        Binding("left", "step(-1)", "Before", show=False, id="field.left", tooltip="The choice before"),
        Binding("right", "step(1)", "Next", show=False, id="field.right", tooltip="The next choice"),
    ]

    def __init__(self, spec: FieldSpec, text: str, *, empty: str = ""):
        super().__init__()
        self.spec = spec
        self._text = text
        self._empty = empty or spec.empty
        self._choices = spec.choices
        self._input: Input | None = None

    @property
    def choices(self) -> Texts:
        """What the field can be, and what it is."""
        return self._choices if self._text in self._choices else {**self._choices, self._text: ""}

    @choices.setter
    def choices(self, choices: Texts) -> None:
        self._choices = choices

    @property
    def value(self) -> str:
        """What the field says."""
        return self._text

    @value.setter
    def value(self, text: str) -> None:
        if text == self._text:
            return
        self._text = text
        if self._input is not None:
            with self._input.prevent(Input.Changed):
                self._input.value = text
            self._input.select_all()
        self.refresh()

    @property
    def empty(self) -> str:
        """What no text stands for."""
        return self._empty

    @empty.setter
    def empty(self, words: str) -> None:
        if words != self._empty:
            self._empty = words
            if self._input is not None:
                self._input.placeholder = words
            self.refresh()

    def hint(self, network: str) -> tuple[str, str]:
        return hint(self.spec, self._text, network)

    def line(self) -> Content:
        label = plain(self.spec.label).ljust(LABEL_WIDTH)[:LABEL_WIDTH]
        width = max(self.content_size.width - LABEL_WIDTH, 3)
        room = width - 2 if self.spec.kind == "choice" else width
        shown = plain(self._text) if self._text else self._empty
        shown = shown if len(shown) <= room else shown[: room - 1] + "…"
        value = Content.styled(shown.ljust(room), "" if self._text else "dim")
        if self.spec.kind == "choice":
            value = Content.assemble(value, " ▾")
        return Content.assemble(
            (label, "$text-error bold" if self.problem else "$text-muted"), value.stylize("on $surface")
        )

    def on_focus(self) -> None:
        self.visit()

    def visit(self) -> None:
        """Go to the field; a text is selected, so that what is typed takes its place."""
        if self.spec.kind == "choice":
            super().visit()
            return
        if self._input is None:
            self._input = Input(self._text, placeholder=self._empty, compact=True)
            self.mount(self._input)
            self._input.select_all()
            self.can_focus = False
        self.screen.set_focus(self._input, scroll_visible=False)  # which may have no place yet
        self.scroll_visible(animate=False)

    def on_key(self, event: events.Key) -> None:
        """A key that was pressed before the cursor was in the field belongs there."""
        if self._input is not None and event.is_printable and event.character and not self._input.has_focus:
            event.stop()
            self._input.replace(event.character, *self._input.selection)
            self._input.select_on_focus = False

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click that is no visit yet puts the cursor where it was, as one into the text does."""
        known = self._input is not None and self._input.region.contains_point(event.screen_offset)
        if self.spec.kind == "choice" or known:
            return
        self.visit()
        if self._input is not None:
            self._input.cursor_position = max(0, event.x - LABEL_WIDTH)
            self._input.select_on_focus = False

    def on_input_blurred(self, event: Input.Blurred) -> None:
        event.stop()
        event.input.select_on_focus = True

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._text:
            self._text = event.value
            self.post_message(self.Changed(self))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    def on_click(self) -> None:
        if self.spec.kind == "choice":
            self.action_choose()

    def action_choose(self) -> None:
        """Open the list of choices."""
        self.app.push_screen(PickDialog(self.spec.label, self.choices, self._text), self._chosen)

    def action_step(self, step: int) -> None:
        """The choice before or after this one."""
        values = list(self.choices)
        place = values.index(self._text) + step
        if 0 <= place < len(values):
            self._chosen(values[place])

    def _chosen(self, text: str | None) -> None:
        if text is not None and text != self._text:
            self.value = text
            self.post_message(self.Changed(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A list is offered where there is one."""
        return self.spec.kind == "choice" if action in ("choose", "step") else True


class ArmRow(Row):
    """An arm: whether it is on, its name, and what it is."""

    BINDINGS = [
        Binding("enter", "ask('edit')", "Edit arm", id="arm.edit", tooltip="Change what the arm is"),
        Binding("space", "ask('switch')", "On/off", id="arm.switch", tooltip="Leave the arm out of the run, or not"),
        Binding("delete,backspace", "ask('remove')", "Remove arm", id="arm.remove", tooltip="Take the arm away"),
    ]

    class Asked(Message):
        """Something is to be done with an arm."""

        def __init__(self, row: "ArmRow", what: str):
            super().__init__()
            self.row, self.what = row, what

    def __init__(self, choice: ArmChoice):
        super().__init__()
        self._choice = choice

    @property
    def choice(self) -> ArmChoice:
        return self._choice

    @choice.setter
    def choice(self, choice: ArmChoice) -> None:
        if choice != self._choice:
            self._choice = choice
            self.refresh()

    def hint(self, network: str) -> tuple[str, str]:
        words = arm_words(self._choice)
        return (
            f"{self._choice.name}: {words}" if words else self._choice.name,
            keyed(self.app, _ARM_KEYS),
        )

    def line(self) -> Content:
        choice = self._choice
        name = plain(choice.name).ljust(LABEL_WIDTH - 5)
        words = f" {plain(arm_words(choice))}"
        room = max(self.content_size.width - 4 - len(name), 2)
        words = words if len(words) <= room else words[: room - 1] + "…"
        return Content.assemble(
            ("[x] " if choice.on else "[ ] ", "$text-success" if choice.on else "dim"),
            (name, "$text-error bold" if self.problem else "" if choice.on else "dim"),
            (words, "dim"),
        )

    def on_click(self, event: events.Click) -> None:
        self.action_ask("switch" if event.x < 4 else "edit")

    def action_ask(self, what: str) -> None:
        """Have the arm edited, switched or removed."""
        self.post_message(self.Asked(self, what))


class Hint(Static):
    """Two lines on what has the focus."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._told: tuple[str, str] = ("", "")

    def tell(self, focused: Widget | None, network: str, otherwise: tuple[str, str] = ("", "")) -> None:
        """Explain what `focused` is, or is in; `otherwise` where that can be said of neither."""
        nodes = focused.ancestors_with_self if focused is not None else []
        found = next((node for node in nodes if isinstance(node, Explained)), None)
        told = otherwise if found is None else found.hint(network)
        if told != self._told:
            self._told = told
            self.update(Content.assemble(plain(told[0]), "\n", (plain(told[1]), "dim")))
