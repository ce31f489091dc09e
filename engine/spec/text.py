"""Edit the TOML text of a study in place, and find the lines of its fields."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import AoT

from engine.errors import BadInput
from engine.spec.problems import Problem
from engine.spec.read import read_tables, study_problems
from engine.spec.study import Study

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."' -]+?)\s*=""")


def update_toml(text: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, bool]:
    """Return TOML `text`, whose tables are `before`, changed to the tables `after`, and whether comments and order were
    kept. They are lost if the layout of the text cannot be edited in place."""
    wanted = _merged(tomllib.loads(text), before, after)
    try:
        document = tomlkit.parse(text)
        _change(document, wanted)
        changed = tomlkit.dumps(document)
        if _headers(changed) != _headers(text):
            changed = _spaced(changed)
        if tomllib.loads(changed) == wanted:
            return changed, True
    except Exception:  # tomlkit fails on some valid text
        pass
    return tables_to_toml(wanted), "#" not in text


def tables_to_toml(tables: Mapping[str, Any]) -> str:
    """Return the tables of a study as TOML."""
    document = tomlkit.document()
    _change(document, tables)
    return _spaced(tomlkit.dumps(document))


def to_toml(study: Study) -> str:
    """Return the study as TOML, which parses to an equal study."""
    return tables_to_toml(study.model_dump(mode="json", exclude_none=True, exclude_unset=True))


def toml_problem(text: str) -> str:
    """Return the first problem of a study's TOML with its line number; '' if it is valid."""
    try:
        problems = study_problems(read_tables(text))
    except BadInput as error:
        return str(error)
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{_place(text, problems[0])}{problems[0]}{more}"


def line_of(text: str, field: str) -> int | None:
    """Return the line, from 1, of the field at a dotted path such as `arm.1.train.batch`, or of its innermost table in
    the text; None if there is none."""
    steps, best, found = field.split("."), 0, None
    table: list[str] = []
    arms = -1
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _steps(header[2])
            if table[0] == "arm":
                arms += header[1] == "[["
                table.insert(1, str(arms))
            here = table
        elif key := _KEY.match(line):
            here = [*table, *_steps(key[1])]
        else:
            continue
        if len(here) > best and here == steps[: len(here)]:
            best, found = len(here), number
    return found


def _place(text: str, problem: Problem) -> str:
    line = line_of(text, problem.field)
    return f"line {line}: " if line else ""


def _steps(dotted: str) -> list[str]:
    return [step.strip().strip("\"'") for step in dotted.split(".")]


def _merged(plain: Any, before: Any, after: Any) -> Any:
    """Return `plain`, another spelling of `before`, with the changes from `before` to `after` applied."""
    if after == before:
        return plain
    if isinstance(after, Mapping) and isinstance(plain, Mapping) and isinstance(before, Mapping):
        kept = {key: _merged(plain.get(key), before.get(key), after[key]) for key in plain if key in after}
        # An arm named after its kind omits the kind.
        renamed = after.get("name") != before.get("name")
        added = {
            key: value for key, value in after.items() if key not in plain and (renamed or value != before.get(key))
        }
        return {**kept, **added}
    if _are_tables(after) and _are_tables(plain) and _are_tables(before) and len(plain) == len(before):
        return [
            item if place is None else _merged(plain[place], before[place], item)
            for item, place in zip(after, _paired(before, after), strict=True)
        ]
    return after


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _paired(before: Sequence[Any], after: Sequence[Any]) -> list[int | None]:
    """Return, for each table of `after`, the index of its counterpart in `before`, matched by name, else by index; None
    for new tables."""
    old, new = [item.get("name") for item in before], [item.get("name") for item in after]
    pairs: list[int | None] = []
    for place, name in enumerate(new):
        renamed = place if place < len(old) and old[place] not in new else None
        found = old.index(name) if name in old else renamed
        pairs.append(None if found in pairs else found)
    return pairs


def _change(table: Any, wanted: Mapping[str, Any], *, inline: bool = False) -> None:
    """Set a table of a document to `wanted`, leaving equal values untouched. `inline`: write new tables inline."""
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, value in wanted.items():
        known = table.get(key)
        if known is not None and known.unwrap() == value:
            continue
        if isinstance(value, Mapping):
            if not isinstance(known, Mapping):
                table[key] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=key == "base")
                known = table[key]
            _change(known, value, inline=inline)
        elif _are_tables(value):
            table[key] = _arms(known if isinstance(known, AoT) else (), value)
        else:
            table[key] = value


def _headers(text: str) -> list[str]:
    return [line for line in text.split("\n") if _HEADER.match(line)]


def _spaced(text: str) -> str:
    """Put one empty line before each header and its comments."""
    text = re.sub(r"\n{3,}", "\n\n", text)
    return re.sub(r"(?m)^([^\[#\n][^\n]*\n)(?=\[)", r"\1\n", text)


def _arms(known: Sequence[Any], wanted: Sequence[Any]) -> AoT:
    """Return the wanted tables, reusing known ones with their comments."""
    arms = tomlkit.aot()
    for item, place in zip(wanted, _paired(known, wanted), strict=True):
        table = tomlkit.table() if place is None else known[place]
        _change(table, item, inline=True)
        arms.append(table)
    return arms
