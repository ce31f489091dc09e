"""Image files to arrays, all of one size and mode. Pillow is imported when the first file is opened."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.datasets.listing import shown
from engine.datasets.recipe import Report
from engine.errors import BadInput

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SUFFIXES = (".png", ".jpg", ".jpeg")
_CHANNELS = {"L": 1, "RGB": 3}
_REPORT_EVERY = 250
# Pillow reads a part of a file at once, however long the part says that it is.
_MOST_BYTES = 300_000_000
# A network has hundreds of weights for each.
_MOST_VALUES = 1_000_000
# So many headers settle which of two files is the odd one.
_SAMPLE = 200


class Look(NamedTuple):
    """What the images of a set have in common; `mode` is Pillow's, `L` for 8-bit grey or `RGB`."""

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


def look(path: str) -> Look:
    """Size and mode of one image, from its header. **Raises:** BadInput."""
    with _opened(path) as image:
        found = _look(image)
    if found.mode not in _CHANNELS:
        raise BadInput(f"{shown(path)}: {found}; allowed: 8-bit grey (L) or RGB")
    if math.prod(found.shape) > _MOST_VALUES:
        raise BadInput(f"{shown(path)}: {found}; allowed: at most {_MOST_VALUES} values in an image; scale them down")
    return found


def read(files: Sequence[str], report: Report) -> NDArray[np.uint8]:
    """The images as they are stored, `[N, H, W, C]`: nothing is scaled, converted or turned.

    **Raises:** BadInput naming the file that is unreadable or unlike the others, and for images that would not
    fit into the memory that is free.
    """
    common = look(files[0])
    _check_memory(files, common)
    images = np.empty((len(files), *common.shape), np.uint8)
    for index, path in enumerate(files):
        if index % _REPORT_EVERY == 0:
            report("reading images", index / len(files))
        with _opened(path, whole=True) as image:
            found = _look(image)
            if found != common:
                raise _unlike(files, path, found, common)
            image.load()
            images[index] = np.asarray(image).reshape(common.shape)
    return images


def _look(image: "ImageFile") -> Look:
    return Look(image.height, image.width, image.mode)


@contextmanager
def _opened(path: str, *, whole: bool = False) -> Iterator["ImageFile"]:
    """The image, its header read, its checksums if `whole`; whatever Pillow raises on it becomes BadInput."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise BadInput(f"{shown(path)}: {size} bytes, at most {_MOST_BYTES} are allowed")
            start = file.read(8)
            file.seek(0)
            # Not Image.open: it tells of large images by a warning, and filters of warnings are not for threads.
            if start == b"\x89PNG\r\n\x1a\n":
                kind: type[ImageFile] = PngImageFile
            elif start.startswith(b"\xff\xd8\xff"):
                kind = JpegImageFile
            else:
                raise BadInput(f"{shown(path)}: {'neither PNG nor JPEG' if start else 'empty'}")
            image = kind(file)
            pixels = image.width * image.height
            if Image.MAX_IMAGE_PIXELS and pixels > Image.MAX_IMAGE_PIXELS:
                raise BadInput(f"{shown(path)}: {pixels} pixels, at most {Image.MAX_IMAGE_PIXELS} are allowed")
            if whole and kind is PngImageFile:  # decoding looks at no checksum; JPEG has none
                image.verify()
                file.seek(0)
                image = kind(file)
            yield image
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{shown(path)}: cannot be read ({_words(error.strerror or error)})") from error
    except Exception as error:  # Pillow lets through whatever its parsers stumble over
        raise BadInput(f"{shown(path)}: damaged image ({type(error).__name__}: {_words(error)})") from error


def _words(error: object) -> str:
    return " ".join(str(error).split())


def _unlike(files: Sequence[str], path: str, found: Look, common: Look) -> BadInput:
    """Of `path` and the first file, name the one that most others are unlike."""
    votes: Counter[Look] = Counter()
    for other in files[:: -(-len(files) // _SAMPLE)]:
        try:
            with _opened(other) as image:
                votes[_look(image)] += 1
        except BadInput:
            continue
    if votes[found] > votes[common]:
        path, found, common = files[0], common, found
    return BadInput(f"{shown(path)}: {found}, the other images are {common}; one size and one mode are allowed")


def _check_memory(files: Sequence[str], common: Look) -> None:
    import psutil

    needed, free = len(files) * int(np.prod(common.shape)), psutil.virtual_memory().available
    if needed > free:
        raise BadInput(
            f"{len(files)} images like {shown(files[0])}, {common}, take {needed / 1e9:.1f} GB of memory, "
            f"{free / 1e9:.1f} GB are free; scale them down"
        )
