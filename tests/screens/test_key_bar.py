"""The last line: what the keys do now."""

import re
from functools import partial
from pathlib import Path

from driving import Finished, idle_engine, lab_app, picture_of, started, tiny_study, until, write_run
from driving import finished as ended

from lth_tui.settings import Settings
from lth_tui.shell import LabApp
from screens.widgets.key_bar import MORE, Entry, fitted
from screens.widgets.log import EventLog

MODES = dict(zip("123456", ("configure", "runs", "live", "heatmaps", "ticket", "compare"), strict=True))
WALK = """1 down a down down down T escape T escape
2 space slash escape 3 slash down escape f f 4 g g g 5 g g 6"""
"""Keys that lead through the states of all screens."""


def last_line(app: LabApp) -> str:
    return picture_of(app).splitlines()[-1]


def entry(key: str, words: str) -> Entry:
    return Entry(((key, key),), words)


def test_what_has_no_room_goes_from_the_end_and_help_and_quit_stay():
    own, lasting, palette = [entry("s", "Start"), entry("e", "Edit")], [entry("?", "Help")], [entry("^p", "palette")]

    def line(width: int) -> str:
        return " ".join(found.text for found in fitted(own, lasting, palette, width))

    assert line(34) == "s Start e Edit ? Help   ^p palette"
    assert line(32) == "s Start e Edit ? Help ^p palette"
    assert line(31) == line(21) == "s Start e Edit ? Help"
    assert line(20) == f"s Start {MORE.words} ? Help"
    assert line(10) == f"{MORE.words} ? Help"


def test_a_click_is_for_the_key_that_it_hits():
    pair = Entry((("[", "left"), ("]", "right")), "Curve")
    assert [pair.key_at(x) for x in range(6)] == ["left", "left", "right", "right", "right", "right"]


async def test_help_and_quit_are_told_whole_in_every_state(tmp_path: Path):
    """At 80 columns, in ASCII and with keys of long names; in a field by the keys which do not type there."""
    run = write_run(tmp_path, [started("one"), *(ended(number) for number in range(3))])
    settings = Settings(ascii=True, keys={"help": "ctrl+shift+f11", "live.again": "ctrl+f9", "runs.pick": "shift+f10"})
    app = LabApp(tmp_path, study=tiny_study(), source="tiny.toml", engine=idle_engine, settings=settings)
    app.lab.follow(run)
    seen = set()
    async with app.run_test(size=(80, 24)) as pilot:
        for key in WALK.split():
            await pilot.press(key)
            if key in MODES:
                await until(pilot, partial(lambda mode: app.current_mode == mode, MODES[key]))
            await until(pilot, lambda: re.search(r" shift\+\^f11 Help (q|\^q) Quit ", f" {last_line(app)} "))
            seen.add(last_line(app))
    assert len(seen) > 12


async def test_keys_of_a_pair_are_told_as_they_are_and_a_click_presses_them(tmp_path: Path):
    run = write_run(tmp_path, [started("one"), *(ended(number) for number in range(3))])
    settings = Settings(keys={"ticket.round-before": "f5", "ticket.film": "ctrl+f"})
    app = LabApp(
        tmp_path, study=tiny_study(), source="tiny.toml", first="ticket", engine=idle_engine, settings=settings
    )
    app.lab.follow(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "f5 ] Round ^f Film" in picture_of(app))
        await until(pilot, lambda: "round 2 of 2" in picture_of(app))
        line = last_line(app)
        await pilot.click("KeyBar", offset=(line.index(" q Quit"), 0))  # between two: it is still there
        await pilot.click("KeyBar", offset=(line.index("f5"), 0))
        await until(pilot, lambda: "round 1 of 2" in picture_of(app))
        await pilot.click("KeyBar", offset=(line.index("] Round"), 0))
        await until(pilot, lambda: "round 2 of 2" in picture_of(app))


async def test_why_a_key_does_nothing_is_told_once(tmp_path: Path, finished: Finished):
    def told(app: LabApp) -> list[str]:
        return [notification.message for notification in app._notifications]

    app = lab_app(tmp_path, first="compare")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.has_class("-empty"))
        assert app.focused is None, "what is hidden takes no keys"
        await pilot.press("slash", "slash", "escape", "up", "Z", "g")
        await until(pilot, lambda: len(told(app)) == 2)
        assert told(app) == ["Nothing here: Filter in Runs, Find in Live", "View: no run is shown"]
    app = lab_app(finished.home, first="runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "tiny" in picture_of(app))
        await pilot.press("r")
        await until(pilot, lambda: told(app) == ["Resume: tiny is done; n starts its study again"])
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "live")
        await until(pilot, lambda: "ticket t1" in picture_of(app))
        await pilot.press("x", "o", "plus")
        app.screen.query_one(EventLog).focus()
        await pilot.press("e")
        await until(pilot, lambda: len(told(app)) == 3)
        assert told(app)[1] == f"Stop: {finished.run} is done"
        assert told(app)[2] == "Log y is for a part of the screen: tab goes there"
        await pilot.press("d")
        await until(pilot, lambda: told(app)[-1:] == ["Detach: only a run at work here can go on elsewhere"])
