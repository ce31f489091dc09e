"""What this machine has for the laboratory."""

import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import psutil

from engine import datasets
from engine.errors import BadInput, LabError
from engine.paths import cache_folder
from engine.store import Problem, Store, find_problems
from engine.training.probe import check_platform
from lth_tui.printing import console

_PACKAGES = ("lth-tui", "jax", "jaxlib", "flax", "optax", "numpy", "textual", "plotext")


def examine(home: Path, *, repair: bool = False) -> bool:
    """Print one line a finding; whether all is well. With `repair`, problems of the store are repaired first."""
    out = console()
    well = True

    def say(good: bool, what: str, found: str) -> None:
        nonlocal well
        well = well and good
        out.print(f"{'ok  ' if good else 'FAIL'}  {what:10} {found}", markup=False, soft_wrap=True)

    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    say(True, "versions", f"Python {platform.python_version()}, {packages}")
    say(*_devices(home))
    memory = psutil.virtual_memory()
    say(True, "memory", f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free")
    say(*_home(home))
    for entry in datasets.catalogue(home):
        damage = datasets.damage(entry.name, home) if entry.ready else ""
        say(not damage, "data", f"{entry.name}: {damage or ('ready' if entry.ready else entry.advice)}")
    store = Store(home)
    say(True, "store", f"{len(store.names())} runs, {len(store.rounds.kept())} rounds")
    for found in list(find_problems(store)):
        say(*_repaired(found) if repair and found.repair else (False, "store", _advised(found)))
    size = shutil.get_terminal_size()
    say(True, "terminal", f"{size.columns}x{size.lines}, TERM={os.environ.get('TERM', 'not set')}")
    return well


def _devices(home: Path) -> tuple[bool, str, str]:
    try:
        check_platform()
        from engine.training import machine, prepare_jax

        prepare_jax(cache_folder(home))
        return True, "devices", f"{machine().words}; a lane on each; {machine().tag}"
    except (LabError, RuntimeError, ImportError) as error:
        return False, "devices", f"JAX finds none: {' '.join(str(error).split())}"


def _home(home: Path) -> tuple[bool, str, str]:
    try:
        Store(home).check_room(0)
    except BadInput as error:
        return False, "home", str(error)
    return True, "home", f"{home}: {shutil.disk_usage(home).free / 1e9:.1f} GB free"


def _advised(found: Problem) -> str:
    return f"{found.what} (lth-tui doctor --repair)" if found.repair else f"{found.what}; {found.remedy}"


def _repaired(found: Problem) -> tuple[bool, str, str]:
    assert found.repair is not None
    try:
        found.repair()
    except (LabError, OSError) as error:
        return False, "store", f"{found.what}; cannot be repaired: {error}"
    return True, "store", f"repaired: {found.what}; {found.remedy}"
