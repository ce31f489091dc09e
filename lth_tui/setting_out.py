"""The settings as TOML, each with what it is for, and every key that can be set."""

import json
import os
from collections.abc import Iterator

from textual.binding import Binding

from lth_tui import terminal
from lth_tui.keymap import keymap
from lth_tui.settings import Settings, SettingsFile
from lth_tui.shell import LabApp
from lth_tui.themes import THEMES
from screens.base import LabScreen
from screens.keys import places


def settings_toml(file: SettingsFile) -> str:
    """What the file can have, with the present values. Raises BadInput for a file that cannot be used."""
    settings = file.read()
    return "\n".join((*_values(file, settings), "", *_keys(file, settings))) + "\n"


def _values(file: SettingsFile, settings: Settings) -> Iterator[str]:
    yield f"# {file.path}" + ("" if file.path.exists() else ": there is none; it can have any of these lines.")
    found = {"ascii": terminal.is_plain(os.environ), "ssh": terminal.is_remote(os.environ)}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "keys":
            continue
        yield ""
        yield f"# {field.description}" + (f": {', '.join(THEMES)}" if name == "theme" else "")
        if value is None:
            yield f"# {name} = {json.dumps(found[name])}  # not set: so it was found out here"
        else:
            yield f"{name} = {json.dumps(value)}"


def _keys(file: SettingsFile, settings: Settings) -> Iterator[str]:
    changed = keymap(settings.keys, file.path)
    yield f"# {Settings.model_fields['keys'].description}"
    yield "[keys]"
    order = (LabApp, LabScreen, *(place for place in places() if place not in (LabApp, LabScreen)))
    for number, place in enumerate(order):
        if number:
            yield ""
        for binding in places()[place]:
            now = changed.get(str(binding.id), _plain_keys(binding))
            told = f"{binding.description}: {binding.tooltip}" if binding.tooltip else binding.description
            yield f"{json.dumps(str(binding.id))} = {json.dumps(now, ensure_ascii=False)}  # {told}"


def _plain_keys(binding: Binding) -> str:
    return ",".join(key.strip() for key in binding.key.split(","))
