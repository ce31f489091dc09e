"""An image folder as a data set: `folder:PATH`, with `train/<class>/*.png` and so on below PATH.

Everything that is left out, converted or guessed is counted and described: the source's `notes`, and `NOTES` of the
preparation.

Pillow is imported when the first image is opened.
"""

import hashlib
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.datasets.source import NOTES, Arrays, Report, Source, validation_size
from engine.errors import BadInput
from engine.rng import TEST_STREAM, permutation

if TYPE_CHECKING:
    from PIL.Image import Transpose
    from PIL.ImageFile import ImageFile

NAME_PREFIX = "folder:"
KEPT_PREFIX = "folder-"
_WANTED = "expected train/<class>/ with .png, .jpg or .jpeg files, and val/<class>/ and test/<class>/ or none of them"
_PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
# Names that a line lists at the most.
_LISTED = 5
# Without test/, one image in so many is held out, by a draw with this seed.
_TEST_SHARE = 6
_TEST_SEED = 0
SUFFIXES = (".png", ".jpg", ".jpeg")
_CHANNELS = {"L": 1, "RGB": 3}
_REPORT_EVERY = 250
# Pillow reads a chunk of a file at once, however long the chunk claims to be.
_MOST_BYTES = 300_000_000
# Values of an image; a network has hundreds of weights for each.
_MOST_VALUES = 1_000_000
# Headers that are read to decide which of two files differs from the others.
_SAMPLE = 200


def folder_source(name: str) -> Source:
    """Describe the folder that `name` names: the names and sizes of its files are read, and one image header.

    The classes are the folders below `train/`, by name, the same below `test/` and `val/`, which is also called
    `valid/` or `validation/`. Without `test/`, one image in six of each class, to the nearest and at least one, becomes
    the test set: a draw that depends on the sorted file names only. Without `val/`, the study draws the validation
    examples. Hidden files, files of other kinds and other folders beside `train/` are left out, and `notes` says so.

    **Raises:** BadInput for a folder of another layout, naming the place.
    """
    path = _absolute(name)
    found = _survey(path)
    form = image_form(found.train[0].path)
    return Source(
        name=NAME_PREFIX + path,
        about=f"images of {len(found.classes)} classes in {shown(path)}",
        image_shape=form.shape,
        train=len(found.train) + len(found.validation),
        test=len(found.test),
        classes=len(found.classes),
        validation_size=len(found.validation) or validation_size(len(found.train)),
        fixed_validation=bool(found.validation),
        build=partial(_build, found),
        state=found.state,
        folder=_folder_name(path),
        class_names=tuple(map(shown, found.classes)),
        notes=found.notes,
    )


class _Example(NamedTuple):
    path: str
    label: int


class _Survey(NamedTuple):
    """`state` holds the number of files, their bytes and the newest time of change, also that of their folders.

    `notes` describes what was left out and guessed, a line each.
    """

    train: list[_Example]
    validation: list[_Example]
    test: list[_Example]
    classes: list[str]
    state: str
    notes: tuple[str, ...]


class _Class(NamedTuple):
    name: str
    files: list[str]
    bytes: int
    newest: int


