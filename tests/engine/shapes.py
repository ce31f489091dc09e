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

CHECKED = ("engine.datasets.splits",)
"""Modules whose functions are checked."""


def check_shapes() -> None:
    """Replace every annotated function of `CHECKED`, wherever it was imported, by one that checks its arrays."""
    for name in CHECKED:
        module = importlib.import_module(name) and sys.modules[name]
        for function in list(vars(module).values()):
            if inspect.isfunction(function) and function.__module__ == name:
                _replace(function, _checked(function))


def _checked(function):
    # A function's own globals come first: names such as NDArray.
    names = {**vars(jaxtyping), **function.__globals__}
    function.__annotations__ = typing.get_type_hints(function, names, include_extras=True)
    return jaxtyping.jaxtyped(function, typechecker=beartype)


def _replace(function, checked) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] == "engine":
            for name, value in list(vars(module).items()):
                if value is function:
                    setattr(module, name, checked)
