"""The last line of a screen: the keys that do something now."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from screens.keys import character_of

LASTING = ("help", "quit")
"""Actions of the App that are told whatever else there is room for."""

PALETTE = "command_palette"
"""The action that is told at the right, where there is room for it."""


class Entry(NamedTuple):
    """Keys that are told together, as they are shown and as they are pressed, and what they are for."""

    keys: tuple[tuple[str, str], ...]
    words: str
    tooltip: str = ""
    enabled: bool = True

    @property
    def text(self) -> str:
        return " ".join((*(shown for shown, _ in self.keys), self.words))

    def key_at(self, x: int) -> str:
        """The key to press for a click there: the one that was hit, or the last."""
        for shown, key in self.keys[:-1]:
            if x <= len(shown):
                return key
            x -= len(shown) + 1
        return self.keys[-1][1]


MORE = Entry((), "…", "There are more keys: help has all")


def fitted(own: Sequence[Entry], lasting: Sequence[Entry], palette: Sequence[Entry], width: int) -> list[Entry]:
    """What a line has room for, a column between two: `palette` goes first, which stands at the right, then the last of
    `own`, with a sign that there are more."""

    def length(entries: Sequence[Entry]) -> int:
        return sum(len(entry.text) + 1 for entry in entries) - 1

    found = [*own, *lasting]
    if palette and (room := width - length([*found, *palette])) >= 0:
        return [*found, *([Entry((), " " * (room - 1))] if room else []), *palette]
    kept = list(own)
    while kept and length(found) > width:
        kept.pop()
        found = [*kept, MORE, *lasting]
    return found


class KeyBar(Widget):
    """The keys of the focused part and of the screen, as far as there is room, and always help and quit; in a field
    those alone which do not type."""

    COMPONENT_CLASSES = {"key-bar--key"}

    def __init__(self) -> None:
        super().__init__()
        self._told: list[list[Entry]] = [[], [], []]

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._read)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    @property
    def entries(self) -> list[Entry]:
        """What is shown, from left to right."""
        return fitted(*self._told, width=self.size.width)

    def _read(self, screen: Screen[Any]) -> None:
        if not self.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        own, lasting, palette = [], [], []
        for key, (node, binding, enabled, _) in screen.active_bindings.items():
            if binding.system or (screen.focused and screen.focused.check_consume_key(key, character_of(key))):
                continue
            found = (node, binding, enabled)
            if binding.action == PALETTE:
                palette.append(found)
            elif node is self.app and binding.action in LASTING:
                lasting.append(found)
            elif binding.show:
                own.append(found)
        told = [self._entries(found) for found in (own, lasting, palette)]
        if told != self._told:
            self._told = told
            self.refresh()

    def _entries(self, found: list[tuple[DOMNode, Binding, bool]]) -> list[Entry]:
        """One for each action, with its first key, or for all actions of a group; in the order in which they are
        written down, whatever keys they have been given."""
        nodes = list(dict.fromkeys(node for node, _, _ in found))
        found.sort(key=lambda each: (nodes.index(each[0]), *_place(type(each[0]), each[1])))
        together: dict[object, dict[str, tuple[Binding, bool]]] = {}
        for node, binding, enabled in found:
            group = together.setdefault((node, binding.group or binding.action), {})
            group.setdefault(binding.action, (binding, enabled))
        return [self._entry([*several.values()]) for several in together.values()]

    def _entry(self, several: list[tuple[Binding, bool]]) -> Entry:
        first, enabled = several[0]
        return Entry(
            tuple((self.app.get_key_display(binding), binding.key) for binding, _ in several),
            first.group.description if first.group else first.description,
            first.tooltip,
            enabled,
        )

    def render(self) -> Content:
        style = self.get_visual_style("key-bar--key", partial=True)
        parts = []
        for entry in self.entries:
            keys = " ".join(shown for shown, _ in entry.keys)
            words = Content.assemble((keys, style), " " if keys else "", entry.words)
            parts.append(words if entry.enabled else words.stylize("dim"))
        return Content(" ").join(parts)

    def _at(self, x: int) -> tuple[Entry, int] | None:
        """What is told there, and how far into it that is; nothing between two."""
        for entry in self.entries:
            if 0 <= x < len(entry.text):
                return entry, x
            x -= len(entry.text) + 1
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._at(event.x)
        self.tooltip = found[0].tooltip if found else None

    def on_click(self, event: events.Click) -> None:
        found = self._at(event.x)
        if found and found[0].keys and found[0].enabled:
            self.app.simulate_key(found[0].key_at(found[1]))


def _place(kind: type[DOMNode], binding: Binding) -> tuple[int, int]:
    """Where it is written down, and which of its keys it is."""
    place, keys = _written(kind).get(binding.id, (0, ""))
    return place, f",{keys},".find(f",{binding.key},")


@cache
def _written(kind: type[DOMNode]) -> dict[str | None, tuple[int, str]]:
    """The places of a kind's bindings among each other, and their keys unless others are set."""
    found = [it for each in kind.__mro__ for it in each.__dict__.get("BINDINGS", ()) if isinstance(it, Binding)]
    return {binding.id: (place, binding.key) for place, binding in enumerate(found)}
