"""Ticket: what the engine left of each layer, found by keys."""

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from driving import Finished, lab_app, picture_of, started, until, words, write_run
from driving import finished as round_finished
from textual.geometry import Size

from engine.networks import Snapshot
from engine.spec import parse_study
from engine.store import RoundResult, RunStarted, Store, StoredRound
from engine.views import RunView, fold
from engine.views.ticket import Tiles
from screens.reading import Tickets
from screens.ticket import TicketScreen
from screens.widgets.mosaic import Mosaic
from screens.widgets.palette import Scale
from screens.widgets.plot import LinePlot
from screens.widgets.tiling import NONE, Pixel, brief, fit, sign

CONV = """
name = "conv"
trials = 1
base.network.name = "conv-2"
[base.prune]
rounds = 1
[[arm]]
name = "ticket"
"""


def rounds_of(finished: Finished, arm: str = "ticket", trial: int = 0) -> list[StoredRound]:
    store = Store(finished.home)
    with store.open(finished.run) as folder:
        view = fold(RunView(), folder.events())
    found = [store.rounds.read(item.key) for item in view.arm(arm).trials[trial].rounds.values()]
    return [item for item in found if item is not None]


async def shown(pilot, app, title: str) -> Mosaic:
    await until(pilot, lambda: app.current_mode == "ticket" and words(app, "#tiles-title").startswith(title))
    return app.screen.query_one(Mosaic)


