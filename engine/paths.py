"""Where things are kept on this machine."""

import os
from pathlib import Path

import platformdirs

from engine.errors import BadInput


def home() -> Path:
    """The folder of everything the product keeps: `$LTH_TUI_HOME`, else the platform's data folder."""
    chosen = os.environ.get("LTH_TUI_HOME")
    return _absolute(chosen) if chosen else platformdirs.user_data_path("lth-tui")


def data_folder(root: Path) -> Path:
    """Prepared data sets below `root`."""
    return root / "data"


def cache_folder(root: Path) -> Path:
    """Compiled programs below `root`."""
    return root / "compiled"


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing, each for its user alone. Raises OSError."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)


def log_file(root: Path) -> Path:
    """Where the process's file descriptor 2 goes while the interface owns the terminal."""
    return root / "lth-tui.log"


def settings_file() -> Path:
    """The file of a person's settings: `$LTH_TUI_SETTINGS`, else one in the platform's folder for such files."""
    chosen = os.environ.get("LTH_TUI_SETTINGS")
    if chosen:
        return _absolute(chosen)
    return platformdirs.user_config_path("lth-tui") / "settings.toml"


def _absolute(chosen: str) -> Path:
    """The path as an absolute one. Raises BadInput where that cannot be told."""
    try:
        return Path(chosen).expanduser().absolute()
    except (OSError, RuntimeError):
        raise BadInput(f"{chosen}: the folder it is relative to is gone; allowed: an absolute path") from None
