"""What a study may name, as text and as JSON: built from the registries alone."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from engine.errors import BadInput
from engine.registry import BUILT_IN, REGISTRIES, Entry, Registry

WIDTH = 80


def describe_text(kind: str | None = None, name: str | None = None) -> str:
    """Every entry of all kinds or of one, or one entry in full, at most 80 columns wide. Raises BadInput."""
    if kind is not None and name is not None:
        return "\n".join(_in_full(_entry(kind, name)))
    return "\n\n".join("\n".join(_listed(registry)) for registry in _registries(kind))


def describe_json(kind: str | None = None, name: str | None = None) -> Any:
    """The same as plain values: one entry, or a list of entries. Raises BadInput."""
    if kind is not None and name is not None:
        return _row(_entry(kind, name))
    return [_row(entry) for registry in _registries(kind) for entry in registry.entries()]


def _registries(kind: str | None) -> tuple[Registry[Any], ...]:
    found = tuple(registry for registry in REGISTRIES if kind in (None, registry.kind))
    if not found:
        raise BadInput(f"describe {kind!r}: allowed: {', '.join(registry.kind for registry in REGISTRIES)}")
    return found


def _entry(kind: str, name: str) -> Entry[Any]:
    registry = _registries(kind)[0]
    try:
        return registry.entry(registry.checked_name(name))
    except ValueError as error:
        raise BadInput(f"describe {kind} {name!r}: allowed: {error}") from None


def _row(entry: Entry[Any]) -> dict[str, Any]:
    facts = {name: value for name, value in entry.facts.items() if isinstance(value, bool | int | float | str)}
    return {
        "kind": entry.kind,
        "name": entry.name,
        "help": entry.help,
        "parameters": dict(entry.parameters),
        "source": entry.source,
        "origin": entry.origin.name,
        "digest": entry.origin.digest,
        **facts,
    }


def _listed(registry: Registry[Any]) -> Iterator[str]:
    entries = registry.entries()
    yield registry.kind
    if not entries:
        yield "  none"
        return
    wide = min(max(len(entry.name) for entry in entries), 24)
    for entry in entries:
        first = f"  {entry.name.ljust(wide)}  "
        rest = " " * (wide + 4)
        if len(entry.name) > wide:
            yield first.rstrip()
            first = rest
        yield from _wrapped(entry.help, first, rest)
        more = [_parameters(entry), entry.source, "" if entry.origin.name == BUILT_IN else f"from {entry.origin.name}"]
        for words in filter(None, more):
            yield from _wrapped(words, rest, rest)


def _parameters(entry: Entry[Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(default)}" for name, default in entry.parameters.items())


def _in_full(entry: Entry[Any]) -> Iterator[str]:
    row = {name: value for name, value in _row(entry).items() if value not in ("", {})}
    wide = max(len(name) for name in row) + 2
    for name, value in row.items():
        if name == "parameters":
            value = _parameters(entry)
        words = value if isinstance(value, str) else json.dumps(value)
        rest = " " * wide
        yield from _wrapped(words, name.ljust(wide), rest)


def _wrapped(words: str, first: str, rest: str) -> list[str]:
    """`words` in lines after `first` and then `rest`; names and paths stay whole."""
    return textwrap.wrap(
        words, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
