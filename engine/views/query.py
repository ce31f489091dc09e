"""Filter and sort lists of runs.

A filter is one line, `status:running,paused dataset:mnist acc>0.98 -quick`. Words are found anywhere in a run's names
and note, in any case. `field:value` matches the beginning of a field, with several values by commas and * for anything;
`field>value` compares. A - negates a term, quotes hold words together, and all terms must match.
"""

import operator
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from engine.errors import BadInput
from engine.spec.problems import shown
from engine.store.summary import STATUSES, RunSummary


class _Quantity(NamedTuple):
    of: Callable[[RunSummary, float], float | None]
    kind: str


TEXTS: dict[str, Callable[[RunSummary], tuple[str, ...]]] = {
    "status": lambda run: (run.status,),
    "dataset": lambda run: (run.dataset,),
    "study": lambda run: (run.study,),
    "arm": lambda run: run.arms,
    "name": lambda run: (run.name, run.id),
    "note": lambda run: (run.note,),
    "device": lambda run: (run.device,),
}
"""Text fields."""
QUANTITIES = {
    "acc": _Quantity(lambda run, now: run.best, "share"),
    "dense": _Quantity(lambda run, now: run.dense, "share"),
    "last": _Quantity(lambda run, now: run.last, "share"),
    "rounds": _Quantity(lambda run, now: run.rounds_done, "count"),
    "took": _Quantity(lambda run, now: run.seconds, "time"),
    "age": _Quantity(lambda run, now: max(0.0, now - run.created) if run.created else None, "time"),
}
"""Number fields: functions of a run and the time in seconds since the epoch. None matches no comparison."""

_EXAMPLES = {"share": "0.98 or 98%", "count": "10", "time": "90s, 5m, 1h, 2d or 3w"}
_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_FIELD = re.compile(r"([A-Za-z]+)(:|>=|<=|=|>|<)(.*)", re.DOTALL)
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)(.*)", re.ASCII | re.DOTALL)

Test = Callable[[RunSummary, float], bool]


@dataclass(frozen=True)
class Filter:
    """A parsed filter: a run matches if it passes all tests."""

    tests: tuple[Test, ...] = ()

    def wants(self, run: RunSummary, now: float) -> bool:
        """Return whether a run matches, at a time in seconds since the epoch."""
        return all(test(run, now) for test in self.tests)

    def of(self, runs: Iterable[RunSummary]) -> list[RunSummary]:
        """Return the `runs` that match now."""
        now = time.time()
        return [run for run in runs if self.wants(run, now)]


def parse_filter(text: str) -> Filter:
    """Parse a filter; an empty line matches everything. Raises BadInput that names the invalid word."""
    return Filter(tuple(_test(token) for token in _TOKEN.findall(text)))


def suggestions(text: str, runs: Sequence[RunSummary]) -> str | None:
    """`text` with its last word completed to a field, or to a value that some of `runs` have; None where none fits."""
    token = (_TOKEN.findall(text) or [""])[-1]
    word = token.removeprefix("-")
    if not word or not text.endswith(token):
        return None
    found = _FIELD.fullmatch(word)
    if found is None:
        fields = [f"{name}:" for name in TEXTS] + [f"{name}>" for name in QUANTITIES]
        rest = next((name[len(word) :] for name in fields if name.startswith(word)), "")
    else:
        name, sign, values = found[1], found[2], found[3]
        begun = values.rpartition(",")[2]
        if sign != ":" or name not in ("status", "dataset", "study", "arm") or not begun:
            return None
        known = sorted({value for run in runs for value in TEXTS[name](run)})
        rest = next((value[len(begun) :] for value in known if value.startswith(begun) and " " not in value), "")
    return text + rest if rest else None


