"""What the data sets share that their authors publish as files: TFDS's description, and a reader of the files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.datasets.recipe import Arrays, Build, Recipe, Report

Reader = Callable[[Recipe, Sequence[Path]], Arrays]
"""Takes the recipe and its originals, in their order; raises BadInput for a file that is not what it should be."""


@dataclass(frozen=True)
class Card:
    """What TFDS keeps beside the records; `version` is that of TFDS's own builder of the same data."""

    version: str
    description: str
    homepage: str
    citation: str


def build_with(card: Card, read: Reader) -> Build:
    """The `build` of a recipe: TFDS checks and keeps the files that `read` turns into arrays."""

    def build(recipe: Recipe, draft: Path, originals: Path, report: Report) -> Arrays:
        # TFDS takes a second to import; only a preparation needs it.
        from engine.datasets import tfds_records

        return tfds_records.build(recipe, card, read, draft / "tfds", originals, report)

    return build
