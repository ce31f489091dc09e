"""The experiment: a study becomes a graph of rounds with content keys, so no round is trained twice.

An *arm kind* makes the masks of a round and a *treatment* its start weights, both from other rounds, the *inputs*.
Names are imported on first use, so arm kinds and treatments can be listed without NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.experiment.arms import ArmKind
    from engine.experiment.cost import Forecast, bytes_of, check_room, forecast, rate_name
    from engine.experiment.graph import DatasetInfo, Input, Plan, Round, RoundId, make_plan
    from engine.experiment.sources import RoundSources
    from engine.experiment.treatments import Read, Treatment

__all__ = [
    "ArmKind",
    "DatasetInfo",
    "Forecast",
    "Input",
    "Plan",
    "Read",
    "Round",
    "RoundId",
    "RoundSources",
    "Treatment",
    "bytes_of",
    "check_room",
    "forecast",
    "make_plan",
    "rate_name",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in ("arms", "treatments", "sources", "graph", "cost"):
            found = vars(import_module(f"engine.experiment.{module}"))
            if name in found:
                globals()[name] = found[name]
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
