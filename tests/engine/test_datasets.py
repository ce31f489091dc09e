"""Data sets: real values, provable splits, and one clear line whenever something is not there."""

import functools
import gc
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import datasets
from engine.datasets import prepared, splits
from engine.datasets.digits import DIGITS
from engine.datasets.mnist import MNIST
from engine.datasets.source import Arrays, Original, Source
from engine.errors import BadInput

FILES = [original.name for original in MNIST.originals]


@pytest.fixture(scope="module")
def digits_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("digits-home")
    datasets.load("digits", home)
    return home


@pytest.fixture(scope="module")
def digits(digits_home: Path) -> datasets.Dataset:
    return datasets.load("digits", digits_home)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "reachable", lambda url: False)


@pytest.fixture
def broken(mnist_files: Path, tmp_path: Path) -> Path:
    """A writable copy of the four files."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes((mnist_files / name).read_bytes())
    return folder


def left_behind(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() or ".draft" in path.name]


def one_line(caught: pytest.ExceptionInfo[BadInput]) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


# What there is


def test_importing_the_package_loads_no_heavy_library() -> None:
    heavy = "tensorflow_datasets jax sklearn tensorflow requests scipy PIL"
    code = (
        f"import sys, engine.datasets; engine.datasets.names(); print([m for m in {heavy.split()} if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


def test_what_a_study_may_name_is_listed_without_numpy() -> None:
    code = "import sys; from engine import registry; print(*registry.dataset.names(), 'numpy' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["cifar10", "digits", "mnist", "fashion_mnist", "False"]


def test_the_catalogue_lists_every_name_without_preparing_any(tmp_path: Path) -> None:
    listed = {entry.name: entry for entry in datasets.catalogue(tmp_path)}
    assert tuple(listed) == datasets.names() == ("cifar10", "digits", "fashion_mnist", "mnist")
    assert listed["digits"].ready
    assert listed["digits"].advice == ""
    assert not listed["mnist"].ready
    assert "lth-tui data prepare mnist --from DIR" in listed["mnist"].advice
    assert (listed["mnist"].train, listed["mnist"].test, listed["mnist"].classes) == (60_000, 10_000, 10)
    for name, shape in (("cifar10", (32, 32, 3)), ("fashion_mnist", (28, 28, 1))):
        assert not listed[name].ready
        assert f"lth-tui data prepare {name} --from DIR" in listed[name].advice
        assert (listed[name].image_shape, listed[name].validation) == (shape, 5_000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("use", [datasets.entry, datasets.load, datasets.prepare])
def test_an_unknown_name_lists_the_registered_ones(use, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"'minst' does not exist; allowed: cifar10, digits, fashion_mnist, mnist, folder:PATH"
    ) as caught:
        use("minst", tmp_path)
    one_line(caught)


# Digits


def test_digits_are_the_real_ones(digits: datasets.Dataset) -> None:
    from sklearn.datasets import load_digits

    real = load_digits()
    assert digits.image_shape == (8, 8, 1)
    assert digits.train_images.shape == (1437, 8, 8, 1)
    assert digits.test_images.shape == (360, 8, 8, 1)
    assert digits.train_images.dtype == digits.test_images.dtype == np.uint8
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int32
    assert (digits.classes, digits.validation_size) == (10, 143)

    images = np.concatenate([digits.train_images, digits.test_images])
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    found = np.column_stack([images.reshape(1797, -1), labels])
    wanted = np.column_stack([np.rint(real.data * 255 / 16), real.target])
    np.testing.assert_array_equal(found[np.lexsort(found.T)], wanted[np.lexsort(wanted.T)])
    assert images.max() == 255


def test_digits_are_stratified_and_always_the_same(digits: datasets.Dataset) -> None:
    share = np.bincount(digits.test_labels, minlength=10) / np.bincount(
        np.concatenate([digits.train_labels, digits.test_labels])
    )
    np.testing.assert_allclose(share, 0.2, atol=0.005)
    assert digits.fingerprint == "11c4c9e5e1d757ca5ed9b7abfacab32d006a5f42ff016f37baa27f0787b6529d"
    assert digits.fingerprint == prepared.fingerprint(DIGITS.build(DIGITS, Path(), Path(), lambda stage, done: None))


def test_digits_load_mapped_and_read_only_the_second_time(digits: datasets.Dataset) -> None:
    assert isinstance(digits.train_images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        digits.train_images[0] = 0


def test_damaged_digits_heal(digits_home: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_home, tmp_path, dirs_exist_ok=True)
    (tmp_path / "data" / "digits" / "test_labels.npy").unlink()
    assert datasets.load("digits", tmp_path).test_labels.shape == (360,)
    assert sorted(os.listdir(tmp_path / "data")) == ["digits"]


def flip(path: Path, place: int) -> None:
    """Change one bit of a file, keeping its size."""
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_END if place < 0 else os.SEEK_SET)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def shift(path: Path) -> None:
    """Move all labels by one."""
    np.save(path, (np.load(path) + 1) % 10, allow_pickle=False)


def swap(one: Path, other: Path) -> None:
    """Exchange two examples' labels."""
    labels = np.load(one)
    first, second = 0, int(np.flatnonzero(labels != labels[0])[0])
    labels[[first, second]] = labels[[second, first]]
    np.save(one, labels, allow_pickle=False)


