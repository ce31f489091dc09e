"""The bindings of all screens and widgets, by their ids, and the keys that they have now."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, key_to_character
from textual.widgets import Static

import screens

OURS = ("screens.", "lth_tui.")
"""Packages whose bindings have ids."""

_UNICODE = {ours: theirs for theirs, ours in KEY_NAME_REPLACEMENTS.items()}
"""Names of characters as Unicode has them, where Textual has others."""

_NAMED = re.compile(r"\{([a-z0-9.-]+)\}")


@cache
def load_all() -> None:
    """Load every screen and widget: what is not loaded has no bindings yet."""
    for module in walk_packages(screens.__path__, "screens."):
        import_module(module.name)


def places() -> dict[type[DOMNode], tuple[Binding, ...]]:
    """Every screen, widget and app of ours that has bindings of its own, and those."""
    load_all()
    return _loaded()


def _loaded() -> dict[type[DOMNode], tuple[Binding, ...]]:
    return {
        place: tuple(binding for binding in place.__dict__["BINDINGS"] if isinstance(binding, Binding) and binding.id)
        for place in _below(DOMNode)
        if place.__module__.startswith(OURS) and "BINDINGS" in place.__dict__
    }


def _below(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


def bindings() -> dict[str, Binding]:
    """Every binding by its id, with the keys that it has unless others are set."""
    return {str(binding.id): binding for own in places().values() for binding in own}


def character_of(key: str) -> str | None:
    """What a key types, if it types anything."""
    return key_to_character(_UNICODE.get(key, key))


@cache
def _binding(id: str) -> Binding:
    # Words on the first screen name its own keys: for them nothing else is loaded.
    found = (binding for own in _loaded().values() for binding in own if binding.id == id)
    return next(found, None) or bindings()[id]


def key_of(app: App[Any], id: str) -> str:
    """The key of a binding as it is said in a sentence: the first one, where it has several."""
    binding = _binding(id)
    key = app._keymap.get(id)
    shown = binding if key is None else Binding(key, binding.action)
    said = app.get_key_display(next(iter(Binding.make_bindings([shown]))))
    return f"ctrl+{said[1:]}" if said.startswith("^") and len(said) > 1 else said


def keyed(app: App[Any], words: str) -> str:
    """The words with the present key for every `{id}` of a binding."""
    return _NAMED.sub(lambda found: key_of(app, found[1]), words)


class Advice(Static):
    """Words that name bindings by their ids in braces, as in `press {mode.runs}`, and show their present keys."""

    def __init__(self, words: str = "", *, id: str | None = None):
        super().__init__("", id=id, markup=False)
        self._words = words

    def on_mount(self) -> None:
        self.update(keyed(self.app, self._words))
