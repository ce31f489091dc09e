"""The dialog of an arm: what it is, and what it has otherwise than the base."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from screens.form import ArmChoice, Form, fresh_name, replaced, with_arm
from screens.keys import keyed
from screens.specs import ARM_FIELDS, OVERRIDES, FieldSpec, is_control
from screens.text import plain
from screens.widgets.fields import FieldRow, Heading, Hint, Row


class ArmDialog(ModalScreen[bool]):
    """Edits arm `number` of the form, as typed, which `typed` is told; whether anything was changed. A `fresh` arm is
    named by its kind."""

    AUTO_FOCUS = None

    BINDINGS = [
        Binding("escape", "done", "Done", id="arm.done", tooltip="Back to the form; what was typed is kept"),
    ]

    def __init__(self, form: Form, number: int, typed: Callable[[], None], *, fresh: bool = False):
        super().__init__()
        self._typed = typed
        self._form, self._number, self._auto_named = form, number, fresh
        self._before = list(form.arms)
        self._choice = form.arms[number]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="arm"):
            yield Static("", id="arm-title", markup=False)
            with VerticalScroll(id="arm-fields", can_focus=False):
                with Vertical(classes="section"):
                    yield from self._rows(ARM_FIELDS)
                for title, specs in OVERRIDES.items():
                    with Vertical(classes="section"):
                        yield Heading(title)
                        yield from self._rows(specs)
            yield Static("", id="arm-problems", markup=False)
            yield Hint()
            yield Button(keyed(self.app, "Done  ({arm.done})"), id="arm-done", compact=True)

    def _rows(self, specs: tuple[FieldSpec, ...]) -> Iterator[FieldRow]:
        for spec in specs:
            yield FieldRow(spec, self._choice.texts.get(spec.path, ""))

    def on_mount(self) -> None:
        self._fields = list(self.query(FieldRow))
        self._title, self._elsewhere = (self.query_one(f"#arm-{name}", Static) for name in ("title", "problems"))
        self._hint = self.query_one(Hint)
        self._judge()
        next((row for row in self._fields if row.problem and row.display), self._fields[0]).visit()

    @property
    def _arms(self) -> list[ArmChoice]:
        return with_arm(self._before, self._number, self._choice)

    @on(Row.Changed)
    def _changed(self, event: Row.Changed) -> None:
        event.stop()
        rows = {row.spec.path: row for row in self._fields}
        if event.row is rows["name"]:
            self._auto_named = False
        if event.row is rows["kind"] and self._auto_named:
            others = [arm for place, arm in enumerate(self._before) if place != self._number]
            rows["name"].value = fresh_name(others, rows["kind"].value)
        own = {path: row.value for path, row in rows.items() if row.value or "." not in path}
        self._choice = replace(self._choice, texts=own, on=True)
        self._form.arms = self._arms
        self._typed()
        self._judge()

    def _judge(self) -> None:
        """Show the fields that make sense, what they stand on, and what is wrong with them."""
        arms, choice = self._arms, self._choice
        below, shown = self._form.standing(arms, choice), self._form.shown_in(arms, choice)
        told = self._problems(arms)
        base = choice.texts["of"] if is_control(choice.kind) else "base"
        for row in self._fields:
            spec = row.spec
            row.tell(told.get(spec.path, ""))
            if row.display != (spec.path in shown):
                row.display = spec.path in shown
            if spec.path in below:
                stands = spec.path not in replaced(choice)
                row.empty = f"as {base}: {below[spec.path] or spec.empty}" if stands else spec.empty
                if spec.choices:
                    row.choices = {"": row.empty, **spec.choices}
            elif spec.path == "of":
                row.choices = {arm.name: "" for arm in arms if arm.on and arm.kind == "ticket" and arm is not choice}
        for section in self.query(".section"):
            section.display = any(row.display for row in section.query(FieldRow))
        words = f"   (what is empty is as in {plain(base)})"
        self._title.update(Content.assemble((f"arm {plain(choice.name)}", "bold"), words))
        self._elsewhere.display = "" in told
        self._elsewhere.update(Content(plain(told.get("", ""))))
        self._explain()

    def _problems(self, arms: list[ArmChoice]) -> dict[str, str]:
        """What is wrong with this arm, in the study or, should others hide it, by itself with its tickets."""
        number = self._number
        arms = with_arm(arms, number, replace(arms[number], on=True))
        ticket = arms[number].texts["of"]
        alone = [replace(arm, on=arm.on and (place == number or arm.name == ticket)) for place, arm in enumerate(arms)]
        return self._form.check(arms).of(number) or self._form.check(alone).of(number)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._explain()

    def _explain(self) -> None:
        self._hint.tell(self.focused, self._form.recipe["network.name"])

    @on(Button.Pressed, "#arm-done")
    def action_done(self) -> None:
        """Back to the form."""
        self.dismiss(self._choice != self._before[self._number])