QUIET = {
    "a training image": lambda folder: flip(folder / "train_images.npy", -1),
    "a test image": lambda folder: flip(folder / "test_images.npy", 200),
    "a label": lambda folder: flip(folder / "train_labels.npy", -4),
    "labels shifted": lambda folder: shift(folder / "train_labels.npy"),
    "labels exchanged": lambda folder: swap(folder / "test_labels.npy", folder),
    "the fingerprint": lambda folder: edit(folder, '"fingerprint": "', '"fingerprint": "0'),
    "the classes": lambda folder: edit(folder, '"classes": 10', '"classes": 12'),
    "a header": lambda folder: flip(folder / "train_labels.npy", 20),
}
"""Changes that leave every size as it was, or that only the manifest's digest shows."""


def edit(folder: Path, before: str, after: str) -> None:
    sheet = folder / "dataset.json"
    text = sheet.read_text()
    assert before in text
    sheet.write_text(text.replace(before, after))


@pytest.mark.parametrize("damage", QUIET)
def test_a_built_in_set_is_never_loaded_damaged(damage: str, digits: datasets.Dataset, tmp_path: Path) -> None:
    folder = datasets.prepare("digits", tmp_path)
    datasets.load("digits", tmp_path)  # what was verified before is verified again once it has changed
    QUIET[damage](folder)
    loaded = datasets.load("digits", tmp_path)
    assert loaded.fingerprint == digits.fingerprint
    assert loaded.classes == digits.classes
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(digits, name))


