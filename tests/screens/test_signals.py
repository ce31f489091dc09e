"""What the engine says of a run, on every screen and on paper: marks, words and rules."""

import io
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from driving import Finished, lab_app, picture_of, started, until, words, write_run
from driving import finished as round_finished
from rich.console import Console

from engine.analysis import BIRD_RULE, COLLAPSE_RULE, STABLE_RULE
from engine.spec import Study, parse_study
from engine.store import Signal, Store
from engine.views import RunView, fold
from lth_tui import printing
from screens.widgets.heatmap import Heatmap
from screens.widgets.layers import LayerBars
from screens.widgets.plot import LinePlot

WATCHED = """
name = "watched"
trials = 1

[base.train]
iterations = 240
batch = 30
evaluate_every = 60

[base.prune]
rounds = 3
rate = 0.6
early_bird = "watch"

[[arm]]
name = "ticket"

[[arm]]
name = "clamped"
kind = "ticket"
train = { clamp = 0.5 }
prune = { rate = 0.9 }
"""


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(WATCHED, source="watched")


@pytest.fixture(scope="module")
def watched(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of the engine that watched for early birds, clamped an arm and pruned that to chance."""
    from engine.runner import run

    home = tmp_path_factory.mktemp("watched-home")
    store = Store(home)
    with store.create(study) as folder:
        assert run(folder, store) == "done"
        return Finished(home, folder.id)


@pytest.fixture(scope="module")
def view(watched: Finished) -> RunView:
    with Store(watched.home).open(watched.run) as folder:
        return fold(RunView(), folder.events())


async def shown(pilot, app, mode: str) -> None:
    await until(pilot, lambda: app.current_mode == mode and app.screen._run)


def turned(home: Path) -> str:
    """A run in which one layer's ranking stabilised in round 2, and the other's collapsed in round 3."""

    def signal(kind, number, layer, text) -> Signal:
        return Signal(kind=kind, arm="ticket", trial=0, round=number, layer=layer, text=text)

    events = [
        started("a", rounds=3),
        *(round_finished(number) for number in range(3)),
        signal("stabilised", 2, "output", f"the ranking of output stabilised ({STABLE_RULE})"),
        round_finished(3),
        signal("ranks-collapsed", 3, "dense1", f"the ranking of dense1 collapsed ({COLLAPSE_RULE})"),
    ]
    return write_run(home, events)


@pytest.mark.parametrize(("size", "colour"), [((80, 24), True), ((60, 16), True), ((120, 36), True), ((80, 24), False)])
async def test_turns_of_a_ranking_are_characters_in_the_cells(tmp_path: Path, monkeypatch, size, colour):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = lab_app(tmp_path, first="heatmaps", run=turned(tmp_path))
    async with app.run_test(size=size) as pilot:
        await shown(pilot, app, "heatmaps")
        await until(pilot, lambda: ".50✓" in picture_of(app) and ".50✗" in picture_of(app))
        assert app.no_color is not colour
        rows = picture_of(app).splitlines()
        assert any(row.split()[:1] == ["output"] and "✓" in row and "✗" not in row for row in rows)
        assert "✓ ranking stabilised  ✗ ranking collapsed" in words(app, "#legend")
        await pilot.press("end")
        await until(pilot, lambda: f"✗ ranking collapsed: {COLLAPSE_RULE}" in words(app, "#readout"))
        await pilot.press("j", "left")
        await until(pilot, lambda: f"✓ ranking stabilised: {STABLE_RULE}" in words(app, "#readout"))
        await pilot.press("g")
        await until(pilot, lambda: "output: every pair of rounds" in picture_of(app))
        assert picture_of(app).count(".50✓") == 2 if size != (120, 36) else 3
        assert app.screen.query_one("#by-round", Heatmap).cursor[1] == 2, "the chosen round stays chosen"


async def test_the_round_axis_tells_of_chance_and_early_birds(watched: Finished, view: RunView):
    app = lab_app(watched.home, first="heatmaps", run=watched.run)
    rounds = view.arm("clamped").trials[0].rounds
    assert any(item.result.collapsed for item in rounds.values())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("a")
        await until(pilot, lambda: "clamped (2 of 2)" in words(app, "#which"))
        rows = picture_of(app).splitlines()
        names, marks = next((row, below) for row, below in pairwise(rows) if row.startswith(" round"))
        for number in (1, 2, 3):
            at = names.index(f" {number} ") + 1
            told = marks[at - 2 : at + 3]
            assert ("!" in told) == rounds[number].result.collapsed
            assert ("e" in told) == bool(rounds[number].result.early_bird and rounds[number].result.early_bird.found)
        assert "! accuracy at chance" in words(app, "#legend")


async def test_mask_distances_are_a_grid_with_the_epoch_of_the_early_bird(watched: Finished, view: RunView):
    item = view.arm("ticket").trials[0].rounds[1]
    assert item.result.early_bird is not None
    assert item.result.early_bird.found == 5
    app = lab_app(watched.home, first="heatmaps", run=watched.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("g", "g")
        await until(pilot, lambda: "mask distance by epoch" in picture_of(app))
        birds = app.screen.query_one("#birds", Heatmap)
        assert app.focused is birds
        assert birds.grid.values[1] == item.result.early_bird.distances
        await pilot.press("home", "down", "end")
        await until(pilot, lambda: "round 1, epoch 5 with 4" in words(app, "#readout"))
        assert f"{item.result.early_bird.distances[-1]:.4f}" in words(app, "#readout")
        assert f"e early bird in epoch 5: {BIRD_RULE}" in words(app, "#readout")
        assert re.search(r"1 .*\.\d\de", picture_of(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "round 3, epoch 5 with 4: not watched" in words(app, "#readout"))
        await pilot.press("G")
        await until(pilot, lambda: "every pair of rounds" in picture_of(app))


async def test_cells_are_drawn_as_lines_with_the_same_layer_and_round(watched: Finished, view: RunView):
    rounds = view.arm("ticket").trials[0].rounds
    app = lab_app(watched.home, first="heatmaps", run=watched.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("down", "right", "number_sign")
        plot = app.screen.query_one("#lines", LinePlot)
        await until(pilot, lambda: plot.has_focus and f"dense2  r2  x {rounds[2].p_m:.4g}" in picture_of(app))
        assert [line.name for line in plot.picture.lines] == list(view.layers)
        assert plot.picture.lines[1].y == tuple(rounds[number].spearman["dense2"] for number in (1, 2, 3))
        assert "dense2, round 2 with 1" in words(app, "#readout")
        await pilot.press("right", "full_stop")
        await until(pilot, lambda: "output, round 3 with 2" in words(app, "#readout"))
        await pilot.press("f")
        await until(pilot, lambda: app.screen.maximized is plot)
        await pilot.press("number_sign")
        await until(pilot, lambda: app.screen.query_one("#by-layer", Heatmap).has_focus)
        assert app.screen.query_one("#by-layer", Heatmap).cursor == (2, 2)
        await pilot.press("g", "g", "number_sign")
        await until(pilot, lambda: "mask distance / epoch" in picture_of(app))
        birds = {line.name: line.y for line in plot.picture.lines}
        assert birds["r1"] == rounds[1].result.early_bird.distances
        assert list(birds) == ["r0", "r1", "r2"], "nothing is pruned after the last round"
        await pilot.press("full_stop", "full_stop", "end")
        await until(pilot, lambda: "round 1, epoch 5 with 4" in words(app, "#readout"))
        assert "[x]" in picture_of(app)


async def test_a_study_that_did_not_watch_says_how_to(finished: Finished):
    app = lab_app(finished.home, first="heatmaps", run=finished.run)
    async with app.run_test(size=(60, 16)) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("g", "g")
        await until(pilot, lambda: "No early birds were watched for" in picture_of(app))
        assert "early_bird = watch" in " ".join(picture_of(app).split())
        await pilot.press("down", "right", "end", "t", "a", "s", "g")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "magnitudes")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_magnitudes_are_the_counts_before_and_after(watched: Finished, view: RunView, size):
    app = lab_app(watched.home, first="heatmaps", run=watched.run)
    async with app.run_test(size=size) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("a", "g", "g", "g")
        await until(pilot, lambda: "dense1 r0" in picture_of(app))
        plot = app.screen.query_one("#magnitudes", LinePlot)
        found = view.arm("clamped").trials[0].rounds[0].result.magnitudes["dense1"]
        before, after = plot.picture.lines
        assert before.y == pytest.approx([100 * count / 19200 for count in found.start])
        assert after.y == pytest.approx([100 * count / 19200 for count in found.end])
        assert f"before, KS {found.start_distance:.3f}" in picture_of(app)
        assert f"after, KS {found.end_distance:.3f}" in picture_of(app)
        told = f"distance from uniform {found.start_distance:.3f} before training, {found.end_distance:.3f} after"
        assert told in words(app, "#readout")
        await pilot.press("right_square_bracket", "right_square_bracket", "y")
        await until(pilot, lambda: "dense2 r2" in picture_of(app))
        second = view.arm("clamped").trials[0].rounds[2].result.magnitudes["dense2"]
        assert f"greatest |w| {second.start_top:.3g} before, {second.end_top:.3g} after" in words(app, "#readout")
        await pilot.press("g")
        await until(pilot, lambda: app.screen.query_one("#by-layer", Heatmap).cursor == (1, 1))
        assert "dense2, round 2 with 1" in words(app, "#readout")


async def test_a_round_not_known_has_no_magnitudes(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), round_finished(0)])
    app = lab_app(tmp_path, first="heatmaps", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "heatmaps")
        await pilot.press("g", "g", "g")
        await until(pilot, lambda: "not measured" in words(app, "#readout"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "this round is not known yet" in picture_of(app))


async def test_live_marks_rounds_and_layers_and_says_the_newest(watched: Finished, view: RunView, tmp_path: Path):
    app = lab_app(watched.home, first="live", run=watched.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app, "live")
        await until(pilot, lambda: "accuracy at chance in clamped t1" in words(app, "#newest"))
        accuracy = app.screen.query_one("#accuracy", LinePlot).picture
        for line, arm in zip(accuracy.lines, view.arms, strict=True):
            signs = dict(zip(line.x, line.signs, strict=True))
            for item in arm.trials[0].rounds.values():
                assert ("!" in signs.get(item.p_m, "")) == item.result.collapsed
                assert ("e" in signs.get(item.p_m, "")) == bool(item.result.early_bird and item.result.early_bird.found)
        assert "e early bird  ! accuracy at chance" in picture_of(app)
    app = lab_app(tmp_path, first="live", run=turned(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "live")
        await until(pilot, lambda: words(app, "#newest").startswith("✗ dense1 ranking collapsed in ticket t1 r3"))
        layers = str(app.screen.query_one(LayerBars).render()).splitlines()
        assert "✗r3" in layers[1]
        assert "✓r2" in layers[2]
        assert layers[3] == "ranking ✓ stabilised, ✗ collapsed"


def printed(view: RunView, study: Study | None, monkeypatch: pytest.MonkeyPatch) -> str:
    paper = Console(highlight=False, width=100, record=True, file=io.StringIO())
    monkeypatch.setattr(printing, "console", lambda: paper)
    printing.print_run(view, view.status, study)
    return paper.export_text()


def test_what_is_printed_has_the_plot_and_what_the_numbers_say(view: RunView, study: Study, monkeypatch):
    text = printed(view, study, monkeypatch)
    assert "● ticket  x clamped  - - dense  e early bird  ! accuracy at chance" in text
    assert re.search(r"e ticket: early bird in rounds 0-2 \(1 of 1 trial\)", text)
    assert re.search(r"! clamped: accuracy at chance in round \d", text)
    assert text.count(BIRD_RULE) == 1
    found = view.arm("clamped").trials[0].rounds[0].result.magnitudes["output"]
    assert f"{found.start_distance:.3f} → {found.end_distance:.3f}" in text
    plain = study.model_copy(update={"arm": study.arm[:1]})
    assert "Magnitudes" not in printed(view, plain, monkeypatch)


def test_the_plot_on_paper_loads_no_window():
    code = "import sys, lth_tui.printing, screens.drawing; print('textual' in sys.modules, 'plotext' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