async def test_pixels_have_the_weights_that_are_left_of_them(finished: Finished):
    stored = rounds_of(finished)
    counts = [item.masks["dense1/kernel"].sum(1).reshape(8, 8) for item in stored]
    app = lab_app(finished.home, first="ticket", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        mosaic = await shown(pilot, app, "r3 dense1: weights left of each input pixel")
        np.testing.assert_array_equal(np.nan_to_num(mosaic.tiles.values[0]), counts[3])
        rows = picture_of(app).splitlines()
        numbers = [row.split()[:8] for row in rows[3:19:2]]
        assert numbers == [[str(count) for count in row] for row in counts[3]]
        await pilot.press("left", "up", "up")
        await until(
            pilot, lambda: f"pixel in row 2, column 3:  {counts[3][2, 3]} of 300" in words(app, "#under-cursor")
        )
        assert f"[{counts[3][2, 3]}]" in words(app, "#lens")
        await pilot.press("[")
        await shown(pilot, app, "r2 dense1")
        assert "round 2 of 3" in words(app, "#which-round")
        np.testing.assert_array_equal(np.nan_to_num(mosaic.tiles.values[0]), counts[2])
        assert mosaic.cursor == (0, 2, 3), "the cursor stays from round to round"
        await pilot.press("{", "[")
        await shown(pilot, app, "r0 dense1")
        assert words(app, "#under-cursor").count("300 of 300") == 1
        await pilot.press("m")
        await shown(pilot, app, "r0 dense1: mean |w|")
        mean = np.abs(stored[0].final.params["dense1/kernel"]).mean(1).reshape(8, 8)
        np.testing.assert_allclose(mosaic.tiles.values[0], mean, rtol=1e-5)


async def test_units_tell_what_comes_in_and_goes_out(finished: Finished):
    last = rounds_of(finished, "reinit", 1)[-1]
    incoming, outgoing = last.masks["dense1/kernel"].sum(0), last.masks["dense2/kernel"].sum(1)
    app = lab_app(finished.home, first="ticket", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a", "t", "g")
        mosaic = await shown(pilot, app, "r3 dense1: weights in of each unit")
        assert "reinit (2 of 2)  trial 2 of 2" in words(app, "#which-round")
        np.testing.assert_array_equal(np.nan_to_num(mosaic.tiles.values[:, 0, 0]), incoming)
        counts = [sum(last.masks["dense1/kernel"].sum(1) == 0), sum(incoming == 0), sum(outgoing == 0)]
        table = words(app, "#by-layer-left").splitlines()[2].split()
        assert table == ["dense1", f"{100 * last.masks['dense1/kernel'].mean():.1f}", *map(str, counts)]
        await pilot.press("end")
        told = f"dense1 unit 299:  {incoming[299]} of 64 in, {outgoing[299]} out"
        await until(pilot, lambda: words(app, "#under-cursor").startswith(told))
        await pilot.press("m")
        await shown(pilot, app, "r3 dense1: weights out of each unit")
        np.testing.assert_array_equal(np.nan_to_num(mosaic.tiles.values[:, 0, 0]), outgoing)
        await pilot.press("y", "y")
        await until(pilot, lambda: "The last layer" in picture_of(app))
        await pilot.press("y")
        await shown(pilot, app, "r3 dense1: weights out")


async def test_a_unit_can_be_looked_into_and_left_again(finished: Finished):
    stored = rounds_of(finished)
    kernel = np.where(stored[3].masks["dense1/kernel"], stored[3].final.params["dense1/kernel"], np.nan)
    app = lab_app(finished.home, first="ticket", run=finished.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await shown(pilot, app, "r3 dense1")
        await pilot.press("g", "right", "right", "enter")
        mosaic = await shown(pilot, app, "r3 dense1, unit 2: its weights from each pixel")
        np.testing.assert_array_equal(mosaic.tiles.values[0], kernel[:, 2].reshape(8, 8))
        assert "dense1 unit 2:" in words(app, "#under-cursor")
        await pilot.press("u", "[")
        await shown(pilot, app, "r2 dense1, unit 3")
        await pilot.press("U", "U", "U", "U")
        await shown(pilot, app, "r2 dense1: weights left")
        await pilot.press("y", "right")
        await shown(pilot, app, "r2 dense2: weights left of each unit of dense1")
        left = stored[2].masks["dense2/kernel"][1].sum()
        await until(
            pilot, lambda: words(app, "#under-cursor").startswith(f"dense1 unit 1:  {left} of 100 weights left")
        )
        await pilot.press("enter")
        await shown(pilot, app, "r2 dense1, unit 1")
        await pilot.press("escape")
        await shown(pilot, app, "r2 dense1: weights left")


async def test_weights_are_spread_before_and_after(finished: Finished):
    app = lab_app(finished.home, first="ticket", run=finished.run)
    left = int(rounds_of(finished)[3].masks["dense1/kernel"].sum())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "r3")
        await pilot.press("G")
        plot = app.screen.query_one("#spreads", LinePlot)
        await until(pilot, lambda: [line.name for line in plot.picture.lines] == ["after", "before", "dense"])
        assert [line.split()[:2] for line in words(app, "#by-layer-left").splitlines()[1:]] == [
            ["after", str(left)],
            ["before", str(left)],
            ["dense", "19200"],
        ]
        assert "dense1 r3: % of them per" in picture_of(app)


async def test_the_film_goes_through_the_rounds_and_stops(finished: Finished, monkeypatch):
    monkeypatch.setattr(TicketScreen, "FRAME", 0.01)
    seen: list[str] = []
    show = Mosaic.show
    app = lab_app(finished.home, first="ticket", run=finished.run)

    def watch(mosaic: Mosaic, tiles: Tiles) -> None:
        seen.append(words(app, "#tiles-title")[:2])
        show(mosaic, tiles)

    monkeypatch.setattr(Mosaic, "show", watch)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, app, "r3")
        seen.clear()
        await pilot.press("space")
        await until(pilot, lambda: seen and seen[-1] == "r3" and "▶ film" not in words(app, "#which-round"))
        assert seen == ["r0", "r1", "r2", "r3"]


async def test_reading_blocks_nothing(finished: Finished, monkeypatch):
    go_on, begun = threading.Event(), threading.Event()
    read = Tickets.read

    def slow(tickets: Tickets, key: str, data: str | None):
        begun.set()
        assert go_on.wait(60)
        return read(tickets, key, data)

    monkeypatch.setattr(Tickets, "read", slow)
    app = lab_app(finished.home, first="ticket", run=finished.run)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, begun.is_set)
            await until(pilot, lambda: "reading round 3" in picture_of(app))
            await pilot.press("[", "[", "t")
            await until(pilot, lambda: "reading round 1" in picture_of(app))
            go_on.set()
            await shown(pilot, app, "r1 dense1")
            assert "trial 2 of 2" in words(app, "#which-round")
    finally:
        go_on.set()


