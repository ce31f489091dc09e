"""What every screen has: the bar of modes, the keys, the timer, and a word for windows that are too small."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from screens.idle import idle_words
from screens.keys import key_of, keyed
from screens.lab import Lab
from screens.offers import Offer, copied
from screens.saving import SaveDialog
from screens.text import plain, size
from screens.widgets.key_bar import KeyBar

MODES = {
    "configure": "Configure",
    "runs": "Runs",
    "live": "Live",
    "heatmaps": "Heatmaps",
    "ticket": "Ticket",
    "compare": "Compare",
}
"""The modes in the order of their digit keys."""

SMALLEST = (60, 16)

IDLE_SECONDS = 4.0
"""For which it is told why a key does nothing."""

SLOWER = 5
"""Times as long between two drawings, over a slow line."""

CLIPBOARD = 74_994
"""Bytes of text that every terminal takes which takes any: 100,000 as they are sent."""


class TopBar(Widget):
    """The modes with their keys, and the state of the run at hand."""

    def __init__(self, lab: Lab, mode: str):
        super().__init__()
        self.lab, self.mode = lab, mode
        self._shown = ""

    def render(self) -> Content:
        left = self._modes(" ")
        if left.cell_length > self.size.width:
            left = self._modes("")
        state = self.state()
        room = self.size.width - left.cell_length - 1
        if room < 8 or not state:
            return left
        if len(state) > room:
            state = state[: room - 1] + "…"
        return Content.assemble(left, " " * (room - len(state)), (state, "dim"))

    def _modes(self, before: str) -> Content:
        """The titles with their keys, each with that before it."""
        return Content.assemble(
            *(
                Content.styled(
                    f"{before}{key_of(self.app, f'mode.{mode}')} {title} ", "reverse bold" if mode == self.mode else ""
                )
                for mode, title in MODES.items()
            )
        )

    def state(self) -> str:
        """The followed run and its state in a few words."""
        follower = self.lab.follower
        if follower is None:
            return ""
        done, total = follower.view.rounds_done, follower.view.rounds_total
        return plain(f"{self.lab.state()} {done}/{total}")

    def tick(self) -> None:
        """Redraw when the words changed."""
        if (state := self.state()) != self._shown:
            self._shown = state
            self.refresh()


class TooSmall(Widget):
    """Takes the place of all else in a window in which it has no room."""

    def render(self) -> Content:
        width, height = self.app.size
        least = f"{SMALLEST[0]}x{SMALLEST[1]}"
        words = f"This window is {width}x{height}; {least} is the least that works. Make it larger, or "
        return Content(words + keyed(self.app, "{quit} to quit."))


class LabScreen(Screen[None]):
    """A mode of the laboratory. `update` is called twice a second while the screen can be seen.

    What begins with `on_` is called here beside that of a subclass, after it, and never by it.
    """

    MODE = ""
    PERIOD = 0.5
    AUTO_FOCUS = ""
    ALLOW_IN_MAXIMIZED_VIEW = ".-textual-system, KeyBar"

    BINDINGS = [
        Binding("ctrl+s", "save", "Save", id="save", show=False,
                tooltip="Put what is shown into a file: a picture, its numbers, the study"),
        Binding("tab", "app.focus_next", "Next part", id="next", show=False, tooltip="Go to the next panel or field"),
        Binding("shift+tab", "app.focus_previous", "Part before", id="previous", show=False,
                tooltip="Go to the panel or field before"),
        Binding("c", "copy", "Copy", id="copy", show=False, tooltip="Copy what the focused part shows"),
    ]  # fmt: skip

    def __init__(self, lab: Lab):
        super().__init__(name=self.MODE)
        self.lab = lab
        self._window = (0, 0)
        self._idle = "", 0.0

    def compose(self) -> ComposeResult:
        self._fit(*self.app.size)  # while it is empty: what it has would be styled and laid out twice
        yield TopBar(self.lab, self.MODE)
        yield from self.body()
        yield KeyBar()
        yield TooSmall()

    def body(self) -> Iterator[Widget]:
        """The widgets between the bar of modes and that of keys."""
        yield from ()

    def on_mount(self) -> None:
        self._styled_for = self._looks
        self.set_interval(self.PERIOD * (SLOWER if self.lab.slow else 1), self._tick)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        # Finding all styles anew takes as long as all else, and only with the App's do they change unseen.
        event.refresh_styles = self._styled_for != self._looks
        self._styled_for = self._looks
        self._tick()

    def _compositor_refresh(self) -> None:
        if self.app._batch_count:
            self._repaint_required = True  # Textual renders all of it, and then shows nothing
        else:
            super()._compositor_refresh()

    @property
    def _looks(self) -> tuple[object, ...]:
        """What of the App the styles depend on."""
        return (self.app.classes, self.app.pseudo_classes, self._css_update_count)

    def on_resize(self, event: events.Resize) -> None:
        self._fit(*event.size)

    def _fit(self, width: int, height: int) -> None:
        if self._window != (width, height):
            self._window = (width, height)
            self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")
            self.fitted(width, height)

    def fitted(self, width: int, height: int) -> None:
        """The window has a new size."""

    async def reopen(self) -> None:
        """The laboratory holds another study now."""

    def _tick(self) -> None:
        if not self.is_current or not self.is_mounted:
            return
        if self.lab.follower is not None:
            self.lab.follower.poll()
        self.query_one(TopBar).tick()
        self.update()

    def update(self) -> None:
        """Draw what changed."""

    # Keys

    def on_key(self, event: events.Key) -> None:
        """Tell why a key that types something does nothing; once, while it is told."""
        if event.is_printable and event.key not in self.active_bindings:
            words, now = idle_words(self, event.key, self._refusal, MODES), time.monotonic()
            if words and (words != self._idle[0] or now > self._idle[1] + IDLE_SECONDS):
                self._idle = words, now
                self.notify(plain(words), timeout=IDLE_SECONDS, markup=False)

    def _refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """Why an action is not offered, of this screen or of the App."""
        if action == "detach":
            return "only a run at work here can go on elsewhere"
        return self.refusal(action, parameters)

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """Why an action of this screen is not offered."""
        return "not in this view" if self.lab.follower else "no run is shown"

    # Saving and copying

    @property
    def about(self) -> str:
        """What the files that are saved here are named after."""
        return self.lab.follower.run if self.lab.follower else ""

    def offers(self) -> list[Offer]:
        """What can be saved and copied from here, beside a picture of the whole screen."""
        return []

    def offered(self) -> list[Offer]:
        """All of it, what is shown by the focused widget first."""
        lines = [list(strip) for strip in self._compositor.render_strips()]
        screen = Offer("screen", "the whole screen", picture=lambda: lines)
        found = [offer for offer in self.offers() if offer.formats()]
        return [*sorted(found, key=lambda offer: offer.widget is None or offer.widget is not self.focused), screen]

    def action_save(self) -> None:
        """Ask for a file's name, and write it."""

        def saved(path: Path | None) -> None:
            if path is not None:
                self.notify(f"saved {plain(str(path))}", markup=False)

        self.app.push_screen(SaveDialog(self.offered(), self.about or self.MODE), saved)

    @work(exclusive=True, group="copy")
    async def action_copy(self) -> None:
        """Send what the focused widget shows to the terminal's clipboard."""
        offer = self.offered()[0]
        text, what = await asyncio.to_thread(copied, offer, offer.drawing)
        length = len(text.encode())
        if length > CLIPBOARD:
            words = f"{offer.words}: {size(length)}, more than the {size(CLIPBOARD)} that terminals take; "
            self.notify(words + keyed(self.app, "{save} puts it into a file"), severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(text)
        self.notify(plain(f"copied {offer.words}: {what}"), markup=False)


def rewrite(place: Static, words: Text, *, fixed: bool = True) -> bool:
    """Write words if they are others; whether they were. `fixed`: in a place whose size they do not change: laying the
    screen out again would cost more than all else."""
    if place.content == words:
        return False
    place.update(words, layout=not fixed)
    return True


def seen(entries: Sequence[Text], here: int, width: int) -> Text:
    """Entries in a line, and before them a sign where some had to go for the one `here` to be seen in that width."""
    first = 0
    while first < here and sum(entry.cell_len for entry in entries[first : here + 1]) > width - bool(first):
        first += 1
    return Text.assemble("‹" if first else "", *entries[first:])


class PanelScreen(LabScreen):
    """A mode of panels, of which the focused one, or else that of the selector `MAIN`, can fill the screen."""

    MAIN = ""

    BINDINGS = [
        Binding("f", "fill", "Fill", id="fill", show=False, tooltip="The focused panel fills the screen, and back"),
    ]

    def action_fill(self) -> None:
        """The focused panel fills the screen, or all are shown again."""
        if self.maximized is not None:
            self.minimize()
        elif panel := self.focused or (self.query_one(self.MAIN) if self.MAIN else None):
            self.set_focus(panel)
            self.maximize(panel)
