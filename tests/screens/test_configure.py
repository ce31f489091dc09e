"""Configure: the study that is ready, typing, the forecast, and the one key."""

import shutil
import threading
from pathlib import Path

import pytest
from driving import lab_app, picture_of, tiny_study, until, words
from textual.widgets import Button, Input, OptionList

from engine import datasets
from engine.spec import Study, load_study, parse_study, preset_names
from engine.store import RunFolder, Store
from screens.arm import ArmDialog
from screens.opening import OpenDialog
from screens.pick import PickDialog
from screens.widgets.fields import LABEL_WIDTH, ArmRow, FieldRow
from screens.widgets.toml import TomlArea


def field(app, path: str) -> FieldRow:
    return next(row for row in app.screen.query(FieldRow) if path in (row.spec.path, f"base.{row.spec.path}"))


def arm(app, name: str) -> ArmRow:
    return next(row for row in app.screen.query(ArmRow) if row.choice.name == name)


async def go_to(pilot, row) -> None:
    """Put the cursor into a row."""
    row.visit()
    await until(pilot, lambda: row.has_focus_within)


async def fill(pilot, path: str, text: str) -> None:
    """Put a text into a field, in place of what is there."""
    row = field(pilot.app, path)
    await go_to(pilot, row)
    row.query_one(Input).value = text
    await until(pilot, lambda: row.value == text)


async def choose(pilot, path: str, value: str) -> None:
    """Choose from a field's list."""
    row = field(pilot.app, path)
    await go_to(pilot, row)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, PickDialog))
    values = list(row.choices)
    step = values.index(value) - values.index(row.value)
    await pilot.press(*["down" if step > 0 else "up"] * abs(step), "enter")
    await until(pilot, lambda: row.value == value and not isinstance(pilot.app.screen, PickDialog))


async def turn(pilot, path: str, key: str, value: str) -> None:
    """Go on to the next choice, or back to the one before."""
    row = field(pilot.app, path)
    await go_to(pilot, row)
    await pilot.press(key)
    await until(pilot, lambda: row.value == value)


async def edit_arm(pilot, name: str) -> None:
    await go_to(pilot, arm(pilot.app, name))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ArmDialog) and pilot.app.focused is not None)


def engine_that_tells(seen: list[Study]):
    def engine(folder: RunFolder, store: Store) -> str:
        seen.append(folder.study())
        return "done"

    return engine


async def test_it_opens_with_the_quickstart_and_its_forecast(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "iterations" in words(app, "#forecast"))
        assert field(app, "name").value == "quickstart"
        assert "hypothesis" in words(app, "#about")
        forecast = words(app, "#forecast")
        assert "171, 165 distinct" in forecast
        assert "0 of 165" in forecast
        assert "165,000 iterations" in forecast
        assert "not measured" in forecast
        assert "18 MB of" in forecast
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
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, field(app, "trials"))
        await pilot.press("end", "ctrl+u", "0")
        await until(pilot, lambda: field(app, "trials").problem)
        await until(
            pilot, lambda: "0\n" in words_below(app, "trials") and "allowed: at least 1" in words_below(app, "trials")
        )
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert app.current_mode == "configure"
        assert not Store(tmp_path).runs()
        await pilot.press("backspace", "4")
        await until(pilot, lambda: not field(app, "trials").problem)
        await until(pilot, lambda: "228" in words(app, "#forecast"))
        assert "allowed" not in picture_of(app).partition("first seed")[0]


def words_below(app, label: str) -> str:
    """The line of a label and the one below it, in the form's part of the screen."""
    lines = [line[:46].rstrip() for line in picture_of(app).splitlines()]
    place = next(number for number, line in enumerate(lines) if line.strip().startswith(label))
    return "\n".join(lines[place : place + 2])


