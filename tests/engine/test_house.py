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
    "engine.plan",
    "engine.datasets",
    "engine.masks",
    "engine.export",
    "lth_tui.cli",
]


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after importing `module`."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return set(ran.stdout.split())


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_rooms_load_neither_terminal_nor_jax(module: str) -> None:
    assert loaded_by(module) & (TERMINAL | HEAVY) == set()


def test_the_interface_opens_without_what_computes() -> None:
    assert loaded_by("lth_tui.shell") & HEAVY == set()


def test_what_trains_loads_no_terminal() -> None:
    found = loaded_by("engine.lanes, engine.runner")
    assert "jax" in found
    assert found & (TERMINAL | {"tensorflow", "tensorflow_datasets"}) == set()


def test_arrows_run_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
