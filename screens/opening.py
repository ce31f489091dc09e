"""The dialog that finds a study's file."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import BadInput
from engine.spec import Study, parse_study, study_text
from screens.keys import keyed
from screens.latest import Latest
from screens.text import plain

MOST_SHOWN = 200


class Opened(NamedTuple):
    """A study with its TOML, and the file that it came from."""

    study: Study
    toml: str
    source: str


class OpenDialog(ModalScreen[Opened | None]):
    """A path is typed, or found among the folders and TOML files of where it leads; None where none was opened."""

    BINDINGS = [
        Binding("escape", "dismiss", "Back", id="opening.back", tooltip="Open nothing"),
        Binding("down", "into_list", "List", show=False, id="opening.down", tooltip="Into the list of files"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="opening"):
            keys = keyed(self.app, "   (enter opens, {opening.down} to the list, {opening.back} leaves)")
            yield Static(Content.assemble(("Open a study", "bold"), keys))
            yield Input(placeholder="the path of a TOML file", compact=True, id="opening-path")
            yield Static("", id="opening-problem", markup=False)
            yield OptionList(id="opening-files", compact=True)

    def on_mount(self) -> None:
        self._path = self.query_one(Input)
        self._list = self.query_one(OptionList)
        self._problem = self.query_one("#opening-problem", Static)
        self._found: list[str] = []
        self._listing = Latest(self, files_at, self._show)
        self._path.focus()
        self._listing.ask("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell("")
        self._listing.ask(event.value)

    def _show(self, typed: str, found: list[str]) -> None:
        self._found = found
        self._list.clear_options()
        self._list.add_options([Option(Content(plain(path))) for path in found])
        self._list.highlighted = 0 if found else None
        self._list.display = bool(found)

    def _tell(self, problem: str) -> None:
        self._problem.update(Content(f"✗ {plain(problem)}" if problem else ""))
        self._problem.display = bool(problem)

    def action_into_list(self) -> None:
        """From the path into the list."""
        if self._found:
            self._list.focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self._go(self._found[event.option_index])

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        self._go(event.value)

    @work(exclusive=True)
    async def _go(self, path: str) -> None:
        """Into a folder, or open a file."""
        if await asyncio.to_thread(os.path.isdir, os.path.expanduser(path)):
            self._put(os.path.join(path, ""))
            return
        try:
            self.dismiss(await asyncio.to_thread(opened, path))
        except BadInput as error:
            self._put(path)
            self._tell(str(error))

    def _put(self, path: str) -> None:
        with self._path.prevent(Input.Changed):
            self._path.value = path
        self._path.cursor_position = len(path)
        self._path.focus()
        self._listing.ask(path)


def opened(path: str) -> Opened:
    """The study in a file. Raises BadInput naming the file, the field, what was found and what is allowed."""
    path = os.path.expanduser(path.strip())
    if not os.path.isfile(path):
        raise BadInput(f"{path or 'nothing'}: no such file; allowed: the path of a TOML file")
    toml = study_text(path)
    return Opened(parse_study(toml, source=path), toml, path)


def files_at(typed: str) -> list[str]:
    """Folders, with a separator at their end, and TOML files whose paths begin as what is typed."""
    folder, name = os.path.split(os.path.expanduser(typed))
    found = []
    try:
        for entry in os.scandir(folder or "."):
            hidden = entry.name.startswith(".") and not name.startswith(".")
            if hidden or not entry.name.lower().startswith(name.lower()):
                continue
            path = str(Path(folder, entry.name))
            if entry.is_dir():
                found.append(path + os.sep)
            elif entry.name.endswith(".toml"):
                found.append(path)
    except OSError:
        return []
    return sorted(found, key=lambda path: (path.endswith(os.sep), path))[:MOST_SHOWN]
