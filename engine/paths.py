"""Paths of data, settings and logs on this machine."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """Return the home folder of all data: `$LTH_TUI_HOME`, else the platform's data folder."""
    chosen = os.environ.get("LTH_TUI_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path("lth-tui")


def data_folder(root: Path) -> Path:
    """Return the folder of prepared data sets."""
    return root / "data"


def cache_folder(root: Path) -> Path:
    """Return the folder of compiled programs."""
    return root / "compiled"


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, readable by their owner only. Raises OSError."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)


def log_file(root: Path) -> Path:
    """Return the file that receives stderr while the interface owns the terminal."""
    return root / "lth-tui.log"


def settings_file() -> Path:
    """Return the settings file: `$LTH_TUI_SETTINGS`, else a file in the platform's configuration folder."""
    chosen = os.environ.get("LTH_TUI_SETTINGS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_config_path("lth-tui") / "settings.toml"
