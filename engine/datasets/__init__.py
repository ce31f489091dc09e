"""Data sets: from a name to arrays, and the splits of the training examples.

A *source* says where the arrays come from: published files, an image folder, a function. *Preparing* a data set keeps
its arrays below the home, from where they are mapped into memory. A *split* holds out validation examples; a *subset*
is a part of the others. Images are `uint8` `[N, H, W, C]` everywhere; a value is `pixel / 255`.

Names are imported on first use, so data sets can be listed without NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.datasets.loading import catalogue, contents, damage, entry, load, names, prepare
    from engine.datasets.source import Contents, DatasetStatus
    from engine.datasets.splits import (
        Dataset,
        Split,
        majority,
        random_subset,
        split,
        statistics,
        stratified_subset,
    )

__all__ = [
    "Contents",
    "Dataset",
    "DatasetStatus",
    "Split",
    "catalogue",
    "contents",
    "damage",
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

_LOADING = ("catalogue", "contents", "damage", "entry", "load", "names", "prepare")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = "loading" if name in _LOADING else "source" if name in ("Contents", "DatasetStatus") else "splits"
        return getattr(import_module(f"{__name__}.{module}"), name)
