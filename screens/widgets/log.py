"""What happened, a line an event, of which only the lines that can be seen are ever made."""

import time
from bisect import bisect_left
from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from engine.views import LogLine, filter_log
from screens.latest import Latest
from screens.text import plain

LEVEL_MARKS = {
    "detail": ("·", "dim"),
    "info": ("•", ""),
    "good": ("✓", "$text-success"),
    "warning": ("!", "$text-warning"),
    "error": ("✗", "$text-error"),
}


class EventLog(ScrollView, can_focus=True, inherit_bindings=False):
    """The lines that a person looks for, the newest last. It stays with the newest unless the cursor is put elsewhere;
    the cursor stays on its event whatever is looked for. A long log is looked through in a thread."""

    COMPONENT_CLASSES = {"event-log--cursor"}

    BINDINGS = [
        Binding("up,k", "move(-1)", "Up", show=False, id="log.up", tooltip="The event before"),
        Binding("down,j", "move(1)", "Down", show=False, id="log.down", tooltip="The next event"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="log.page-up", tooltip="A page of events before"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="log.page-down", tooltip="A page of events on"),
        Binding("home,g", "move(-1000000)", "First", show=False, id="log.first", tooltip="The first event"),
        Binding(
            "end,G", "move(1000000)", "Last", show=False, id="log.last", tooltip="The newest event, also as it changes"
        ),
    ]

    class Moved(Message):
        """Another event is under the cursor, or others are shown."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._log: Sequence[LogLine] = ()
        self._wanted = self._words = ""  # what is looked for, and what the lines that are shown have
        self._sifting = Latest[tuple[Sequence[LogLine], str], list[int]](
            self, lambda asked: filter_log(*asked), self._sifted
        )
        self._shown: list[int] = []
        self._place: int | None = None

    @property
    def found(self) -> int:
        """How many lines are shown."""
        return len(self._shown)

    @property
    def chosen(self) -> LogLine | None:
        """The event under the cursor; the newest one while there is no other."""
        return self._log[self._shown[self._at]] if self._shown else None

    @property
    def _at(self) -> int:
        """The cursor's row: that of its event or of the next one that is shown."""
        last = len(self._shown) - 1
        return last if self._place is None else min(bisect_left(self._shown, self._place), last)

    def show(self, log: Sequence[LogLine]) -> None:
        """Show a log, or what came to it since."""
        if len(log) < len(self._log) or (self._log and log[0] != self._log[0]):
            self._sifting.forget()
            self._shown, self._place, self._log, self._words = [], None, (), self._wanted
        known = len(self._log)
        self._log = log
        if self._words and not known:
            self._seek()
            self._laid_out()
        elif len(log) > known:
            scrolled_back = self.scroll_offset.y + self.size.height < len(self._shown)
            self._shown += [known + place for place in filter_log(log[known:], self._words)]
            self._laid_out(stay=scrolled_back)

    def sift(self, words: str) -> None:
        """Show the lines that have these words alone; with none the one under the cursor among all others."""
        if words != self._wanted:
            self._wanted = words
            self._seek()

    def _seek(self) -> None:
        self._sifting.ask((self._log, self._wanted))

    def _sifted(self, asked: tuple[Sequence[LogLine], str], places: list[int]) -> None:
        """Show what was found, and of what came to the log since what is like it."""
        log, words = asked
        if not words and self._shown:
            self._place = self._shown[self._at]
        self._words = words
        self._shown = places + [len(log) + place for place in filter_log(self._log[len(log) :], words)]
        self._laid_out()

    def _laid_out(self, *, stay: bool = False) -> None:
        self.virtual_size = Size(0, len(self._shown))
        if not stay:
            self._see_cursor()
        self.refresh()
        self.post_message(self.Moved())

    def _see_cursor(self) -> None:
        height, at = max(1, self.size.height), max(self._at, 0)
        top = len(self._shown) - height if self._place is None else min(max(self.scroll_offset.y, at - height + 1), at)
        self.scroll_to(y=max(0, top), animate=False, immediate=True)

    def action_move(self, by: int) -> None:
        """Move the cursor; on the newest event it stays with those to come."""
        if not self._shown:
            return
        before = self._at
        row = max(0, min(before + by, len(self._shown) - 1))
        self._place = None if row == len(self._shown) - 1 else self._shown[row]
        self._see_cursor()
        for changed in (before, row):
            self.refresh(Region(0, changed - self.scroll_offset.y, self.size.width, 1))
        self.post_message(self.Moved())

    def action_page(self, way: int) -> None:
        """Move the cursor by what can be seen at once."""
        self.action_move(way * max(1, self.size.height - 1))

    def on_resize(self) -> None:
        self._see_cursor()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        self.action_move(self.scroll_offset.y + event.y - self._at)

    def render_line(self, y: int) -> Strip:
        width, row, style = self.scrollable_content_region.width, self.scroll_offset.y + y, self.visual_style
        content = Content("")
        if row < len(self._shown):
            content = event_words(self._log[self._shown[row]])
            if row == self._at and self.has_focus:
                style = self.get_visual_style("event-log--cursor")
                content = Content(content.plain)
            if content.cell_length > width:
                content = content[: width - 1] + Content("…")
        strips = Visual.to_strips(self, content, width, 1, style, pad=True)
        return strips[0] if strips else Strip.blank(width, style.rich_style)


def event_words(line: LogLine, *, whole: bool = False) -> Content:
    """An event's time, mark and words; the `whole` of its time with the day."""
    then, now = time.localtime(line.time), time.localtime()
    form = "%Y-%m-%d %H:%M:%S" if whole else "%H:%M:%S" if then[:3] == now[:3] else "%m-%d %H:%M"
    mark, style = LEVEL_MARKS.get(line.level, ("•", ""))
    return Content.assemble((time.strftime(form, then), "dim"), (f" {mark} ", style), (plain(line.text), style))