@pytest.mark.parametrize("damage", QUIET)
def test_a_published_set_that_is_damaged_is_refused_in_one_line(damage: str, mnist_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mnist"
    shutil.copytree(mnist_home / "data" / "mnist", folder, ignore=shutil.ignore_patterns("tfds"))
    datasets.load("mnist", tmp_path)
    QUIET[damage](folder)
    with pytest.raises(BadInput, match=r"mnist is damaged .*run: lth-tui data prepare mnist") as caught:
        datasets.load("mnist", tmp_path)
    one_line(caught)


def test_files_that_did_not_change_are_read_in_whole_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.load("digits", tmp_path)
    monkeypatch.setattr(prepared, "fingerprint", None)
    datasets.load("digits", tmp_path)
    monkeypatch.undo()
    calls: list[int] = []
    real = prepared.fingerprint
    monkeypatch.setattr(prepared, "fingerprint", lambda *arguments: calls.append(1) or real(*arguments))
    labels = tmp_path / "data" / "digits" / "test_labels.npy"
    facts = labels.stat()
    flip(labels, -4)
    os.utime(labels, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # who sets the time of change back is found too
    assert datasets.load("digits", tmp_path).test_labels[-1] in range(10)
    assert calls


def test_digits_need_no_home_that_can_be_written(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.touch()
    loaded = datasets.load("digits", home)
    assert loaded.train_images.shape == (1437, 8, 8, 1)
    assert not loaded.train_images.flags.writeable
    with pytest.raises(BadInput, match="cannot be written") as caught:
        datasets.prepare("digits", home)
    one_line(caught)


def test_digits_take_no_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="built in"):
        datasets.prepare("digits", tmp_path, tmp_path)


# Splits


def made_up(train: int, validation: int, channels: int) -> datasets.Dataset:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (train, 3, 2, channels), np.uint8)
    labels = np.zeros(train, np.int32)
    return datasets.Dataset("made up", images, labels, images, labels, 1, validation, "")


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**64),
    train=st.integers(2, 60),
    channels=st.integers(1, 3),
    data=st.data(),
)
def test_a_split_is_complete_disjoint_and_repeatable(seed: int, train: int, channels: int, data: st.DataObject) -> None:
    dataset = made_up(train, data.draw(st.integers(1, train - 1)), channels)
    split = datasets.split(dataset, seed)
    assert split.train.dtype == split.validation.dtype == np.int32
    assert len(split.validation) == dataset.validation_size
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.validation) > 0).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.validation])), np.arange(train))
    np.testing.assert_array_equal(datasets.split(dataset, seed).validation, split.validation)


@settings(deadline=None, max_examples=50)
@given(train=st.integers(1, 40), channels=st.integers(1, 3), data=st.data())
def test_statistics_are_those_of_the_rows_and_of_no_other_image(train: int, channels: int, data: st.DataObject) -> None:
    images = made_up(train, 0, channels).train_images
    rows = np.array(data.draw(st.lists(st.integers(0, train - 1), min_size=1, unique=True)), np.int32)
    mean, std = datasets.statistics(images, rows)
    pixels = images[rows].astype(np.float64) / 255
    assert (mean.dtype, std.dtype, mean.shape, std.shape) == (np.float32, np.float32, (channels,), (channels,))
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std((0, 1, 2)), rtol=1e-6, atol=1e-7)
    others = np.full_like(images, 255)
    others[rows] = images[rows]
    for read_only in (False, True):
        others.flags.writeable = not read_only
        np.testing.assert_array_equal(datasets.statistics(others, rows), (mean, std))
        np.testing.assert_array_equal(datasets.statistics(others, rows[::-1].copy()), (mean, std))


def test_sums_of_read_only_images_are_computed_once_and_dropped_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    images, rows, summed = made_up(20, 0, 1).train_images, np.arange(5, dtype=np.int32), []
    compute = splits._sum
    monkeypatch.setattr(splits, "_sum", lambda images: summed.append(1) or compute(images))
    images.flags.writeable = False
    gc.collect()  # of other tests
    before = len(splits._SUMS)
    for _ in range(3):
        datasets.statistics(images, rows)
    assert (len(summed), len(splits._SUMS)) == (1, before + 1)
    del images
    gc.collect()
    assert len(splits._SUMS) == before


def test_the_majority_is_the_accuracy_of_the_best_constant_prediction() -> None:
    labels = np.array([0, 0, 0, 2, 1, 2, 2, 2], np.int32)
    assert datasets.majority(labels, np.array([0, 1, 2, 3], np.int32), 3) == 0.75
    assert datasets.majority(labels, np.arange(8, dtype=np.int32), 3) == 0.5
    dataset = made_up(30, 10, 1)
    assert datasets.split(dataset, 0).majority == 1.0


def test_seeds_differ_and_the_draw_is_fixed_for_good(digits: datasets.Dataset) -> None:
    first = [datasets.split(digits, seed).validation for seed in range(20)]
    assert len({held.tobytes() for held in first}) == 20
    assert first[0][:5].tolist() == [3, 7, 14, 29, 31]
    drawn = np.bincount(np.concatenate([datasets.split(digits, s).validation for s in range(200)]), minlength=1437)
    assert drawn.min() >= 4
    assert drawn.max() <= 45


