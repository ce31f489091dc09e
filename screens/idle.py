"""Why a key does nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from textual.actions import parse
from textual.binding import Binding
from textual.screen import Screen

from screens.keys import key_of, places

Refusal = Callable[[str, tuple[object, ...]], str]
"""Why an action cannot be now."""


def idle_words(screen: Screen[Any], key: str, refusal: Refusal, titles: Mapping[str, str]) -> str:
    """What is to be told of a key without an action: why the one that it has here cannot be, that it is for another
    part of the screen, or in which modes, by their `titles`, the last line has it; '' for any other."""
    chain = {node: bindings.key_to_bindings for node, bindings in screen._modal_binding_chain}
    for node in (screen, screen.app):
        for binding in chain.get(node, {}).get(key, ()):
            _, action, parameters = parse(binding.action)
            return f"{binding.description}: {refusal(action, parameters)}"
    keymap = screen.app._keymap
    for part in screen.focus_chain:
        for binding in _made(type(part).BINDINGS, keymap):
            if binding.key == key and binding.id:
                return f"{binding.description} is for a part of the screen: {key_of(screen.app, 'next')} goes there"
    kinds = {getattr(kind, "MODE", ""): kind for kind in places()}
    found: dict[str, list[str]] = {}
    for mode in titles.keys() & kinds.keys():
        for binding in _made(places()[kinds[mode]], keymap):
            if binding.key == key and binding.show:
                found.setdefault(binding.description, []).append(mode)
    told = [
        f"{words} in {' and '.join(titles[mode] for mode in titles if mode in modes)}" for words, modes in found.items()
    ]
    return f"Nothing here: {', '.join(sorted(told))}" if told else ""


def _made(written: Iterable[Any], keymap: Mapping[str, str]) -> Iterator[Binding]:
    """The bindings with the keys that they have now, one for each key."""
    for binding in Binding.make_bindings(written):
        if binding.id in keymap:
            yield from Binding.make_bindings([binding.with_key(keymap[binding.id])])
        else:
            yield binding
