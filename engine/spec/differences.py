"""Fields that differ between studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.spec.recipe import Recipe
from engine.spec.study import Arm, Study


@dataclass(frozen=True)
class Difference:
    """A field that differs between studies: its dotted path and its JSON value in each study, None if a study lacks
    the field."""

    path: str
    values: tuple[Any, ...]


def differences(studies: Sequence[Study]) -> list[Difference]:
    """Return the fields of the studies, base recipes and arms that differ, except names and descriptions.

    An arm that some studies lack is listed with its kind. Fields of arms are compared after applying overrides, and
    listed unless the base differs in the same way.
    """
    base = [{"trials": it.trials, "seed": it.seed, **_flat(it.base, "base")} for it in studies]
    found = _differing(base)
    told = {item.path.removeprefix("base."): item.values for item in found}
    for name in dict.fromkeys(arm.name for study in studies for arm in study.arm):
        arms = [next((arm for arm in study.arm if arm.name == name), None) for study in studies]
        if None in arms:
            found.append(Difference(f"arm.{name}", tuple(arm.kind if arm else None for arm in arms)))
        fields = [_arm_fields(study, arm) if arm else None for study, arm in zip(studies, arms, strict=True)]
        for item in _differing(fields):
            pairs = zip(item.values, told.get(item.path, ()), strict=False)
            as_base = [mine == its for (mine, its), arm in zip(pairs, arms, strict=False) if arm]
            if not (as_base and all(as_base)):
                found.append(Difference(f"arm.{name}.{item.path}", item.values))
    return found


def _arm_fields(study: Study, arm: Arm) -> dict[str, Any]:
    own = arm.model_dump(mode="json", include={"kind", "of", "per_ticket", "rounds", "order_seed", "parameters"})
    return own | _flat(study.recipe(arm), "")


def _differing(tables: Sequence[dict[str, Any] | None]) -> list[Difference]:
    """Return the fields that differ between the tables that are not None."""
    known = [table for table in tables if table is not None]
    paths = dict.fromkeys(path for table in known for path in table)
    return [
        Difference(path, tuple(table.get(path) if table is not None else None for table in tables))
        for path in paths
        if any(table.get(path) != known[0].get(path) for table in known)
    ]


def _flat(recipe: Recipe, prefix: str) -> dict[str, Any]:
    """Return the fields of a recipe that are in use, by dotted path."""
    unused = {"prune": {"rounds"}} if recipe.prune.levels else None
    found: dict[str, Any] = {}

    def walk(table: dict[str, Any], path: str) -> None:
        for name, value in table.items():
            here = f"{path}.{name}" if path else name
            walk(value, here) if isinstance(value, dict) else found.update({here: value})

    walk(recipe.model_dump(mode="json", exclude=unused), prefix)
    return found