# MNIST, prepared


def test_mnist_is_mnist(mnist_home: Path) -> None:
    mnist = datasets.load("mnist", mnist_home)
    assert mnist.image_shape == (28, 28, 1)
    assert mnist.train_images.shape == (60_000, 28, 28, 1)
    assert mnist.test_images.shape == (10_000, 28, 28, 1)
    assert isinstance(mnist.train_images, np.memmap)
    assert mnist.train_labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert mnist.test_labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert mnist.train_labels.dtype == mnist.test_labels.dtype == np.int32
    assert mnist.fingerprint == "2ebe2baa6c06265f80a34be23f2af256f1ab4600382231b07afa7338f62aa23d"
    split = datasets.split(mnist, 0)
    assert (len(split.train), len(split.validation), len(mnist.test_labels)) == (55_000, 5_000, 10_000)
    mean, std = datasets.statistics(mnist.train_images, split.train)
    assert mean == pytest.approx([0.1307], abs=1e-3)
    assert std == pytest.approx([0.3081], abs=1e-3)
    assert datasets.entry("mnist", mnist_home).ready


def test_a_preparation_leaves_only_what_it_names(mnist_home: Path, mnist_files: Path) -> None:
    assert [path.name for path in (mnist_home / "data").iterdir()] == ["mnist"]
    below = mnist_home / "data" / "mnist"
    assert sorted(path.name for path in below.iterdir()) == sorted(
        [*(f"{field}.npy" for field in Arrays._fields), "dataset.json", "tfds"]
    )
    records = below / "tfds" / "mnist" / "3.0.1"
    assert len(list(records.glob("*.array_record-*"))) == 2
    assert ".draft" not in (records / "dataset_info.json").read_text()
    assert sorted(path.name for path in mnist_files.iterdir()) == sorted(FILES)


def test_preparing_again_leaves_a_sound_set_alone(mnist_home: Path, unreachable: None) -> None:
    sheet = mnist_home / "data" / "mnist" / "dataset.json"
    before = sheet.stat().st_mtime_ns
    heard: list[tuple[str, float]] = []
    folder = datasets.prepare("mnist", mnist_home, report=lambda *said: heard.append(said))
    assert folder == sheet.parent
    assert sheet.stat().st_mtime_ns == before
    assert heard[-1] == ("ready", 1.0)


