"""Named data to arrays: what there is, how it is prepared, and how its training part is divided.

Images are `uint8` `[N, H, W, C]` in every set, so that one rule holds for all: a value is `pixel / 255`.
"""

from engine.datasets.catalogue import catalogue, entry, load, names, prepare
from engine.datasets.dataset import Dataset, Split, split, statistics
from engine.datasets.recipe import Entry
from engine.datasets.subsets import random_subset, stratified_subset

__all__ = [
    "Dataset",
    "Entry",
    "Split",
    "catalogue",
    "entry",
    "load",
    "names",
    "prepare",
    "random_subset",
    "split",
    "statistics",
    "stratified_subset",
]
