"""Saving and copying what is shown."""

import csv
import io
import re
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from driving import Finished, lab_app, picture_of, until
from rich.segment import Segment
from textual._ansi_theme import MONOKAI

from engine.errors import BadInput
from engine.views import Table, csv_text, tsv_text
from screens import offers
from screens.offers import can_make_png, file_of, free_file, keep, png_of
from screens.saving import SaveDialog
from screens.svg import svg_of
from screens.widgets.heatmap import Heatmap


def messages(app) -> list[str]:
    return [note.message for note in app._notifications]


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_numbers_come_back_as_they_were_and_words_are_no_formulas():
    table = Table(("name", "value (%)"), (("=1+1", 0.1 + 0.2), ('a "b", c', -1), ("-x", float("nan")), ("", None)))
    text = csv_text(table)
    assert text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [["name", "value (%)"], ["'=1+1", "0.30000000000000004"], ['a "b", c', "-1"], ["'-x", ""], ["", ""]]
    assert tsv_text(table).splitlines()[1] == "'=1+1\t0.30000000000000004"


def test_an_svg_needs_nothing_but_itself():
    svg = svg_of([[Segment("●⣀ <&"), Segment("b")], [Segment("second")]], MONOKAI)
    ElementTree.fromstring(svg)
    assert not re.search(r"url\((?!#)|https?://(?!www\.w3\.org)|font-face|<script", svg)
    assert "second" in svg


@pytest.mark.skipif(find_spec("cairosvg") is None, reason="cairosvg is not installed")
def test_a_picture_is_made_of_pixels():
    try:
        import cairosvg  # noqa: F401
    except OSError as error:
        pytest.skip(f"cairosvg finds no libcairo: {error}")
    assert png_of(svg_of([[Segment("●⣀ <&")]], MONOKAI)).startswith(b"\x89PNG")


def test_without_a_converter_png_is_not_offered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(offers, "find_spec", lambda name: None)
    monkeypatch.setattr(offers.shutil, "which", lambda name: None)
    assert offers.Offer("x", "x", picture=list).formats() == ["svg"]
    with pytest.raises(BadInput, match="rsvg-convert"):
        png_of("<svg/>")


def test_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert file_of("~/v1.2-accuracy", "svg") == tmp_path / "v1.2-accuracy.svg"
    for wrong in ("", "  ", "~", ".", "a\0b"):
        with pytest.raises(BadInput, match="allowed"):
            file_of(wrong, "csv")
    keep(Path("a.csv"), b"one")
    keep(Path("a-2.csv"), b"two")
    assert free_file(Path("a.csv")) == Path("a-3.csv")
    with pytest.raises(BadInput, match="there is no folder"):
        keep(Path("none/a.csv"), b"")


async def test_what_has_the_focus_is_saved_first(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    app = lab_app(finished.home, first="live", run=finished.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "16/16" in picture_of(app))
        await pilot.press("ctrl+s")
        await until(
            pilot, lambda: isinstance(app.screen, SaveDialog) and f"{finished.run}-accuracy.svg" in picture_of(app)
        )
        await pilot.press("enter")
        await until(pilot, lambda: any(words.startswith("saved ") for words in messages(app)))
        assert "ticket" in (tmp_path / f"{finished.run}-accuracy.svg").read_text()

        await pilot.press("ctrl+s")
        await until(pilot, lambda: f"{finished.run}-accuracy-2.svg" in picture_of(app))
        await pilot.press("up", "right", *(["right"] if can_make_png() else []))
        await until(pilot, lambda: f"{finished.run}-accuracy.csv" in picture_of(app))
        await pilot.press("down", "ctrl+u", *"none/x", "enter")
        await until(pilot, lambda: "there is no folder" in picture_of(app))
        await pilot.press("ctrl+u", *"x.csv", "enter")
        await until(pilot, lambda: not isinstance(app.screen, SaveDialog))
        rows = read(tmp_path / "x.csv")
        view = app.lab.follower.view
        assert len(rows) == 16
        assert [float(row["test accuracy (0 to 1)"]) for row in rows if row["arm"] == "reinit"] == [
            item.result.test_accuracy for trial in view.arm("reinit").trials for item in trial.rounds.values()
        ]

        # What is there already is replaced only when that was asked for.
        (tmp_path / "x.csv").write_text("mine")
        await pilot.press("tab", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, SaveDialog) and "loss" in picture_of(app))
        await pilot.press("ctrl+u", *"x.svg")
        (tmp_path / "x.svg").write_text("mine")
        await pilot.press("enter")
        await until(pilot, lambda: "is there already" in picture_of(app))
        assert (tmp_path / "x.svg").read_text() == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, SaveDialog))
        assert (tmp_path / "x.svg").read_text().startswith("<svg")

        await pilot.press("4")
        await until(pilot, lambda: app.screen.query(Heatmap) and app.screen.query_one("#by-layer", Heatmap).grid)
        grid = app.screen.query_one("#by-round", Heatmap)
        drawn = ["".join(segment.text for segment in line) for line in grid.still()()]
        assert len(drawn) == 3 + len(grid.grid.rows), "all rows, also those that are scrolled away"
        assert drawn[-1].split()[-1] == "1.0"
        await pilot.press("c")
        await until(pilot, lambda: app.clipboard.startswith("layer\tround 1\tround 2"))
        await until(pilot, lambda: any(words.startswith("copied Spearman") for words in messages(app)))
        await pilot.press("1", "c")
        await until(pilot, lambda: 'name = "quickstart"' in app.clipboard)
        monkeypatch.setattr("screens.base.CLIPBOARD", 10)
        await pilot.press("c")
        await until(pilot, lambda: any("ctrl+s puts it into a file" in words for words in messages(app)))
