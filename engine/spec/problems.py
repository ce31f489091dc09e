"""Validation problems of a study, one line each: the field, the value found, the values allowed."""

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One validation problem. `field` is dotted, as in `base.train.batch` or `arm.1.rounds`."""

    field: str
    found: str
    allowed: str

    def __str__(self) -> str:
        found = f"found {self.found}; " if self.found else ""
        return f"{self.field}: {found}allowed: {self.allowed}"


class Impossible(PydanticCustomError):
    """An invalid combination of fields. It names the field, which pydantic's location does not."""

    @classmethod
    def within(cls, error: ValidationError, root: Any, place: FieldPath) -> Self:
        """Convert the first problem of `error`, an error in the model `root`, to a problem below `place`."""
        first = _problem(error.errors(include_url=False)[0], FieldsAt(root))
        return cls("impossible", "{allowed}", _context(f"{dotted(place)}.{first.field}", first.found, first.allowed))


def _context(field: str, found: str, allowed: str) -> dict[str, Any]:
    return {"place": field, "found": found, "allowed": allowed}


def impossible(place: str | FieldPath, found: Any, allowed: str) -> Impossible:
    where = (place,) if isinstance(place, str) else place
    return Impossible("impossible", "{allowed}", _context(dotted(where), shown(found), allowed))


def not_registered(allowed: str) -> PydanticCustomError:
    """Return the error for an unregistered name. `allowed` lists the registered ones."""
    return PydanticCustomError("not_registered", "{allowed}", {"allowed": allowed})


def printable(text: str) -> str:
    """Return `text` if it is safe to show in a terminal. Raises PydanticCustomError if it contains control or
    direction characters."""
    if not all(char.isprintable() or char == "\n" for char in text):
        raise PydanticCustomError("unprintable", "printable characters and line breaks")
    return text


def shown(value: Any) -> str:
    """Return a value as one line of JSON, with control characters escaped, cut at 60 characters."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        return "something nested too deeply"
    except ValueError:
        return "a number of too many digits"
    return text if len(text) <= 60 else text[:57] + "..."


def dotted(place: Sequence[str | int]) -> str:
    """Return the dotted path of a field, with unusual names quoted."""
    return ".".join(str(step) if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", str(step)) else shown(step) for step in place)


def problems_of(error: ValidationError, fields_at: "FieldsAt") -> list[Problem]:
    """Return every problem in `error`. `fields_at` lists the fields at a path."""
    return [_problem(detail, fields_at) for detail in error.errors(include_url=False)]


class FieldsAt:
    """Lists the fields that the model allows at a path, to suggest names for unknown fields."""

    def __init__(self, root: Any):
        self.root = root

    def __call__(self, place: Sequence[str | int]) -> list[str]:
        fields = self.root.model_fields
        for step in place:
            if isinstance(step, int):
                continue
            annotation = fields[step].annotation
            nested = [annotation, *getattr(annotation, "__args__", ())]
            model = next((kind for kind in nested if hasattr(kind, "model_fields")), None)
            if model is None:
                return []
            fields = model.model_fields
        return list(fields)


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "none_required": "nothing",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least {}"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
    "too_short": ("min_length", "{} or more of them"),
    "too_long": ("max_length", "at most {} of them"),
    "string_too_long": ("max_length", "at most {} characters"),
}


def _problem(detail: ErrorDetails, fields_at: FieldsAt) -> Problem:
    place = tuple(part for part in detail["loc"] if part != "[key]")
    field = dotted(place)
    kind, context = detail["type"], detail.get("ctx", {})
    found = shown(detail["input"])
    if kind == "impossible":
        whole = f"{field}.{context['place']}" if field else context["place"]
        return Problem(whole, context["found"], context["allowed"])
    if kind == "missing":
        return Problem(field, "nothing", "a value; it must be given")
    if kind == "extra_forbidden":
        allowed = fields_at(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = f"known fields: {', '.join(allowed)}{hint}" if allowed else "no such field here"
        return Problem(field, "an unknown field", known)
    if kind == "not_registered":
        return Problem(field, found, context["allowed"])
    if kind == "literal_error":
        return Problem(field, found, context["expected"])
    if kind == "string_pattern_mismatch":
        return Problem(field, found, "up to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return Problem(field, found, words.format(context[name]))
    return Problem(field, found, _TYPES.get(kind, detail["msg"].lower()))
