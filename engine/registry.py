"""Registries of everything that a study can name: networks, criteria, treatments, arm kinds, data sets, measures.

An *entry* is a name, one line of help and an object. The object's keyword-only parameters with defaults are the
parameters that a study can set. Built-in entries are registered when a registry is first read; plug-ins register
theirs with the same decorators.
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
"""The types of an entry's parameters."""
_VALUES = (bool, int, float, str, tuple)
BUILT_IN = "built in"


@dataclass(frozen=True)
class Origin:
    """The source of entries: `name` is "built in" or a plug-in's file or package; `digest` is the SHA-256 of its
    source, empty for built-in entries."""

    name: str = BUILT_IN
    digest: str = ""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered object.

    `parameters`: defaults of the parameters that a study can set. `source`: the publication and its section, or
    empty. `facts`: further attributes of this kind of entry, such as the unit of a measure.
    """

    kind: str
    name: str
    help: str
    value: T
    parameters: Mapping[str, Value] = field(default_factory=dict)
    source: str = ""
    origin: Origin = Origin()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """All parameters with their values, those `given` and else the defaults, each of the type of its default.

        Raises KeyError for a parameter that the entry does not have.
        """
        types = {name: type(default) for name, default in self.parameters.items()}
        return {**self.parameters, **{name: types[name](value) for name, value in given.items()}}

    @property
    def key(self) -> str:
        """The digest of the plug-in's source, which is part of content keys."""
        return self.origin.digest


_origin = Origin()


@contextmanager
def registering(origin: Origin) -> Iterator[None]:
    """Attribute entries that are registered in the block to `origin`."""
    global _origin
    before, _origin = _origin, origin
    try:
        yield
    finally:
        _origin = before


class Registry(Generic[T]):
    """The entries of one kind, by name.

    The first read imports the modules of `package`, which register the built-in entries. `helpers` are modules that
    register nothing and are not imported.
    """

    def __init__(self, kind: str, package: str, helpers: tuple[str, ...] = ()):
        self.kind, self._package, self._helpers = kind, package, helpers
        self._entries: dict[str, Entry[T]] = {}
        self._loaded = self._loading = False
        self._lock = threading.RLock()

    def __call__(self, name: str, help: str, *, source: str = "", **facts: Any) -> Callable[[T], T]:
        """Decorator: register an object under `name`. Raises BadInput if the name is taken."""

        def register(value: T) -> T:
            self.add(name, help, value, source=source, **facts)
            return value

        return register

    def add(self, name: str, help: str, value: T, *, source: str = "", **facts: Any) -> None:
        """Register `value`. Raises BadInput if the name is taken."""
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
        """Return the object of that name. Raises KeyError."""
        return self.entry(name).value

    def entry(self, name: str) -> Entry[T]:
        """Return the entry of that name. Raises KeyError."""
        self.load()
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """Return all names in the order of registration, built-in ones first."""
        self.load()
        return tuple(sorted(self._entries, key=lambda name: self._entries[name].origin.name != BUILT_IN))

    def entries(self) -> tuple[Entry[T], ...]:
        """Return all entries in the order of `names`."""
        return tuple(self._entries[name] for name in self.names())

    def forget(self, origin: Origin) -> None:
        """Remove all entries of `origin`."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.origin != origin}

    def checked_name(self, name: str) -> str:
        """Return `name` if it is registered. Raises ValueError that lists the names and suggests the nearest one."""
        if name in self:
            return name
        near = difflib.get_close_matches(name, self.names(), 1)
        raise ValueError(", ".join(self.names()) + (f"; did you mean {near[0]}?" if near else ""))

    def load(self) -> None:
        """Register the built-in entries on the first call. Other threads wait."""
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
    """Return the origin of an entry registered outside a plug-in: the engine, or the calling script's file.

    Raises BadInput in a notebook, where no file can be hashed.
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
    """Return the keyword-only parameters of a callable that have defaults."""
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
