"""From the name of a data set to its arrays."""

import os
import shutil
from pathlib import Path

import numpy as np

from engine import registry
from engine.datasets import folder as image_folder
from engine.datasets import prepared
from engine.datasets.functions import function_source
from engine.datasets.source import Contents, DatasetStatus, Report, Source, validation_size
from engine.datasets.splits import Dataset
from engine.errors import BadInput
from engine.paths import data_folder


def names() -> tuple[str, ...]:
    """Return the registered names in alphabetical order; `load`, `entry` and `prepare` take `folder:PATH` too."""
    return tuple(sorted(registry.dataset.names()))


def catalogue(home: Path) -> list[DatasetStatus]:
    """Describe each registered data set, then each image folder that was prepared; no array is read."""
    return [_entry_or_problem(name, home) for name in names()] + _folders(home)


def entry(name: str, home: Path) -> DatasetStatus:
    """Describe `name`, and say whether it is ready below `home`.

    No array is read. Of an image folder the files are counted and one header is read, and `name` becomes absolute. A
    plug-in's function is called, and its arrays kept, where they are not yet.

    **Raises:** BadInput for an unknown name, for a folder that does not hold images in classes, and for a function that
    does not return a data set.
    """
    source = _source(name, home)
    advice = fingerprint = ""
    notes = source.notes
    try:
        kept = prepared.check(_folder(source, home), source)
        fingerprint, notes = kept.fingerprint, notes + kept.notes
    except prepared.NotPrepared:
        advice = f"not prepared; {source.command}"
    except prepared.Outdated:
        advice = f"changed since it was prepared; {source.command}"
    except prepared.Damaged as damage:
        advice = _repair(source, home, damage)
    if source.built_in:
        advice = ""
    return DatasetStatus(
        name=source.name,
        about=source.about,
        image_shape=source.image_shape,
        train=source.train,
        validation=source.validation_size,
        test=source.test,
        classes=source.classes,
        fingerprint=fingerprint,
        ready=not advice,
        advice=advice,
        notes=notes,
    )


def contents(name: str, home: Path) -> Contents:
    """Count the examples of each class of `name`, which is prepared where it is not. **Raises:** BadInput as `load`."""
    found, source = load(name, home), _source(name, home)
    held = found.validation_size if found.fixed_validation else 0
    parts = {
        "training": found.train_labels[: len(found.train_labels) - held],
        **({"validation": found.train_labels[-held:]} if held else {}),
        "test": found.test_labels,
    }
    return Contents(
        name=source.name,
        classes=source.class_names or tuple(map(str, range(found.classes))),
        parts={part: tuple(np.bincount(labels, minlength=found.classes).tolist()) for part, labels in parts.items()},
        notes=entry(name, home).notes,
    )


def load(name: str, home: Path) -> Dataset:
    """Map the arrays of `name` into memory from below `home`, and prepare them first where needed.

    Data sets that need no download are prepared again where what is kept is damaged or older than its source.

    **Raises:** BadInput for an unknown name, for a downloaded data set that is damaged, for an image folder that cannot
    be prepared, and, with advice, for a data set that is not prepared and cannot be downloaded.
    """
    source = _source(name, home)
    folder = _folder(source, home)
    try:
        return prepared.read(folder, source)
    except prepared.NotPrepared:
        pass
    except prepared.Damaged as damage:
        if source.originals:
            raise BadInput(_repair(source, home, damage)) from damage
    try:
        _ensure(source, folder, None, _ignore)
        return prepared.read(folder, source)
    except BadInput:
        if not source.built_in:
            raise
        # Without a writable home a built-in data set is only slower to load.
        arrays = source.build(source, folder, folder, _ignore)
        return prepared.dataset(source, arrays, prepared.fingerprint_of(source, arrays))


def damage(name: str, home: Path) -> str:
    """Read all that is kept of `name` and return what is wrong with it, with advice; '' where it is sound or where
    nothing is kept. **Raises:** BadInput as `entry` does."""
    source = _source(name, home)
    folder = _folder(source, home)
    try:
        prepared.read(folder, source)
    except (prepared.NotPrepared, prepared.Outdated):
        pass
    except prepared.Damaged as found:
        return _repair(source, home, found)
    return ""


