"""The dialog in which a run gets a title and a note."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from engine.store import NOTE, TITLE, RunSummary
from screens.keys import Advice
from screens.text import plain

KEYS = "{describing.keep} keeps both, {describing.back} leaves them as they were"


class DescribeDialog(ModalScreen[tuple[str, str] | None]):
    """Asks for the title and the note of a run; None where they stay as they are."""

    BINDINGS = [
        Binding("escape", "dismiss", "Back", id="describing.back", tooltip="Leave title and note as they are"),
        Binding("ctrl+s", "keep", "Keep", id="describing.keep", priority=True, tooltip="Keep title and note"),
    ]

    def __init__(self, run: RunSummary):
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="describing"):
            yield Static(Content.assemble((plain(self._run.id), "bold")), id="described")
            yield Static("title", classes="label")
            yield Input(self._run.title, id="title", max_length=TITLE, compact=True)
            yield Static("note", classes="label")
            yield TextArea(self._run.note, id="note", compact=True, tab_behavior="focus")
            yield Advice(KEYS, id="about-describing")

    def on_input_submitted(self) -> None:
        self.query_one(TextArea).focus()

    def action_keep(self) -> None:
        """Give them back, where the note is not too long."""
        title, note = self.query_one(Input).value, self.query_one(TextArea).text.strip()
        if len(note) > NOTE:
            words = f"the note has {len(note)} characters; allowed: at most {NOTE}"
            self.query_one("#about-describing", Static).update(words)
            return
        self.dismiss((title, note))
