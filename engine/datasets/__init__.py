"""From the name of a data set to arrays, and how its training examples are divided.

A *source* says where the arrays come from: published files, an image folder, a function. *Preparing* a data set keeps
its arrays below the home, from where they are mapped into memory. A *split* holds out validation examples; a *subset*
is a part of the others. Images are `uint8` `[N, H, W, C]` everywhere; a value is `pixel / 255`.
"""

from engine.datasets.catalogue import catalogue, entry, load, names, prepare
from engine.datasets.source import DatasetStatus
from engine.datasets.split import (
    Dataset,
    Split,
    majority,
    random_subset,
    split,
    statistics,
    stratified_subset,
)

__all__ = [
    "Dataset",
    "DatasetStatus",
    "Split",
    "catalogue",
    "entry",
    "load",
    "majority",
    "names",
    "prepare",
    "random_subset",
    "split",
    "statistics",
    "stratified_subset",
]