def _build(found: _Survey, source: Source, draft: Path, originals: Path, report: Report) -> Arrays:
    examples = found.train + found.validation + found.test
    images, notes = read_images([example.path for example in examples], report)
    if images.shape[1:] != source.image_shape:
        raise BadInput(f"{source.name}: the images changed while they were read; try again")
    labels = np.array([example.label for example in examples], np.int32)
    (draft / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")
    return Arrays(images[: source.train], labels[: source.train], images[source.train :], labels[source.train :])


def _absolute(name: str) -> str:
    given = name.removeprefix(NAME_PREFIX)
    if not given:
        raise BadInput(f"dataset {name!r} names no folder: write {NAME_PREFIX}PATH; {_WANTED}")
    path = os.path.abspath(os.path.expanduser(given))
    if not path.isprintable():
        raise BadInput(f"{shown(path)}: a name with unprintable characters; give the folder another")
    return path


def _folder_name(path: str) -> str:
    """Return a name for the prepared folder that is valid anywhere, readable, and unique to the path."""
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", os.path.basename(path)).strip("-")[:40]
    return f"{KEPT_PREFIX}{readable or 'images'}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _survey(path: str) -> _Survey:
    parts: dict[str, str] = {}
    beside = []
    for item in listing(path, _WANTED):
        part = _PARTS.get(item.name)
        if part is None:
            beside.append(item.name + ("/" if item.is_dir() else ""))
        elif part in parts:
            raise BadInput(f"{shown(path)}: {parts[part]}/ and {item.name}/ in it; allowed: one {part} part")
        else:
            parts[part] = item.name
    if "train" not in parts:
        raise BadInput(f"{shown(path)}: no train/ in it; {_WANTED}")
    left_out = {name: Counter[str]() for name in parts.values()}
    found = {part: list(_classes(os.path.join(path, name), left_out[name])) for part, name in parts.items()}
    train = found["train"]
    names = [item.name for item in train]
    if len(names) < 2:
        raise BadInput(f"{shown(os.path.join(path, 'train'))}: {len(names)} class folders, at least 2 are needed")
    for part, classes in found.items():
        if [item.name for item in classes] != names:
            odd = sorted({item.name for item in classes} ^ set(names))[0]
            where, other = ("train", parts[part]) if odd in names else (parts[part], "train")
            raise BadInput(
                f"{shown(os.path.join(path, where, odd))}: no such class in {other}/; the classes must be equal"
            )
    whole = [item for classes in found.values() for item in classes]
    counted = f"{sum(len(item.files) for item in whole)} files, {sum(item.bytes for item in whole)} bytes"
    newest = max(_facts(path).st_mtime_ns, *(item.newest for item in whole))
    notes = [f"left out beside train/: {_named(beside)}"] if beside else []
    for name, reasons in left_out.items():
        if reasons:
            notes.append(f"left out in {name}/: {', '.join(f'{count} {why}' for why, count in reasons.items())}")
    validation = _examples(found.get("validation", []))
    if "test" in found:
        examples, test = _examples(train), _examples(found["test"])
    else:
        examples, test = _divided(train)
        notes.append(
            f"there is no test/: {len(test)} images of train/, one in {_TEST_SHARE} of each class, are the test set"
        )
    if not validation:
        drawn = f"{validation_size(len(examples))} training images, drawn by data.seed"
        notes.append(f"there is no val/: {drawn}, are the validation set")
    return _Survey(examples, validation, test, names, f"{counted}, newest {newest} ns", tuple(notes))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(shown, names[:_LISTED])) + more


def _classes(part: str, left_out: Counter[str]) -> Iterator[_Class]:
    """The class folders of `train/` or another part, by name; files that are no images are counted in `left_out`, by
    their kind. **Raises:** BadInput."""
    empty = True
    found, changed = listing(part, _WANTED), _facts(part).st_mtime_ns
    for item in found:
        if item.name.startswith("."):
            left_out["hidden"] += 1
        elif item.is_dir():
            empty = False
            yield _class(item, changed, left_out)
        elif _is_image(item.name):
            raise BadInput(f"{shown(item.path)}: an image outside of a class folder; {_WANTED}")
        else:
            left_out[_kind(item.name)] += 1
    if empty:
        raise BadInput(f"{shown(part)}: no class folder in it; {_WANTED}")


def _class(folder: os.DirEntry[str], changed: int, left_out: Counter[str]) -> _Class:
    files, size, newest = [], 0, max(changed, _facts(folder).st_mtime_ns)
    for item in listing(folder.path, _WANTED):
        if item.name.startswith("."):
            left_out["hidden"] += 1
            continue
        facts = _facts(item)
        if stat.S_ISDIR(facts.st_mode):
            raise BadInput(f"{shown(item.path)}: a folder among the images; {_WANTED}")
        if not _is_image(item.name):
            left_out[_kind(item.name)] += 1
            continue
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{shown(item.path)}: not a file; {_WANTED}")
        files.append(item.path)
        size += facts.st_size
        newest = max(newest, facts.st_mtime_ns)
    if not files:
        raise BadInput(f"{shown(folder.path)}: no image in it; {_WANTED}")
    return _Class(folder.name, files, size, newest)


