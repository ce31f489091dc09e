"""Compiled training of lanes.

A *lane* is one network in training: weights, masks, order of examples, learning rates, seed. Lanes spread over devices
first (each CPU core is a device), then over vmap. Lanes differ only in values, so they share one compilation of a
*program* (network, optimizer, batch size, shapes). A *batch of lanes* trains through a round together, in *calls* of
many steps.

JAX is imported when a name of this package is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.training.devices import Machine, OutOfMemory, machine, out_of_memory, prepare_jax
    from engine.training.lanes import (
        DataOnDevices,
        DeviceSnapshot,
        Evaluation,
        Lane,
        LaneBatch,
        LaneResult,
        LaneState,
        StepTimer,
        train,
    )
    from engine.training.program import Program, batch_order, learning_rates

_MODULES = {
    "devices": ("Machine", "OutOfMemory", "machine", "out_of_memory", "prepare_jax"),
    "lanes": (
        "DataOnDevices",
        "DeviceSnapshot",
        "Evaluation",
        "Lane",
        "LaneBatch",
        "LaneResult",
        "LaneState",
        "StepTimer",
        "train",
    ),
    "program": ("Program", "batch_order", "learning_rates"),
}

__all__ = [
    "DataOnDevices",
    "DeviceSnapshot",
    "Evaluation",
    "Lane",
    "LaneBatch",
    "LaneResult",
    "LaneState",
    "Machine",
    "OutOfMemory",
    "Program",
    "StepTimer",
    "batch_order",
    "learning_rates",
    "machine",
    "out_of_memory",
    "prepare_jax",
    "train",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
