"""Questions and help on top of a screen."""

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Static

from screens.text import plain


class QuitDialog(ModalScreen[bool]):
    """Asks before leaving a run that is at work: True is stop and quit."""

    BINDINGS = [
        Binding("k,escape", "answer(False)", "Keep working", id="quit.keep", tooltip="Close this question"),
        Binding("s,q", "answer(True)", "Stop and quit", id="quit.stop", tooltip="Stop the run, then leave"),
    ]

    def __init__(self, run: str):
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(f"{plain(self._run)} is at work.", markup=False)
            yield Static("Finished rounds are kept: started again, it goes on from them.", markup=False)
            yield Button("Keep working  (k)", id="keep", variant="primary", compact=True)
            yield Button("Stop and quit  (s)", id="stop", variant="warning", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "stop")

    def action_answer(self, stop: bool) -> None:
        """Answer by key."""
        self.dismiss(stop)


class StoppingDialog(ModalScreen[None]):
    """Waits with the person for the run to end."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("stopping…", markup=False)
            yield Static("The run ends with its present chunk of work; then this closes.", markup=False)
            yield Button("Quit now, lose the rounds at work  (ctrl+q)", id="now", compact=True)

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
            yield Static(Content.assemble((f"Keys in {self._title}", "bold"), "   (esc closes)"))
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
            title = f"in the focused {type(node).__name__}"
        words = binding.description or binding.action
        keys, _binding = groups.setdefault(title, {}).setdefault(words, ([], binding))
        keys.append(screen.app.get_key_display(binding))
    for title in sorted(groups, key=lambda name: (name == "everywhere", name != "this screen")):
        yield Content("")
        yield Content.styled(title, "bold")
        for words, (keys, binding) in groups[title].items():
            shown = " ".join(dict.fromkeys(keys))
            told = f"{words}: {binding.tooltip}" if binding.tooltip else words
            yield Content.assemble((f"  {shown:<12}", "$accent"), f" {told}")
