"""Functions as data sets: ten lines in a plug-in are a data set like any other."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import datasets, registry
from engine.errors import BadInput
from engine.registry import Origin, registering

PLUGIN = Origin("stripes.py", "0123456789abcdef")


def stripes(train: int = 40, test: int = 12) -> tuple[np.ndarray, ...]:
    """Vertical (class 0) and horizontal (class 1) stripes, `[N, 4, 4]`."""
    draw = np.random.default_rng(0)
    labels = np.arange(train + test) % 2
    images = draw.integers(0, 100, (train + test, 4, 4), np.uint8)
    images[labels == 0, :, ::2] += 100
    images[labels == 1, ::2] += 100
    return images[:train], labels[:train], images[train:], labels[train:]


@pytest.fixture
def register() -> Iterator[Callable[..., list[int]]]:
    """Registers a function as the data set `stripes`; the list grows with each of its calls."""
    origins: list[Origin] = []

    def register(make: Callable[[], Any] = stripes, origin: Origin = PLUGIN) -> list[int]:
        calls: list[int] = []
        origins.append(origin)

        def function() -> Any:
            calls.append(1)
            return make()

        with registering(origin):
            registry.dataset("stripes", "vertical and horizontal stripes")(function)
        return calls

    yield register
    for origin in origins:
        registry.dataset.forget(origin)


def test_sizes_and_classes_are_those_of_its_arrays(register: Callable[..., list[int]], tmp_path: Path) -> None:
    register()
    assert "stripes" in datasets.names()
    entry = datasets.entry("stripes", tmp_path)
    assert (entry.about, entry.image_shape, entry.classes) == ("vertical and horizontal stripes", (4, 4, 1), 2)
    assert (entry.train, entry.validation, entry.test, entry.ready) == (40, 4, 12, True)
    loaded = datasets.load("stripes", tmp_path)
    assert entry.fingerprint == loaded.fingerprint != ""
    for found, expected in zip(
        (loaded.train_images[..., 0], loaded.train_labels, loaded.test_images[..., 0], loaded.test_labels),
        stripes(),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    assert isinstance(loaded.train_images, np.memmap)
    assert loaded.train_labels.dtype == np.int32


def test_it_is_called_once_and_again_when_its_plugin_changes(
    register: Callable[..., list[int]], tmp_path: Path
) -> None:
    first = register()
    before = datasets.load("stripes", tmp_path)
    datasets.entry("stripes", tmp_path)
    datasets.catalogue(tmp_path)
    datasets.load("stripes", tmp_path)
    assert len(first) == 1
    registry.dataset.forget(PLUGIN)
    changed = register(lambda: stripes(30), Origin("stripes.py", "fedcba9876543210"))
    assert datasets.entry("stripes", tmp_path).train == 30
    after = datasets.load("stripes", tmp_path)
    assert (len(changed), len(after.train_labels)) == (1, 30)
    assert after.fingerprint != before.fingerprint
    assert len(before.train_images[39]) == 4  # who holds the old arrays keeps them


def test_damage_is_repaired_by_another_call(register: Callable[..., list[int]], tmp_path: Path) -> None:
    calls = register()
    folder = datasets.prepare("stripes", tmp_path)
    (folder / "train_labels.npy").write_bytes(b"")
    assert datasets.load("stripes", tmp_path).classes == 2
    assert len(calls) == 2


def wrong(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Any]:
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return lambda: tuple(
        changes.get(name, lambda array: array)(array) for name, array in zip(names, stripes(), strict=True)
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: 1 / 0, "its function raised ZeroDivisionError: division by zero"),
        (lambda: None, "returned a NoneType; allowed: four arrays"),
        (lambda: stripes()[:3], "returned a tuple; allowed: four arrays"),
        (wrong(train_images=lambda it: it / 255), "images float64"),
        (wrong(train_images=lambda it: it[0]), "images uint8"),
        (wrong(train_labels=lambda it: it[1:]), r"labels int64 \[39\] for 40 images"),
        (wrong(test_labels=lambda it: it - 1), "a whole number from 0 up"),
        (wrong(test_labels=lambda it: it + 5), "all among the training labels"),
        (wrong(train_labels=lambda it: it * 0, test_labels=lambda it: it * 0), "at least 2 classes"),
        (wrong(test_images=lambda it: it[:, 1:]), "one shape"),
    ],
)
def test_what_is_no_data_set_is_one_line(
    make: Callable[[], Any], said: str, register: Callable[..., list[int]], tmp_path: Path
) -> None:
    register(make)
    with pytest.raises(BadInput, match=said) as caught:
        datasets.entry("stripes", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("dataset 'stripes': ")
    listed = {entry.name: entry for entry in datasets.catalogue(tmp_path)}
    assert not listed["stripes"].ready
    assert listed["stripes"].advice == str(caught.value)
    assert listed["digits"].ready


def test_it_takes_no_published_files(register: Callable[..., list[int]], tmp_path: Path) -> None:
    register()
    with pytest.raises(BadInput, match="leave out --from"):
        datasets.prepare("stripes", tmp_path, tmp_path)


def test_what_a_script_registers_has_the_digest_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    source = 'from engine import registry\n\n\n@registry.dataset("scripted", "x")\ndef scripted():\n    return NUMBER\n'
    origins = []
    try:
        for number in (1, 1, 2):
            file.write_text(f"{source}\n\nNUMBER = {number}\n")
            runpy.run_path(str(file))
            origins.append(registry.dataset.entry("scripted").origin)
        assert [origin.name for origin in origins] == [str(file)] * 3
        assert origins[0] == origins[1] != origins[2]
        assert len(origins[0].digest) == 64
    finally:
        registry.dataset.forget(origins[-1])
    with pytest.raises(BadInput, match="registered outside of a file"):
        exec(source, {"__name__": "__main__"})
    assert registry.dataset.entry("digits").origin == Origin()