@pytest.mark.parametrize("damage", ["missing", "short", "shape", "json", "array"])
def test_a_damaged_folder_is_named_with_the_way_out(damage: str, mnist_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mnist"
    shutil.copytree(mnist_home / "data" / "mnist", folder, ignore=shutil.ignore_patterns("tfds"))
    labels, sheet = folder / "test_labels.npy", folder / "dataset.json"
    if damage == "missing":
        labels.unlink()
    elif damage == "short":
        os.truncate(labels, 1000)
    elif damage == "shape":
        told = json.loads(sheet.read_text())
        told["arrays"]["test_labels"]["shape"] = [9_999]
        sheet.write_text(json.dumps(told))
    elif damage == "json":
        sheet.write_text("{")
    else:
        labels.write_bytes(bytes(labels.stat().st_size))
    with pytest.raises(BadInput, match="is damaged") as caught:
        datasets.load("mnist", tmp_path)
    text = one_line(caught)
    assert str(folder) in text
    assert ("dataset.json" if damage in ("shape", "json") else "test_labels.npy") in text
    assert "lth-tui data prepare mnist" in text
    if damage != "array":
        entry = datasets.entry("mnist", tmp_path)
        assert not entry.ready
        assert entry.advice == text


def test_preparing_finds_a_flipped_byte(mnist_home: Path, tmp_path: Path, unreachable: None) -> None:
    folder = tmp_path / "data" / "mnist"
    shutil.copytree(mnist_home / "data" / "mnist", folder, ignore=shutil.ignore_patterns("tfds"))
    with (folder / "train_images.npy").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\xaa")
    assert not prepared.sound(folder, MNIST)
    with pytest.raises(BadInput, match="cannot be reached"):
        datasets.prepare("mnist", tmp_path)
    assert folder.is_dir()


# MNIST from a folder that is not as it should be


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(name: str, broken: Path, tmp_path: Path) -> None:
    size = (broken / name).stat().st_size
    os.truncate(broken / name, size - 7)
    with pytest.raises(BadInput, match=f"{size - 7} bytes, expected {size}") as caught:
        datasets.prepare("mnist", tmp_path / "home", broken)
    assert str(broken / name) in one_line(caught)
    assert not (tmp_path / "home").exists()


def test_a_flipped_byte_is_found(broken: Path, tmp_path: Path) -> None:
    with (broken / FILES[0]).open("r+b") as file:
        file.seek(5000)
        old = file.read(1)
        file.seek(5000)
        file.write(bytes([old[0] ^ 1]))
    with pytest.raises(BadInput, match=r"SHA-256 .*expected 440fcabf73cc") as caught:
        datasets.prepare("mnist", tmp_path / "home", broken)
    assert str(broken / FILES[0]) in one_line(caught)
    assert not (tmp_path / "home").exists()


def test_missing_files_are_listed(broken: Path, tmp_path: Path) -> None:
    (broken / FILES[1]).unlink()
    (broken / FILES[2]).unlink()
    with pytest.raises(BadInput, match=f"{FILES[1]}, {FILES[2]} missing, 2 of 4") as caught:
        datasets.prepare("mnist", tmp_path / "home", broken)
    one_line(caught)
    assert not (tmp_path / "home").exists()


def test_a_folder_in_place_of_a_file(broken: Path, tmp_path: Path) -> None:
    (broken / FILES[3]).unlink()
    (broken / FILES[3]).mkdir()
    with pytest.raises(BadInput, match=FILES[3]) as caught:
        datasets.prepare("mnist", tmp_path / "home", broken)
    one_line(caught)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "no such folder"),
        ("file", "not a folder"),
        ("x" * 300, "cannot be read"),
        ("a\0b", "cannot be read"),
    ],
)
def test_a_source_that_is_no_folder(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=said) as caught:
        datasets.prepare("mnist", tmp_path / "home", tmp_path / name)
    assert all(file in one_line(caught) for file in FILES)
    assert not (tmp_path / "home").exists()


class StopNow(Exception):
    pass


def stop_at(stage: str):
    def report(said: str, done: float) -> None:
        if said.startswith(stage):
            raise StopNow

    return report


@pytest.mark.parametrize("stage", ["checking", "writing"])
def test_stopping_a_preparation_leaves_nothing(stage: str, mnist_files: Path, tmp_path: Path) -> None:
    with pytest.raises(StopNow):
        datasets.prepare("mnist", tmp_path, mnist_files, stop_at(stage))
    assert left_behind(tmp_path) == []


def test_stopping_at_the_end_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StopNow):
        datasets.prepare("digits", tmp_path, report=stop_at("writing the arrays"))
    assert left_behind(tmp_path) == []


# No network, or a poor one


@pytest.mark.parametrize("use", [datasets.load, datasets.prepare])
def test_offline_says_what_to_do(use, tmp_path: Path, unreachable: None) -> None:
    with pytest.raises(BadInput, match="cannot be reached") as caught:
        use("mnist", tmp_path)
    text = one_line(caught)
    assert text.endswith("lth-tui data prepare mnist --from DIR")
    assert all(name in text for name in FILES)
    assert left_behind(tmp_path) == []


