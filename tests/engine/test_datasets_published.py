"""Readers of published files, on small files in the original formats that the tests write themselves."""

import dataclasses
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_datasets import left_behind, one_line

from engine import datasets, registry
from engine.datasets import cifar, mnist
from engine.datasets.cifar import CIFAR10
from engine.datasets.mnist import FASHION_MNIST, MNIST
from engine.datasets.source import Original, Source
from engine.errors import BadInput

ARCHIVE = "cifar-10-binary.tar.gz"
BATCHES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
EACH, TEST = 4, 6
RECORD = 3073

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


def records() -> np.ndarray:
    """Five training batches and a test batch, `[26, 3073]`: a label, then 32x32 of red, of green, of blue."""
    draw = np.random.default_rng(0)
    rows = draw.integers(0, 256, (5 * EACH + TEST, RECORD), np.uint8)
    rows[:, 0] %= 10
    return rows


def members(rows: np.ndarray) -> list[Member]:
    parts = [*np.split(rows[: 5 * EACH], 5), rows[5 * EACH :]]
    batches = zip(BATCHES, parts, strict=True)
    return [
        member("cifar-10-batches-bin", kind=tarfile.DIRTYPE),
        member("cifar-10-batches-bin/batches.meta.txt", b"airplane\n"),
        *(member(f"cifar-10-batches-bin/{name}", part.tobytes()) for name, part in batches),
    ]


def pack(path: Path, content: list[Member]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in content:
            archive.addfile(info, io.BytesIO(data))
    return path


def smaller(recipe: Source, folder: Path, train: int, test: int) -> Source:
    """`recipe` for the files in `folder`, with their sizes and checksums."""
    originals = tuple(
        Original(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in (folder / original.name for original in recipe.originals)
    )
    return dataclasses.replace(recipe, originals=originals, train=train, test=test, validation_size=3)


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Source], None]:
    return lambda recipe: monkeypatch.setitem(
        registry.dataset._entries,
        recipe.name,
        dataclasses.replace(registry.dataset.entry(recipe.name), value=recipe),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    return folder


# CIFAR-10


def test_cifar10_is_read_channel_by_channel_and_kept(
    source: Path, tmp_path: Path, offer: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = records()
    pack(source / ARCHIVE, members(rows))
    offer(smaller(CIFAR10, source, 5 * EACH, TEST))
    home, heard = tmp_path / "home", []
    folder = datasets.prepare("cifar10", home, source, lambda *said: heard.append(said))
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in (home / "data").iterdir()] == ["cifar10"]
    assert len(list((folder / "tfds" / "cifar10" / "3.0.2").glob("*.array_record-*"))) == 2
    assert os.listdir(source) == [ARCHIVE]
    fractions = [done for _, done in heard]
    assert fractions == sorted(fractions)
    assert heard[-1] == ("ready", 1.0)

    found = datasets.load("cifar10", home)
    assert found.train_images.shape == (20, 32, 32, 3)
    assert found.train_labels.dtype == np.int32
    np.testing.assert_array_equal(np.concatenate([found.train_labels, found.test_labels]), rows[:, 0])
    images = np.concatenate([found.train_images, found.test_images])
    for index in (0, 7, 25):
        for row, column, channel in ((0, 0, 0), (3, 30, 1), (31, 2, 2)):
            assert images[index, row, column, channel] == rows[index, 1 + channel * 1024 + row * 32 + column]
    assert datasets.entry("cifar10", home).fingerprint == found.fingerprint


@pytest.mark.parametrize("damage", ["short", "flipped", "missing"])
def test_a_cifar10_archive_that_is_not_the_published_one(damage: str, source: Path, tmp_path: Path, offer) -> None:
    archive = pack(source / ARCHIVE, members(records()))
    offer(smaller(CIFAR10, source, 5 * EACH, TEST))
    if damage == "short":
        os.truncate(archive, archive.stat().st_size - 1)
    elif damage == "flipped":
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
    else:
        archive.unlink()
    with pytest.raises(
        BadInput, match={"short": "bytes, expected", "flipped": "SHA-256"}.get(damage, "missing")
    ) as got:
        datasets.prepare("cifar10", tmp_path / "home", source)
    assert ARCHIVE in one_line(got)
    assert not (tmp_path / "home").exists()


def test_a_reader_that_gives_up_leaves_nothing(source: Path, tmp_path: Path, offer) -> None:
    pack(source / ARCHIVE, members(records())[:-1])
    offer(smaller(CIFAR10, source, 5 * EACH, TEST))
    with pytest.raises(BadInput, match=r"test_batch.bin missing") as caught:
        datasets.prepare("cifar10", tmp_path / "home", source)
    assert str(source / ARCHIVE) in one_line(caught)
    assert left_behind(tmp_path / "home") == []


SMALL = dataclasses.replace(CIFAR10, train=5 * EACH, test=TEST)
LAST = "cifar-10-batches-bin/test_batch.bin"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "test_batch.bin missing"),
        ([member(LAST, bytes(RECORD))], f"expected once, {TEST * RECORD} bytes"),
        ([member(LAST, bytes(TEST * RECORD))] * 2, "expected once"),
        ([member(LAST, kind=tarfile.SYMTYPE, link="/etc/passwd")], "expected once"),
        ([member(LAST, kind=tarfile.LNKTYPE, link="../../x")], "expected once"),
        ([member(f"../{LAST}", bytes(TEST * RECORD))], "test_batch.bin missing"),
        ([member(f"/{LAST}", bytes(TEST * RECORD))], "test_batch.bin missing"),
        ([member(LAST, b"\x0a" * (TEST * RECORD))], "label 10 found, allowed: 0 to 9"),
        ([member("bomb", bytes(4 << 20)), member(LAST, bytes(TEST * RECORD))], "unpacks to more than"),
        ([member(LAST, bytes(TEST * RECORD)), member("bomb", bytes(4 << 20))], "unpacks to more than"),
    ],
)
def test_an_archive_with_other_things_in_it(more: list[Member], said: str, tmp_path: Path) -> None:
    path = pack(tmp_path / ARCHIVE, members(records())[:-1] + more)
    with pytest.raises(BadInput, match=said) as caught:
        cifar.read(SMALL, [path])
    assert str(path) in one_line(caught)
    assert os.listdir(tmp_path) == [ARCHIVE]


