"""Configure: the study that is ready, typing, the forecast, and the one key."""

import threading
from pathlib import Path

from driving import lab_app, tiny_study, until, words
from textual.widgets import Button, Input, Select

from engine.spec import load_study, preset_names
from engine.store import RunFolder, Store
from screens.widgets.fields import ArmRow, FieldRow, Switch


def field(app, path: str) -> FieldRow:
    return next(row for row in app.screen.query(FieldRow) if row.spec.path == path)


async def test_it_opens_with_the_quickstart_and_its_forecast(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "iterations" in words(app, "#forecast"))
        assert field(app, "name").value == "quickstart"
        assert "hypothesis" in words(app, "#about")
        forecast = words(app, "#forecast")
        assert "171, 165 distinct" in forecast
        assert "165,000 iterations" in forecast
        assert "not measured" in forecast
        assert not (tmp_path / "runs").exists()


async def test_one_key_starts_what_is_ready(tmp_path: Path):
    seen: list[str] = []
    done = threading.Event()

    def engine(folder: RunFolder, store: Store) -> str:
        seen.append(folder.study().name)
        done.wait(20)
        return "done"

    app = lab_app(tmp_path, engine=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: not app.screen.query_one("#start", Button).disabled)
        await pilot.press("s")
        await until(pilot, lambda: app.current_mode == "live" and seen)
        assert seen == ["quickstart"]
        assert app.lab.state() == "starting"
        done.set()
        await until(pilot, lambda: not app.worker.active)


async def test_enter_on_the_button_starts_too(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.focused, Button) and not app.focused.disabled)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "live")
        await until(pilot, lambda: not app.worker.active)
        assert len(Store(tmp_path).runs()) == 1


async def test_what_is_wrong_is_said_beside_its_field(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        trials = field(app, "trials")
        trials.query_one(Input).focus()
        await pilot.press("end", "backspace", "0")
        await until(pilot, lambda: trials.has_class("-wrong"))
        assert "allowed: at least 1" in str(trials.query_one("ProblemLine").visual)
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.current_mode == "configure"
        assert not Store(tmp_path).runs()
        await pilot.press("backspace", "4")
        await until(pilot, lambda: not trials.has_class("-wrong"))
        await until(pilot, lambda: "228" in words(app, "#forecast"))


async def test_keys_of_the_screen_can_be_typed_into_a_field(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await until(pilot, lambda: words(app, "#hint") == "what the run is called")
        await pilot.press("end", *"-q2s3")
        await pilot.pause()
        assert field(app, "name").value == "quickstart-q2s3"
        assert app.current_mode == "configure"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, Button))
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "configure")
        assert field(app, "name").value == "quickstart-q2s3", "a mode keeps its state"


async def test_another_preset_fills_the_form(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        app.screen.query_one("#preset", Select).value = "lenet-mnist"
        await until(pilot, lambda: field(app, "base.train.iterations").value == "50000")
        await until(pilot, lambda: "not prepared" in words(app, "#forecast"))
        assert "lth-tui data prepare mnist" in words(app, "#forecast").replace("\n", " ")
        rows = {row.choice.name: row.choice for row in app.screen.query(ArmRow)}
        assert rows["reinit"].per_ticket == "3"
        assert all(choice.on for choice in rows.values())


async def test_arms_are_switched_by_the_keyboard(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        switches = list(app.screen.query(Switch))
        switches[1].focus()
        await pilot.press("space")
        await until(pilot, lambda: "114" in words(app, "#forecast"))
        assert "[ ] reinit" in str(switches[1].render())
        for switch in switches[:3]:
            switch.value = False
        await until(pilot, lambda: "at least one arm" in words(app, "#problems"))


async def test_a_control_without_its_ticket_is_refused_beside_the_arm(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        rows = list(app.screen.query(ArmRow))
        rows[0].query_one(Switch).value = False
        await until(pilot, lambda: rows[1].has_class("-wrong"))
        assert "kind 'ticket'" in str(rows[1].query_one("ProblemLine").visual)


async def test_a_batch_that_the_data_cannot_fill_is_told_before_the_start(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        field(app, "base.train.batch").value = "5000"
        await until(pilot, lambda: "cannot run" in words(app, "#problems"))
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("cannot run" in note.message for note in app._notifications))
        assert not Store(tmp_path).runs()
        field(app, "base.train.batch").value = "60"
        await until(pilot, lambda: not app.screen.query_one("#start", Button).disabled)
        assert not app.screen.query_one("#problems").display


async def test_a_study_from_a_file_is_ready_beside_the_presets(tmp_path: Path):
    app = lab_app(tmp_path, tiny_study())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "small enough" in words(app, "#about"))
        assert field(app, "base.train.iterations").value == "40"
        preset = app.screen.query_one("#preset", Select)
        assert preset.value == "tiny.toml"
        preset.value = "quickstart"
        await until(pilot, lambda: field(app, "name").value == "quickstart")
        preset.value = "tiny.toml"
        await until(pilot, lambda: field(app, "name").value == "tiny")


async def test_words_of_a_study_are_never_markup(tmp_path: Path):
    study = tiny_study().model_copy(update={"about": "[bold]look[/] \x1b[31m[@click=app.quit]here[/]"})
    app = lab_app(tmp_path, study)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "[bold]look[/]" in words(app, "#about"))
        assert "\\x1b[31m[@click=app.quit]here[/]" in words(app, "#about")


async def test_p_opens_the_presets(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("p")
        await until(pilot, lambda: app.screen.query_one("#preset", Select).expanded)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen.query_one("#preset", Select).value == preset_names()[1])


async def test_a_data_set_that_there_is_not_is_said_and_nothing_starts(tmp_path: Path):
    study = load_study("quickstart", ("base.data.name=folder:/nowhere",))
    app = lab_app(tmp_path, study)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "cannot run" in words(app, "#forecast") + words(app, "#problems"))
        await pilot.press("s")
        await pilot.pause()
        assert not (tmp_path / "runs").exists()