def _test(token: str) -> Test:
    body = token.removeprefix("-")
    if not body or (token != body and body.startswith("-")):
        raise BadInput(f"{shown(token)}: what is to be left out is missing; allowed: -word, -status:done, -acc>0.9")
    found = _FIELD.fullmatch(body)
    if found is None:
        test = _word(body)
    else:
        name, sign, value = found[1].lower(), found[2], found[3].replace('"', "")
        if name in TEXTS:
            test = _text(token, name, sign, value)
        elif name in QUANTITIES:
            test = _comparison(token, name, sign, value)
        else:
            fields = ", ".join([f"{name}:" for name in TEXTS] + [f"{name}>" for name in QUANTITIES])
            raise BadInput(f'{shown(token)}: there is no field {shown(found[1])}; allowed: {fields}, or quotes: "a:b"')
    if token == body:
        return test
    return lambda run, now: not test(run, now)


def _word(body: str) -> Test:
    word = body.replace('"', "").casefold()
    return lambda run, now: any(word in text.casefold() for text in (run.id, run.title, run.study, run.note))


def _text(token: str, name: str, sign: str, value: str) -> Test:
    values = [part.casefold() for part in value.split(",") if part]
    known = STATUSES if name == "status" else ()
    told = f"{name}:{known[1]},{known[2]} with {', '.join(known)}" if known else f"{name}:word or {name}:this,that"
    if sign != ":" or not values:
        found = f"{name} is no number" if sign != ":" else "its value is missing"
        raise BadInput(f"{shown(token)}: {found}; allowed: {told}")
    for part in values:
        if known and not any(_begins(item, part) for item in known):
            raise BadInput(f"{shown(token)}: there is no status {shown(part)}; allowed: {', '.join(known)}")
    if name in ("name", "note"):
        values = [f"*{part}" for part in values]
    of = TEXTS[name]
    return lambda run, now: any(_begins(text.casefold(), part) for text in of(run) for part in values)


def _begins(text: str, pattern: str) -> bool:
    """Return whether `text` starts with `pattern`, in which * matches anything."""
    first, *more = pattern.split("*")
    if not text.startswith(first):
        return False
    at = len(first)
    for part in more:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def _comparison(token: str, name: str, sign: str, value: str) -> Test:
    of, kind = QUANTITIES[name]
    number = _number(kind, value)
    if sign == ":" or (sign == "=" and kind != "count") or number is None:
        signs = "> >= < <=" + (" =" if kind == "count" else "")
        raise BadInput(f"{shown(token)}: not understood; allowed: {name} with {signs} and {_EXAMPLES[kind]}")
    compare = _COMPARE[sign]

    def test(run: RunSummary, now: float) -> bool:
        found = of(run, now)
        return found is not None and compare(found, number)

    return test


def _number(kind: str, text: str) -> float | None:
    """Parse a fraction from 0 to 1, a count or a duration."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    if kind == "share":
        number = number / 100 if unit == "%" else number
        return number if unit in ("", "%") and number <= 1 else None
    if kind == "count":
        return number if not unit else None
    return number * _SECONDS[unit] if unit in _SECONDS else None


Key: TypeAlias = Callable[[RunSummary], float | str | None]
ORDERS: dict[str, tuple[Key, bool]] = {
    "when": (lambda run: run.created, True),
    "acc": (lambda run: run.best, True),
    "rounds": (lambda run: run.rounds_done, True),
    "took": (lambda run: run.seconds, True),
    "name": (lambda run: run.name.casefold(), False),
    "data": (lambda run: run.dataset.casefold(), False),
    "status": (lambda run: STATUSES.index(run.status), False),
}
"""Sort keys, and whether the greatest comes first."""


def ordered(runs: Iterable[RunSummary], by: str, *, reverse: bool = False) -> list[RunSummary]:
    """Sort `runs` by one of ORDERS, or reversed, with missing values last and ties newest first."""
    key, falling = ORDERS[by]
    newest = sorted(runs, key=lambda run: (run.created, run.id), reverse=True)
    keyed = [(value, run) for run in newest if (value := key(run)) is not None]
    keyed.sort(key=itemgetter(0), reverse=falling != reverse)
    return [run for _, run in keyed] + [run for run in newest if key(run) is None]
