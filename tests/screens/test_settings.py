"""What a person has set: keys, colours, and a terminal of ASCII."""

import re
from pathlib import Path

import pytest
from driving import Finished, idle_engine, lab_app, picture_of, tiny_study, until
from rich.cells import cell_len

from engine.errors import BadInput
from lth_tui.ascii_only import as_ascii
from lth_tui.keymap import keymap
from lth_tui.setting_out import settings_toml
from lth_tui.settings import Settings, SettingsFile
from lth_tui.shell import LabApp
from lth_tui.terminal import is_plain
from screens.keys import bindings, places
from screens.plots import MARKERS
from screens.text import SIGNAL_MARKS, STATUS_MARKS
from screens.widgets.tiling import NONE, RAMP, SIGNED

ROOT = Path(__file__).resolve().parents[2]


def settings_app(home: Path, text: str, run: str | None = None, first: str = "live") -> LabApp:
    file = SettingsFile(home / "settings.toml")
    file.path.write_text(text)
    app = LabApp(
        home, study=tiny_study(), source="tiny.toml", engine=idle_engine, first=first, settings=file.read(), file=file
    )
    if run is not None:
        app.lab.follow(run)
    return app


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('them = "dark"', "them: found an unknown field; allowed: .*did you mean theme?"),
        ('theme = "pink"', 'theme: found "pink"; allowed: dark, light, high-contrast'),
        ('ascii = "yes"', 'ascii: found "yes"; allowed: true or false'),
        ("keys = 3", "keys: found 3; allowed: a table"),
        ("ascii = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_a_line_with_the_file_and_the_field(tmp_path: Path, text: str, told: str):
    file = SettingsFile(tmp_path / "settings.toml")
    file.path.write_text(text)
    with pytest.raises(BadInput, match=f"^{re.escape(str(file.path))}: {told}") as caught:
        file.read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"live.paus": "P"}, "ids of bindings: live.pause"),
        ({"live.stop": "foo"}, "allowed: a character or a key's name"),
        ({"live.stop": ""}, "allowed: a character or a key's name"),
        ({"live.stop": "n"}, r"n is Start again \(live.again\)"),
        ({"live.stop": "q"}, r"q is Quit \(quit\)"),
        ({"live.stop": "tab"}, r"tab is Next part \(next\)"),
        ({"mode.runs": "p"}, "a key that is free there"),
        ({"heatmap.left": "?"}, r"question_mark is Help \(help\)"),
        ({"live.pause": "X", "live.stop": "X"}, "a key that is free there"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, str], told: str):
    with pytest.raises(BadInput, match=f"^file.toml: keys.*{told}"):
        keymap(keys, "file.toml")


def test_keys_change_places_and_share_as_they_did():
    assert keymap({"live.stop": "n", "live.again": "x"}) == {"live.stop": "n", "live.again": "x"}
    # One of two that share a key moves: the other keeps it.
    assert keymap({"live.pause": "P"})["live.resume"] == "p"
    assert keymap({"live.pause": "P", "live.resume": "P"}) == {"live.pause": "P", "live.resume": "P"}
    assert keymap({"runs.filter": "ctrl+f"})["runs.filter"] == "ctrl+f"
    assert keymap({"runs.filter": "/"}) == {}
    # A dialog has its keys to itself.
    assert keymap({"quit.stop": "q", "help": "shift+z, f1"})["help"] == "Z,f1"
    assert keymap({id: binding.key for id, binding in bindings().items()}) == {}


def test_ids_are_each_of_one_binding():
    ids = [binding.id for own in places().values() for binding in own]
    assert sorted(ids) == sorted(set(ids))


