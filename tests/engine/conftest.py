"""What the engine's tests share."""

import contextlib
import io
from pathlib import Path

import pytest

from engine import datasets

MNIST_FILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"


@pytest.fixture(scope="session")
def jax_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    """JAX as the runner sets it up, which must come before anything asks it for devices."""
    from engine.lanes import prepare_jax

    prepare_jax(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def mnist_files() -> Path:
    """The folder with MNIST's four original files; not to be written to."""
    if not MNIST_FILES.is_dir():
        pytest.skip(f"MNIST's original files are not at {MNIST_FILES}")
    return MNIST_FILES


@pytest.fixture(scope="session")
def mnist_home(mnist_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with MNIST prepared; copy it before damaging it."""
    home = tmp_path_factory.mktemp("mnist-home")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        datasets.prepare("mnist", home, mnist_files)
    assert said.getvalue() == "", "the terminal is the interface's: a preparation prints nothing"
    return home
