"""How arms do that learn from less data."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.spec import Arm, Study
from engine.views.compare import Point, gains, points, same_level
from engine.views.trials import Quantity, StudyRun


@dataclass(frozen=True)
class Family:
    """Arms that differ in nothing but how much they learn from: their names by percentage of the training examples,
    falling. Where a ticket found on all data is trained on less of it, the ticket itself is one of them."""

    name: str
    arms: Mapping[float, str]


@dataclass(frozen=True)
class BudgetLine:
    """The arms of a family at one P_m, or its dense networks: a point a budget, x in percent of the training examples.

    `gains`: each less the dense network of the same trial and budget; empty for dense networks.
    """

    name: str
    points: tuple[Point, ...]
    gains: tuple[Point, ...] = ()


def families(study: Study) -> tuple[Family, ...]:
    """The families of a study's arms that have two budgets or more."""
    alike: dict[tuple[object, ...], list[Arm]] = {}
    for arm in study.arm:
        if _percent(study, arm) < 100:
            alike.setdefault((*_make(study, arm), study.recipe(arm).data.subset), []).append(arm)
    found: dict[str, Family] = {}
    for (*make, _), limited in alike.items():
        arms = {_percent(study, arm): arm.name for arm in limited}
        for arm in study.arm:  # all data are no draw of either kind
            budget = _percent(study, arm)
            if (budget == 100 and _make(study, arm) == tuple(make)) or _source(study, limited[0]) == arm:
                arms.setdefault(budget, arm.name)
        if len(arms) > 1:
            shared = {arm.name.rstrip("0123456789.-_") for arm in limited}
            name = shared.pop() if len(shared) == 1 else limited[0].kind
            name = limited[0].name if name in found else name
            found[name] = Family(name, dict(sorted(arms.items(), reverse=True)))
    return tuple(found.values())


def _percent(study: Study, arm: Arm) -> float:
    return round(100 * study.recipe(arm).data.fraction, 9)


def _make(study: Study, arm: Arm) -> tuple[object, ...]:
    """How an arm is made, but for the data that it learns from."""
    recipe = study.recipe(arm).model_dump_json(exclude={"data": {"fraction", "subset"}})
    of = _make(study, study.named(arm.of)) if arm.control else ()
    return arm.kind, of, arm.copies, recipe


def _source(study: Study, arm: Arm) -> Arm | None:
    """The arm whose tickets this one trains just as they were trained, but for the data."""
    if arm.kind != "retrain":
        return None
    found = study.named(arm.of)
    return found if _make(study, found)[-1] == _make(study, arm)[-1] else None


def budget_levels(run: StudyRun) -> tuple[float, ...]:
    """P_m, percent, falling, of the pruned rounds that the most of the arms with less data have."""
    limited = {
        arm
        for family in families(run.study)
        for budget, arm in family.arms.items()
        if budget < max(family.arms) and run.has(arm)
    }
    found = sorted((p_m for arm in limited for number, p_m in run.levels(arm).items() if number > 0), reverse=True)
    counts: dict[float, int] = {}
    for p_m in found:
        level = next((level for level in counts if same_level(p_m, level)), p_m)
        counts[level] = counts.get(level, 0) + 1
    return tuple(level for level, count in counts.items() if count == max(counts.values()))


def budget_lines(run: StudyRun, p_m: float, quantity: Quantity) -> tuple[BudgetLine, ...]:
    """Dense networks, then the families of the study at that P_m; families with the same dense networks share them."""
    dense: dict[str, BudgetLine] = {}
    shown: set[tuple[str, ...]] = set()
    lines: list[BudgetLine] = []
    for family in families(run.study):
        arms = {budget: arm for budget, arm in family.arms.items() if run.has(arm)}
        networks = {budget: _dense_keys(run, arm) for budget, arm in arms.items()}
        if not {keys for budget, keys in networks.items() if budget < 100} <= shown:
            name = "dense" if not dense else f"dense, {family.name}"
            dense[name] = BudgetLine(name, _at(run, arms, 100.0, quantity, lifted=False))
        shown |= set(networks.values())
        found = _at(run, arms, p_m, quantity, lifted=False)
        lines.append(BudgetLine(family.name, found, _at(run, arms, p_m, quantity, lifted=True)))
    return (*dense.values(), *lines)


def _dense_keys(run: StudyRun, arm: str) -> tuple[str, ...]:
    return tuple(trial.rounds[0].key for trial in run.view.arm(arm).trials if 0 in trial.rounds)


def _at(run: StudyRun, arms: Mapping[float, str], p_m: float, quantity: Quantity, *, lifted: bool) -> tuple[Point, ...]:
    """By budget, the arm's point at that P_m; `lifted`, less its dense one."""
    found: list[Point] = []
    for budget, arm in arms.items():
        line = gains(run, arm, quantity) if lifted else points(run, arm, quantity)
        here = [point for point in line if same_level(point.x, p_m)]
        found += [Point(budget, it.round, it.mean, it.error, it.low, it.high, it.count) for it in here[:1]]
    return tuple(found)
