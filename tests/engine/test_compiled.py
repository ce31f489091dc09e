"""Compiled programs: JAX runs none but those that were kept under their names."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.training.compiled import ProgramCache

PROGRAM = """
import sys
from pathlib import Path
from engine.training import prepare_jax
prepare_jax(Path(sys.argv[1]))
import jax
from jax import monitoring
hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
print(jax.jit(lambda x: x * 3 + 1)(2.0), jax.jit(lambda x: (x - 5) * 7)(2.0), len(hits))
"""


def computed(folder: Path) -> tuple[str, str, int]:
    """Two results, and how many programs were taken from the folder, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    one, other, hits = done.stdout.split()
    return one, other, int(hits)


def exchanged(files: list[Path]) -> None:
    for one, other in zip(files, [*files[1:], files[0]], strict=True):
        other.with_suffix(".new").write_bytes(one.read_bytes())
    for path in files:
        path.with_suffix(".new").replace(path)


def test_a_moved_folder_keeps_its_programs_and_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        one, other, hits = computed(tmp_path / "one")
    finally:
        os.umask(before)
    assert (one, other, hits) == ("7.0", "-21.0", 0)
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0
    files = len(list((tmp_path / "one").iterdir()))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert computed(tmp_path / "two") == ("7.0", "-21.0", files)
    exchanged(sorted((tmp_path / "two").glob("*-cache")))
    assert computed(tmp_path / "two") == ("7.0", "-21.0", 0)
    assert computed(tmp_path / "two") == ("7.0", "-21.0", files), "they are kept anew"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: path.rename(path.with_name("other-cache")),
    ],
)
def test_a_program_that_is_not_the_one_that_was_kept_is_none(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    cache = ProgramCache(str(tmp_path))
    cache.put("name", b"program")
    assert cache.get("name") == b"program"
    damage(tmp_path / "name-cache")
    assert cache.get("name") is None
    assert cache.get("other") is None
    cache.put("name", b"program")
    assert cache.get("name") == b"program"
