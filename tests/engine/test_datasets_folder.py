"""Image folders as data sets: what is on the disk, or one line about the file that stands in the way."""

import os
import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_datasets import StopNow, left_behind, one_line, stop_at

from engine import datasets
from engine.datasets import folder as image_folder
from engine.datasets import prepared
from engine.errors import BadInput

CIFAR10_JPEG = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10-jpeg.tar.xz"
HEIGHT, WIDTH = 5, 4


def pixels(seed: int, channels: int = 3) -> np.ndarray:
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, quality=90)
    return path


def fill(root: Path, part: str, counts: dict[str, int], channels: int = 3, suffix: str = ".png") -> None:
    for label, (name, count) in enumerate(counts.items()):
        for index in range(count):
            save(root / part / name / f"{index:03}{suffix}", pixels(1000 * label + index, channels))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`train/` with 6 cats and 6 dogs, `test/` with 2 and 3, 5x4 RGB."""
    folder = tmp_path / "pets"
    fill(folder, "train", {"cat": 6, "dog": 6})
    fill(folder, "test", {"cat": 2, "dog": 3})
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def name_of(root: Path) -> str:
    return f"folder:{root}"


# What is there


def test_a_folder_is_what_is_in_it(root: Path, home: Path) -> None:
    shutil.copy(root / "train" / "cat" / "000.png", root / "train" / "cat" / ".hidden.png")
    (root / "train" / "cat" / "notes.txt").touch()
    (root / "train" / "README").touch()
    (root / "extra").mkdir()
    loaded = datasets.load(name_of(root), home)
    assert loaded.name == name_of(root)
    assert loaded.train_images.shape == (12, HEIGHT, WIDTH, 3)
    assert loaded.train_labels.tolist() == [0] * 6 + [1] * 6
    assert loaded.test_labels.tolist() == [0] * 2 + [1] * 3
    assert (loaded.classes, loaded.validation_size) == (2, 1)
    assert loaded.train_images.dtype == np.uint8
    assert loaded.train_labels.dtype == np.int32
    assert isinstance(loaded.train_images, np.memmap)
    assert not loaded.train_images.flags.writeable
    for index in range(12):
        np.testing.assert_array_equal(loaded.train_images[index], pixels(1000 * (index // 6) + index % 6))
    assert len(datasets.split(loaded, 0).train) == 11


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_grey_images_have_one_channel_whatever_their_format(suffix: str, tmp_path: Path, home: Path) -> None:
    root = tmp_path / "grey"
    fill(root, "train", {"a": 3, "b": 3}, channels=1, suffix=suffix)
    loaded = datasets.load(name_of(root), home)
    assert loaded.image_shape == (HEIGHT, WIDTH, 1)
    if suffix == ".png":
        everything = {image.tobytes() for image in (*loaded.train_images, *loaded.test_images)}
        assert everything == {pixels(1000 * label + index, 1).tobytes() for label in (0, 1) for index in range(3)}


def test_an_entry_tells_what_can_be_counted_and_then_that_it_is_ready(root: Path, home: Path) -> None:
    name = name_of(root)
    before = datasets.entry(name, home)
    assert (before.name, before.image_shape) == (name, (HEIGHT, WIDTH, 3))
    assert (before.train, before.validation, before.test, before.classes) == (12, 1, 5, 2)
    assert (before.ready, before.fingerprint) == (False, "")
    assert before.advice == f"not prepared; run: lth-tui data prepare {name}"
    assert not home.exists()
    heard: list[tuple[str, float]] = []
    folder = datasets.prepare(name, home, report=lambda *said: heard.append(said))
    assert folder.name.startswith("folder-pets-")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["dataset.json", "test_images.npy", "test_labels.npy", "train_images.npy", "train_labels.npy"]
    )
    assert "reading images" in {stage for stage, _ in heard}
    fractions = [done for _, done in heard]
    assert fractions == sorted(fractions)
    assert heard[-1] == ("ready", 1.0)
    after = datasets.entry(name, home)
    assert (after.ready, after.advice) == (True, "")
    assert after.fingerprint == datasets.load(name, home).fingerprint != ""
    assert (after.train, after.validation, after.test) == (before.train, before.validation, before.test)


def test_one_folder_is_one_set_however_it_is_named(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    monkeypatch.setenv("HOME", str(root.parent))
    names = [name_of(root), "folder:pets", "folder:./x/../pets/", "folder:~/pets"]
    assert len({datasets.prepare(name, home) for name in names}) == 1
    assert {datasets.entry(name, home).name for name in names} == {name_of(root)}


def test_names_are_safe_to_keep_and_to_type(tmp_path: Path, home: Path) -> None:
    slugs = set()
    for name in ("my pets", "my-pets", "*", "ペット", "x" * 200):
        root = tmp_path / name
        fill(root, "train", {"a": 2, "b": 2})
        kept_in = datasets.prepare(name_of(root), home)
        assert kept_in.name.isascii()
        assert len(kept_in.name) < 80
        assert not set(kept_in.name) & set(" */[")
        slugs.add(kept_in.name)
    assert len(slugs) == 5
    (tmp_path / "my pets" / "train" / "a" / "000.png").unlink()
    (tmp_path / "my pets" / "train" / "b" / "000.png").touch()
    fill(tmp_path / "my pets", "train", {"a": 3, "b": 3})
    advice = datasets.entry(f"folder:{tmp_path / 'my pets'}", home).advice
    assert advice.endswith(f"lth-tui data prepare 'folder:{tmp_path}/my pets'")


def test_the_catalogue_adds_folders_once_they_are_prepared(root: Path, home: Path) -> None:
    named = len(datasets.names())
    assert len(datasets.catalogue(home)) == named
    ready = datasets.load(name_of(root), home)
    entry = datasets.catalogue(home)[named]
    assert (entry.name, entry.ready, entry.fingerprint) == (name_of(root), True, ready.fingerprint)
    shutil.rmtree(root)
    gone = datasets.catalogue(home)[named]
    assert (gone.name, gone.ready, gone.train, gone.test) == (name_of(root), False, 12, 5)
    assert (gone.image_shape, gone.classes, gone.validation) == ((HEIGHT, WIDTH, 3), 2, 1)
    assert "no such folder" in gone.advice
    (sheet,) = home.glob("data/folder-*/dataset.json")
    sheet.write_text("{")
    assert len(datasets.catalogue(home)) == named


# What is left out, converted and guessed


def notes_of(root: Path, home: Path) -> list[str]:
    datasets.prepare(name_of(root), home)
    return list(datasets.entry(name_of(root), home).notes)


def test_what_is_left_out_is_counted(root: Path, home: Path) -> None:
    fill(root, "val", {"cat": 1, "dog": 1})
    for name in (".hidden.png", "notes.txt", "b.TXT", "old.gif", "old.webp", "Makefile"):
        (root / "train" / "cat" / name).touch()
    (root / "test" / ".DS_Store").touch()
    (root / "test" / "list.csv").touch()
    (root / "README").touch()
    (root / "Test").mkdir()
    assert notes_of(root, home) == [
        "left out beside train/: README, Test/",
        "left out in test/: 1 hidden, 1 .csv",
        "left out in train/: 1 hidden, 1 without an ending, 2 .txt, 1 .gif, 1 .webp",
    ]


def test_a_folder_of_which_nothing_is_left_out_or_guessed_has_no_notes(root: Path, home: Path) -> None:
    fill(root, "val", {"cat": 1, "dog": 1})
    assert notes_of(root, home) == []


@pytest.mark.parametrize("called", ["val", "valid", "validation"])
def test_a_validation_part_is_the_validation_set(called: str, root: Path, home: Path) -> None:
    fill(root, called, {"cat": 2, "dog": 3})
    loaded = datasets.load(name_of(root), home)
    assert loaded.train_labels.tolist() == [0] * 6 + [1] * 6 + [0] * 2 + [1] * 3
    for seed in (0, 1):
        split = datasets.split(loaded, seed)
        assert split.train.tolist() == list(range(12))
        assert split.validation.tolist() == list(range(12, 17))
        assert split.majority == 3 / 5
    entry = datasets.entry(name_of(root), home)
    assert (entry.train, entry.validation, entry.test) == (17, 5, 5)
    found = datasets.contents(name_of(root), home)
    assert found.classes == ("cat", "dog")
    assert found.parts == {"training": (6, 6), "validation": (2, 3), "test": (2, 3)}


def test_the_same_images_without_that_part_are_another_data_set(tmp_path: Path, home: Path) -> None:
    fill(tmp_path / "two", "train", {"a": 1, "b": 4})
    fill(tmp_path / "two", "test", {"a": 1, "b": 1})
    one = datasets.load(name_of(tmp_path / "two"), home)
    arrays = prepared.Arrays(one.train_images, one.train_labels, one.test_images, one.test_labels)
    assert prepared.fingerprint(arrays) == one.fingerprint != prepared.fingerprint(arrays, 1)


def test_two_validation_parts_or_one_of_other_classes_are_refused(root: Path, home: Path) -> None:
    fill(root, "val", {"cat": 1})
    with pytest.raises(BadInput, match=r"train/dog: no such class in val/; the classes must be equal"):
        datasets.entry(name_of(root), home)
    fill(root, "val", {"dog": 1})
    fill(root, "valid", {"cat": 1, "dog": 1})
    with pytest.raises(BadInput, match=r"val/ and valid/ in it; allowed: one validation part") as caught:
        datasets.entry(name_of(root), home)
    one_line(caught)


def test_what_is_drawn_for_a_missing_part_is_said(root: Path, home: Path) -> None:
    shutil.rmtree(root / "test")
    assert notes_of(root, home) == [
        "there is no test/: 2 images of train/, one in 6 of each class, are the test set",
        "there is no val/: 1 training images, drawn by data.seed, are the validation set",
    ]


UPRIGHT = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}
"""What EXIF says of the pixels as they are stored (CIPA DC-008, 4.6.5.A)."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images_are_turned_upright(orientation: int, suffix: str, root: Path, home: Path) -> None:
    stored = np.kron(pixels(0), np.ones((8, 8, 1), np.uint8))  # in blocks of a JPEG, which keeps them nearly
    wanted = UPRIGHT[orientation](stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for part in ("train", "test"):
        for path in (root / part).glob("*/*.png"):
            path.unlink()
            save(path, wanted)
        path = next((root / part / "cat").iterdir())
        path.unlink()
        Image.fromarray(stored).save(path.with_suffix(suffix), quality=100, subsampling=0, exif=exif)
    loaded = datasets.load(name_of(root), home)
    assert loaded.train_images.shape == (12, *wanted.shape)
    for image in (*loaded.train_images, *loaded.test_images):
        np.testing.assert_allclose(image.astype(int), wanted.astype(int), atol=8)
    turned = "2 of 17 images: turned upright, as their EXIF orientation says"
    assert (turned in datasets.entry(name_of(root), home).notes) == (orientation != 1)


def test_what_is_not_heeded_in_images_is_counted(root: Path, home: Path) -> None:
    cat, dog = root / "train" / "cat", root / "train" / "dog"
    image = Image.fromarray(pixels(0))
    image.save(cat / "000.png", transparency=(1, 2, 3))
    image.save(cat / "001.png", icc_profile=b"profile")
    image.save(cat / "002.png", icc_profile=b"profile")
    image.save(dog / "000.jpg", exif=b"Exif\0\0nonsense")
    image.save(dog / "001.png", save_all=True, append_images=[Image.fromarray(pixels(1))])
    assert notes_of(root, home)[1:] == [
        "1 of 18 images: with a transparent colour, taken as an opaque one",
        "2 of 18 images: with a colour profile, which is not applied",
        "1 of 18 images: taken as they are stored, for their EXIF data cannot be read",
        "1 of 18 images: of several frames, of which the first is taken",
    ]


def png(bits: int, kind: int, values: bytes) -> bytes:
    """A PNG of two by two pixels of so many bits."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 2, 2, bits, kind, 0, 0, 0)
    rows = b"".join(b"\0" + values[start : start + len(values) // 2] for start in (0, len(values) // 2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (0, 1), (6, 4), (4, 2)])
def test_images_of_16_bits_are_refused(kind: int, channels: int, root: Path, home: Path) -> None:
    path = root / "train" / "cat" / "000.png"
    path.write_bytes(png(16, kind, bytes(range(8 * channels))))
    with pytest.raises(BadInput, match=r"cat/000.png: 16 bits a channel; allowed: 8") as caught:
        datasets.load(name_of(root), home)
    one_line(caught)


@pytest.mark.parametrize(
    ("bits", "values", "wanted"), [(4, b"\x0f\x5a", [0, 255, 85, 170]), (2, b"\xd0\x60", [255, 85, 85, 170])]
)
def test_images_of_fewer_bits_are_scaled_and_counted(
    bits: int, values: bytes, wanted: list[int], tmp_path: Path, home: Path
) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        path = tmp_path / "few" / "train" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(bits, 0, values))
    loaded = datasets.load(name_of(tmp_path / "few"), home)
    assert loaded.train_images[0].ravel().tolist() == wanted
    notes = datasets.entry(name_of(tmp_path / "few"), home).notes
    assert notes[-1] == "4 of 4 images: of fewer than 8 bits a pixel, scaled to 8"


def test_preparing_prints_the_counts_and_notes(
    root: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lth_tui.cli import main

    monkeypatch.setenv("LTH_TUI_HOME", str(home))
    monkeypatch.setattr("sys.argv", ["lth-tui", "data", "prepare", name_of(root)])
    (root / "train" / "cat" / "list.txt").touch()
    assert main() == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == [["class", "training", "test"], ["cat", "6", "2"], ["dog", "6", "3"], ["all", "2", "12", "5"]]
    assert " ".join(lines[4]) == "note: left out in train/: 1 .txt"
    assert lines[-1][1:4] == ["is", "ready", "in"]


def test_configure_has_the_notes(root: Path, home: Path) -> None:
    from engine.spec import load_study
    from engine.store import Store
    from screens.costs import costs_of, costs_words

    (root / "train" / "cat" / "list.txt").touch()
    study = load_study("quickstart", (f"base.data.name={name_of(root)}",))
    assert "! left out in train/: 1 .txt" in costs_words(costs_of(study, Store(home))).plain.replace("!     ", "! ")


# Without test/


def test_a_sixth_of_each_class_is_held_out_and_always_the_same(tmp_path: Path, home: Path) -> None:
    counts = {"a": 30, "b": 2, "c": 13}
    root, copy = tmp_path / "one", tmp_path / "two"
    fill(root, "train", counts)
    loaded = datasets.load(name_of(root), home)
    assert np.bincount(loaded.test_labels).tolist() == [5, 1, 2]
    assert np.bincount(loaded.train_labels).tolist() == [25, 1, 11]
    shutil.copytree(root, copy)
    assert datasets.load(name_of(copy), home).fingerprint == loaded.fingerprint
    assert datasets.entry(name_of(copy), home).test == 8
    rows = {image.tobytes() for image in (*loaded.train_images, *loaded.test_images)}
    assert len(rows) == 45


def test_the_draw_is_fixed_for_good(tmp_path: Path) -> None:
    fill(tmp_path, "train", {"a": 12, "b": 2})
    held = [Path(example.path).name for example in image_folder._survey(str(tmp_path)).test]
    assert held == ["001.png", "007.png", "001.png"]


def test_one_image_of_a_class_cannot_be_divided(tmp_path: Path, home: Path) -> None:
    fill(tmp_path / "x", "train", {"a": 3, "b": 1})
    with pytest.raises(BadInput, match="only image of its class") as caught:
        datasets.load(name_of(tmp_path / "x"), home)
    assert "b/000.png" in one_line(caught)


# A folder that changes, a kept one that is damaged


def changes(root: Path) -> dict[str, object]:
    cat, dog = root / "train" / "cat", root / "train" / "dog"
    return {
        "added": lambda: save(cat / "new.png", pixels(5)),
        "removed": lambda: (dog / "003.png").unlink(),
        "repainted": lambda: save(cat / "001.png", pixels(77)),
        "swapped": lambda: ((cat / "000.png").rename(dog / "x.png"), (dog / "000.png").rename(cat / "000.png")),
        "no test": lambda: shutil.rmtree(root / "test"),
    }


@pytest.mark.parametrize("change", ["added", "removed", "repainted", "swapped", "no test"])
def test_a_changed_folder_is_prepared_again(change: str, root: Path, home: Path) -> None:
    name = name_of(root)
    old = datasets.load(name, home)
    pixel = old.train_images[0].copy()
    changes(root)[change]()
    entry = datasets.entry(name, home)
    assert not entry.ready
    assert entry.advice == f"changed since it was prepared; run: lth-tui data prepare {name}"
    new = datasets.load(name, home)
    assert new.fingerprint != old.fingerprint
    assert len(new.train_labels) == entry.train
    np.testing.assert_array_equal(old.train_images[0], pixel)  # who has the old arrays keeps them
    assert datasets.entry(name, home).ready
    assert len(list((home / "data").iterdir())) == 1


def test_a_sound_set_is_left_alone_and_a_damaged_one_heals(root: Path, home: Path) -> None:
    folder = datasets.prepare(name_of(root), home)
    before = (folder / "dataset.json").stat().st_mtime_ns
    datasets.prepare(name_of(root), home)
    assert (folder / "dataset.json").stat().st_mtime_ns == before
    (folder / "train_labels.npy").write_bytes(b"")
    assert "is damaged (train_labels.npy: 0 bytes" in datasets.entry(name_of(root), home).advice
    assert len(datasets.load(name_of(root), home).train_labels) == 12


def test_a_home_that_cannot_be_written_is_told(root: Path, home: Path) -> None:
    home.touch()
    with pytest.raises(BadInput, match="cannot be written") as caught:
        datasets.load(name_of(root), home)
    one_line(caught)


@pytest.mark.parametrize("stage", ["reading", "writing"])
def test_stopping_leaves_nothing(stage: str, root: Path, home: Path) -> None:
    with pytest.raises(StopNow):
        datasets.prepare(name_of(root), home, report=stop_at(stage))
    assert left_behind(home) == []


def test_a_folder_takes_no_files(root: Path, home: Path) -> None:
    with pytest.raises(BadInput, match="leave out --from"):
        datasets.prepare(name_of(root), home, root)


# A folder that is not as it should be


def broken_layouts(root: Path) -> dict[str, tuple[object, str]]:
    """What is done to the folder, and the words that the line must hold."""
    train, test = root / "train", root / "test"

    def one_class() -> None:
        shutil.rmtree(train / "dog")
        shutil.rmtree(test / "dog")

    def bare(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    return {
        "no folder": (lambda: shutil.rmtree(root), f"{root}: no such folder"),
        "a file": (lambda: (shutil.rmtree(root), root.touch()), f"{root}: not a folder"),
        "empty": (lambda: bare(root), f"{root}: no train/"),
        "no train": (lambda: shutil.rmtree(train), f"{root}: no train/"),
        "train is a file": (lambda: (shutil.rmtree(train), train.touch()), f"{train}: not a folder"),
        "train is a dead link": (lambda: (shutil.rmtree(train), train.symlink_to("x")), f"{train}: no such folder"),
        "no class": (lambda: bare(train), f"{train}: no class folder"),
        "one class": (one_class, f"{train}: 1 class folders, at least 2"),
        "an empty class": (lambda: bare(train / "cat"), f"{train}/cat: no image"),
        "an empty test": (lambda: bare(test), f"{test}: no class folder"),
        "an empty test class": (lambda: bare(test / "dog"), f"{test}/dog: no image"),
        "a class without test": (lambda: shutil.rmtree(test / "dog"), f"{train}/dog: no such class in test/"),
        "a test class more": (lambda: fill(root, "test", {"eel": 1}), f"{test}/eel: no such class in train/"),
        "images without a class": (lambda: save(train / "x.jpg", pixels(0)), f"{train}/x.jpg: an image outside"),
        "a deeper folder": (lambda: (train / "cat" / "more").mkdir(), f"{train}/cat/more: a folder among"),
        "a dead link": (lambda: (train / "cat" / "0.png").symlink_to("x"), f"{train}/cat/0.png: cannot be read"),
        "a pipe": (lambda: os.mkfifo(train / "cat" / "0.png"), f"{train}/cat/0.png: not a file"),
    }


@pytest.mark.parametrize("case", broken_layouts(Path()))
@pytest.mark.parametrize("use", [datasets.entry, datasets.load, datasets.prepare])
def test_a_folder_of_another_form_is_told_with_the_place(case: str, use, root: Path, home: Path) -> None:
    change, said = broken_layouts(root)[case]
    change()
    with pytest.raises(BadInput) as caught:
        use(name_of(root), home)
    assert one_line(caught).startswith(said)
    assert not home.exists()


@pytest.mark.parametrize("name", ["folder:", "folder:a\0b", "folder:a\nb", "folder:\udcff", "folder:" + "x" * 300])
def test_a_name_that_is_no_path(name: str, home: Path) -> None:
    with pytest.raises(BadInput) as caught:
        datasets.entry(name, home)
    assert one_line(caught).encode()


def test_file_names_of_any_kind(root: Path, home: Path) -> None:
    image = (root / "train" / "cat" / "000.png").read_bytes()
    bad = os.fsencode(root) + b"/train/cat/\xff\n.png"
    with open(bad, "wb") as file:
        file.write(image)
    assert datasets.entry(name_of(root), home).train == 13
    with open(bad, "wb") as file:
        file.write(b"nothing")
    with pytest.raises(BadInput, match="neither PNG nor JPEG") as caught:
        datasets.load(name_of(root), home)
    assert one_line(caught).encode()


# Images that are not as they should be


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def broken_images(path: Path) -> dict[str, tuple[object, str]]:
    def transformed(mode: str):
        return lambda: Image.open(path).convert(mode).save(path)

    return {
        "empty": (lambda: path.write_bytes(b""), "empty"),
        "text": (lambda: path.write_text("not an image"), "neither PNG nor JPEG"),
        "cut": (lambda: os.truncate(path, path.stat().st_size - 20), "cannot be read ("),
        "cut in the middle": (lambda: os.truncate(path, path.stat().st_size - 60), "cannot be read ("),
        "cut in the header": (lambda: os.truncate(path, 20), ""),
        "flipped": (lambda: path.write_bytes(path.read_bytes()[:45] + b"\xaa\xaa" + path.read_bytes()[47:]), ""),
        "bomb": (lambda: path.write_bytes(bomb(20_000, 20_000)), "400000000 pixels, at most"),
        "grey": (transformed("L"), "5x4 grey, the other images are 5x4 RGB"),
        "palette": (transformed("P"), "5x4 mode P, the other images are 5x4 RGB"),
        "alpha": (transformed("RGBA"), "5x4 mode RGBA, the other images are 5x4 RGB"),
        "turned": (lambda: save(path, pixels(0).transpose(1, 0, 2)), "4x5 RGB, the other images are 5x4 RGB"),
        "a gif": (lambda: Image.open(path).convert("P").save(path, "gif"), "neither PNG nor JPEG"),
    }


@pytest.mark.parametrize("case", broken_images(Path()))
@pytest.mark.parametrize("place", ["train/cat/000.png", "train/dog/002.png", "test/dog/002.png"])
def test_an_image_that_cannot_be_used_is_named(case: str, place: str, root: Path, home: Path) -> None:
    path = root / place
    change, said = broken_images(path)[case]
    change()
    with pytest.raises(BadInput) as caught:
        datasets.load(name_of(root), home)
    line = one_line(caught)
    assert line.startswith(f"{path}: ")
    # Where the very first image is of a mode that is never allowed, that is what is said.
    assert said in line or (place.endswith("cat/000.png") and "allowed: 8-bit grey (L) or RGB" in line)
    assert left_behind(home) == []


def test_a_file_that_may_not_be_read_is_named(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "train" / "dog" / "001.png"
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read anything
        taken = open

        def refuse(name, *rest, **more):
            if str(name) == str(path):
                raise PermissionError(13, "Permission denied", name)
            return taken(name, *rest, **more)

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(BadInput, match=r"dog/001.png: cannot be read \(Permission denied\)") as caught:
        datasets.load(name_of(root), home)
    one_line(caught)
    assert left_behind(home) == []


def test_more_images_than_memory_are_refused(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    with pytest.raises(BadInput, match=r"17 images like .* 5x4 RGB, take .* scale them down") as caught:
        datasets.load(name_of(root), home)
    one_line(caught)
    assert left_behind(home) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_bytes_changed_at_random_give_an_image_or_one_line(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"x{suffix}", pixels(0))
    whole, draw = path.read_bytes(), random.Random(0)
    refused: list[str] = []
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(8 if suffix == ".png" else 3, len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randint(1, len(data))] if draw.random() < 0.2 else data)
        try:
            image_folder.read_images([str(path)], lambda stage, done: None)
        except BadInput as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert all(str(path) in line and "\n" not in line for line in refused)


# The real thing


@pytest.mark.slow
def test_cifar10_as_jpeg(tmp_path: Path) -> None:
    if not CIFAR10_JPEG.is_file():
        pytest.skip(f"CIFAR-10 as JPEG is not at {CIFAR10_JPEG}")
    root, home = tmp_path / "cifar10-jpeg", tmp_path / "home"
    root.mkdir()
    subprocess.run(["tar", "-xf", CIFAR10_JPEG, "-C", root], check=True)
    loaded = datasets.load(name_of(root), home)
    assert loaded.train_images.shape == (50_000, 32, 32, 3)
    assert loaded.test_images.shape == (10_000, 32, 32, 3)
    assert np.bincount(loaded.train_labels).tolist() == [5_000] * 10
    assert np.bincount(loaded.test_labels).tolist() == [1_000] * 10
    assert (loaded.classes, loaded.validation_size) == (10, 5_000)
    assert prepared.sound(next((home / "data").iterdir()), image_folder.folder_source(name_of(root)))
    # The means of CIFAR-10's channels, which JPEG keeps.
    mean, _ = datasets.statistics(loaded.train_images, datasets.split(loaded, 0).train)
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)