def _kind(name: str) -> str:
    """The ending of a file's name, as in `.gif`."""
    ending = os.path.splitext(name)[1].lower()
    return shown(ending[:20]) if ending else "without an ending"


def _facts(path: str | os.DirEntry[str]) -> os.stat_result:
    try:
        return path.stat() if isinstance(path, os.DirEntry) else os.stat(path)
    except OSError as error:
        raise BadInput(f"{shown(path)}: cannot be read ({error.strerror})") from error


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _examples(classes: list[_Class]) -> list[_Example]:
    return [_Example(path, label) for label, item in enumerate(classes) for path in item.files]


def _divided(classes: list[_Class]) -> tuple[list[_Example], list[_Example]]:
    """Training and test examples of a folder without `test/`."""
    train: list[_Example] = []
    test: list[_Example] = []
    for label, item in enumerate(classes):
        total = len(item.files)
        if total < 2:
            raise BadInput(f"{shown(item.files[0])}: the only image of its class; without test/ 2 are needed")
        held = set(permutation(total, _TEST_SEED, TEST_STREAM, label)[: max(1, round(total / _TEST_SHARE))].tolist())
        for index, path in enumerate(item.files):
            (test if index in held else train).append(_Example(path, label))
    return train, test


class Form(NamedTuple):
    """What all images of a data set share; `mode` is Pillow's, `L` for 8-bit grey or `RGB`."""

    height: int
    width: int
    mode: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        return self.height, self.width, _CHANNELS[self.mode]

    def __str__(self) -> str:
        words = {"L": "grey", "RGB": "RGB"}.get(self.mode, f"mode {self.mode}")
        return f"{self.height}x{self.width} {words}"


def image_form(path: str) -> Form:
    """Read size and mode of one image from its header. **Raises:** BadInput."""
    with _opened(path) as image:
        found = _form(image)
    if found.mode not in _CHANNELS:
        raise BadInput(f"{shown(path)}: {found}; allowed: 8-bit grey (L) or RGB")
    if math.prod(found.shape) > _MOST_VALUES:
        raise BadInput(f"{shown(path)}: {found}; allowed: at most {_MOST_VALUES} values in an image; scale them down")
    return found


