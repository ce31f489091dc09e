"""A laboratory for the lottery ticket hypothesis, in Python.

    import lth_tui

    lab = lth_tui.open()
    run = lab.run("quickstart", set={"base.prune.rounds": 3})
    run.rounds()                                   # a data frame: arm, trial, round, density, test_accuracy...
    run.masks("ticket", trial=1, round=3)          # {"dense1/kernel": array of bool, ...}

The names below are the public interface; what else the package holds is the command line and the interface in the
terminal. Importing it loads none of that, and JAX is loaded when something is trained.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.errors import BadInput, InvariantViolated, LabError
    from lth_tui.python import Lab, Run, open


def _load_own(*names: str) -> None:
    """Load the packages that are installed beside this one, whatever else has their names on the path."""
    root = str(Path(__file__).resolve().parents[1])
    for name in names:
        if name in sys.modules:
            continue
        spec = PathFinder.find_spec(name, [root])
        if spec is None or spec.loader is None:
            raise ImportError(f"lth_tui: there is no package {name!r} in {root}; install lth-tui again")
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)


_load_own("engine", "screens")

__all__ = ["BadInput", "InvariantViolated", "Lab", "LabError", "Run", "open"]

if not TYPE_CHECKING:
    # The command line imports this package too, and starts without what only Python code needs.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lth_tui import python

        return getattr(python, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
