"""Questions and help on top of a screen."""

import re
from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Static

from screens.keys import Advice, keyed
from screens.text import plain

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class QuitDialog(ModalScreen[str]):
    """Asks before leaving a run that is at work: "detach", "stop" or "stay"."""

    BINDINGS = [
        Binding("d", "answer('detach')", "Keep it running", id="quit.detach",
                tooltip="Leave; the run goes on in a process without this terminal"),
        Binding("s", "answer('stop')", "Stop and quit", id="quit.stop", tooltip="Stop the run at a checkpoint, leave"),
        Binding("k,escape", "answer('stay')", "Stay", id="quit.stay", tooltip="Close this question"),
    ]  # fmt: skip

    def __init__(self, run: str):
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(f"{plain(self._run)} is at work.", markup=False)
            yield Static("It can go on by itself; lth-tui attach follows it then.", markup=False)
            yield Advice("Stopped, it goes on where it was with {live.take-up}, here or in Runs.")
            yield Button(
                keyed(self.app, "Keep it running without this terminal  ({quit.detach})"),
                id="detach",
                variant="primary",
                compact=True,
            )
            yield Button(
                keyed(self.app, "Stop it here and quit  ({quit.stop})"), id="stop", variant="warning", compact=True
            )
            yield Button(keyed(self.app, "Stay  ({quit.stay})"), id="stay", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id)

    def action_answer(self, answer: str) -> None:
        """Answer by key."""
        self.dismiss(answer)


class LeavingDialog(ModalScreen[None]):
    """Waits with the person for the run to end its work here."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("stopping at a checkpoint…", markup=False)
            yield Static("The run ends its present chunk of work here; then this closes.", markup=False)
            words = "Quit now, lose what was trained since the last checkpoint  ({quit.anywhere})"
            yield Button(keyed(self.app, words), id="now", compact=True)

    def on_button_pressed(self) -> None:
        self.app.exit()


class HelpScreen(ModalScreen[None]):
    """The keys of the screen below, as its bindings tell them."""

    BINDINGS = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close", tooltip="Back"),
        Binding("j", "scroll('down')", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k", "scroll('up')", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]

    def __init__(self, title: str, below: Screen[object]):
        super().__init__()
        self._title = title
        self._text = Content("\n").join(_help_lines(below))

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="help"):
            yield Static(
                Content.assemble((f"Keys in {self._title}", "bold"), keyed(self.app, "   ({help.close} closes)"))
            )
            yield Static(self._text, id="help-keys")

    def action_scroll(self, way: str) -> None:
        """Scroll by a line."""
        pane = self.query_one("#help", VerticalScroll)
        pane.scroll_relative(y=1 if way == "down" else -1, animate=False)


def _help_lines(screen: Screen[object]) -> Iterator[Content]:
    """A line a key: those of the focused widget, of the screen, and those that hold everywhere."""
    groups: dict[str, dict[str, tuple[list[str], Binding]]] = {}
    for node, binding, enabled, _ in screen.active_bindings.values():
        if not enabled or binding.system or binding.action == "screen.copy_text":
            continue
        if node is screen and binding.id:
            title = "this screen"
        elif node is screen or node is screen.app:
            title = "everywhere"
        else:
            title = f"in the focused {_WORDS.sub(' ', type(node).__name__).lower()}"
        words = binding.description or binding.action
        keys, _binding = groups.setdefault(title, {}).setdefault(words, ([], binding))
        keys.append(screen.app.get_key_display(binding))
    for title in sorted(groups, key=lambda name: (name == "everywhere", name != "this screen")):
        yield Content("")
        yield Content.styled(title, "bold")
        for words, (keys, binding) in groups[title].items():
            shown = " ".join(dict.fromkeys(keys))
            told = f"{words}: {binding.tooltip}" if binding.tooltip else words
            yield Content.assemble((f"  {shown:<12}", "$text-accent"), f" {told}")
