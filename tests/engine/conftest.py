"""What the engine's tests share."""

import contextlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from shapes import check_shapes

from engine import datasets
from engine.spec import Study, parse_study
from engine.store import Event, RunFolder, Store

if TYPE_CHECKING:
    from engine.training import Machine

check_shapes()

MNIST_FILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"

# Whether an example is right does not depend on how busy the machine is.
settings.register_profile("lab", deadline=None)
settings.load_profile("lab")


@pytest.fixture(scope="session")
def jax_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    """JAX as the runner sets it up, which must come before anything asks it for devices."""
    from engine.training import prepare_jax

    prepare_jax(tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def accelerator(jax_ready: None, monkeypatch: pytest.MonkeyPatch) -> "Machine":
    """The engine takes this machine for one with a GPU: lanes are vmapped, and calls have fixed lengths."""
    from engine import training
    from engine.training import Machine, machine

    substitute = Machine("gpu", "a GPU", 1, "a GPU")
    for name, module in list(sys.modules.items()):
        if name.startswith("engine.") and vars(module).get("machine") is machine:
            monkeypatch.setattr(module, "machine", lambda: substitute)
    monkeypatch.setattr(training, "machine", lambda: substitute)
    return substitute


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


TINY = """
name = "tiny"
trials = 2
[base.train]
iterations = 40
batch = 30
learning_rate = 3e-3
evaluate_every = 15
[base.prune]
rounds = 3
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "one-shot"
[[arm]]
name = "reinit"
[[arm]]
name = "random-mask"
"""


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Study]:
    """A study of all four arms that takes a moment, under settings as `--set` takes them."""
    return lambda *settings: parse_study(TINY, source="tiny.toml", settings=settings)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes homes with the digits prepared."""
    prepared = tmp_path_factory.mktemp("digits")
    datasets.load("digits", prepared)

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        shutil.copytree(prepared, home, dirs_exist_ok=True)
        return home

    return make


@pytest.fixture(scope="session")
def execute() -> Iterator[Callable[..., tuple[str, RunFolder]]]:
    """Runs a study in a home: (status, the run). `report` gets the run and each event as it happens."""
    from engine.runner import run

    opened: list[RunFolder] = []

    def execute(
        study: Study, home: Path, report: Callable[[RunFolder, Event], None] | None = None
    ) -> tuple[str, RunFolder]:
        store = Store(home)
        folder = store.create(study, f"run-{len(opened)}")
        opened.append(folder)
        return run(folder, store, lambda stamped: report(folder, stamped.event) if report else None), folder

    yield execute
    for folder in opened:
        folder.close()


@pytest.fixture(scope="session")
def finished(
    jax_ready: None,
    tiny: Callable[..., Study],
    new_home: Callable[[], Path],
    execute: Callable[..., tuple[str, RunFolder]],
) -> RunFolder:
    """The tiny study, run to its end; not to be written to."""
    status, folder = execute(tiny(), new_home())
    assert status == "done"
    return folder
