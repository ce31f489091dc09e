"""What a field means, in two lines: its words, and what it can be."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from engine import registry
from engine.spec import Arm, Recipe, Study, load_study
from screens.form import recipe_texts
from screens.specs import RECIPE_FIELDS, FieldSpec, unmet

WIDTH = 70
"""Characters of a line of a hint."""


def paper_preset(network: str) -> str:
    """The preset with the paper's values for a network; '' where there is none."""
    return str(registry.network.entry(network).facts.get("preset", "")) if network in registry.network else ""


def hint(spec: FieldSpec, text: str, network: str) -> tuple[str, str]:
    """What the field is; what `text` means in it or what is allowed, and what the paper has for the network."""
    parts = [spec.choices.get(text, "")]
    if spec.kind != "choice" and (bounds := allowed(spec.path)):
        parts.append(f"allowed: {bounds}")
    if spec.paper and (preset := paper_preset(network)) and (value := _paper(preset).get(spec.path)):
        parts.append(f"the paper's: {value}")
    words = "; ".join(part for part in parts if part)
    return spec.help, words if len(words) <= WIDTH else f"{words[: WIDTH - 1]}…"


@cache
def _paper(preset: str) -> Mapping[str, str]:
    """The paper's texts of the fields that it has, by paths without `base`."""
    study = load_study(preset)
    texts = recipe_texts(study.base)
    told = {spec.path: texts[spec.path] for spec in RECIPE_FIELDS if not unmet(spec, texts)}
    return {"trials": str(study.trials), **told}


@cache
def allowed(path: str) -> str:
    """The bounds of the field at `path` as words, as in `1 to 10,000,000`; '' where it has none."""
    root = Recipe if "." in path else Study if path in Study.model_fields else Arm
    bounds = {
        name: f"{getattr(constraint, name):,}"
        for constraint in _constraints(root, path)
        for name in ("ge", "gt", "le", "lt")
        if hasattr(constraint, name)
    }
    if {"ge", "le"} <= bounds.keys():
        return f"{bounds['ge']} to {bounds['le']}"
    words = {"ge": "{} or more", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
    return ", ".join(words[name].format(bound) for name, bound in bounds.items())


def _constraints(root: Any, path: str) -> list[Any]:
    """The constraints of the model's field at `path`, and of the items of a list there."""
    annotation, found = root, []
    for step in path.split("."):
        if hasattr(annotation, "model_fields"):
            field = annotation.model_fields.get(step)
            if field is None:  # which the form has, and the study not
                return []
            annotation, found = field.annotation, list(field.metadata)
        else:
            annotation = get_args(annotation)[1]  # a value of a table
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Annotated:
            found += [bound for item in get_args(part)[1:] for bound in getattr(item, "metadata", ())]
    return found