def convolutions(home: Path) -> tuple[str, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A run with one round of a small network of convolutions, of pictures of 8x8."""
    random = np.random.default_rng(0)
    shapes = {"conv1": (3, 3, 2, 4), "conv2": (3, 3, 4, 6), "dense1": (4 * 4 * 6, 5), "output": (5, 10)}
    masks = {f"{name}/kernel": random.random(shape) < 0.5 for name, shape in shapes.items()}
    masks["conv1/kernel"][..., 1] = False
    weights = {name: (random.normal(size=mask.shape) * mask).astype(np.float32) for name, mask in masks.items()}
    weights |= {f"{name}/bias": np.full(shape[-1], 0.25, np.float32) for name, shape in shapes.items()}
    begun = started("a", rounds=0)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    begun = RunStarted.model_validate({**begun.model_dump(), "layers": sizes})
    done = round_finished(0).model_copy(update={"key": "c" * 40})
    result = RoundResult.model_validate(done.result.model_dump())
    Store(home).rounds.write(StoredRound(done.key, result, [], masks, Snapshot(weights), Snapshot(weights)))
    return write_run(home, [begun, done], parse_study(CONV, source="conv")), masks, weights


@pytest.mark.parametrize("colour", [True, False])
async def test_kernels_are_small_pictures_with_what_is_pruned(tmp_path: Path, monkeypatch, colour):
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    run, masks, weights = convolutions(tmp_path)
    app = lab_app(tmp_path, first="ticket", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        mosaic = await shown(pilot, app, "r0 conv1: weights left of the kernels of each unit")
        counts = masks["conv1/kernel"].sum(2).transpose(2, 0, 1)
        np.testing.assert_array_equal(np.nan_to_num(mosaic.tiles.values), counts)
        await pilot.press("y", "right", "enter")
        await shown(pilot, app, "r0 conv2, unit 1: its weights by input channel")
        kernel = np.where(masks["conv2/kernel"], weights["conv2/kernel"], np.nan)[..., 1].transpose(2, 0, 1)
        np.testing.assert_array_equal(mosaic.tiles.values, kernel)
        numbers = words(app, "#lens").split()[3:]
        assert numbers == [brief(float(value), 6, whole=False) for value in kernel[0].flat]
        assert NONE in numbers
        await pilot.press("right", "enter")
        await shown(pilot, app, "r0 conv1, unit 1")
        assert "0 of 18 in" in words(app, "#under-cursor")
        assert "it always gives relu(bias) = 0.25" in words(app, "#under-cursor")
        await pilot.press("y", "y")
        await shown(pilot, app, "r0 dense1: weights left of each place of the last pool")
        np.testing.assert_array_equal(mosaic.tiles.values[0], masks["dense1/kernel"].sum(1).reshape(4, 4, 6).sum(2))


async def test_a_round_that_is_not_kept_says_so(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), round_finished(0)])
    app = lab_app(tmp_path, first="ticket", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "are not kept" in picture_of(app))
        await pilot.press("u", "enter", "space", "m", "left")
        await pilot.press("g", "g")
        await until(pilot, lambda: "not measured" in picture_of(app))


async def test_an_arm_that_the_study_lacks_is_told(tmp_path: Path):
    run = write_run(tmp_path, [started("a", arms=("ticket", "ghost")), round_finished(0, arm="ghost")])
    app = lab_app(tmp_path, first="ticket", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No round of this trial" in picture_of(app))
        await pilot.press("a")
        await until(pilot, lambda: "it has no arm ghost, but ticket, reinit" in " ".join(picture_of(app).split()))


async def test_the_newest_round_is_followed_until_another_is_chosen(tmp_path: Path):
    run = write_run(tmp_path, [started("a"), round_finished(0)])
    app = lab_app(tmp_path, first="ticket", run=run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "round 0 of 2" in words(app, "#which-round"))
        with Store(tmp_path).open(run) as folder:
            folder.append(round_finished(1))
            await until(pilot, lambda: "round 1 of 2" in words(app, "#which-round"))
            await pilot.press("[")
            folder.append(round_finished(2))
            await until(pilot, lambda: app.lab.follower.view.rounds_done == 3)
        assert "round 0 of 2" in words(app, "#which-round")
        await pilot.press("}")
        await until(pilot, lambda: "round 2 of 2" in words(app, "#which-round"))


@pytest.mark.parametrize("begun", [False, True])
async def test_nothing_to_show_says_what_to_do(tmp_path: Path, begun):
    app = lab_app(tmp_path, first="ticket", run=write_run(tmp_path, [started("a")]) if begun else None)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "No round has finished yet" in picture_of(app))
        await pilot.press("g", "a", "right", "m", "space", "u", "enter", "escape", "f")
        assert app.current_mode == "ticket"


async def test_without_colours_two_pixels_of_a_line_are_a_character(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    values = np.arange(400, dtype=float).reshape(1, 20, 20)
    values[0, :2, :3] = np.nan
    app = lab_app(tmp_path, first="ticket")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.has_class("-empty"))
        mosaic = app.screen.query_one(Mosaic)
        app.screen.set_class(False, "-empty")
        mosaic.show(Tiles(values, whole=True))
        await until(pilot, lambda: mosaic.size.height > 0)
        lines = [mosaic.render_line(y).text.rstrip() for y in range(10)]
        assert lines[0] == NONE * 3 + ":" * 17
        assert lines[9] == "@" * 20
        assert mosaic.blended


def test_the_largest_pixels_that_fit():
    picture = Tiles(np.ones((1, 28, 28)), whole=True)
    assert [
        (frame.across, frame.down, frame.folded) for frame in (fit(picture, Size(60, 30)), fit(picture, Size(60, 17)))
    ] == [
        (2, 1, False),
        (1, 1, True),
    ]
    kernels = fit(Tiles(np.ones((64, 3, 3)), whole=True), Size(45, 17))
    assert (kernels.per_row, kernels.rows, kernels.across, kernels.numbered) == (6, 11, 2, True)
    assert kernels.pixel(4, 3) == Pixel(6, 0, 0)
    assert kernels.pixel(3, 3) is None, "a line between two rows of tiles"
    units = fit(Tiles(np.full((300, 1, 1), 784.0), whole=True), Size(45, 17))
    assert (units.per_row, units.across, units.gutter) == (10, 4, 4)


def test_numbers_and_characters_of_values():
    assert [brief(value, 4, whole=True) for value in (7, 9999, 16384, float("nan"))] == ["7", "9999", "16k", NONE]
    assert [brief(value, width, whole=False) for value, width in ((0.1234, 5), (-0.1234, 4), (1.5, 3))] == [
        ".123",
        "-.12",
        "",
    ]
    signs = [sign(value, Scale(-1.0, 1.0), signed=True) for value in (-1, -0.5, -0.1, 0.1, 0.5, 1, float("nan"))]
    assert "".join(signs) == f"≡=-+*#{NONE}"


def test_what_was_read_is_kept_as_far_as_there_is_room(finished: Finished):
    tickets = Tickets(Store(finished.home), room=400_000)
    keys = [item.key for item in rounds_of(finished)]
    for key in keys:
        tickets.keep(key, tickets.read(key, "digits"))
    assert [key in tickets for key in keys] == [False, False, True, True]
    assert tickets.read("f" * 40, "digits") is None
    assert tickets.read("no key", None) is None
