"""The compiled training of N lanes: the one hot place.

A lane is one network being trained. Lanes spread over devices first (CPU cores count as devices), then
over vmap; all that differs between them is a value, so that one compilation serves them all.
"""

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
