"""The main screens, of a real run, look as in the pictures beside this file. One that is missing is drawn.

Processors differ in the last bits of what they train. Accuracies and masks are counts, losses are drawn far coarser
than that, and correlations, by which colours go in fine steps, are rounded before. What tells of the machine and of
its clock is made the same in the run before it is drawn.
"""

import difflib
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape, unescape
from importlib.metadata import version
from pathlib import Path

import pytest
from driving import Finished, lab_app, picture_of

from engine import experiment as plan
from engine.experiment import Forecast, forecast
from engine.spec import Study
from engine.store import Event, RoundFinished, RunFinished, RunStarted, Signal, Similarity, Store
from lth_tui.shell import LabApp
from screens.svg import svg_of

PICTURES = Path(__file__).with_name("pictures")
FOUND = Path(__file__).parents[2] / "build" / "pictures"
"""What was drawn instead."""

DRAWN_BY = " ".join(f"{name} {version(name)}" for name in ("textual", "textual-plotext", "plotext", "rich"))
THEN, DAY = 1_577_934_245.0, 86_400.0
"""Seconds since the epoch when the first of the runs was made, long ago; the other was made a day later."""

SMALL, LARGE = (80, 24), (120, 36)
SCREENS = {"configure": SMALL, "runs": SMALL, "live": LARGE, "heatmaps": SMALL, "ticket": LARGE, "compare": LARGE}
"""The modes, and the sizes at which they are drawn."""


def rounded(similarity: Similarity) -> Similarity:
    """Correlations in hundredths, as they are read in the cells."""
    found = {name: getattr(similarity, name) for name in ("alive", "all")}
    return similarity.model_copy(
        update={name: None if value is None else round(value, 2) for name, value in found.items()}
    )


def retold(events: list[Event]) -> list[Event]:
    """A run as it is on any machine: its rounds in the study's order, not as cores were free, and all as fast."""
    (started,) = (event for event in events if isinstance(event, RunStarted))
    (ended,) = (event for event in events if isinstance(event, RunFinished))
    order = [arm.name for arm in started.arms]
    found = [event for event in events if isinstance(event, RoundFinished | Signal)]
    found.sort(key=lambda event: (event.round, order.index(event.arm), event.trial, event.event))
    told: list[Event] = [started.model_copy(update={"device": "a machine", "lanes": 2})]
    known: set[str] = set()
    for event in found:
        if isinstance(event, RoundFinished):
            result = event.result.model_copy(update={"seconds": 1.0})
            similarity = {layer: rounded(found) for layer, found in event.similarity.items()}
            told_now = {"result": result, "similarity": similarity, "reused": event.key in known}
            event = event.model_copy(update=told_now)
            known.add(event.key)
        told.append(event)
    return [*told, ended.model_copy(update={"seconds": 60.0})]


@pytest.fixture(scope="module")
def home(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the run, and with one of its like that was cut short."""
    home = tmp_path_factory.mktemp("pictured")
    (home / "rounds").symlink_to(finished.home / "rounds")
    with Store(finished.home).open(finished.run) as source:
        events = retold([stamped.event for stamped in source.events()])
        for name, then, kept in (("cut-short", THEN, events[: len(events) // 2]), ("tiny", THEN + DAY, events)):
            with Store(home).create(source.study(), name) as folder:
                folder.restore(then, [(then + number, event) for number, event in enumerate(kept)])
                for event in kept:
                    if isinstance(event, RoundFinished):
                        folder.append_curve(event.key, source.curve(event.key))
    return home


@pytest.fixture(autouse=True)
def _anywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of all colours in a place without summer time, on a machine of a size of its own."""

    def told(study: Study, store: Store) -> Forecast:
        here = {"memory": 512_000_000, "memory_free": 8_000_000_000, "disk_free": 100_000_000_000}
        return replace(forecast(study, store), **here)

    monkeypatch.setattr(plan, "forecast", told)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def drawing(app: LabApp) -> str:
    """The screen as SVG, its text within it for who reads no pictures, and with what it was drawn."""
    svg = svg_of([list(strip) for strip in app.screen._compositor.render_strips()], app.ansi_theme)
    head, body = svg.split("\n", 1)
    told = "\n".join([DRAWN_BY, *(line.rstrip() for line in picture_of(app).splitlines())])
    return f"{head}\n<desc>{escape(told)}</desc>\n{body}"


def rows(svg: str) -> list[str]:
    """With what it was drawn, and its text."""
    return unescape(svg[svg.index("<desc>") + 6 : svg.index("</desc>")]).splitlines()


@pytest.mark.parametrize("mode", SCREENS)
async def test_a_screen_looks_as_it_did(mode: str, home: Path):
    picture = PICTURES / f"{mode}.svg"
    wanted = picture.read_text(encoding="utf-8") if picture.exists() else ""
    if wanted and rows(wanted)[0] != DRAWN_BY:
        pytest.skip(f"{picture.name} was drawn by {rows(wanted)[0]}; here is {DRAWN_BY}")
    app = lab_app(home, first=mode, run=None if mode == "configure" else "tiny")
    async with app.run_test(size=SCREENS[mode]) as pilot:
        looks = 100
        while (found := drawing(app)) != wanted and looks:
            await pilot.pause(0.02)
            looks -= 1
    if found == wanted:
        return
    place = FOUND / picture.name if wanted else picture
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(found, encoding="utf-8")
    if not wanted:
        pytest.fail(f"{place} was missing and is drawn now: look at it")
    changed = "\n".join(difflib.unified_diff(rows(wanted), rows(found), str(picture), str(place), lineterm="", n=0))
    pytest.fail(f"it looks otherwise:\n{changed or f'{place}: other colours than {picture}'}")
