"""Shape annotations of the engine, checked at every call while the tests run.

The engine imports jaxtyping for type checkers alone: importing it takes half a second. A module whose annotations are
to be checked starts with `from __future__ import annotations` and is named in `CHECKED`.
"""

import importlib
import inspect
import sys
import typing

import jaxtyping
from beartype import beartype

CHECKED = (
    "engine.datasets.splits",
    "engine.pruning.masks",
    "engine.pruning.invariants",
    "engine.analysis.ranks",
    "engine.training.program",
)
"""Modules whose functions are checked, and the methods of their classes."""


def check_shapes() -> None:
    """Replace every annotated function of `CHECKED`, wherever it was imported, by one that checks its arrays."""
    for name in CHECKED:
        module = importlib.import_module(name) and sys.modules[name]
        for function in list(vars(module).values()):
            if inspect.isfunction(function) and function.__module__ == name:
                _replace(function, _checked(function))
            elif inspect.isclass(function) and function.__module__ == name:
                _check_methods(function)


def _check_methods(kind: type) -> None:
    """The same for the methods that a class defines; those that Python writes for it have no annotations of arrays."""
    for name, value in list(vars(kind).items()):
        if not name.startswith("__") and inspect.isfunction(value):
            setattr(kind, name, _checked(value))
        elif not name.startswith("__") and isinstance(value, classmethod):
            setattr(kind, name, classmethod(_checked(value.__func__)))


def _checked(function):
    # A function's own globals come first: names such as NDArray.
    names = {**vars(jaxtyping), **function.__globals__}
    try:
        function.__annotations__ = typing.get_type_hints(function, names, include_extras=True)
    except NameError:  # of a library that takes long to load, such as optax
        return function
    return jaxtyping.jaxtyped(function, typechecker=beartype)


def _replace(function, checked) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] == "engine":
            for name, value in list(vars(module).items()):
                if value is function:
                    setattr(module, name, checked)
