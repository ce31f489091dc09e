"""The compiled training of N lanes: the one hot place.

A lane is one network being trained. Lanes spread over devices first (CPU cores count as devices), then
over vmap; all that differs between them is a value, so that one compilation serves them all.
"""

from engine.lanes.devices import Machine, OutOfMemory, machine, out_of_memory, prepare_jax
from engine.lanes.pack import DataOnDevices, Kept, Lane, LaneEnd, LaneState, Pace, Pack, Reading, train
from engine.lanes.program import Program, batch_order, learning_rates

__all__ = [
    "DataOnDevices",
    "Kept",
    "Lane",
    "LaneEnd",
    "LaneState",
    "Machine",
    "OutOfMemory",
    "Pace",
    "Pack",
    "Program",
    "Reading",
    "batch_order",
    "learning_rates",
    "machine",
    "out_of_memory",
    "prepare_jax",
    "train",
]
