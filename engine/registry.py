"""Registries: everything that a study may name, one entry an idea.

An entry is a name, one line of help, and an object; its keyword-only parameters with defaults are the parameters that a
study may set. Built-in entries register themselves when a registry is first read; a plug-in registers its own with the
same decorators.
"""

import difflib
import hashlib
import importlib
import inspect
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from engine.errors import BadInput

T = TypeVar("T")
Value = bool | int | float | str | tuple[Any, ...]
"""What a parameter of an entry may be."""
_VALUES = (bool, int, float, str, tuple)
BUILT_IN = "built in"


@dataclass(frozen=True)
class Origin:
    """Where entries come from: `name`, "built in" or a plug-in's file or package, and the SHA-256 of its source, empty
    for what is built in."""

    name: str = BUILT_IN
    digest: str = ""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered object.

    `parameters`: what a study may set, by name, with defaults. `source`: the publication and its section, may be empty.
    `facts`: what else a kind of entry says about itself, such as the unit of a measure.
    """

    kind: str
    name: str
    help: str
    value: T
    parameters: Mapping[str, Value] = field(default_factory=dict)
    source: str = ""
    origin: Origin = Origin()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What a content key holds beside the name and the parameters: the digest of a plug-in's source."""
        return self.origin.digest


_origin = Origin()


@contextmanager
def registering(origin: Origin) -> Iterator[None]:
    """Entries that are registered inside the block come from `origin`."""
    global _origin
    before, _origin = _origin, origin
    try:
        yield
    finally:
        _origin = before


class Registry(Generic[T]):
    """The entries of one kind, by name.

    Modules of `package` register the built-in ones when the registry is first read, except `helpers`, which register
    nothing and may import what is slow to load.
    """

    def __init__(self, kind: str, package: str, helpers: tuple[str, ...] = ()):
        self.kind, self._package, self._helpers = kind, package, helpers
        self._entries: dict[str, Entry[T]] = {}
        self._loaded = self._loading = False
        self._lock = threading.RLock()

    def __call__(self, name: str, help: str, *, source: str = "", **facts: Any) -> Callable[[T], T]:
        """Decorator: register an object under `name`. Raises BadInput where the name is taken."""

        def register(value: T) -> T:
            self.add(name, help, value, source=source, **facts)
            return value

        return register

    def add(self, name: str, help: str, value: T, *, source: str = "", **facts: Any) -> None:
        """Register `value`. Raises BadInput where the name is taken."""
        origin = _origin if _origin.name != BUILT_IN else _caller(f"{self.kind} {name!r}")
        if origin.name != BUILT_IN:
            self.load()
        taken = self._entries.get(name)
        again = _origin.name == BUILT_IN != origin.name  # a script that is imported or executed again
        if taken is not None and not (again and taken.origin.name == origin.name):
            raise BadInput(f"{self.kind} {name!r} exists already, {_words(taken.origin)}; allowed: another name")
        parameters = _parameters(value)
        self._entries[name] = Entry(self.kind, name, help, value, parameters, source, origin, facts)

    def __getitem__(self, name: str) -> T:
        """The object of that name. Raises KeyError."""
        return self.entry(name).value

    def entry(self, name: str) -> Entry[T]:
        """The entry of that name. Raises KeyError."""
        self.load()
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first, in the order of registration."""
        self.load()
        return tuple(sorted(self._entries, key=lambda name: self._entries[name].origin.name != BUILT_IN))

    def entries(self) -> tuple[Entry[T], ...]:
        """All entries in the order of `names`."""
        return tuple(self._entries[name] for name in self.names())

    def forget(self, origin: Origin) -> None:
        """Remove all entries of `origin`."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.origin != origin}

    def checked_name(self, name: str) -> str:
        """`name`, if it is registered. Raises ValueError with what is allowed, the nearest name last."""
        if name in self:
            return name
        near = difflib.get_close_matches(name, self.names(), 1)
        raise ValueError(", ".join(self.names()) + (f"; did you mean {near[0]}?" if near else ""))

    def load(self) -> None:
        """Register the built-in entries, if that is not done. Other threads wait until it is."""
        if self._loaded:
            return
        with self._lock:
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                with registering(Origin()):
                    self._import()
                self._loaded = True
            finally:
                self._loading = False

    def _import(self) -> None:
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            if module.name not in self._helpers:
                importlib.import_module(f"{self._package}.{module.name}")


def _caller(entry: str) -> Origin:
    """The origin of an entry that no plug-in registers: the engine, or the file of the script that registers it.

    Raises BadInput in a notebook, where no digest covers what an entry calls.
    """
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") == __name__ and frame.f_back is not None:
        frame = frame.f_back
    module, file = str(frame.f_globals.get("__name__")), frame.f_globals.get("__file__")
    if module.partition(".")[0] == "engine":
        return Origin()
    if file is None:
        raise BadInput(f"{entry}: registered outside of a file; allowed: a file, as in lth_tui.open(plugins=[FILE])")
    path = Path(file).absolute()
    return Origin(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def _words(origin: Origin) -> str:
    return BUILT_IN if origin.name == BUILT_IN else f"from {origin.name}"


def _parameters(value: object) -> dict[str, Value]:
    """The keyword-only parameters with defaults of a function, or the fields with defaults of a class."""
    if not callable(value):
        return {}
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return {}
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and isinstance(parameter.default, _VALUES)
    }


network: Registry[Any] = Registry("network", "engine.networks", helpers=("ops", "blocks"))
criterion: Registry[Any] = Registry("criterion", "engine.pruning.criteria")
treatment: Registry[Any] = Registry("treatment", "engine.experiment.treatments")
arm: Registry[Any] = Registry("arm", "engine.experiment.arms")
dataset: Registry[Any] = Registry(
    "dataset", "engine.datasets", helpers=("folder", "functions", "loading", "prepared", "splits")
)
measure: Registry[Any] = Registry("measure", "engine.analysis.measures")
optimizer: Registry[Any] = Registry("optimizer", "engine.training.optimizers")
schedule: Registry[Any] = Registry("schedule", "engine.training.schedules")

REGISTRIES: tuple[Registry[Any], ...] = (network, criterion, treatment, arm, dataset, measure, optimizer, schedule)
