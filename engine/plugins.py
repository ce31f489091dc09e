"""Plug-ins: user code that registers entries.

A *plug-in* is a Python file given on the command line or in the settings, or an installed package with the entry point
group `lth_tui.plugins`. Studies and bundles only name entries and never load code.
"""

import hashlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import BadInput
from engine.registry import REGISTRIES, Origin, registering

GROUP = "lth_tui.plugins"
ENVIRONMENT = "LTH_TUI_PLUGINS"
"""Environment variable with the loaded files, one per line, for child processes."""
PACKAGE = "package "
"""Prefix of the names of installed plug-ins; a file's name is its absolute path."""
RUN_FILE = "plugins.json"
"""File in a run's folder with the names and digests of its plug-ins."""

_loaded: dict[str, Origin] = {}


def loaded() -> tuple[Origin, ...]:
    """Return the loaded plug-ins in the order of loading."""
    return tuple(_loaded.values())


def load(files: Sequence[str | Path]) -> None:
    """Load plug-ins from Python files, also in child processes. Skip files that are loaded; reload changed ones.

    Raises BadInput, one line with file and reason, for a file that cannot be read or imported, that registers nothing,
    or that registers a taken name.
    """
    for file in files:
        _load_file(Path(file).expanduser().absolute())


def load_inherited() -> None:
    """Load the plug-ins of the parent process and of installed packages. Raises BadInput."""
    load(os.environ.get(ENVIRONMENT, "").splitlines())
    for point in entry_points(group=GROUP):
        _load_package(point)


def forget() -> None:
    """Unload all plug-ins and remove their entries."""
    for name in tuple(_loaded):
        _forget(name)
    os.environ.pop(ENVIRONMENT, None)


def record(folder: Path, study: Any) -> None:
    """Record the plug-ins that a run uses in its folder. `study`: the run's study as plain tables."""
    origins = _used_by(study)
    if origins:
        text = json.dumps([{"name": origin.name, "digest": origin.digest} for origin in origins], indent=1)
        (folder / RUN_FILE).write_text(text, encoding="utf-8")


def recorded(folder: Path) -> tuple[Origin, ...]:
    """Return the recorded plug-ins of the run in `folder`. Raises BadInput if the record is damaged."""
    path = folder / RUN_FILE
    try:
        return tuple(Origin(str(item["name"]), str(item["digest"])) for item in json.loads(path.read_bytes()))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError):
        raise BadInput(f"{path}: damaged; allowed: a list of names and digests") from None


def absent(folder: Path) -> str:
    """Return which plug-ins of a run are not loaded, with advice; empty if all are."""
    missing = [origin.name for origin in recorded(folder) if origin.name not in _loaded]
    return "; ".join(f"it comes from the plug-in {name}: {_give(name)}" for name in missing)


def check(folder: Path) -> None:
    """Raise BadInput if a plug-in of the run in `folder` is not loaded or has changed."""
    for origin in recorded(folder):
        now = _loaded.get(origin.name)
        if now is None:
            raise BadInput(f"run {folder.name!r}: it uses the plug-in {origin.name}: {_give(origin.name)}")
        if now != origin:
            found = f"SHA-256 {now.digest[:12]}, and the run began with {origin.digest[:12]}"
            advice = "allowed: the source that it began with; or run the study anew"
            raise BadInput(f"run {folder.name!r}: the plug-in {origin.name} has changed: {found}; {advice}")


def _give(name: str) -> str:
    return "install it" if name.startswith(PACKAGE) else "give it with --plugin"


def _used_by(values: Any) -> tuple[Origin, ...]:
    """Return the plug-ins whose entries `values` names, and those that register measures, which every run computes."""
    named = set(_texts(values))
    origins = {
        entry.origin.name
        for registry in REGISTRIES
        for entry in registry.entries()
        if registry.kind == "measure" or entry.name in named
    }
    return tuple(origin for origin in loaded() if origin.name in origins)


def _texts(values: Any) -> Iterator[str]:
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _texts(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _texts(value)


def _load_file(path: Path) -> None:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise BadInput(f"plug-in {path}: {error.strerror or error}; allowed: a Python file") from None
    origin = Origin(str(path), hashlib.sha256(source).hexdigest())
    name = f"lth_tui_plugin_{origin.digest[:16]}"

    def run() -> None:
        spec = importlib.util.spec_from_file_location(name, path)
        module = ModuleType(name) if spec is None else importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        # Compiled here: a cached file of bytecode could be that of a source as long and as old.
        exec(compile(source, str(path), "exec"), module.__dict__)

    _register(origin, run, str(path))
    inherited = os.environ.get(ENVIRONMENT, "").splitlines()
    if str(path) not in inherited:
        os.environ[ENVIRONMENT] = "\n".join((*inherited, str(path)))


def _load_package(point: EntryPoint) -> None:
    package = point.module.partition(".")[0]
    name = PACKAGE + package
    if name in _loaded:
        return
    spec = importlib.util.find_spec(package)
    files: list[Path] = []
    if spec is not None and spec.submodule_search_locations:
        files = sorted(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.py"))
    elif spec is not None and spec.origin:
        files = [Path(spec.origin)]
    _register(Origin(name, _digest(files)), point.load, point.value)


def _digest(files: Iterable[Path]) -> str:
    """Return the Return the Return the SHA-256 of the files' names and sources."""
    together = hashlib.sha256()
    for file in files:
        together.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return together.hexdigest()


def _register(origin: Origin, run: Callable[[], object], file: str) -> None:
    """Load a plug-in with `run`, replacing the entries of an earlier version."""
    if _loaded.get(origin.name) == origin:
        return
    _forget(origin.name)
    for registry in REGISTRIES:
        # What the plug-in imports of the engine must not count as its own entries.
        registry.load()
    try:
        with _one_line(origin.name, file), registering(origin):
            run()
    except BadInput:
        _remove(origin)
        raise
    if not any(entry.origin == origin for registry in REGISTRIES for entry in registry.entries()):
        raise BadInput(
            f"plug-in {origin.name}: registers nothing; allowed: one or more entries (see docs/extending.md)"
        )
    _loaded[origin.name] = origin


def _forget(name: str) -> None:
    origin = _loaded.pop(name, None)
    if origin is not None:
        _remove(origin)


def _remove(origin: Origin) -> None:
    for registry in REGISTRIES:
        registry.forget(origin)


@contextmanager
def _one_line(name: str, file: str) -> Iterator[None]:
    """Convert any error in the block to a one-line BadInput with the line number."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"plug-in {name}: {error}") from None
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == file else (lines or [None])[-1]
        where = f" at line {line}" if line else ""
        words = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise BadInput(f"plug-in {name}: cannot be loaded{where}: {type(error).__name__}: {words}") from None
