"""The form of a study without its widgets: texts of fields and arms, and the tables that they fill."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine import registry
from engine.errors import BadInput
from engine.spec import (
    Arm,
    Problem,
    Recipe,
    Study,
    parse_study,
    study_problems,
    to_toml,
    update_toml,
)
from screens.specs import (
    ARM_FIELDS,
    FOLDER,
    OVERRIDES,
    OVERRIDING_FIELDS,
    RECIPE_FIELDS,
    STUDY_FIELDS,
    FieldSpec,
    Texts,
    draws,
    is_control,
    unmet,
)
from screens.texts import rounds_text, text_of, value_of

Specs = Mapping[str, FieldSpec]

BASE = "base."
FIELDS = {spec.path: spec for spec in STUDY_FIELDS} | {BASE + spec.path: spec for spec in RECIPE_FIELDS}
"""Every field of the base form, by its path in the study."""


@dataclass(frozen=True)
class ArmChoice:
    """An arm that may be on. `texts` are those of ARM_FIELDS and, for what it has otherwise than the base, of recipes.

    `place` is its number in the study that the form began with, if it was there.
    """

    texts: Texts
    on: bool = True
    place: int | None = None

    @property
    def name(self) -> str:
        return self.texts["name"]

    @property
    def kind(self) -> str:
        return self.texts["kind"]


@dataclass(frozen=True)
class Found:
    """A problem as the form shows it: of the arm of that number or of the base, at the field `path` if it has one."""

    arm: int | None
    path: str
    words: str


@dataclass(frozen=True)
class Checked:
    """What the form says now: its tables, the study if that is sound, and else what is wrong."""

    tables: Mapping[str, Any]
    study: Study | None
    found: tuple[Found, ...]

    def of(self, arm: int | None) -> dict[str, str]:
        """The first problem of each field of the base or of an arm; at '' those that have no field."""
        told: dict[str, str] = {}
        for item in self.found:
            if item.arm == arm:
                told.setdefault(item.path, item.words)
        return told

    def line(self, arm: int) -> str:
        """The first problem of an arm, with the name of its field; '' where it is sound."""
        first = next(iter(self.of(arm).items()), ("", ""))
        return f"{_ARMS[first[0]].label}: {first[1]}" if first[0] else first[1]


def recipe_texts(recipe: Recipe) -> dict[str, str]:
    """What each field shows for a recipe, defaults included."""
    tables = recipe.model_dump()
    texts = {spec.path: text_of(_at(tables, spec.path)) for spec in RECIPE_FIELDS}
    name, colon, path = texts["data.name"].partition(":")
    if name + colon == FOLDER:
        texts |= {"data.name": FOLDER, "data.folder": path}
    return texts


@dataclass(frozen=True)
class Typed:
    """All that is typed into a form: the TOML that it began with, what its fields and arms say, and TOML that does not
    read as a study and so is not in them."""

    toml: str
    texts: Texts
    arms: tuple[ArmChoice, ...]
    unread: str | None = None


class Form:
    """A study that is being edited, begun with `toml`. What that has and no one changes stays as it was, to the
    letter."""

    def __init__(self, study: Study, toml: str = ""):
        self._toml = toml or to_toml(study)
        self._begun: dict[str, Any] = study.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        self._shown = {spec.path: text_of(getattr(study, spec.path)) for spec in STUDY_FIELDS}
        self._shown |= {BASE + path: text for path, text in recipe_texts(study.base).items()}
        self._arms = [_choice_of(arm, place) for place, arm in enumerate(study.arm)]
        self.texts = dict(self._shown)
        self.arms = [*self._arms, *_kinds_left_out(self._arms)]

    @classmethod
    def of(cls, typed: Typed) -> "Form":
        """The form in which that was typed. Raises BadInput where it cannot have been."""
        form = cls(parse_study(typed.toml, source="a draft"), typed.toml)
        known = {path: text for path, text in typed.texts.items() if path in FIELDS}
        places = {arm.place for arm in typed.arms if arm.place is not None}
        if not (
            all(text in spec.choices for path, text in known.items() if (spec := FIELDS[path]).choices)
            and all(arm.texts.keys() >= ARM_TEXTS and arm.kind in registry.arm for arm in typed.arms)
            and places <= set(range(len(form._arms)))
        ):
            raise BadInput("a draft: not of this form")
        form.texts |= known
        form.arms = list(typed.arms)
        return form

    def typed(self, unread: str | None = None) -> Typed:
        """What it says now."""
        return Typed(self._toml, dict(self.texts), tuple(self.arms), unread)

    def toml(self) -> tuple[str, bool]:
        """What it says as TOML, sound or not, in the words that it began with; whether those could be kept."""
        return update_toml(self._toml, self._begun, self.tables(self.arms)[0])

    def begun_anew(self, study: Study, toml: str) -> "Form":
        """A form of other TOML, with what was typed here into arms that are off and fields that make no sense now."""
        form = Form(study, toml)
        off = {arm.name: replace(arm, place=None) for arm in self.arms if not arm.on}
        form.arms = [arm if arm.on else off.get(arm.name, arm) for arm in form.arms]
        taken = {arm.name for arm in form.arms}
        form.arms += [arm for name, arm in off.items() if name not in taken]
        form.texts |= {path: self.texts[path] for path in form.hidden()}
        return form

    @property
    def recipe(self) -> dict[str, str]:
        """The base's texts, by their paths in a recipe."""
        return {spec.path: self.texts[BASE + spec.path] for spec in RECIPE_FIELDS}

    def hidden(self) -> set[str]:
        """The base's fields that make no sense beside the others."""
        recipe = self.recipe
        return {BASE + spec.path for spec in RECIPE_FIELDS if unmet(spec, recipe)}

    def check(self, arms: Sequence[ArmChoice] | None = None) -> Checked:
        """Judge what the form says, or would say with other arms."""
        arms = self.arms if arms is None else arms
        tables, owners = self.tables(arms)
        found = tuple(self._found(problem, arms, owners) for problem in study_problems(tables))
        return Checked(tables, None if found else Study.model_validate(tables), found)

    def tables(self, arms: Sequence[ArmChoice]) -> tuple[dict[str, Any], list[int]]:
        """The tables of the study, and for each of their arms its number in `arms`."""
        tables = copy.deepcopy(self._begun)
        hidden = self.hidden()
        for path, spec in FIELDS.items():
            text, shown = _whole_name(self.texts, path), _whole_name(self._shown, path)
            if path in hidden or path == _FOLDER:
                _take(tables, path)
            elif text != shown:
                _put(tables, path, spec, text, optional=bool(spec.empty))
        owners = _ordered(arms)
        tables["arm"] = [self._arm_tables(arms, arms[number]) for number in owners]
        return tables, owners

    def standing(self, arms: Sequence[ArmChoice], choice: ArmChoice) -> dict[str, str]:
        """The texts of the recipe under the arm: the base's, of a control with its tickets' over them."""
        below = _sensible(self.recipe)
        if is_control(choice.kind):
            tickets = (arm for arm in arms if arm.kind == "ticket" and arm.name == choice.texts["of"])
            below = next((_sensible(_over(ticket, below)) for ticket in tickets), below)
        return below

    def shown_in(self, arms: Sequence[ArmChoice], choice: ArmChoice) -> set[str]:
        """The fields that make sense for an arm."""
        recipe = _over(choice, self.standing(arms, choice))
        shown = {spec.path for spec in ARM_FIELDS if not unmet(spec, choice.texts)}
        for title, specs in OVERRIDES.items():
            if not is_control(choice.kind) or title not in ("pruning", "restart"):  # which are its tickets'
                shown |= {spec.path for spec in specs if not unmet(spec, recipe)}
        return shown

    def _arm_tables(self, arms: Sequence[ArmChoice], choice: ArmChoice) -> dict[str, Any]:
        arm: dict[str, Any] = {}
        was: Texts = {}
        if choice.place is not None:
            arm, was = copy.deepcopy(self._begun["arm"][choice.place]), self._arms[choice.place].texts
        arm["name"] = choice.name
        usual = {"name": choice.name, "kind": choice.name, "of": "ticket", "per_ticket": "1"}
        below, shown = self.standing(arms, choice), self.shown_in(arms, choice)
        recipe = _over(choice, below)
        for spec in (*ARM_FIELDS, *OVERRIDING_FIELDS):
            path, text = spec.path, choice.texts.get(spec.path, "")
            given, plain = _has(arm, path), text == usual.get(path, "")
            if path not in shown:
                _take(arm, path)
            elif not (plain and not given) and not (given and text == was.get(path, "")):
                _put(arm, path, spec, text, optional=spec in OVERRIDING_FIELDS or bool(spec.empty))
        for spec in OVERRIDING_FIELDS:
            if spec.neutral and unmet(spec, recipe) and below[spec.path] != DEFAULTS[spec.path]:
                path, value = spec.neutral
                _set(arm, path, copy.copy(value))
        return arm

    def _found(self, problem: Problem, arms: Sequence[ArmChoice], owners: Sequence[int]) -> Found:
        steps = problem.field.split(".")
        if steps[0] != "arm" or len(steps) < 2:
            if problem.field == "arm":
                return Found(None, "", "switch on at least one arm")
            return _placed(None, problem, problem.field, FIELDS, self.recipe, BASE)
        number = owners[int(steps[1])]
        texts = _over(arms[number], self.standing(arms, arms[number])) | dict(arms[number].texts)
        return _placed(number, problem, ".".join(steps[2:]), _ARMS, texts, "")


