"""The form of a study without its widgets: fields, and the tables that they fill."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.spec import ARM_KINDS, DRAWN, Problem, Study


@dataclass(frozen=True)
class FieldSpec:
    """One field: where it is in the study, what it is called, and how its text becomes a value."""

    path: str
    label: str
    kind: Literal["whole", "number", "words", "choice"]
    help: str
    choices: tuple[str, ...] = ()


FIELDS = (
    FieldSpec("name", "name", "words", "what the run is called"),
    FieldSpec("base.data.name", "data set", "choice", "real examples; digits needs no network"),
    FieldSpec("trials", "trials", "whole", "seeds of each arm; bars show their minimum and maximum"),
    FieldSpec("seed", "first seed", "whole", "trial t has this plus t"),
    FieldSpec("base.train.iterations", "iterations", "whole", "optimizer steps in a round"),
    FieldSpec("base.train.batch", "batch", "whole", "examples in a step"),
    FieldSpec("base.train.optimizer", "optimizer", "choice", "the update rule", ("adam", "sgd")),
    FieldSpec("base.train.learning_rate", "learning rate", "number", "before schedule and warm-up"),
    FieldSpec("base.train.evaluate_every", "validate every", "whole", "iterations between validations"),
    FieldSpec("base.prune.rounds", "rounds", "whole", "times that the network is pruned"),
    FieldSpec("base.prune.rate", "pruning rate", "number", "of the survivors, each round; output layer half"),
    FieldSpec("base.prune.scope", "scope", "choice", "rank each layer, or all together", ("layerwise", "global")),
)


@dataclass(frozen=True)
class ArmChoice:
    """An arm that may be on. `place` is its number in the tables that the form began with, if it was there."""

    name: str
    kind: str
    on: bool
    per_ticket: str = ""
    rounds: str = ""
    place: int | None = None

    @property
    def control(self) -> bool:
        return self.kind in DRAWN


def tables_of(study: Study) -> dict[str, Any]:
    """The study as plain tables, with what was left out left out."""
    return study.model_dump(mode="json", exclude_none=True, exclude_unset=True)


def shown_values(study: Study) -> dict[str, str]:
    """What each field shows for a study, defaults included."""
    return {spec.path: _show(_at(study, spec.path)) for spec in FIELDS}


def arm_choices(study: Study) -> list[ArmChoice]:
    """The study's arms, and after them the kinds that it leaves out."""
    choices = [
        ArmChoice(
            arm.name,
            arm.kind,
            on=True,
            per_ticket=str(arm.per_ticket) if arm.kind in DRAWN else "",
            rounds="" if arm.kind == "ticket" else rounds_text(arm.rounds),
            place=place,
        )
        for place, arm in enumerate(study.arm)
    ]
    names = {choice.name for choice in choices}
    kinds = {choice.kind for choice in choices}
    for kind in (kind for kind in ARM_KINDS if kind != "retrain"):  # which is nothing without tables of its own
        if kind not in names and kind not in kinds:
            control = kind in DRAWN
            rounds = "" if kind == "ticket" else "all"
            choices.append(ArmChoice(kind, kind, on=False, per_ticket="1" if control else "", rounds=rounds))
    return choices


def filled(
    begun: Mapping[str, Any], values: Mapping[str, str], arms: Sequence[ArmChoice]
) -> tuple[dict[str, Any], list[int]]:
    """The tables with the form's values in them, and for each of their arms the place of its choice.

    What the form has no field for stays as it was.
    """
    tables: dict[str, Any] = copy.deepcopy(dict(begun))
    for spec in FIELDS:
        if spec.path in values:
            _put(tables, spec.path, _value(spec, values[spec.path]))
    train = tables.get("base", {}).get("train", {})
    if train.get("optimizer") != "sgd":
        train.pop("momentum", None)
    listed, owners = [], []
    for owner, choice in _ordered(arms):
        if choice.on:
            arm = copy.deepcopy(begun["arm"][choice.place]) if choice.place is not None else {"name": choice.name}
            if choice.kind != "ticket":
                _set_rounds(arm, choice.rounds)
            if choice.control and (choice.per_ticket.strip() != "1" or "per_ticket" in arm):
                arm["per_ticket"] = _whole(choice.per_ticket)
            listed.append(arm)
            owners.append(owner)
    tables["arm"] = listed
    return tables, owners


def place_of(problem: Problem, owners: Sequence[int]) -> str:
    """The field or arm row (`arm:N`) beside which a problem belongs; '' when the form has none."""
    paths = {spec.path for spec in FIELDS}
    if problem.field in paths:
        return problem.field
    steps = problem.field.split(".")
    if steps[0] == "arm" and len(steps) > 1 and steps[1].isdecimal() and int(steps[1]) < len(owners):
        return f"arm:{owners[int(steps[1])]}"
    return ""


def rounds_text(rounds: Sequence[int] | None) -> str:
    """Rounds as people write them: `all`, or numbers with runs joined, as in `3,7,9-12`."""
    if rounds is None:
        return "all"
    parts: list[list[int]] = []
    for number in rounds:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in parts)


def read_rounds(text: str) -> list[int] | str | None:
    """The rounds in `text`; None for all of them; the text itself where it cannot be read."""
    words = text.replace(",", " ").split()
    if not words or words == ["all"]:
        return None
    rounds: list[int] = []
    for word in words:
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return text
        low, high = int(first), int(last or first)
        if high - low > 1000:
            return text
        rounds += range(low, high + 1)
    return rounds or text


def _ordered(arms: Sequence[ArmChoice]) -> list[tuple[int, ArmChoice]]:
    """Tickets come first, since a control names one above it."""
    numbered = list(enumerate(arms))
    added_tickets = [item for item in numbered if item[1].place is None and item[1].kind == "ticket"]
    return added_tickets + [item for item in numbered if item not in added_tickets]


def _set_rounds(arm: dict[str, Any], text: str) -> None:
    rounds = read_rounds(text)
    if rounds is None:
        arm.pop("rounds", None)
    else:
        arm["rounds"] = rounds


def _value(spec: FieldSpec, text: str) -> Any:
    if spec.kind == "whole":
        return _whole(text)
    if spec.kind == "number":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _at(study: Study, path: str) -> Any:
    value: Any = study
    for step in path.split("."):
        value = getattr(value, step)
    return value


def _put(tables: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = path.split(".")
    for step in steps:
        tables = tables.setdefault(step, {})
    tables[last] = value


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
