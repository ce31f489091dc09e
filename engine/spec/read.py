"""Read studies from TOML files and presets, with single settings from the command line."""

import copy
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import BadInput
from engine.spec.problems import FieldsAt, Problem, dotted, problems_of, shown
from engine.spec.recipe import Prune
from engine.spec.study import Study

MAX_STUDY_BYTES = 100_000
MAX_DOTS = 300
"""Maximum dots per line. The cost of tomllib is quadratic in the depth of a key."""
QUICK = "-quick"
"""Suffix of the short version of a preset."""
EXPERIMENTS = (
    "lenet-mnist",
    "one-shot",
    "rewinding",
    "conv2-cifar10",
    "conv4-cifar10",
    "conv6-cifar10",
    "less-data-lenet",
    "less-data-conv2",
    "less-data-conv4",
    "less-data-conv6",
    "inverse-pruning",
    "weight-clamping",
    "rank-correlation",
    "dropout-conv2",
    "dropout-conv4",
    "dropout-conv6",
)
"""Presets of the article's experiments, in its order, then of the paper's on dropout; each has a quick version."""
_PRESETS = resources.files("engine.spec") / "presets"
_FIELDS_AT = FieldsAt(Study)


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, the quickstart first."""
    names = [Path(item.name).stem for item in _PRESETS.iterdir() if item.name.endswith(".toml")]
    return tuple(sorted(names, key=lambda name: (name != "quickstart", name)))


def preset_text(name: str) -> str:
    """Return the TOML of a preset. Raises BadInput for an unknown name."""
    if name not in preset_names():
        raise BadInput(f"preset {name!r}: there is none of that name; allowed: {', '.join(preset_names())}")
    return (_PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def study_problems(tables: dict[str, Any]) -> list[Problem]:
    """Return all validation problems of a study given as plain tables."""
    try:
        Study.model_validate(tables)
    except ValidationError as error:
        return problems_of(error, _FIELDS_AT)
    return []


def parse_study(
    text: str, *, source: str, settings: tuple[str, ...] = (), note: Callable[[str], None] = lambda words: None
) -> Study:
    """Return the study in TOML `text` with `settings` (`path.to.field=value`) applied.

    Where settings leave a study fewer rounds, arms lose those of their `rounds` that are beyond, and arms without any
    other are left out: `note` gets a line for each.

    Raises BadInput, one line naming `source`, the field, what was found and what is allowed.
    """
    try:
        tables = read_tables(text)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None
    before = copy.deepcopy(tables)
    tables = with_settings(tables, settings)
    if settings:
        for words in _shorten(before, tables):
            note(f"{source}: {words}")
    return _validated(tables, source)


def _shorten(before: dict[str, Any], tables: dict[str, Any]) -> list[str]:
    """Take from the arms of `tables` the rounds that were possible `before` and no longer are; a line for each arm."""
    lines = []
    for arm in list(_arms(tables)):
        name, rounds = arm.get("name"), arm.get("rounds")
        was = next((old for old in _arms(before) if old.get("name") == name), None)
        if was is None or not isinstance(rounds, list) or was.get("rounds") != rounds or not all(map(_is_int, rounds)):
            continue
        steps = _steps(tables, arm)
        beyond = [number for number in rounds if number > steps]
        if not beyond or max(rounds) > _steps(before, was):
            continue
        listed = f"round{'s' if len(beyond) > 1 else ''} {', '.join(map(str, beyond))}, beyond the {steps} of prune"
        kept = [number for number in rounds if number <= steps]
        if kept:
            arm["rounds"] = kept
            lines.append(f"arm {shown(name)} is without {listed}")
        elif len(tables["arm"]) > 1:
            tables["arm"].remove(arm)
            lines.append(f"arm {shown(name)} is left out: it has only {listed}")
    return lines


def _arms(tables: dict[str, Any]) -> list[dict[str, Any]]:
    arms = tables.get("arm")
    return [arm for arm in arms if isinstance(arm, dict)] if isinstance(arms, list) else []


def _steps(tables: dict[str, Any], arm: dict[str, Any]) -> int:
    """Times that the network of an arm is pruned, as its tables have it, sound or not."""
    ticket = next((other for other in _arms(tables) if other.get("name") == arm.get("of", "ticket")), {})
    base = tables.get("base")
    steps = int(Prune.model_fields["rounds"].default)
    for table in (base.get("prune") if isinstance(base, dict) else None, ticket.get("prune"), arm.get("prune")):
        given = table if isinstance(table, dict) else {}
        if isinstance(given.get("levels"), list) and given["levels"]:
            steps = len(given["levels"])
        elif _is_int(given.get("rounds")):
            steps = given["rounds"]
    return steps


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_tables(text: str) -> dict[str, Any]:
    """Parse TOML `text` into plain tables. Raises BadInput, one line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise BadInput(f"line {number}: {line.count('.')} dots; allowed: at most {MAX_DOTS} in a line")
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError as error:  # TOML's own, and Python's for a number of thousands of digits
        raise BadInput(f"not TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadInput("not a study: nested too deeply") from None


def load_study(name: str, settings: tuple[str, ...] = (), note: Callable[[str], None] = lambda words: None) -> Study:
    """The study of a preset's name or a TOML file's path, under `settings`; `note` as in `parse_study`. Raises
    BadInput."""
    text = study_text(name)
    source = f"preset {name}" if name in preset_names() else _shown(name)
    return parse_study(text, source=source, settings=settings, note=note)


def study_text(name: str) -> str:
    """Return the TOML of a preset or a file. Raises BadInput if it cannot be read."""
    if name in preset_names():
        return preset_text(name)
    path, shown = Path(name), _shown(name)
    try:
        return read_study_file(path)
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(preset_names())
        raise BadInput(f"{shown}: no such file or preset; allowed: a TOML file, or one of {known}") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{name!r}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _shown(path: str) -> str:
    return path if path.isprintable() else repr(path)


def read_study_file(path: Path) -> str:
    """Return the text of a study file, reading at most MAX_STUDY_BYTES. Raises BadInput, OSError, and ValueError for
    an invalid path."""
    with path.open("rb") as file:
        return decode_study(file.read(MAX_STUDY_BYTES + 1), _shown(str(path)))


def decode_study(text: bytes, shown: str) -> str:
    """The text of a study from its bytes, without a byte-order mark; `shown` is where they are from. Raises BadInput
    for more than `MAX_STUDY_BYTES` and for bytes that are not UTF-8."""
    if len(text) > MAX_STUDY_BYTES:
        raise BadInput(f"{shown}: more than {MAX_STUDY_BYTES} bytes; allowed: at most so many")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown}: not UTF-8 at byte {error.start}; allowed: a TOML file") from None