def test_an_archive_cut_or_changed_anywhere_is_refused(tmp_path: Path) -> None:
    whole = pack(tmp_path / "whole", members(records())).read_bytes()
    path = tmp_path / ARCHIVE
    for place in range(20, len(whole), len(whole) // 40):  # after gzip's header, which holds the name
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]):
            path.write_bytes(data)
            with pytest.raises(BadInput) as caught:
                cifar.read(SMALL, [path])
            one_line(caught)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no archive", id="no archive"),
        pytest.param(gzip.compress(b""), id="empty gzip"),
        pytest.param(gzip.compress(b"no tar" * 500), id="gzip of no tar"),
    ],
)
def test_something_else_under_the_name_of_the_archive(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / ARCHIVE
    path.write_bytes(data)
    with pytest.raises(BadInput, match=ARCHIVE) as caught:
        cifar.read(SMALL, [path])
    one_line(caught)


# Fashion-MNIST


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes()))


def test_fashion_mnist_is_read_as_mnist_is(source: Path, tmp_path: Path, offer) -> None:
    draw = np.random.default_rng(1)
    images, labels = draw.integers(0, 256, (50, 28, 28), np.uint8), draw.integers(0, 10, 50, np.uint8)
    names = [original.name for original in FASHION_MNIST.originals]
    for name, values in zip(names, (images[:40], labels[:40], images[40:], labels[40:]), strict=True):
        write_idx(source / name, values)
    offer(smaller(FASHION_MNIST, source, 40, 10))
    folder = datasets.prepare("fashion_mnist", tmp_path / "home", source)
    assert (folder / "tfds" / "fashion_mnist" / "3.0.1").is_dir()
    found = datasets.load("fashion_mnist", tmp_path / "home")
    np.testing.assert_array_equal(found.train_images[..., 0], images[:40])
    np.testing.assert_array_equal(found.test_images[..., 0], images[40:])
    np.testing.assert_array_equal(found.train_labels, labels[:40])
    np.testing.assert_array_equal(found.test_labels, labels[40:])


def test_files_of_mnist_are_not_taken_for_fashion_mnist(mnist_files: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bytes, expected 26421880") as caught:
        datasets.prepare("fashion_mnist", tmp_path / "home", mnist_files)
    one_line(caught)


@pytest.mark.parametrize("damage", ["empty", "not gzip", "cut", "short", "long", "other type", "other size"])
def test_an_idx_file_that_is_damaged_or_another(damage: str, tmp_path: Path) -> None:
    recipe = dataclasses.replace(MNIST, train=3, test=2)
    values = (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8), np.zeros((2, 28, 28), np.uint8))
    paths = [tmp_path / original.name for original in MNIST.originals]
    for path, array in zip(paths, (*values, np.zeros(2, np.uint8)), strict=True):
        write_idx(path, array)
    mnist.read(recipe, paths)
    packed = paths[2].read_bytes()
    plain = gzip.decompress(packed)
    paths[2].write_bytes(
        {
            "empty": b"",
            "not gzip": plain,
            "cut": packed[:-9],
            "short": gzip.compress(plain[:-1]),
            "long": gzip.compress(plain + b"0"),
            "other type": gzip.compress(b"\0\0\x0d" + plain[3:]),
            "other size": gzip.compress(plain[:7] + b"\x03" + plain[8:]),
        }[damage]
    )
    with pytest.raises(BadInput) as caught:
        mnist.read(recipe, paths)
    assert str(paths[2]) in one_line(caught)
