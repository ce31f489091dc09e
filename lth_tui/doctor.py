"""What this machine has for the laboratory."""

import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil

from engine import datasets
from engine.errors import LabError
from engine.places import cache_folder
from engine.store import Store
from lth_tui.printing import console

_PACKAGES = ("lth-tui", "jax", "jaxlib", "flax", "optax", "numpy", "textual", "plotext")
_ROOM = 200_000_000


def examine(home: Path) -> bool:
    """Print one line a finding; whether all is well."""
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
        say(True, "data", f"{entry.name}: {'ready' if entry.ready else entry.advice}")
    store = Store(home)
    found = store.runs()
    damaged = [item.id for item in found if item.status == "damaged"]
    say(not damaged, "runs", f"{len(found)} kept" + (f"; damaged: {', '.join(damaged)}" if damaged else ""))
    size = shutil.get_terminal_size()
    say(True, "terminal", f"{size.columns}x{size.lines}, TERM={os.environ.get('TERM', 'not set')}")
    return well


def _devices(home: Path) -> tuple[bool, str, str]:
    try:
        from engine.lanes import machine, prepare_jax

        prepare_jax(cache_folder(home))
        return True, "devices", f"{machine().words}; a lane on each"
    except (LabError, RuntimeError, ImportError) as error:
        return False, "devices", f"JAX finds none: {' '.join(str(error).split())}"


def _home(home: Path) -> tuple[bool, str, str]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return False, "home", f"{home}: cannot be written ({error.strerror}); set LTH_TUI_HOME to a folder that can"
    free = shutil.disk_usage(home).free
    return free > _ROOM, "home", f"{home}: {free / 1e9:.1f} GB free"