def with_settings(tables: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Apply each `path.to.field=value` to `tables` and return them. Values are TOML, or else plain text.

    List items are addressed by index (`arm.0.rounds=[1,2]`) or, for arms, by name (`arm.reinit.rounds=[1,2]`).
    """
    for setting in settings:
        path, equals, text = setting.partition("=")
        steps = path.strip().split(".")
        if not equals or not all(steps):
            raise BadInput(f"--set {setting!r}: allowed: path.to.field=value, as in base.train.iterations=2000")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text.strip()
        here: Any = tables
        for step in steps[:-1]:
            here = _enter(here, step, setting)
        if not isinstance(here, dict):
            raise BadInput(f"--set {setting!r}: {dotted(steps[:-1])} is not a table")
        here[steps[-1]] = value
    return tables


def _enter(here: Any, step: str, setting: str) -> Any:
    if isinstance(here, dict):
        return here.setdefault(step, {})
    if isinstance(here, list):
        named = [item for item in here if isinstance(item, dict) and item.get("name") == step]
        if named:
            return named[0]
        if step.isdecimal() and len(step) < 5 and int(step) < len(here):
            return here[int(step)]
        given = [item.get("name") for item in here if isinstance(item, dict)]
        names = ", ".join(dotted((name,)) for name in given if isinstance(name, str))
        raise BadInput(f"--set {setting!r}: no item {step!r}; allowed: 0 to {len(here) - 1}, or {names}")
    raise BadInput(f"--set {setting!r}: {step!r} is inside a plain value, not a table")


def _validated(tables: dict[str, Any], source: str) -> Study:
    try:
        return Study.model_validate(tables)
    except ValidationError as error:
        problems = problems_of(error, _FIELDS_AT)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BadInput(f"{source}: {problems[0]}{more}") from None