async def test_keys_of_the_screen_can_be_typed_into_a_field(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await until(pilot, lambda: "what the run is called" in picture_of(app))
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


async def test_keys_typed_before_the_cursor_is_in_a_field_are_not_commands(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        row = field(app, "base.train.batch")
        app.screen.set_focus(row)
        for key in "2s":
            app.simulate_key(key)
        await until(pilot, lambda: row.value == "2s")
        assert app.current_mode == "configure"


async def test_what_is_typed_takes_the_place_of_what_a_visited_field_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("screens.history.PAUSE_SECONDS", 1e9)
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        seed, trials = field(app, "seed"), field(app, "trials")
        await go_to(pilot, trials)
        await pilot.press("down", *"500")
        await until(pilot, lambda: seed.value == "500")
        # Arrows put the cursor into it.
        await pilot.press("up", "down", "left", "9", "home", "8", "end", "7")
        await until(pilot, lambda: seed.value == "895007")
        # A click puts the cursor where it is, on a field that was never visited too.
        await pilot.click(seed, offset=(LABEL_WIDTH + 2, 0))
        await pilot.press("x")
        await until(pilot, lambda: seed.value == "89x5007")
        batch = field(app, "base.train.batch")
        await pilot.click(batch, offset=(LABEL_WIDTH + 1, 0))
        await pilot.press("4")
        await until(pilot, lambda: batch.value == "640")
        # Each visit is a step that is taken back by itself.
        await pilot.press("ctrl+z")
        await until(pilot, lambda: batch.value == "60")
        for said in ("500", "1"):
            await pilot.press("ctrl+z")
            await until(pilot, lambda said=said: seed.value == said)
        # What undo brought into the focused field is selected as at a visit.
        await pilot.press("ctrl+y")
        await go_to(pilot, batch)
        await pilot.press("1", "ctrl+z", "2")
        await until(pilot, lambda: batch.value == "2")


async def test_the_form_is_walked_by_keys_alone(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down")
        await until(pilot, lambda: app.focused is not None and app.focused.parent is field(app, "name"))
        await pilot.press("down")
        await until(pilot, lambda: field(app, "trials").has_focus_within)
        await pilot.press("enter")
        await until(pilot, lambda: field(app, "seed").has_focus_within)
        await pilot.press("up", "up", "up")
        await until(pilot, lambda: field(app, "preset").has_focus)
        for first in (arm(app, "ticket"), field(app, "data.name"), field(app, "network.name")):
            await pilot.press("pagedown")
            await until(pilot, lambda first=first: first.has_focus_within)
        await pilot.press("pagedown", "pagedown", "pagedown")
        await until(pilot, lambda: field(app, "restart.treatment").has_focus)
        assert "what survivors restart from" in picture_of(app)
        await pilot.press("right")
        await until(pilot, lambda: field(app, "restart.treatment").value == "rewind")
        await until(pilot, lambda: "the dense network's weights at an iteration" in picture_of(app))


async def test_another_preset_fills_the_form(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        await choose(pilot, "preset", "lenet-mnist")
        await until(pilot, lambda: field(app, "base.train.iterations").value == "50000")
        await until(pilot, lambda: "not prepared" in words(app, "#forecast"))
        assert "lth-tui data prepare mnist" in words(app, "#forecast").replace("\n", " ")
        arms = {row.choice.name: row.choice for row in app.screen.query(ArmRow)}
        assert arms["reinit"].texts["per_ticket"] == "3"
        assert all(choice.on for choice in arms.values())


async def test_arms_are_switched_by_the_keyboard(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await go_to(pilot, arm(app, "reinit"))
        await pilot.press("space")
        await until(pilot, lambda: "114" in words(app, "#forecast"))
        assert "[ ] reinit" in picture_of(app)
        await pilot.press("up", "space", "down", "down", "space")
        await until(pilot, lambda: "at least one arm" in words(app, "#problems"))


async def test_a_control_without_its_ticket_is_refused_beside_the_arm(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await go_to(pilot, arm(app, "ticket"))
        await pilot.press("space")
        await until(pilot, lambda: "kind 'ticket'" in arm(app, "reinit").problem)
        await until(pilot, lambda: "of: allowed" in words_below(app, "[x] reinit"))


async def test_fields_appear_when_they_make_sense(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.pause()
        assert "momentum" not in picture_of(app)
        await turn(pilot, "train.optimizer", "right", "sgd")
        await until(pilot, lambda: "momentum        0.9" in picture_of(app))
        await fill(pilot, "train.momentum", "0.5")
        await turn(pilot, "train.schedule", "right", "step")
        await until(pilot, lambda: "milestones" in picture_of(app) and "decay" in picture_of(app))
        await until(pilot, lambda: "one or more" in field(app, "train.milestones").problem)
        await fill(pilot, "train.milestones", "100, 200")
        await fill(pilot, "data.fraction", "0.5")
        await until(pilot, lambda: field(app, "data.subset").display)
        await until(pilot, lambda: app.screen.study is not None)
        base = app.screen.study.base
        assert (base.train.momentum, base.train.milestones, base.data.fraction) == (0.5, (100, 200), 0.5)
        await turn(pilot, "train.optimizer", "left", "adam")
        await turn(pilot, "train.schedule", "left", "constant")
        await until(pilot, lambda: "momentum" not in picture_of(app) and "milestones" not in picture_of(app))
        await until(pilot, lambda: app.screen.study is not None)
        assert app.screen.study.base.train.milestones == ()
        await turn(pilot, "train.schedule", "right", "step")
        assert field(app, "train.milestones").value == "100, 200"
        await fill(pilot, "prune.levels", "50, 20")
        await until(pilot, lambda: not field(app, "prune.rounds").display)
        await until(pilot, lambda: app.screen.study is not None and app.screen.study.base.prune.steps == 2)


async def test_an_arm_is_added_and_the_run_has_it(tmp_path: Path):
    seen: list[Study] = []
    app = lab_app(tmp_path, engine=engine_that_tells(seen))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ArmDialog))
        await choose(pilot, "kind", "retrain")
        assert field(app, "name").value == "retrain"
        await fill(pilot, "name", "quarter")
        await fill(pilot, "rounds", "3,7")
        await fill(pilot, "data.fraction", "0.25")
        await until(pilot, lambda: field(app, "data.subset").display)
        assert "as ticket: 0.0012" in picture_of(app)
        assert not field(app, "prune.criterion").display
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ArmDialog))
        await until(pilot, lambda: "retrain, fraction 0.25, rou" in picture_of(app))
        assert arm(app, "quarter").has_focus
        await pilot.press("s")
        await until(pilot, lambda: app.current_mode == "live" and seen)
        quarter = seen[0].named("quarter")
        assert (quarter.kind, quarter.of, quarter.rounds, quarter.data) == (
            "retrain",
            "ticket",
            (3, 7),
            {"fraction": 0.25},
        )
        assert [item.name for item in seen[0].arm] == ["ticket", "reinit", "random-mask", "quarter"]
        await until(pilot, lambda: not app.worker.active)


async def test_an_arm_is_edited_and_removed(tmp_path: Path):
    app = lab_app(tmp_path, load_study("weight-clamping-quick"))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await edit_arm(pilot, "clamped")
        await fill(pilot, "name", "bounded")
        await fill(pilot, "train.clamp", "0.25")
        await turn(pilot, "prune.criterion", "right", "magnitude")
        await turn(pilot, "prune.criterion", "right", "largest")
        await pilot.press("escape")
        await until(pilot, lambda: "ticket, clamp 0.25" in picture_of(app))
        await until(pilot, lambda: app.screen.study is not None)
        study = app.screen.study
        assert study.named("bounded").overrides == {"train": {"clamp": 0.25}, "prune": {"criterion": "largest"}}
        assert study.named("clamped-random").of == "bounded"
        await go_to(pilot, arm(app, "clamped-random"))
        await pilot.press("delete")
        await until(pilot, lambda: all(row.choice.name != "clamped-random" for row in app.screen.query(ArmRow)))
        await until(pilot, lambda: len(app.screen.study.arm) == 3)


async def test_an_arm_that_is_not_filled_in_is_not_added(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        count = len(app.screen.query(ArmRow))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ArmDialog))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ArmDialog))
        assert len(app.screen.query(ArmRow)) == count


