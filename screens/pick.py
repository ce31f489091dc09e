"""A list to choose one thing from, each with what it means."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.keys import keyed
from screens.specs import Texts
from screens.text import plain

LINE = 50
"""Characters of a meaning that a line has room for."""


class PickDialog(ModalScreen[str | None]):
    """`choices` with their meanings, the present one marked; None when none was chosen."""

    BINDINGS = [
        Binding("escape", "dismiss", "Back", id="pick.back", tooltip="Leave it as it is"),
        Binding("j", "move('down')", "Down", show=False, id="pick.down", tooltip="The next one"),
        Binding("k", "move('up')", "Up", show=False, id="pick.up", tooltip="The one before"),
    ]

    def __init__(self, title: str, choices: Texts, now: str):
        super().__init__()
        self._title, self._choices, self._now = title, choices, now

    def compose(self) -> ComposeResult:
        width = max(len(plain(value)) for value in self._choices) + 2
        long = max(map(len, self._choices.values())) > LINE
        with Vertical(classes="dialog -long" if long else "dialog", id="pick"):
            yield Static(
                Content.assemble(
                    (plain(self._title), "bold"), keyed(self.app, "   (enter chooses, {pick.back} leaves it)")
                )
            )
            yield OptionList(
                *(
                    Option(Content.assemble(plain(value).ljust(width), (plain(meaning), "dim")))
                    for value, meaning in self._choices.items()
                ),
                compact=True,
            )
            if long:
                yield Static("", id="pick-meaning", markup=False)

    def on_mount(self) -> None:
        values = list(self._choices)
        self.query_one(OptionList).highlighted = values.index(self._now) if self._now in values else 0

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The whole meaning of the one under the cursor, where its line is too short for it."""
        for told in self.query("#pick-meaning").results(Static):
            told.update(Content(plain(list(self._choices.values())[event.option_index])))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(list(self._choices)[event.option_index])

    def action_move(self, way: str) -> None:
        """To the option below or above."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if way == "down" else options.action_cursor_up()
