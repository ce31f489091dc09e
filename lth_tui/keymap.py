"""Keys that a person has chosen, checked against all that have one."""

import difflib
from collections.abc import Iterator, Mapping

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character
from textual.screen import ModalScreen

from engine.errors import BadInput
from engine.spec.problems import dotted, shown
from screens.base import LabScreen
from screens.keys import bindings, places

Chosen = Mapping[str, str]
"""Keys by the id of a binding, several with commas between them."""

_MODIFIERS = {"ctrl", "shift", "alt", "super", "hyper", "meta"}
_NAMES = {key.value for key in Keys if "+" not in key.value and not key.value.startswith("<")}
_NAMES |= set(KEY_NAME_REPLACEMENTS.values())  # such as slash and minus, for which there is no way back


def keymap(chosen: Chosen, source: object = "settings") -> dict[str, str]:
    """What Textual is to be told: of the bindings whose keys are changed, and of those that share a key with one of
    them, for Textual would take it away from both.

    Raises BadInput, naming the `source`, for a binding or a key that there is not, and for a key that two would have at
    one place.
    """
    try:
        return _keymap(chosen) if chosen else {}
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None


def _keymap(chosen: Chosen) -> dict[str, str]:
    known = bindings()
    for id, text in chosen.items():
        if id not in known:
            near = ", ".join(difflib.get_close_matches(id, known, 3)) or "those that `lth-tui settings` prints"
            raise _wrong(id, text, f"ids of bindings: {near}")
    given = {id: _keys(binding) for id, binding in known.items()}
    changed = {id: keys for id, text in chosen.items() if (keys := _read(id, text)) != given[id]}
    _refuse_clashes(changed, given)
    sharing: dict[str, list[str]] = {}
    for place in places():
        own = [str(binding.id) for kind in place.__mro__ for binding in places().get(kind, ())]
        touched = {key for id in own if id in changed for key in given[id]}
        sharing |= {id: given[id] for id in own if touched & set(given[id])}
    return {id: ",".join(keys) for id, keys in (sharing | changed).items()}


def _wrong(id: str, found: str, allowed: str) -> BadInput:
    return BadInput(f"keys.{dotted((id,))}: found {shown(found)}; allowed: {allowed}")


def _keys(binding: Binding) -> list[str]:
    return [each.key for each in Binding.make_bindings([binding])]


def _read(id: str, text: str) -> list[str]:
    """Keys as people write them, in Textual's names."""
    found = []
    for word in text.split(","):
        *modifiers, name = word.strip().split("+") if word.strip() != "+" else ["+"]
        name = _character_to_key(name) if len(name) == 1 else name
        character = key_to_character(name) or ""
        if not (name in _NAMES or (character and character.isprintable())) or not set(modifiers) <= _MODIFIERS:
            words = "a character or a key's name, as in g, ?, f2, space, comma or ctrl+r; commas between several"
            raise _wrong(id, text, words)
        if modifiers == ["shift"] and len(name) == 1 and name.isalpha():
            modifiers, name = [], name.upper()  # which is what terminals send
        found.append("+".join((*modifiers, name)))
    return found


def _refuse_clashes(changed: Mapping[str, list[str]], given: Mapping[str, list[str]]) -> None:
    for place in places():
        taken: dict[str, list[Binding]] = {}
        for binding in _within_reach(place):
            for key in changed.get(binding.id or "", _keys(binding)):
                taken.setdefault(key, []).append(binding)
        for key, several in taken.items():
            for one in several:
                for other in several:
                    # Those that share a key from the start are never both to be had.
                    if one.id in changed and one.id != other.id and not set(given[one.id]) & set(_keys(other)):
                        name = other.description or other.action
                        free = f"a key that is free there; {key} is {name}" + f" ({other.id})" * bool(other.id)
                        raise _wrong(one.id, ",".join(changed[one.id]), free)


def _within_reach(place: type[DOMNode]) -> Iterator[Binding]:
    """The bindings of a place, of what it is made from, and, but for dialogs, those that every screen has."""
    reach: dict[type, None] = dict.fromkeys(place.__mro__)
    if not issubclass(place, ModalScreen):
        apps = (other for other in places() if issubclass(other, App))
        reach |= dict.fromkeys(kind for other in (LabScreen, *apps) for kind in other.__mro__)
    for kind in reach:
        for binding in kind.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding):
                yield binding