async def test_what_is_wrong_with_an_arm_is_said_in_the_dialog_and_beside_the_arm(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await edit_arm(pilot, "random-mask")
        await fill(pilot, "train.clamp", "hard")
        await until(pilot, lambda: "✗ allowed: a number" in picture_of(app))
        assert field(app, "train.clamp").problem
        await fill(pilot, "name", "reinit")
        await until(pilot, lambda: "once" in field(app, "name").problem)
        await fill(pilot, "name", "random-mask")
        await pilot.press("escape")
        await until(pilot, lambda: "✗ clamp: allowed: a number" in picture_of(app))
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ArmDialog))
        assert field(app, "train.clamp").value == "hard", "what was typed is kept"
        await until(pilot, lambda: field(app, "train.clamp").has_focus_within)
        await fill(pilot, "train.clamp", "")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query("#start") and not app.screen.query_one("#start", Button).disabled)


async def test_a_folder_is_chosen_and_walked_in_no_thread_that_draws(tmp_path: Path, monkeypatch):
    walked: list[tuple[str, bool]] = []
    entry = datasets.entry

    def watched(name: str, home: Path):
        walked.append((name, threading.current_thread() is threading.main_thread()))
        return entry(name, home)

    monkeypatch.setattr(datasets, "entry", watched)
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await choose(pilot, "data.name", "folder:")
        await fill(pilot, "data.folder", str(tmp_path))
        await until(pilot, lambda: "no train/ in it" in words(app, "#problems").replace("\n", " "))
        await until(pilot, lambda: any(name == f"folder:{tmp_path}" for name, _ in walked))
        assert not any(drawing for _, drawing in walked)


