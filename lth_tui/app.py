"""The door to the interface."""

import gc
import os
import sys
from pathlib import Path

from engine.errors import BadInput
from engine.paths import log_file, settings_file
from engine.spec import parse_study, study_text
from engine.training.probe import check_platform
from lth_tui import terminal
from lth_tui.settings import SettingsFile

FIRST_PRESET = "quickstart"
FRAMES, SSH_FRAMES = "120", "20"
"""Frames a second at the most; nothing is drawn where nothing changed."""


def open_interface(
    home: Path,
    preset_or_study: str | None = None,
    *,
    run: str | None = None,
    ascii: bool | None = None,
    ssh: bool | None = None,
) -> int:
    """Open the interface with a preset's or a file's study ready, or following `run`; the process's exit code.

    `ascii` draws nothing but ASCII, `ssh` fewer frames; None: as the settings have it, or else as the terminal is found
    to be.

    **Raises:** BadInput, before anything is drawn, for a study, run or setting that cannot be used or where there is
    no terminal.
    """
    gc.disable()  # what is loaded stays; the App lets the collector go on once all of it is
    name = preset_or_study or FIRST_PRESET
    toml = study_text(name)
    study = parse_study(toml, source=name)
    if not terminal.is_terminal():
        raise BadInput("the interface needs a terminal; without one: lth-tui run STUDY")
    if not terminal.can_draw(os.environ):
        found = os.environ.get("TERM")
        raise BadInput(f"TERM={found}: the interface cannot be drawn there; in lines: lth-tui run STUDY")
    check_platform()
    file = SettingsFile(settings_file())
    settings = file.read()
    ascii = _first(ascii, settings.ascii, terminal.is_plain(os.environ))
    ssh = _first(ssh, settings.ssh, terminal.is_remote(os.environ))
    # Read by Textual when it is imported. A key is drawn at the next frame, what it sets off at the one after.
    os.environ.setdefault("TEXTUAL_FPS", SSH_FRAMES if ssh else FRAMES)
    for name in ("COLUMNS", "LINES"):  # Textual takes them for the size of the window, and for good
        os.environ.pop(name, None)
    screen = terminal.prepare(log_file(home), ascii=ascii)
    try:
        from lth_tui.shell import LabApp

        app = LabApp(
            home,
            study=study,
            source=name,
            toml=toml,
            first="configure" if run is None else "live",
            settings=settings.model_copy(update={"ascii": ascii, "ssh": ssh}),
            file=file,
        )
        if run is not None:
            app.lab.follow(run)
        if os.name == "posix":
            from lth_tui.leaving import obey_signals

            obey_signals(app)
        app.run()
        code = app.return_code or 0
    finally:
        screen.restore()
    if code == 1:
        _say(f"lth-tui: the interface failed; the traceback is in {log_file(home)}")
        if app.worker.active:
            _say("lth-tui: the run at work is handed to a process without a terminal")
            app.worker.hand_over()
            app.worker.wait()
            app.last_words = app.worker.words
    _say(app.last_words)
    if app.worker.active:
        # Native threads of a run at work cannot be joined; what it finished is already kept.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _first(*given: bool | None) -> bool:
    return next(value for value in given if value is not None)


def _say(words: str) -> None:
    if words:
        print(words, file=sys.stderr)  # noqa: T201