ARM_TEXTS = {spec.path for spec in ARM_FIELDS}
_OWN = tuple(spec for spec in ARM_FIELDS if spec.path in ("order_seed", "parameters"))
_FOLDER = BASE + "data.folder"
_ARMS = {spec.path: spec for spec in (*ARM_FIELDS, *OVERRIDING_FIELDS)}


def with_arm(arms: Sequence[ArmChoice], number: int, choice: ArmChoice) -> list[ArmChoice]:
    """The arms with another in that place; those made from its tickets follow a change of its name."""
    old, new = arms[number].name, choice.name
    changed = list(arms)
    if old != new and all(arm.name not in (new, old) for place, arm in enumerate(arms) if place != number):
        changed = [replace(arm, texts={**arm.texts, "of": new}) if arm.texts["of"] == old else arm for arm in arms]
    changed[number] = choice
    return changed


def fresh_name(arms: Sequence[ArmChoice], kind: str) -> str:
    """A name for an arm of that kind that none of `arms` has."""
    taken = {arm.name for arm in arms}
    return next(name for name in (kind, *(f"{kind}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def new_arm(name: str, kind: str) -> ArmChoice:
    """An arm with nothing of its own but its name and kind."""
    return ArmChoice(dict.fromkeys(ARM_TEXTS, "") | {"name": name, "kind": kind, "of": "ticket", "per_ticket": "1"})


def arm_words(choice: ArmChoice) -> str:
    """What an arm is, beside its name: `retrain, fraction 0.25, rounds 3,7`."""
    texts = choice.texts
    control = is_control(choice.kind)
    parts = [
        choice.kind if choice.kind != choice.name else "",
        f"of {texts['of']}" if control and texts["of"] != "ticket" else "",
        f"x{texts['per_ticket']}" if draws(choice.kind) and texts["per_ticket"] != "1" else "",
        *(f"{spec.label} {texts[spec.path]}" for spec in (*_OWN, *OVERRIDING_FIELDS) if texts.get(spec.path)),
        f"rounds {texts['rounds']}" if choice.kind != "ticket" and texts["rounds"].strip() else "",
    ]
    return ", ".join(part for part in parts if part)


def _choice_of(arm: Arm, place: int) -> ArmChoice:
    own = {spec.path: text_of(_at(arm.overrides, spec.path)) for spec in OVERRIDING_FIELDS}
    texts = {
        "name": arm.name,
        "kind": arm.kind,
        "of": arm.of,
        "per_ticket": str(arm.per_ticket),
        "rounds": rounds_text(arm.rounds),
        "order_seed": text_of(arm.order_seed),
        "parameters": text_of(arm.parameters),
    }
    return ArmChoice(texts | {path: text for path, text in own.items() if text}, place=place)


def _kinds_left_out(arms: Sequence[ArmChoice]) -> list[ArmChoice]:
    """An arm of each kind that the study has not, off; but `retrain`, which is nothing without tables of its own."""
    taken = {arm.name for arm in arms} | {arm.kind for arm in arms} | {"retrain"}
    return [replace(new_arm(kind, kind), on=False) for kind in registry.arm.names() if kind not in taken]


def _ordered(arms: Sequence[ArmChoice]) -> list[int]:
    """The numbers of the arms that are on; a control stands below its tickets."""
    ordered: list[int] = []
    for number, arm in enumerate(arms):
        if arm.on and is_control(arm.kind):
            ordered += [
                place
                for place, other in enumerate(arms)
                if other.on and other.kind == "ticket" and other.name == arm.texts["of"] and place not in ordered
            ]
        if arm.on and number not in ordered:
            ordered.append(number)
    return ordered


def replaced(choice: ArmChoice) -> set[str]:
    """Fields that stand on nothing below an arm: its own rounds or levels replace both, its own rates all of them, its
    criterion and its treatment the parameters of the other."""
    rates = tuple(path for path in DEFAULTS if path.startswith("prune.rates."))
    together = (
        (("prune.rounds", "prune.levels"), ("prune.rounds", "prune.levels")),
        (rates, rates),
        (("prune.criterion",), ("prune.parameters",)),
        (("restart.treatment",), ("restart.iteration", "restart.parameters")),
    )
    return {path for given, gone in together if any(choice.texts.get(own) for own in given) for path in gone}


def _over(choice: ArmChoice, below: Texts) -> dict[str, str]:
    """The texts of an arm's recipe: its own over those below. Levels below it do not keep it from having rounds."""
    own = {spec.path: text for spec in OVERRIDING_FIELDS if (text := choice.texts.get(spec.path, "").strip())}
    gone = {path: DEFAULTS[path] for path in (*replaced(choice), "prune.levels")}
    return {**below, **gone, **own}


def _sensible(recipe: Texts) -> dict[str, str]:
    """The texts of a recipe, those of fields that make no sense beside the others as they are by themselves."""
    return {spec.path: DEFAULTS[spec.path] if unmet(spec, recipe) else recipe[spec.path] for spec in RECIPE_FIELDS}


def _whole_name(texts: Texts, path: str) -> str:
    """A base field's text; of an image folder the name with its path."""
    return texts[path] + (texts[_FOLDER] if path == BASE + "data.name" and texts[path] == FOLDER else "")


def _placed(arm: int | None, problem: Problem, field: str, specs: Specs, texts: Texts, prefix: str) -> Found:
    """The problem beside its field, or beside the one for which that is hidden."""
    path = field
    while path and path not in specs:
        path = path.rpartition(".")[0]
    if not path:
        return Found(arm, "", f"{field}: allowed: {problem.allowed}")
    words = f"allowed: {problem.allowed}"
    if hider := unmet(specs[path], texts):
        return Found(arm, prefix + hider, f"{specs[path].label}: {words}")
    return Found(arm, path, words if path == field else f"{problem.found}; {words}")


def _put(tables: dict[str, Any], path: str, spec: FieldSpec, text: str, *, optional: bool) -> None:
    value = None if optional and not text.strip() else value_of(spec, text)
    if value is None:
        _take(tables, path)
    else:
        _set(tables, path, value)


def _set(tables: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = path.split(".")
    for step in steps:
        tables = tables.setdefault(step, {})
    tables[last] = value


def _take(tables: dict[str, Any], path: str) -> None:
    """Leave the field out, and the tables that it leaves empty."""
    step, _, rest = path.partition(".")
    if not rest:
        tables.pop(step, None)
    elif step in tables and _has(tables[step], rest):
        _take(tables[step], rest)
        if not tables[step]:
            del tables[step]


def _has(tables: Mapping[str, Any], path: str) -> bool:
    step, _, rest = path.partition(".")
    return step in tables and (not rest or _has(tables[step], rest))


def _at(tables: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None where there is none."""
    step, _, rest = path.partition(".")
    found = tables.get(step)
    return _at(found, rest) if rest and found is not None else found


DEFAULTS = recipe_texts(Recipe())