async def test_every_preset_fills_the_form_and_is_read_from_it_unchanged(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for preset in preset_names():
            await app.screen.put(load_study(preset), preset)
            assert app.screen.study == load_study(preset)
            shown = [(row.choice.name, row.choice.on) for row in app.screen.query(ArmRow) if row.choice.on]
            assert shown == [(item.name, True) for item in load_study(preset).arm]


async def test_a_batch_that_the_data_cannot_fill_is_told_before_the_start(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await fill(pilot, "base.train.batch", "5000")
        await until(pilot, lambda: "cannot run" in words(app, "#problems"))
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("ctrl+r")
        await until(pilot, lambda: any("cannot run" in note.message for note in app._notifications))
        assert not Store(tmp_path).runs()
        await fill(pilot, "base.train.batch", "60")
        await until(pilot, lambda: not app.screen.query_one("#start", Button).disabled)
        assert not app.screen.query_one("#problems").display


async def test_a_study_from_a_file_is_ready_beside_the_presets(tmp_path: Path):
    app = lab_app(tmp_path, tiny_study())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "small enough" in words(app, "#about"))
        assert field(app, "base.train.iterations").value == "40"
        assert field(app, "preset").value == "tiny.toml"
        await choose(pilot, "preset", "quickstart")
        await until(pilot, lambda: field(app, "name").value == "quickstart")
        await choose(pilot, "preset", "tiny.toml")
        await until(pilot, lambda: field(app, "name").value == "tiny")


COMMENTED = """# mine
name = "mine"
trials = 2  # seeds

[base.train]
iterations = 40
evaluate_every = 10

[[arm]]
name = "ticket"  # the one
"""


async def test_the_toml_beside_the_form_goes_both_ways(tmp_path: Path):
    app = lab_app(tmp_path, parse_study(COMMENTED, source="mine"), toml=COMMENTED)
    async with app.run_test(size=(120, 36)) as pilot:
        screen, start = app.screen, app.screen.query_one("#start", Button)
        await until(pilot, lambda: not start.disabled)
        await pilot.press("T")
        area = app.screen.query_one(TomlArea)
        await until(pilot, lambda: area.text == COMMENTED and area.has_focus)
        assert "mine" in picture_of(app).splitlines()[2], "the form stays beside it"

        area.move_cursor((2, 10))
        await pilot.press("backspace", "5")
        await until(pilot, lambda: field(app, "trials").value == "5")
        await until(pilot, lambda: screen.study is not None and screen.study.trials == 5)

        await pilot.press("backspace", "0")
        await until(pilot, lambda: "line 3: trials: found 0; allowed: at least 1" in words(app, "#problems"))
        assert "the form is as it last was" in words(app, "#problems").lower()
        assert field(app, "trials").value == "5"
        assert start.disabled
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert app.current_mode == "configure"

        await fill(pilot, "base.train.iterations", "60")
        await until(pilot, lambda: "iterations = 60" in area.text)
        assert area.text == COMMENTED.replace("trials = 2", "trials = 5").replace("= 40", "= 60")
        await until(pilot, lambda: "u brings it back" in words(app, "#note"))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "trials = 0" in area.text and "trials: found 0" in words(app, "#problems"))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "iterations = 60" in area.text and not start.disabled)
        await go_to(pilot, arm(app, "one-shot"))
        await pilot.press("space")
        await until(pilot, lambda: area.text.endswith('# the one\n\n[[arm]]\nname = "one-shot"\n'))

        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "preset" not in picture_of(app) and "# the one" in picture_of(app))
        await pilot.press("escape", "e")
        await until(pilot, lambda: "preset" in picture_of(app) and "# the one" not in picture_of(app))