def test_all_settings_are_told_as_what_the_file_can_have(tmp_path: Path):
    file = SettingsFile(tmp_path / "folder" / "settings.toml")
    told = settings_toml(file)
    assert '"live.stop" = "x"  # Stop: ' in told
    file.put("keys", {"live.stop": "X"})
    file.put("theme", "light")
    assert file.read() == Settings(theme="light", keys={"live.stop": "X"})
    assert '"live.stop" = "X"  # Stop: ' in settings_toml(file)
    file.path.write_text(settings_toml(file))
    assert keymap(file.read().keys) == keymap({"live.stop": "X"})
    # Comments stay, and ids without quotes are ids.
    file.path.write_text("# mine\n[keys]\nlive.stop = 'X'  # why\n")
    file.put("theme", "high-contrast")
    assert file.read() == Settings(theme="high-contrast", keys={"live.stop": "X"})
    assert {"# mine", "live.stop = 'X'  # why"} <= set(file.path.read_text().splitlines())


async def test_keys_that_were_set_work_and_are_told_everywhere(tmp_path: Path):
    keys = '[keys]\n"mode.runs" = "f2"\n"runs.open" = "O"\n"configure.start" = "G"\n"palette" = "ctrl+g"\n"quit" = "Q"'
    app = settings_app(tmp_path, keys)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "No run is shown" in picture_of(app))
        shown = picture_of(app)
        assert "f2 Runs" in shown
        assert "there G to start" in shown
        assert "f2 for Runs, and there O on a run" in shown
        assert "^g palette" in shown
        assert "Q Quit" in shown
        await pilot.press("2")
        await pilot.pause()
        assert app.current_mode == "live"
        await pilot.press("f2")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("question_mark")
        await until(pilot, lambda: "Quit: Leave" in picture_of(app))
        line = next(line for line in picture_of(app).splitlines() if "Quit: Leave" in line)
        assert " Q " in line
        assert " q " not in line


async def test_a_theme_that_is_chosen_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    app = settings_app(tmp_path, "# mine\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app._file.path.read_text() == "# mine\n"
        app.theme = "light"
        await until(pilot, lambda: 'theme = "light"' in app._file.path.read_text())
        assert "# mine" in app._file.path.read_text()


def test_ascii_tells_apart_what_differs_and_keeps_the_columns():
    for marks in (STATUS_MARKS.values(), SIGNAL_MARKS.values(), MARKERS, NONE + RAMP, NONE + SIGNED):
        known = [as_ascii(mark) for mark in dict.fromkeys(marks)]
        assert len(set(known)) == len(known), known
    sources = [path.read_text() for room in ("screens", "lth_tui") for path in (ROOT / room).rglob("*.[pt]*[ys]")]
    drawn = {char for source in sources for char in source if not char.isascii()}
    assert {char for char in drawn if "?" in as_ascii(char)} == set()
    assert as_ascii("╭─╮│╰ ⣀⠉⠒⡇ é 数|") == "+-+|+ .'-| e ??|"
    for text in ("naïve", "数据", "e\u0301", "🔎", "─┼⣿", "\u200b"):
        assert as_ascii(text).isascii()
        assert len(as_ascii(text)) == cell_len(text)


@pytest.mark.parametrize(
    ("variables", "plain"),
    [
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "C.utf8"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, True),
        ({"LC_ALL": "", "LANG": "en_US.UTF-8", "TERM": "xterm"}, False),
    ],
)
def test_what_the_locale_says(variables: dict[str, str], plain: bool):
    assert is_plain(variables) is plain


async def test_every_screen_has_a_likeness_in_ascii(finished: Finished, tmp_path: Path):
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=(110, 40)) as pilot:
        for key in ("3", "1", "2", "4", "5", "question_mark", "escape", "ctrl+s", "escape", "ctrl+p"):
            await pilot.press(key)
            await pilot.pause(0.05)
            unknown = {char for char in picture_of(app) if "?" in as_ascii(char) and char != "?"}
            assert unknown == set(), key


async def test_what_to_do_first_is_told_until_it_is_hidden(tmp_path: Path):
    app = settings_app(tmp_path, "", first="configure")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "s starts this one, 3 watches it, ? has all keys" in picture_of(app))
        await pilot.press("H")
        await until(pilot, lambda: "starts this one" not in picture_of(app))
        await until(pilot, lambda: app._file.read().hints is False)