def prepare(name: str, home: Path, originals: Path | None = None, report: Report | None = None) -> Path:
    """Prepare `name` such that it loads at once, completely or not at all.

    A data set that is prepared and sound is left as it is. Any number of processes may prepare the same one.

    **Arguments:** `originals`, the folder with the published files, else they are downloaded; `report`, called in this
    thread with the stage and the fraction done, 0 to 1: an exception that it raises ends the preparation.
    **Returns:** the prepared folder.
    **Raises:** BadInput for an unknown name, an original that is missing, cut short or changed, no network, a `home`
    that cannot be written, and an image folder, with the file or folder that is at fault.
    """
    report = report or _ignore
    report("checking what is prepared", 0.0)
    source = _source(name, home)
    folder = _folder(source, home)
    if originals is not None and not source.originals:
        raise BadInput(f"{name} {'is built in' if source.built_in else 'has no published files'}: leave out --from")
    if originals is not None:
        originals = Path(os.path.expanduser(originals))  # unlike Path.expanduser it leaves an unknown ~user alone
    _ensure(source, folder, originals, report)
    report("ready", 1.0)
    return folder


def _ensure(source: Source, folder: Path, originals: Path | None, report: Report) -> None:
    if not prepared.sound(folder, source):
        if originals is not None:
            report("checking the original files", 0.0)
            prepared.check_folder(originals, source)
        try:
            _prepare(source, folder, originals, report)
        except OSError as error:
            raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from error


def _prepare(source: Source, folder: Path, originals: Path | None, report: Report) -> None:
    with prepared.draft(folder) as draft:
        files = draft / "originals"
        files.mkdir()
        done = 0.02
        if originals is None and source.originals:
            prepared.download(source, files, _part(report, done, 0.5))
            done = 0.5
        arrays = source.build(source, draft, originals or files, _part(report, done, 0.95))
        report("writing the arrays", 0.95)
        shutil.rmtree(files)
        prepared.write(draft, source, arrays)
        prepared.publish(draft, folder, source)


def _source(name: str, home: Path) -> Source:
    if name.startswith(image_folder.NAME_PREFIX):
        return image_folder.folder_source(name)
    if name not in registry.dataset:
        allowed = f"{', '.join(names())}, {image_folder.NAME_PREFIX}PATH"
        raise BadInput(f"dataset {name!r} does not exist; allowed: {allowed}")
    found = registry.dataset.entry(name)
    if isinstance(found.value, Source):
        return found.value
    source = function_source(found, data_folder(home))
    folder = _folder(source, home)
    try:
        prepared.check(folder, source)
    except (prepared.NotPrepared, prepared.Damaged):
        _ensure(source, folder, None, _ignore)
    return source


def _entry_or_problem(name: str, home: Path) -> DatasetStatus:
    try:
        return entry(name, home)
    except BadInput as error:
        return DatasetStatus(name, registry.dataset.entry(name).help, (0, 0, 0), 0, 0, 0, 0, "", False, str(error))


def _folders(home: Path) -> list[DatasetStatus]:
    """Describe the image folders that were prepared; the advice says so where one is gone or unusable."""
    found = []
    for folder in sorted(data_folder(home).glob(f"{image_folder.KEPT_PREFIX}*")):
        try:
            manifest = prepared.read_manifest(folder)
        except (prepared.NotPrepared, prepared.Damaged):
            continue  # its name is unknown; it is prepared again when it is next used
        try:
            found.append(entry(manifest.name, home))
        except BadInput as error:
            found.append(_from_manifest(manifest, str(error)))
    return found


def _from_manifest(manifest: prepared.Manifest, advice: str) -> DatasetStatus:
    train, height, width, channels = manifest.arrays["train_images"].shape
    (test,) = manifest.arrays["test_labels"].shape
    return DatasetStatus(
        name=manifest.name,
        about=f"images of {manifest.classes} classes",
        image_shape=(height, width, channels),
        train=train,
        validation=validation_size(train),
        test=test,
        classes=manifest.classes,
        fingerprint=manifest.fingerprint,
        ready=False,
        advice=advice,
    )


def _folder(source: Source, home: Path) -> Path:
    return data_folder(home) / (source.folder or source.name)


def _repair(source: Source, home: Path, damage: prepared.Damaged) -> str:
    return f"{_folder(source, home)} is damaged ({damage}); {source.command}"


def _part(report: Report, low: float, high: float) -> Report:
    """Return `report` for a stage that takes the fractions from `low` to `high`."""
    return lambda stage, done: report(stage, low + (high - low) * done)


def _ignore(stage: str, done: float) -> None:
    pass