async def test_what_was_typed_is_there_after_another_preset_and_after_the_end(tmp_path: Path):
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await fill(pilot, "name", "mine")
        await choose(pilot, "preset", "lenet-mnist")
        await until(pilot, lambda: field(app, "base.train.iterations").value == "50000")
        await fill(pilot, "base.train.batch", "61")
        await pilot.press("escape", "u")
        await until(pilot, lambda: field(app, "base.train.batch").value == "60")
        await pilot.press("u")
        await until(pilot, lambda: (field(app, "preset").value, field(app, "name").value) == ("quickstart", "mine"))
        await pilot.press("U", "U")
        await until(pilot, lambda: field(app, "base.train.batch").value == "61")
        await fill(pilot, "name", "again")
    (tmp_path / "drafts" / "bad.json").write_text("{")

    app = lab_app(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "crops and flips" in picture_of(app))
        assert "reads on" not in picture_of(app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "pgdn reads on" in picture_of(app))
        await until(pilot, lambda: "a draft of again" in words(app, "#note"))
        assert "a damaged draft was put aside" in words(app, "#note")
        assert field(app, "name").value == "quickstart"
        await pilot.press("u")
        await until(pilot, lambda: (field(app, "name").value, field(app, "base.train.batch").value) == ("again", "61"))
        assert field(app, "preset").value == "lenet-mnist"
        await pilot.press("u")
        await until(pilot, lambda: (field(app, "name").value, field(app, "base.train.batch").value) == ("mine", "60"))
        await until(pilot, lambda: not app.screen.query_one("#start", Button).disabled)
        await pilot.press("s")
        await until(pilot, lambda: app.current_mode == "live")
        await until(pilot, lambda: not app.worker.active and len(list((tmp_path / "drafts").glob("*.json"))) == 1)


async def test_a_file_is_found_opened_and_saved(tmp_path: Path, monkeypatch):
    folder = tmp_path / "studies"
    (folder / "deep").mkdir(parents=True)
    (folder / "mine.toml").write_text(COMMENTED)
    (folder / "deep" / "bad.toml").write_text(COMMENTED.replace("trials = 2", "trials = 0"))
    (folder / "notes.txt").write_text("")
    monkeypatch.chdir(folder)
    app = lab_app(tmp_path / "home")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, OpenDialog) and "mine.toml" in picture_of(app))
        assert "notes.txt" not in picture_of(app)
        await pilot.press(*"de", "enter")
        await until(pilot, lambda: "de: no such file" in picture_of(app))
        await pilot.press(*"ep", "enter")
        await until(pilot, lambda: "deep/bad.toml" in picture_of(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "deep/bad.toml: trials: found 0; allowed: at least 1" in picture_of(app))
        await pilot.press("ctrl+u", *"mi")
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen.query("#start") and field(app, "name").value == "mine")
        assert field(app, "preset").value == "mine.toml"
        await fill(pilot, "trials", "3")
        (offer,) = app.screen.offers()
        assert offer.toml == COMMENTED.replace("trials = 2", "trials = 3")
        assert "study in the form" in offer.words
        await pilot.press("escape", "u", "u")
        await until(pilot, lambda: field(app, "name").value == "quickstart")


async def test_a_disk_without_room_is_told_before_the_start(tmp_path: Path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=60_000_000))
    app = lab_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "0.06 GB are free" in words(app, "#problems"))
        assert app.screen.query_one("#start", Button).disabled
        await fill(pilot, "prune.rounds", "0")
        await until(pilot, lambda: not app.screen.query_one("#start", Button).disabled)


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
        await until(pilot, lambda: isinstance(app.screen, PickDialog))
        await until(pilot, lambda: "The hypothesis in a minute" in picture_of(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: field(app, "preset").value == preset_names()[1])


async def test_a_data_set_that_there_is_not_is_said_and_nothing_starts(tmp_path: Path):
    study = load_study("quickstart", ("base.data.name=folder:/nowhere",))
    app = lab_app(tmp_path, study)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "cannot run" in words(app, "#forecast") + words(app, "#problems"))
        await pilot.press("s")
        await pilot.pause()
        assert not (tmp_path / "runs").exists()
