"""The data sets there are, and the way from a name to arrays."""

import os
import shutil
from pathlib import Path

from engine.datasets import folder as image_folder
from engine.datasets import kept, originals
from engine.datasets.cifar10 import CIFAR10
from engine.datasets.dataset import Dataset
from engine.datasets.digits import DIGITS
from engine.datasets.fashion_mnist import FASHION_MNIST
from engine.datasets.mnist import MNIST
from engine.datasets.recipe import Entry, Recipe, Report
from engine.errors import BadInput
from engine.paths import data_folder

_RECIPES = {recipe.name: recipe for recipe in (CIFAR10, DIGITS, FASHION_MNIST, MNIST)}


def names() -> tuple[str, ...]:
    """The names in alphabetical order; `load`, `entry` and `prepare` take `folder:PATH` besides."""
    return tuple(sorted(_RECIPES))


def catalogue(home: Path) -> list[Entry]:
    """One entry for each name, then one for each image folder that was prepared; no array is read."""
    return [entry(name, home) for name in names()] + _folders(home)


def entry(name: str, home: Path) -> Entry:
    """What is known of `name`, and whether it is ready below `home`.

    Of an image folder the files are counted and one header is read, prepared or not; `name` becomes absolute.

    **Raises:** BadInput for an unknown name, and for a folder that does not hold images in classes.
    """
    recipe = _recipe(name)
    advice = fingerprint = ""
    try:
        fingerprint = kept.check(_folder(recipe, home), recipe)
    except kept.UnpreparedError:
        advice = f"not prepared; {recipe.way}"
    except kept.OutdatedError:
        advice = f"changed since it was prepared; {recipe.way}"
    except kept.DamagedError as damage:
        advice = _repair(recipe, home, damage)
    if recipe.built_in:
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

    What is at hand on this machine, the digits and image folders, is prepared again where what was kept is
    damaged or older than its source.

    **Raises:** BadInput for an unknown name, for a prepared folder that is damaged, for an image folder that
    cannot be prepared, and, with the advice what to do, for a set that is not prepared and cannot be fetched.
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
        _ensure(recipe, folder, None, _ignore)
        return kept.read(folder, recipe)
    except BadInput:
        if not recipe.built_in:
            raise
        # A home that cannot be written makes a built-in set slower to load, no more.
        arrays = recipe.build(recipe, folder, folder, _ignore)
        return kept.dataset(recipe, arrays, kept.fingerprint(arrays))


def prepare(name: str, home: Path, source: Path | None = None, report: Report | None = None) -> Path:
    """Bring `name` into the form that loads at once, whole or not at all.

    A set that is prepared, every byte of it, is left as it is. Any number of processes may prepare one set.

    **Arguments:** `source`, the folder with the original files, else they are downloaded; `report`, called in
    this thread with the stage and the fraction done, 0 to 1: an exception it raises ends the preparation.
    **Returns:** the prepared folder.
    **Raises:** BadInput for an unknown name, a file of `source` that is missing, cut short or changed, no
    network, a `home` that cannot be written, and an image folder with the file or folder that is not as it
    should be.
    """
    report = report or _ignore
    report("looking at what is there", 0.0)
    recipe = _recipe(name)
    folder = _folder(recipe, home)
    if source is not None and not recipe.originals:
        raise BadInput(f"{name} {'is built in' if recipe.built_in else 'names its files'}: leave out --from")
    if source is not None:
        source = Path(os.path.expanduser(source))  # unlike Path.expanduser it leaves an unknown ~user alone
    _ensure(recipe, folder, source, report)
    report("ready", 1.0)
    return folder


def _ensure(recipe: Recipe, folder: Path, source: Path | None, report: Report) -> None:
    if not kept.sound(folder, recipe):
        if source is not None:
            report("checking the original files", 0.0)
            originals.check_folder(source, recipe)
        try:
            _prepare(recipe, folder, source, report)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from error


def _prepare(recipe: Recipe, folder: Path, source: Path | None, report: Report) -> None:
    with kept.draft(folder) as draft:
        files = draft / "originals"
        files.mkdir()
        done = 0.02
        if source is None and recipe.originals:
            originals.download(recipe, files, _part(report, done, 0.5))
            done = 0.5
        arrays = recipe.build(recipe, draft, source or files, _part(report, done, 0.95))
        report("keeping the arrays", 0.95)
        shutil.rmtree(files)
        kept.write(draft, recipe, arrays)
        kept.publish(draft, folder, recipe)


def _recipe(name: str) -> Recipe:
    if name.startswith(image_folder.PREFIX):
        return image_folder.recipe(name)
    if name not in _RECIPES:
        raise BadInput(f"dataset {name!r} is not known; allowed: {', '.join(names())}, {image_folder.PREFIX}PATH")
    return _RECIPES[name]


def _folders(home: Path) -> list[Entry]:
    """Image folders of which something is kept; one that is gone or spoiled is told by its advice."""
    entries = []
    for folder in sorted(data_folder(home).glob(f"{image_folder.SLUG}*")):
        try:
            sheet = kept.read_sheet(folder)
        except (kept.UnpreparedError, kept.DamagedError):
            continue  # no name can be told; whoever uses it has it prepared again
        try:
            entries.append(entry(sheet.name, home))
        except BadInput as error:
            entries.append(_remembered(sheet, str(error)))
    return entries


def _remembered(sheet: kept.Sheet, advice: str) -> Entry:
    (train, *shape), (test,) = sheet.arrays["train_images"].shape, sheet.arrays["test_labels"].shape
    height, width, channels = shape
    return Entry(
        name=sheet.name,
        about=f"images of {sheet.classes} classes",
        image_shape=(height, width, channels),
        train=train,
        validation=image_folder.validation_size(train),
        test=test,
        classes=sheet.classes,
        fingerprint=sheet.fingerprint,
        ready=False,
        advice=advice,
    )


def _folder(recipe: Recipe, home: Path) -> Path:
    return data_folder(home) / (recipe.slug or recipe.name)


def _repair(recipe: Recipe, home: Path, damage: kept.DamagedError) -> str:
    return f"{_folder(recipe, home)} is damaged ({damage}); {recipe.way}"


def _part(report: Report, low: float, high: float) -> Report:
    """`report` for a stage that takes the fractions from `low` to `high`."""
    return lambda stage, done: report(stage, low + (high - low) * done)


def _ignore(stage: str, done: float) -> None:
    pass
