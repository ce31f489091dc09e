"""Configure: a study as a form and as TOML, what it will cost, and the key that starts it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

from textual import events, on, work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button

from engine.spec import Study, parse_study, preset_names, preset_text, toml_problem
from screens.arm import ArmDialog
from screens.base import LabScreen
from screens.form import Form, Typed, fresh_name, new_arm
from screens.history import History, Step, keep_draft, kept_drafts
from screens.keys import keyed
from screens.latest import Latest
from screens.messages import HideHint, StartStudy
from screens.offers import Offer
from screens.opening import OpenDialog, Opened
from screens.text import moment, plain
from screens.widgets.fields import ArmRow, FieldRow, Hint, Row
from screens.widgets.outcome import Outcome
from screens.widgets.rows import FormRows, PresetRow, path_of
from screens.widgets.toml import TomlArea

FIRST = (
    "A study trains a network, prunes it, trains what is left, and does so again.",
    "{configure.start} starts this one, {mode.live} watches it, {help} has all keys; {configure.hide-hint} hides this.",
)
"""What is told as long as there is no run."""

NARROW_BELOW = 100
"""Columns of the window below which the TOML takes the place of the form."""


class ConfigureScreen(LabScreen):
    """The rows of a Form, the TOML beside them, and the History of what was typed into either."""

    MODE = "configure"
    READ_AFTER = 0.2
    KEEP_AFTER = 0.5

    BINDINGS = [
        Binding("escape", "leave", "Leave field", id="configure.leave", tooltip="Back to the start button"),
        Binding("s", "start", "Start", id="configure.start", tooltip="Begin a new run of this study"),
        Binding("ctrl+r", "start", "Start", id="configure.start-in-field", tooltip="Begin, from a field"),
        Binding("e,down", "edit", "Edit", id="configure.edit", tooltip="Go to the first field of the form"),
        Binding("p", "presets", "Preset", id="configure.presets", tooltip="Choose another preset"),
        Binding("o", "open", "Open", id="configure.open", tooltip="Fill the form from a TOML file"),
        Binding("a", "add_arm", "Add arm", id="configure.add-arm", tooltip="Add an arm to the study"),
        Binding("T", "toml", "TOML", id="configure.toml", tooltip="The study as TOML beside the form, to be typed too"),
        Binding("ctrl+t", "toml", "TOML", id="configure.toml-in-field", tooltip="The same, from a field"),
        Binding("u", "undo", "Undo", id="configure.undo",
                tooltip="Take back what was typed last, the choice of another preset too"),
        Binding("ctrl+z", "undo", "Undo", id="configure.undo-in-field", tooltip="The same, from a field"),
        Binding("U", "redo", "Redo", show=False, id="configure.redo", tooltip="What was undone last"),
        Binding("ctrl+y", "redo", "Redo", id="configure.redo-in-field", show=False, tooltip="The same, from a field"),
        Binding("pagedown", "read(1)", "Read on", show=False, id="configure.down", tooltip="The words on the right"),
        Binding("pageup", "read(-1)", "Read back", show=False, id="configure.up", tooltip="The words before"),
        Binding("H", "hide_hint", "Hide hint", show=False, id="configure.hide-hint",
                tooltip="Never tell again what to do first"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        self._form = Form(self.lab.study, self.lab.toml)
        with Horizontal(id="configure"):
            yield FormRows(self._form, self.lab.source)
            yield Outcome(self.lab.store)
        yield Hint()

    def on_mount(self) -> None:
        self._before_toml: Widget | None = None
        self._unread: str | None = None
        self._unread_problem = ""
        self._asked: Study | None = None
        self._can_go = (False, False)
        self._history = History(self._form.typed(), self.lab.source)
        store = self.lab.store
        self._reading = Latest[str, str](self, toml_problem, self._toml_read, pause=self.READ_AFTER)
        self._writing = Latest[Typed, tuple[str, bool]](self, lambda typed: Form.of(typed).toml(), self._show_toml)
        self._keeping = Latest[tuple[Step, bool], str](
            self, lambda asked: keep_draft(store.drafts, *asked), self._draft_kept, pause=self.KEEP_AFTER
        )
        self._rows, self._outcome = self.query_one(FormRows), self.query_one(Outcome)
        self._button, self._toml = self._outcome.button, self._outcome.toml
        self._hint = self.query_one(Hint)
        self._check()
        self._recall()
        self._button.focus()

    def on_unmount(self) -> None:
        """What was typed last is kept, however it ends."""
        self._keeping.finish()

    def fitted(self, width: int, height: int) -> None:
        """In a narrow window the TOML has the place of the form."""
        self.set_class(width < NARROW_BELOW, "-narrow")
        if self.is_mounted:
            self.call_after_refresh(self._explain)

    # What is in the form, and how it came there

    async def put(self, study: Study, source: str, toml: str = "") -> None:
        """Fill the form with a study, in the words of `toml` where it has any."""
        self._form = Form(study, toml)
        self._history.begin(self._form.typed(), source)
        self._note("")
        await self._fill()

    async def reopen(self) -> None:
        """Fill the form with the study that the laboratory holds now."""
        await self.put(self.lab.study, self.lab.source, self.lab.toml)

    async def _fill(self) -> None:
        """Show what the history is at."""
        step = self._history.now
        self._form, self._unread = Form.of(step.typed), step.typed.unread
        self._unread_problem = ""
        self._reading.forget()
        if self._unread is not None:
            self._toml.give(self._unread)
            self._reading.ask(self._unread)
        await self._show_form()

    async def _show_form(self) -> None:
        await self._rows.show(self._form, self._history.now.source)
        self._told()

    def _typed(self, place: str = "") -> None:
        """Something in the form is otherwise now, at a place, '' for what can only be undone by itself."""
        if self._unread is not None:
            self._unread = None
            self._reading.forget()
            self._note(self._bring_back("the TOML that did not read is left for the form"))
        else:
            self._note("")
        self._history.change(self._form.typed(), place, time.monotonic())
        self._told()

    def _told(self) -> None:
        """After any change: judge it, write it as TOML, and keep it."""
        self._check()
        if self.has_class("-toml") and self._unread is None:
            self._writing.ask(self._form.typed())
        self._keeping.ask((self._history.now, True))
        if (can := (self._history.can(-1), self._history.can(1))) != self._can_go:
            self._can_go = can
            self.refresh_bindings()

    async def action_undo(self) -> None:
        """To what the form said before."""
        await self._go(-1)

    async def action_redo(self) -> None:
        """To what was undone."""
        await self._go(1)

    async def _go(self, by: int) -> None:
        if self._history.go(by):
            self._note("")
            await self._fill()

    def _note(self, words: str) -> None:
        self._outcome.say("note", words)

    def _bring_back(self, words: str) -> str:
        return words + keyed(self.app, ": {configure.undo} brings it back")

    # Drafts

    @work
    async def _recall(self) -> None:
        """Have what was typed before and belongs to no run yet at hand."""
        drafts, words = await asyncio.to_thread(kept_drafts, self.lab.store.drafts)
        self._history.recall([step for step, _ in drafts])
        if drafts:
            step, when = drafts[-1]
            kept = self._bring_back(f"a draft of {plain(step.typed.texts['name'])}, {moment(when)}, is kept")
            words = f"{kept}; {words}" if words else kept
        if words and self.is_attached:
            self._note(words)
            self._can_go = (self._history.can(-1), False)
            self.refresh_bindings()

    def _draft_kept(self, asked: tuple[Step, bool], problem: str) -> None:
        if problem:
            self._note(problem)

    def on_screen_suspend(self) -> None:
        """What has become a run is no draft any more."""
        if self._asked is not None and self.lab.active is not None:
            self._keeping.ask((self._history.now, False))
        self._asked = None

    # The rows

    @on(Row.Changed)
    async def _row_changed(self, event: Row.Changed) -> None:
        row = event.row
        if isinstance(row, PresetRow):
            await self._open_preset(row.value)
        elif isinstance(row, FieldRow):
            self._form.texts[path_of(row)] = row.value
            self._typed(path_of(row))

    async def _open_preset(self, name: str) -> None:
        if name in preset_names():
            toml = preset_text(name)
            await self.put(parse_study(toml, source=name), name, toml)
        elif begun := self._history.beginning(name):
            await self.put(parse_study(begun.toml, source=name), name, begun.toml)

    @on(ArmRow.Asked)
    async def _arm_asked(self, event: ArmRow.Asked) -> None:
        number = self._rows.arms.index(event.row)
        arms = self._form.arms
        if event.what == "edit":
            self._edit_arm(number)
            return
        if event.what == "switch":
            arms[number] = replace(arms[number], on=not arms[number].on)
        else:
            del arms[number]
        await self._rows.list_arms(self._form)
        self._typed()

    def action_add_arm(self) -> None:
        """Add an arm, and say what it is."""
        arms = self._form.arms
        arms.append(new_arm(fresh_name(arms, "ticket"), "ticket"))
        self._edit_arm(len(arms) - 1, fresh=True)

    def _edit_arm(self, number: int, *, fresh: bool = False) -> None:
        async def edited(changed: bool | None) -> None:
            if fresh and not changed:
                del self._form.arms[number]
            if self._unread is None:
                await self._rows.list_arms(self._form)
                self._typed(f"arm {number}")
            else:
                self._reading.ask(self._unread)
            if fresh and changed:
                self._rows.arms[number].visit()

        def typed() -> None:
            self._typed(f"arm {number}")

        self._reading.forget()
        self.app.push_screen(ArmDialog(self._form, number, typed, fresh=fresh), edited)

    # Files

    def action_open(self) -> None:
        """Fill the form from a file."""
        self.app.push_screen(OpenDialog(), self._opened)

    async def _opened(self, found: Opened | None) -> None:
        if found is not None:
            await self.put(found.study, found.source, found.toml)

    def offers(self) -> list[Offer]:
        """The study as it is typed, sound or not."""
        toml = self._form.toml()[0] if self._unread is None else self._unread
        words = "the study in the form" if self.study else "the study in the form, which is not sound yet"
        return [Offer("study", words, toml=toml, file=plain(self._form.texts["name"]))]

    # The TOML

    def action_toml(self) -> None:
        """Show the study as TOML, or no longer."""
        self.toggle_class("-toml")
        if self.has_class("-toml"):
            self._before_toml = self.focused
            self._toml.focus()
            self._told()
        else:
            self.set_focus(self._before_toml or self._button)
            self._explain()

    def _show_toml(self, typed: Typed, written: tuple[str, bool]) -> None:
        toml, kept = written
        self._toml.give(toml)
        if not kept:
            self._note(self._bring_back("this TOML could not be changed in place, its comments are gone"))

    @on(TomlArea.Edited)
    def _toml_edited(self, event: TomlArea.Edited) -> None:
        self._writing.forget()
        self._unread, self._unread_problem = event.text, ""
        self._note("")
        self._history.change(self._form.typed(unread=event.text), "toml", time.monotonic())
        self._told()
        self._reading.ask(event.text)

    async def _toml_read(self, toml: str, problem: str) -> None:
        """The form follows TOML that is sound."""
        if problem:
            self._unread_problem = problem
            self._check()
            return
        self._form = self._form.begun_anew(parse_study(toml, source="study"), toml)
        self._unread = None
        self._history.change(self._form.typed(), "toml", time.monotonic())
        await self._show_form()

    # What it comes to

    @property
    def study(self) -> Study | None:
        """The study in the form, where it can be started."""
        return self._outcome.study

    def _check(self) -> None:
        """Judge what the form says, and put each problem beside its row."""
        checked = self._form.check()
        elsewhere = self._rows.judge(self._form, checked)
        wrong = len(self._rows.wrong)
        words = elsewhere or (f"{wrong} field{'s' if wrong > 1 else ''} to mend" if wrong else "")
        if self._unread is not None:
            words = f"{self._unread_problem}. The form is as it last was." if self._unread_problem else "reading…"
        study = checked.study if self._unread is None else None
        self._outcome.judge(study, words, str(checked.tables.get("about", "")))
        self._explain()

    @on(Outcome.Costed)
    def _explain(self) -> None:
        more = ("", "{configure.down} reads on, on the right") if self._outcome.scrolls else ("", "")
        first, second = FIRST if self.lab.first else more
        self._hint.tell(self.focused, self._form.recipe["network.name"], (first, keyed(self.app, second)))

    def action_hide_hint(self) -> None:
        """Tell no longer, also in later sessions, what to do first."""
        self.lab.first = False
        self.post_message(HideHint())
        self._explain()
        self.refresh_bindings()

    def on_screen_resume(self) -> None:
        if self.is_mounted:
            self._explain()
            self._outcome.forecast()

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Ask for a run of the study in the form."""
        if self.study is not None:
            self._asked = self.study
            self.post_message(StartStudy(self.study))
            return
        wrong = self._rows.wrong
        words = "Not yet: a field is wrong." if wrong else self._outcome.problem or "Not yet."
        self.notify(words, severity="warning", markup=False)
        if wrong:
            wrong[0].visit()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """What the focused row means, for those without a mouse; what is typed there is a step of its own."""
        self._history.pause()
        self._explain()

    def _show_rows(self) -> None:
        if self.has_class("-narrow"):
            self.remove_class("-toml")

    def action_edit(self) -> None:
        """Go to the form."""
        self._show_rows()
        self._rows.fields["name"].visit()

    def action_presets(self) -> None:
        """Open the list of presets."""
        self._show_rows()
        self._rows.preset.visit()
        self._rows.preset.action_choose()

    def action_read(self, way: int) -> None:
        """Scroll the words on the right."""
        self._outcome.read(way)

    def action_leave(self) -> None:
        """Back to the start button, where there is something to start."""
        self.set_focus(None if self._button.disabled else self._button)
        self._explain()

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """Why there is nothing to go back to, or to hide."""
        return {"undo": "nothing was typed", "redo": "nothing was undone"}.get(action, "no hint is shown")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaving a field is offered inside one alone, and going back where there is something to go back to."""
        if action == "hide_hint":
            return self.lab.first
        if action == "leave":
            return self.focused is not None and self.focused.id != "start"
        if action in ("undo", "redo"):
            return getattr(self, "_can_go", (False, False))[action == "redo"]
        return True
