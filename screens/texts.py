"""Values of a study as people type them, and back."""

import json
import math
import tomllib
from collections.abc import Sequence
from typing import Any

from screens.specs import YES_NO, FieldSpec

MOST_ROUNDS = 1000
"""Rounds in a run such as `9-12`: more are a slip of the finger."""


def text_of(value: Any) -> str:
    """A value of a study as text, a table as `name = value, name = value`; '' for None and for what is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text_of, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} = {json.dumps(item, ensure_ascii=False)}" for name, item in value.items())
    return str(value)


def value_of(spec: FieldSpec, text: str) -> Any:
    """The value that `text` has in the field. What cannot be read stays text, for the study to refuse."""
    if spec.kind == "whole":
        return _whole(text)
    if spec.kind == "number":
        return _number(text)
    if spec.kind == "wholes":
        return [_whole(word) for word in _words(text)]
    if spec.kind == "numbers":
        return [_number(word) for word in _words(text)]
    if spec.kind == "names":
        return _words(text)
    if spec.kind == "rounds":
        return read_rounds(text)
    if spec.kind == "parameters":
        return read_parameters(text)
    if spec.choices is YES_NO:
        return text == "yes"
    return text


def rounds_text(rounds: Sequence[int] | None) -> str:
    """Rounds as people write them: numbers with runs joined, as in `3,7,9-12`; '' for all of them."""
    parts: list[list[int]] = []
    for number in rounds or ():
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in parts)


def read_rounds(text: str) -> list[int] | str | None:
    """The rounds in `text`; None for all of them; the text itself where it cannot be read."""
    words = _words(text)
    if not words or words == ["all"]:
        return None
    rounds: list[int] = []
    for word in words:
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return text
        low, high = int(first), int(last or first)
        if high - low > MOST_ROUNDS:
            return text
        rounds += range(low, high + 1)
    return rounds or text


def read_parameters(text: str) -> dict[str, Any] | str:
    """The table in `text`, as in `alpha = 0.5, signed = true`; the text itself where it cannot be read."""
    try:
        found = tomllib.loads(f"parameters = {{ {text} }}")
    except (ValueError, RecursionError):
        return text
    return text if found.keys() != {"parameters"} else dict(found["parameters"])


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return text if math.isnan(number) else number  # which equals nothing, not even itself
