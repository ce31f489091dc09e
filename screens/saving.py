"""The dialog that puts what is shown into a file."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from engine.errors import BadInput
from screens.keys import keyed
from screens.offers import FORMATS, NO_CONVERTER, Format, Offer, can_make_png, content, file_of, free_file, keep
from screens.specs import FieldSpec
from screens.svg import Lines
from screens.text import plain
from screens.widgets.fields import FieldRow, Row


class FileRow(FieldRow):
    """The file's name; enter saves."""

    class Entered(Message):
        """The name is as it is to be."""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.prevent_default()
        event.stop()
        self.post_message(self.Entered())


class SaveDialog(ModalScreen[Path | None]):
    """Saves one of `offers`, the first one unless another is chosen; the file, or None where none was written."""

    AUTO_FOCUS = None

    BINDINGS = [
        Binding("escape", "dismiss", "Back", id="saving.back", tooltip="Save nothing"),
        Binding("ctrl+s", "save", "Save", id="saving.save", priority=True, tooltip="Write the file"),
    ]

    def __init__(self, offers: Sequence[Offer], about: str):
        super().__init__()
        self._offers = {offer.name: offer for offer in offers}
        self._about = about
        self._replace: Path | None = None

    def compose(self) -> ComposeResult:
        first = next(iter(self._offers.values()))
        kinds = first.formats()
        names = {name: offer.words for name, offer in self._offers.items()}
        with Vertical(classes="dialog", id="saving"):
            yield Static(Content.assemble(("Save", "bold"), keyed(self.app, "   (enter saves, {saving.back} leaves)")))
            yield FieldRow(FieldSpec("what", "what", "choice", "what is saved", names), first.name)
            yield FieldRow(FieldSpec("format", "as", "choice", "the kind of file", FORMATS), kinds[0])
            yield FileRow(FieldSpec("file", "file", "words", "where it is put"), self._proposed(first, kinds[0]))
            yield Static("", id="about-saving", markup=False)
            if not can_make_png():
                yield Static(NO_CONVERTER, id="no-converter", markup=False)

    def on_mount(self) -> None:
        self._what, self._as, self._file = self.query(FieldRow)
        self._fit()
        self.call_after_refresh(self._file.visit)

    @property
    def _offer(self) -> Offer:
        return self._offers[self._what.value]

    def _proposed(self, offer: Offer, kind: Format) -> str:
        """A name that no file in the present folder has."""
        stem = offer.file or "-".join(filter(None, (self._about, offer.name)))
        return str(free_file(Path(f"{stem}.{kind}")))

    def _fit(self) -> None:
        """The formats are those of what is chosen."""
        kinds = self._offer.formats()
        self._as.choices = {kind: FORMATS[kind] for kind in kinds}
        if self._as.value not in kinds:
            self._as.value = kinds[0]
        words = f"{self._offer.words}: {FORMATS[self._kind]}"
        self.query_one("#about-saving", Static).update(plain(words))

    @property
    def _kind(self) -> Format:
        return cast(Format, self._as.value)

    @on(Row.Changed)
    def _changed(self, event: Row.Changed) -> None:
        self._file.tell("")
        if event.row is self._file:
            return
        self._fit()
        self._file.value = self._proposed(self._offer, self._kind)

    @on(FileRow.Entered)
    def action_save(self) -> None:
        """Write the file, one that there is when asked again."""
        try:
            path = file_of(self._file.value, self._kind)
        except BadInput as error:
            self._refuse(str(error))
            return
        if path.exists() and path != self._replace:
            self._replace = path
            self._refuse(f"{path} is there already: enter again replaces it; {free_file(path).name} is free")
            return
        self._write(path, self._offer, self._kind, self._offer.drawing)

    @work(exclusive=True)
    async def _write(self, path: Path, offer: Offer, kind: Format, drawing: Callable[[], Lines] | None) -> None:
        def write() -> None:
            keep(path, content(offer, kind, theme, drawing))

        theme = self.app.ansi_theme
        try:
            await asyncio.to_thread(write)
        except BadInput as error:
            self._refuse(str(error))
            return
        self.dismiss(path.absolute())

    def _refuse(self, words: str) -> None:
        self._file.tell(words)
        self._file.visit()