def test_a_probe_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    release = threading.Event()

    def hang(*args: object, **options: object) -> None:
        release.wait(10)
        raise requests.ConnectionError

    monkeypatch.setattr(prepared, "_PROBE_S", 0.0)
    monkeypatch.setattr(requests, "head", hang)
    start = time.monotonic()
    assert not prepared.reachable("https://example.invalid/")
    assert time.monotonic() - start < 5
    release.set()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Source]]:
    """A folder on a local server, and a small recipe whose two originals lie in it."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.gz").write_bytes(b"first" * 100_000)
    (folder / "b.gz").write_bytes(b"second")
    digest = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=os.fspath(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    recipe = tiny(
        (Original("a.gz", 500_000, digest["a.gz"]), Original("b.gz", 6, digest["b.gz"])),
        f"http://127.0.0.1:{server.server_port}/",
    )
    yield folder, recipe
    server.shutdown()
    thread.join()
    server.server_close()


def tiny(files: tuple[Original, ...] = (), url: str = "") -> Source:
    def build(recipe: Source, draft: Path, files: Path, report: object) -> Arrays:
        images, labels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1), np.arange(6, dtype=np.int32)
        return Arrays(images[:4], labels[:4], images[4:], labels[4:])

    return Source("tiny", "", (2, 2, 1), 4, 2, 6, 1, build, files, url)


def test_a_download_is_checked_and_its_progress_told(served: tuple[Path, Source], tmp_path: Path) -> None:
    _, recipe = served
    heard: list[tuple[str, float]] = []
    prepared.download(recipe, tmp_path, lambda *said: heard.append(said))
    prepared.check_folder(tmp_path, recipe)
    assert {stage for stage, _ in heard} == {"downloading a.gz", "downloading b.gz"}
    fractions = [done for _, done in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_download_that_came_damaged(served: tuple[Path, Source], tmp_path: Path) -> None:
    folder, recipe = served
    (folder / "b.gz").write_bytes(b"damage")
    with pytest.raises(BadInput, match=r"b.gz arrived damaged .*--from DIR") as caught:
        prepared.download(recipe, tmp_path, lambda stage, done: None)
    one_line(caught)


def test_a_download_that_fails_midway(served: tuple[Path, Source], tmp_path: Path) -> None:
    folder, recipe = served
    (folder / "b.gz").unlink()
    with pytest.raises(BadInput, match=r"b.gz could not be downloaded \(HTTPError\).*--from DIR") as caught:
        prepared.download(recipe, tmp_path, lambda stage, done: None)
    one_line(caught)


def test_a_server_that_refuses_is_not_reachable(served: tuple[Path, Source]) -> None:
    _, recipe = served
    assert prepared.reachable(recipe.url + "a.gz")
    assert not prepared.reachable(recipe.url + "nothing")
    assert not prepared.reachable("http://127.0.0.1:1/")


# Two processes at once


def write_draft(folder: Path, recipe: Source, mark: str) -> None:
    with prepared.draft(folder) as draft:
        prepared.write(draft, recipe, recipe.build(recipe, draft, draft, lambda stage, done: None))
        (draft / mark).touch()
        prepared.publish(draft, folder, recipe)


def test_the_first_to_publish_stays_and_the_damaged_gives_way(tmp_path: Path) -> None:
    recipe, folder = tiny(), tmp_path / "data" / "tiny"
    write_draft(folder, recipe, "first")
    write_draft(folder, recipe, "second")
    assert (folder / "first").exists()
    read = prepared.read(folder, recipe)
    (folder / "test_images.npy").unlink()
    write_draft(folder, recipe, "third")
    assert (folder / "third").exists()
    assert read.train_images[3, 1, 1, 0] == 15
    shutil.rmtree(folder)
    folder.touch()
    write_draft(folder, recipe, "fourth")
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_many_at_once_leave_one_sound_set(tmp_path: Path) -> None:
    recipe, folder = tiny(), tmp_path / "data" / "tiny"
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for round in range(5):
                write_draft(folder, recipe, f"{number}-{round}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert prepared.sound(folder, recipe)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_what_a_killed_preparation_left_is_swept_after_a_day(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".tiny-0.draft", tmp_path / ".tiny-1.draft"
    old.mkdir()
    fresh.mkdir()
    os.utime(old, (0, 0))
    write_draft(tmp_path / "tiny", tiny(), "mark")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tiny-1.draft", "tiny"]
