"""The CIFAR data sets, from Krizhevsky's binary archives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from engine import registry
from engine.datasets.source import Arrays, Original, Source
from engine.datasets.tfds import Citation, build_with
from engine.errors import BadInput

if TYPE_CHECKING:
    import gzip

_FOLDER = "cifar-10-batches-bin/"
_TRAIN = tuple(f"{_FOLDER}data_batch_{number}.bin" for number in range(1, 6))
_TEST = f"{_FOLDER}test_batch.bin"
# Bytes of the archive beyond the batches: headers, padding, a page of text.
_MARGIN = 1 << 20
_BLOCK = 1 << 20

_CARD = Citation(
    version="3.0.2",
    description="60,000 colour images of 32x32 in 10 classes.",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation="""@techreport{krizhevsky2009learning, author={Krizhevsky, Alex},
title={Learning multiple layers of features from tiny images}, year={2009}}""",
)


def read(source: Source, paths: Sequence[Path]) -> Arrays:
    """Read the arrays from the one archive. Nothing is extracted, and no more is unpacked than `source` needs.

    A record is a label in one byte, then the image, channel by channel.
    **Raises:** BadInput for an archive that is damaged or does not hold five training batches and a test batch.
    """
    import numpy as np

    (path,) = paths
    height, width, channels = source.image_shape
    record = 1 + height * width * channels
    sizes = {**dict.fromkeys(_TRAIN, source.train // len(_TRAIN) * record), _TEST: source.test * record}
    batches = _batches(path, sizes)

    rows = np.frombuffer(b"".join(batches[name] for name in sizes), np.uint8).reshape(-1, record)
    labels = rows[:, 0].astype(np.int32)
    if labels.max() >= source.classes:
        raise BadInput(f"{path}: label {labels.max()} found, allowed: 0 to {source.classes - 1}")
    planes = rows[:, 1:].reshape(-1, channels, height, width)
    images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return Arrays(images[: source.train], labels[: source.train], images[source.train :], labels[source.train :])


def _batches(path: Path, sizes: dict[str, int]) -> dict[str, bytes]:
    """Read the files of `sizes`, each of exactly that many bytes."""
    import gzip
    import tarfile
    import zlib

    found: dict[str, bytes] = {}
    try:
        with gzip.open(path) as packed:
            # typeshed asks for a complete file; tarfile only reads from a stream.
            bounded = cast(IO[bytes], _Bounded(packed, sum(sizes.values()) + _MARGIN))
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                for member in archive:
                    if member.name not in sizes:
                        continue
                    if not member.isreg() or member.size != sizes[member.name] or member.name in found:
                        raise BadInput(f"{path}: {member.name}: expected once, {sizes[member.name]} bytes")
                    file = archive.extractfile(member)
                    found[member.name] = file.read() if file else b""
            while bounded.read(_BLOCK):  # gzip checks its checksum at the end
                pass
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        raise BadInput(f"{path}: damaged ({' '.join(str(error).split())})") from error
    missing = sorted(name for name in sizes if len(found.get(name, b"")) != sizes[name])
    if missing:
        raise BadInput(f"{path}: {', '.join(missing)} missing or cut short")
    return found


class _Bounded:
    """Reads at most `limit` unpacked bytes of a stream. Raises ValueError beyond."""

    def __init__(self, stream: gzip.GzipFile, limit: int):
        self._stream, self._limit, self._left = stream, limit, limit

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {self._limit} bytes")
        return data


CIFAR10 = Source(
    name="cifar10",
    about="32x32 colour photographs in 10 classes: the data of the paper's Conv-2, Conv-4 and Conv-6",
    image_shape=(32, 32, 3),
    train=50_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=build_with(_CARD, read),
    url="https://www.cs.toronto.edu/~kriz/",
    originals=(
        Original(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
)
registry.dataset.add(CIFAR10.name, CIFAR10.about, CIFAR10, source="Krizhevsky 2009")
