"""The house keeps its shape: the engine knows no terminal, its light rooms no JAX, and arrows run one way."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TERMINAL = {"textual", "textual_plotext", "plotext", "typer"}
HEAVY = {"jax", "flax", "optax", "tensorflow", "tensorflow_datasets", "sklearn", "scipy"}
LIGHT = [
    "engine",
    "engine.spec",
    "engine.store",
    "engine.views",
    "engine.experiment",
    "engine.datasets",
    "engine.pruning",
    "engine.export",
    "engine.training.probe, engine.training.optimizers, engine.training.schedules",
    "lth_tui.cli",
]


LATER = {"numpy", "plotext", "textual_plotext", "PIL", "requests", "tarfile", "screens.runs", "screens.live"}
"""What the first screen is drawn without."""

FIRST_SCREEN = """
import sys
from pathlib import Path
from engine.spec import load_study
from lth_tui.shell import LabApp

def display(app, screen, renderable):
    if renderable is not None and not loaded:
        loaded.extend((screen.name, *sys.modules))
        app.call_after_refresh(app.exit)

loaded = []
LabApp._display = display
LabApp(Path(sys.argv[1]), study=load_study("quickstart"), source="quickstart").run(headless=True)
print(*loaded)
"""


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after importing `module`."""
    return {name.partition(".")[0] for name in printed(f"import sys, {module}; print(*sys.modules)")}


def printed(code: str, *arguments: str) -> list[str]:
    """What a fresh interpreter prints."""
    ran = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_rooms_load_neither_terminal_nor_jax(module: str) -> None:
    assert loaded_by(module) & (TERMINAL | HEAVY) == set()


def test_the_first_screen_is_drawn_before_what_others_need_is_loaded(tmp_path: Path) -> None:
    screen, *loaded = printed(FIRST_SCREEN, str(tmp_path))
    assert screen == "configure"
    assert set(loaded) & (HEAVY | LATER) == set()


def test_no_screen_loads_what_computes() -> None:
    assert loaded_by("screens.keys; screens.keys.load_all()") & HEAVY == set()


def test_what_trains_loads_no_terminal() -> None:
    found = loaded_by("engine.training, engine.runner")
    assert "jax" in found
    assert found & (TERMINAL | {"tensorflow", "tensorflow_datasets"}) == set()


def test_arrows_run_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
