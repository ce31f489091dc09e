"""The data sets there are, and the way from a name to arrays."""

import os
import shutil
from pathlib import Path

from engine.datasets import kept, originals
from engine.datasets.dataset import Dataset
from engine.datasets.digits import DIGITS
from engine.datasets.mnist import MNIST
from engine.datasets.recipe import Entry, Recipe, Report
from engine.errors import BadInput
from engine.places import data_folder

_RECIPES = {recipe.name: recipe for recipe in (DIGITS, MNIST)}


def names() -> tuple[str, ...]:
    """Every name that `load` takes, in alphabetical order."""
    return tuple(sorted(_RECIPES))


def catalogue(home: Path) -> list[Entry]:
    """One entry for each name; nothing larger than a small JSON is read."""
    return [entry(name, home) for name in names()]


def entry(name: str, home: Path) -> Entry:
    """What is known of `name`, and whether it is ready below `home`.

    **Raises:** BadInput for an unknown name.
    """
    recipe = _recipe(name)
    advice = fingerprint = ""
    try:
        fingerprint = kept.check(_folder(recipe, home), recipe)
    except kept.UnpreparedError:
        advice = f"not prepared; run: lth-tui data prepare {name}; without a network, {recipe.how}"
    except kept.DamagedError as damage:
        advice = _repair(recipe, home, damage)
    if not recipe.originals:
        advice = ""
    return Entry(
        name=recipe.name,
        about=recipe.about,
        image_shape=recipe.image_shape,
        train=recipe.train,
        validation=recipe.validation_size,
        test=recipe.test,
        classes=recipe.classes,
        fingerprint=fingerprint,
        ready=not advice,
        advice=advice,
    )


def load(name: str, home: Path) -> Dataset:
    """Arrays of `name`, memory-mapped from below `home`, prepared first if need be.

    **Raises:** BadInput for an unknown name, for a prepared folder that is damaged, and, with the advice what
    to do, for a set that is not prepared and cannot be fetched.
    """
    recipe = _recipe(name)
    folder = _folder(recipe, home)
    try:
        return kept.read(folder, recipe)
    except kept.UnpreparedError:
        pass
    except kept.DamagedError as damage:
        if recipe.originals:
            raise BadInput(_repair(recipe, home, damage)) from damage
    try:
        prepare(name, home)
        return kept.read(folder, recipe)
    except BadInput:
        if recipe.originals:
            raise
        # A home that cannot be written makes a built-in set slower to load, no more.
        arrays = recipe.build(folder, folder, _ignore)
        return kept.dataset(recipe, arrays, kept.fingerprint(arrays))


def prepare(name: str, home: Path, source: Path | None = None, report: Report | None = None) -> Path:
    """Bring `name` into the form that loads at once, whole or not at all.

    A set that is prepared, every byte of it, is left as it is. Any number of processes may prepare one set.

    **Arguments:** `source`, the folder with the original files, else they are downloaded; `report`, called in
    this thread with the stage and the fraction done, 0 to 1: an exception it raises ends the preparation.
    **Returns:** the prepared folder.
    **Raises:** BadInput for an unknown name, a file of `source` that is missing, cut short or changed, no
    network, and a `home` that cannot be written.
    """
    recipe = _recipe(name)
    report = report or _ignore
    folder = _folder(recipe, home)
    if source is not None and not recipe.originals:
        raise BadInput(f"{name} is built in and takes no files: leave out --from")
    if source is not None:
        source = Path(os.path.expanduser(source))  # unlike Path.expanduser it leaves an unknown ~user alone
    report("looking at what is there", 0.0)
    if not kept.sound(folder, recipe):
        if source is not None:
            report("checking the original files", 0.0)
            originals.check_folder(source, recipe)
        try:
            _prepare(recipe, folder, source, report)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from error
    report("ready", 1.0)
    return folder


def _prepare(recipe: Recipe, folder: Path, source: Path | None, report: Report) -> None:
    with kept.draft(folder) as draft:
        files = draft / "originals"
        files.mkdir()
        done = 0.02
        if source is None and recipe.originals:
            originals.download(recipe, files, _part(report, done, 0.5))
            done = 0.5
        arrays = recipe.build(draft, source or files, _part(report, done, 0.95))
        report("keeping the arrays", 0.95)
        shutil.rmtree(files)
        kept.write(draft, recipe, arrays)
        kept.publish(draft, folder, recipe)


def _recipe(name: str) -> Recipe:
    if name not in _RECIPES:
        raise BadInput(f"dataset {name!r} is not known; allowed: {', '.join(names())}")
    return _RECIPES[name]


def _folder(recipe: Recipe, home: Path) -> Path:
    return data_folder(home) / recipe.name


def _repair(recipe: Recipe, home: Path, damage: kept.DamagedError) -> str:
    return (
        f"{_folder(recipe, home)} is damaged ({damage}); run: lth-tui data prepare {recipe.name}; "
        f"without a network, {recipe.how}"
    )


def _part(report: Report, low: float, high: float) -> Report:
    """`report` for a stage that takes the fractions from `low` to `high`."""
    return lambda stage, done: report(stage, low + (high - low) * done)


def _ignore(stage: str, done: float) -> None:
    pass
