"""Compare: arms and runs over each other, with the numbers of the engine, by keys."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from driving import Finished, lab_app, picture_of, started, until, words, write_run
from driving import finished as round_finished
from textual.widgets import DataTable

from engine.claims import judge
from engine.store import Store
from engine.store.run_db import prove
from engine.views import StudyRun, accuracy, gains, margins, points, read_run
from screens.overlay import read
from screens.verdicts import about_claim, side_by_side
from screens.widgets.plot import LinePlot

X = ("x", "round", "mean")
ARMS = ("ticket", "reinit")


def run_of(home: Path, run: str) -> StudyRun:
    with Store(home).open(run) as folder:
        return StudyRun(read_run(folder), folder.study())


def lines(app) -> dict[str, tuple[float, ...]]:
    return {line.name: line.y for line in app.screen.query_one("#overlay", LinePlot).picture.lines}


def cells(app) -> list[list[str]]:
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


@pytest.fixture
def two(finished: Finished, tmp_path: Path) -> Finished:
    """A copy of the finished run's home with a second run in it, as if at work."""
    home = tmp_path / "home"
    shutil.copytree(finished.home / "runs", home / "runs")
    events = [round_finished(0, 0.8, arm, trial) for arm in ARMS for trial in (0, 1)]
    second = write_run(home, [started("second", rounds=3, arms=ARMS, trials=2), *events], owned=True)
    with Store(home).open(second) as folder:
        folder.describe(title="[b]at work")
    return Finished(home, second)


async def test_the_arms_of_a_run_and_their_differences_are_the_engines(finished: Finished):
    run = run_of(finished.home, finished.run)
    app = lab_app(finished.home, first="compare", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(lines(app)) == {"ticket", "reinit"})
        for name, values in lines(app).items():
            assert values == tuple(point.mean for point in points(run, name, accuracy))
        (shown,) = app.screen.offers()
        assert shown.table().rows[1][:4] == ("ticket", *(getattr(points(run, "ticket", accuracy)[1], it) for it in X))
        # The last round is at 51% of the weights: nothing is nearer to a tenth.
        last, margin = points(run, "reinit", accuracy)[-1], margins(run, "reinit", run, "ticket", accuracy)[-1]
        told = f"x reinit {last.mean:.2f} ± {last.error:.2f} ({margin.mean:+.2f} ± {margin.error:.2f})"
        await until(pilot, lambda: told in words(app, "#compare-told"))
        assert words(app, "#compare-told").startswith(f"at {last.x:.2f}% left, n=2")
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: words(app, "#compare-told").startswith("at 64."))

        await pilot.press("g", "g")
        found = gains(run, "ticket", accuracy)
        await until(pilot, lambda: lines(app).get("ticket") == tuple(point.mean for point in found))
        await pilot.press("number_sign")
        await until(pilot, lambda: app.focused is app.screen.query_one(DataTable))
        assert cells(app)[-1][1] == f"{found[-1].mean:+.2f} ± {found[-1].error:.2f}"
        await pilot.press("number_sign", "g")
        await until(pilot, lambda: list(lines(app)) == ["reinit"])
        await pilot.press("w")
        await until(pilot, lambda: list(lines(app)) == ["ticket"])
        assert "to reinit" in words(app, "#compare-pages")
        assert lines(app)["ticket"] == tuple(p.mean for p in margins(run, "ticket", run, "reinit", accuracy))

        await pilot.press("g")
        await until(pilot, lambda: "All arms of these runs learn from all the data" in picture_of(app))
        await pilot.press("g")
        await until(pilot, lambda: "space on the runs to lay over each other" in picture_of(app))


async def test_picked_runs_lie_over_each_other_and_what_is_new_comes_in(two: Finished):
    first = next(name for name in (path.name for path in (two.home / "runs").iterdir()) if name != two.run)
    app = lab_app(two.home, first="compare")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "Nothing to compare yet" in picture_of(app))
        await pilot.press("g", "w", "number_sign", "right_square_bracket", "f")
        app.lab.picked = (first, two.run)
        await until(pilot, lambda: lines(app).get("2 reinit") == (80.0,))
        assert list(lines(app)) == ["1 ticket", "1 reinit", "2 ticket", "2 reinit"]
        assert words(app, "#compare-runs") == f"1 {first}  2 [b]at work"
        assert cells(app)[0][0] == "100"
        assert cells(app)[0][3] == "80.00 ± 0.00"
        with Store(two.home).open(two.run) as folder:
            for trial in (0, 1):
                folder.append(round_finished(1, 0.7, "reinit", trial))
        await until(pilot, lambda: lines(app).get("2 reinit") == (80.0, pytest.approx(70.0)))
        await pilot.press("G", "G")
        await until(pilot, lambda: "These studies differ in nothing" in picture_of(app))
        shutil.rmtree(two.home / "runs" / first)
        await until(pilot, lambda: f"{first} is left out" in words(app, "#compare-runs"))
        await pilot.press("g", "g")
        await until(pilot, lambda: list(lines(app)) == ["ticket", "reinit"])


async def test_claims_are_judged_beside_the_plot_of_their_arms(finished: Finished):
    run = run_of(finished.home, finished.run)
    judged = side_by_side([judge(run.view, run.study)])
    assert judged
    app = lab_app(finished.home, first="compare", run=finished.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("G")
        await until(pilot, lambda: len(cells(app)) == len(judged))
        assert {row[0] for row in cells(app)} <= {"✓ holds", "✗ does not hold", "? undecided", "– not measured"}
        for number, item in enumerate(judged):
            await until(pilot, lambda item=item: words(app, "#compare-told") == about_claim(item, ["1"]).plain)
            assert set(lines(app)) == {arm for arm in item.claim.measure.arms if run.has(arm)}
            assert cells(app)[number][3] == item.claim.text
            assert [row[9] for row in app.screen.offers()[0].table().rows] == [it.verdicts[0].mean for it in judged]
            await pilot.press("j")


def test_only_what_is_new_is_read_and_what_cannot_be_is_told(two: Finished):
    store = Store(two.home)
    known = read(store, [two.run], {})
    assert read(store, [two.run], known)[two.run].run is known[two.run].run
    with store.open(two.run) as folder:
        folder.append(round_finished(1, 0.7))
    again = read(store, [two.run, "gone"], known)
    assert again[two.run].run is not None
    assert again[two.run].run.view.rounds_done == 5
    assert again["gone"].run is None
    assert "there is none of that name" in again["gone"].problem
    assert "allowed" not in again["gone"].problem
    study = two.home / "runs" / two.run / "study.toml"
    study.write_text("what is written here has no effect")
    assert read(store, [two.run], {})[two.run].problem == ""
    with closing(sqlite3.connect(two.home / "runs" / two.run / "run.db", isolation_level=None)) as connection:
        change = """replace(value, 'name = "reinit"', 'name = "other"')"""
        connection.execute(f"UPDATE facts SET value = {change} WHERE name = 'toml'")
        prove(connection)
    assert "not the one that it began with" in read(store, [two.run], {})[two.run].problem
