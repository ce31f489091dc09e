"""A study as TOML, to be read and typed."""

import re

from rich.text import Text
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from screens.keys import keyed

_COLOURS = (
    (re.compile(r"^\s*\[.*"), "bold cyan"),
    (re.compile(r"^\s*[\w.-]+(?=\s*=)"), "cyan"),
    (re.compile(r"\"[^\"]*\""), "green"),
    (re.compile(r"#.*"), "dim"),
)


class TomlArea(TextArea):
    """The text; what a person does to it is told as Edited, and undone with all else that is typed."""

    BINDINGS = [
        Binding("ctrl+z,super+z", "screen.undo", "Undo", id="toml.undo",
                tooltip="What was typed last, here or in the form"),
        Binding("ctrl+y,super+y", "screen.redo", "Redo", show=False, id="toml.redo", tooltip="What was undone last"),
    ]  # fmt: skip

    class Edited(Message):
        """A person has changed the text."""

        def __init__(self, text: str):
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="toml", show_line_numbers=True, compact=True)
        self._given = ""

    def give(self, text: str) -> None:
        """Show another text, where it differs."""
        old = self.text
        if text == old:
            return
        self._given = text
        self.text = text
        if old:
            changed = max(_same(old, text), len(text) - _same(old[::-1], text[::-1]))
            above = text[:changed].split("\n")
            self.move_cursor((len(above) - 1, len(above[-1])))

    def hint(self, network: str) -> tuple[str, str]:
        """What it is for."""
        return (
            "the study as TOML; what is typed here is in the form once it reads as a study",
            keyed(self.app, "{configure.toml-in-field} hides it, {toml.undo} undoes, {configure.leave} leaves"),
        )

    def get_line(self, line_index: int) -> Text:
        """A line with its headers, names, texts and comments told apart."""
        line = super().get_line(line_index)
        for pattern, style in _COLOURS:
            line.highlight_regex(pattern, style)
        return line

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self.text != self._given:
            self._given = self.text
            self.post_message(self.Edited(self.text))


def _same(one: str, other: str) -> int:
    """Characters in which two texts begin alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