def read_images(files: Sequence[str], report: Report) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the images, `[N, H, W, C]`, turned upright by their EXIF orientation, and otherwise as they are stored.

    **Returns:** the images, and a line for each thing that was changed or not heeded, with its number of images.
    **Raises:** BadInput that names a file that is unreadable or unlike the others, and for images that do not fit
    into free memory.
    """
    common = image_form(files[0])
    _check_memory(files, common)
    images = np.empty((len(files), *common.shape), np.uint8)
    notes: Counter[str] = Counter()
    for index, path in enumerate(files):
        if index % _REPORT_EVERY == 0:
            report("reading images", index / len(files))
        with _opened(path, whole=True) as image:
            found = _form(image)
            if found != common:
                raise _unlike(files, path, found, common)
            image.load()
            turn = _turn(image)
            upright = image if turn is None else image.transpose(turn)
            images[index] = np.asarray(upright).reshape(common.shape)
            notes.update(_notes(image, turned=turn is not None))
    return images, [f"{count} of {len(files)} images: {what}" for what, count in notes.items()]


def _form(image: "ImageFile") -> Form:
    """The form of an image once it is upright."""
    if _turn(image) in _SIDEWAYS:
        return Form(image.width, image.height, image.mode)
    return Form(image.height, image.width, image.mode)


_ORIENTATION = 0x0112
# Pillow's numbers of transpositions, by EXIF orientation; of 5 to 8 height and width change places.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
_SIDEWAYS = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}


def _turn(image: "ImageFile") -> "Transpose | None":
    """How an image is turned upright; None where it is, or where its EXIF data cannot be read."""
    from PIL.Image import Exif, Transpose

    if "exif" not in image.info:
        return None
    try:
        exif = Exif()
        exif.load(image.info["exif"])
        turn = _TURNS.get(exif.get(_ORIENTATION, 1))
    except Exception:  # parsers of Pillow raise errors of any type
        image.info[_ODD_EXIF] = True
        return None
    return None if turn is None else Transpose(turn)


_ODD_EXIF, _BITS = "lth-tui: odd exif", "lth-tui: bits"


def _notes(image: "ImageFile", *, turned: bool) -> Iterator[str]:
    """What was changed in an image, and what of it was not heeded."""
    if turned:
        yield "turned upright, as their EXIF orientation says"
    if image.info.get(_ODD_EXIF):
        yield "taken as they are stored, for their EXIF data cannot be read"
    if image.info.get(_BITS, 8) < 8:
        yield "of fewer than 8 bits a pixel, scaled to 8"
    if "transparency" in image.info:
        yield "with a transparent colour, taken as an opaque one"
    if "icc_profile" in image.info:
        yield "with a colour profile, which is not applied"
    if getattr(image, "n_frames", 1) > 1:
        yield "of several frames, of which the first is taken"


@contextmanager
def _opened(path: str, *, whole: bool = False) -> Iterator["ImageFile"]:
    """Open an image, with its checksums verified if `whole`. Every error of Pillow becomes BadInput."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise BadInput(f"{shown(path)}: {size} bytes, at most {_MOST_BYTES} are allowed")
            start = file.read(26)
            file.seek(0)
            # Not Image.open: it warns of large images, and warning filters are not safe in threads.
            if start.startswith(b"\x89PNG\r\n\x1a\n"):
                kind: type[ImageFile] = PngImageFile
            elif start.startswith(b"\xff\xd8\xff"):
                kind = JpegImageFile
            else:
                raise BadInput(f"{shown(path)}: {'neither PNG nor JPEG' if start else 'empty'}")
            bits = start[24] if kind is PngImageFile and start[12:16] == b"IHDR" and len(start) > 24 else 8
            if bits > 8:
                raise BadInput(f"{shown(path)}: {bits} bits a channel; allowed: 8, to which Pillow would cut it")
            image = kind(file)
            pixels = image.width * image.height
            if Image.MAX_IMAGE_PIXELS and pixels > Image.MAX_IMAGE_PIXELS:
                raise BadInput(f"{shown(path)}: {pixels} pixels, at most {Image.MAX_IMAGE_PIXELS} are allowed")
            if whole and kind is PngImageFile:  # decoding verifies no checksum; JPEG has none
                image.verify()
                file.seek(0)
                image = kind(file)
            image.info[_BITS] = bits
            yield image
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{shown(path)}: cannot be read ({_words(error.strerror or error)})") from error
    except Exception as error:  # parsers of Pillow raise errors of any type
        raise BadInput(f"{shown(path)}: damaged image ({type(error).__name__}: {_words(error)})") from error


def _words(error: object) -> str:
    return " ".join(str(error).split())


def _unlike(files: Sequence[str], path: str, found: Form, common: Form) -> BadInput:
    """Blame `path` or the first file, whichever differs from most others."""
    votes: Counter[Form] = Counter()
    for other in files[:: -(-len(files) // _SAMPLE)]:
        try:
            with _opened(other) as image:
                votes[_form(image)] += 1
        except BadInput:
            continue
    if votes[found] > votes[common]:
        path, found, common = files[0], common, found
    return BadInput(f"{shown(path)}: {found}, the other images are {common}; one size and one mode are allowed")


def _check_memory(files: Sequence[str], common: Form) -> None:
    import psutil

    needed, free = len(files) * int(np.prod(common.shape)), psutil.virtual_memory().available
    if needed > free:
        raise BadInput(
            f"{len(files)} images like {shown(files[0])}, {common}, take {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB are free; scale them down"
        )


def listing(folder: str | Path, wanted: str) -> list[os.DirEntry[str]]:
    """List `folder` by name. **Raises:** BadInput that ends with `wanted`, what is expected there."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda item: item.name)
    except FileNotFoundError as error:
        raise BadInput(f"{shown(folder)}: no such folder; {wanted}") from error
    except NotADirectoryError as error:
        raise BadInput(f"{shown(folder)}: not a folder; {wanted}") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise BadInput(f"{shown(folder)}: cannot be read ({reason}); {wanted}") from error


def shown(path: str | os.PathLike[str]) -> str:
    """Return `path` for a message, escaped where it holds unprintable characters."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)
