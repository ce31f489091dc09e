"""The learning curve of a lane, read on while the lane is at work."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from textual import work
from textual.containers import Vertical
from textual.widget import Widget

from engine.errors import BadInput
from engine.views import Curve, curve_table
from screens.lab import Follower, Lab
from screens.offers import Offer
from screens.pictures import loss_picture, validation_accuracy_picture
from screens.plots import Picture
from screens.reading import read_on
from screens.widgets.plot import LinePlot

BOTH_FROM = 16
"""Rows from which loss and accuracy stand one above the other."""


class _Asked(NamedTuple):
    """A curve that is to be read: of a run, under a name, of a round by its key; `chosen` by the person just now."""

    follower: Follower
    name: str
    key: str
    chosen: bool


class LearningCurve(Vertical):
    """Loss and accuracy on the validation examples, both where there is room for them, of a lane at work or of a
    finished round."""

    def __init__(self, lab: Lab, *, id: str | None = None):
        super().__init__(id=id)
        self.lab = lab
        self._show_loss = True
        self._reading = False
        self._asked: _Asked | None = None
        self.begin()

    def compose(self) -> Iterator[Widget]:
        yield LinePlot(id="loss")
        yield LinePlot(id="validation")

    def on_mount(self) -> None:
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self.query_one("#loss").display = self.both or self._show_loss
        self.query_one("#validation").display = self.both or not self._show_loss

    @property
    def both(self) -> bool:
        """Whether there is room for both."""
        return self.size.height >= BOTH_FROM

    def begin(self) -> None:
        """Another run is followed."""
        self._lane: int | None = None
        self._key = ""
        self._curve: Curve | None = None
        self.several = False
        """Whether there is another curve."""

    def turn(self) -> None:
        """Loss or accuracy, where both do not fit."""
        self._show_loss = not self._show_loss
        self._fit()

    def step(self, by: int, follower: Follower) -> None:
        """Show the curve of another lane."""
        self._lane = (self._lane or 0) + by
        self.follow(follower, chosen=True)

    def follow(self, follower: Follower, *, chosen: bool = False) -> None:
        """Have the chosen curve read, or read on; `chosen` just now."""
        lanes = _lanes(follower)
        self.several = len(lanes) > 1
        if not lanes:
            self._draw("", None)
            return
        place = (self._lane or 0) % len(lanes)
        name, key = lanes[place]
        chosen = chosen or (self._asked is not None and self._asked[2:] == (key, True))
        asked = _Asked(follower, f"{name} {place + 1}/{len(lanes)}", key, chosen)
        known = self._curve is not None and (self._key, self._curve.name) == (key, asked.name)
        if follower.at_work or not known:
            self._asked = asked
            if not self._reading:
                self._reading = True
                self._read()

    @work(group="curves")
    async def _read(self) -> None:
        """Read what was asked for last, until nothing more is."""
        try:
            while (asked := self._asked) is not None:
                self._asked = None
                await self._read_curve(asked)
        finally:
            self._reading = False

    async def _read_curve(self, asked: _Asked) -> None:
        follower, same = asked.follower, self._curve is not None and asked.key == self._key
        known = replace(self._curve, name=asked.name) if self._curve is not None and same else Curve(asked.name)
        try:
            read = partial(read_on, self.lab.store, follower.run, asked.key, known, at_work=follower.at_work)
            curve = await asyncio.to_thread(read)
        except (BadInput, sqlite3.Error) as error:
            self._key, self._curve = "", None
            self.query_one("#loss", LinePlot).show(Picture(f"loss, {asked.name}", empty=str(error)))
            return
        if follower is not self.lab.follower:
            return
        if not curve.iteration and self._curve is not None and follower.at_work and not asked.chosen:
            return  # the round before stays until the new one has something to show
        self._draw(asked.key, curve)

    def _draw(self, key: str, curve: Curve | None) -> None:
        if curve is None or curve != self._curve:
            self._key, self._curve = key, curve
            self.query_one("#loss", LinePlot).show(loss_picture(curve))
            self.query_one("#validation", LinePlot).show(validation_accuracy_picture(curve))

    def offers(self) -> list[Offer]:
        """Its plots, and the numbers behind them."""
        if (curve := self._curve) is None:
            return []
        table = partial(curve_table, curve)
        return [
            Offer("loss", f"loss, {curve.name}", self.query_one("#loss"), table),
            Offer("validation", f"accuracy, {curve.name}", self.query_one("#validation"), table),
        ]


def _lanes(follower: Follower) -> list[tuple[str, str]]:
    """Name and key of each lane at work; of a run that is not, of every finished round."""
    if follower.at_work and follower.progress is not None and follower.progress.lanes:
        return [(f"{lane.arm} t{lane.trial + 1} r{lane.round}", lane.key) for lane in follower.progress.lanes]
    return [
        (f"{arm.name} t{place} r{item.round}", item.key)
        for arm in follower.view.arms
        for place, trial in enumerate(arm.trials, 1)
        for item in trial.rounds.values()
    ]
