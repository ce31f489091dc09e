"""Live: where the run is, and what it has found so far."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from rich.text import Text
from textual import events, on, work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.errors import BadInput
from engine.spec import to_toml
from engine.store import Signal
from engine.views import (
    LEVELS,
    ArmView,
    Curve,
    RoundView,
    RunView,
    curve_table,
    layers_table,
    log_table,
    newest_signals,
    rounds_table,
    signals_of,
)
from screens.base import PanelScreen
from screens.keys import Advice
from screens.lab import RESUMABLE, Follower
from screens.messages import PauseRun, ResumeRun, StartStudy, StopRun, TakeUpRun
from screens.offers import Offer
from screens.pictures import accuracy_picture, loss_picture, near_dense, validation_accuracy_picture
from screens.plots import Picture
from screens.reading import read_on
from screens.sight import Sight
from screens.text import SIGNAL_MARKS, SIGNAL_STYLES, SIGNAL_WORDS, amount, plain
from screens.widgets.layers import LayerBars
from screens.widgets.log import EventLog, event_words
from screens.widgets.plot import LinePlot
from screens.widgets.status import RunStatus

EMPTY = """No run is shown.

Press {mode.configure} for Configure, and there {configure.start} to start the study that is ready.
Or {mode.runs} for Runs, and there {runs.open} on a run."""

SHORT_BELOW = 20
"""Rows of the window below which only the plots are shown."""

TALL_FROM = 32
"""Rows of the window from which the events have more of them."""

BOTH_CURVES_FROM = 16
"""Rows of the panel from which loss and accuracy stand one above the other."""


class _Asked(NamedTuple):
    """A curve that is to be read: of a run, under a name, of a round by its key; `chosen` by the person just now."""

    follower: Follower
    name: str
    key: str
    chosen: bool


class LiveScreen(PanelScreen):
    """A run at work or an old one; drawn from the store alone."""

    MODE = "live"
    MAIN = "#accuracy"

    BINDINGS = [
        Binding("p", "pause", "Pause", id="live.pause", tooltip="Pause the run at its next chunk of work"),
        Binding("p", "resume", "Resume", id="live.resume", tooltip="Let the run go on"),
        Binding("r", "take_up", "Resume", id="live.take-up", tooltip="Go on with the run here, where it was"),
        Binding("x", "stop", "Stop", id="live.stop", tooltip="Stop the run; finished rounds are kept"),
        Binding("n", "again", "Start again", id="live.again", tooltip="The same study as a new run"),
        Binding("left_square_bracket", "lane(-1)", "Curve", key_display="[ ]", id="live.lane-before",
                tooltip="The learning curve of the lane or round before"),
        Binding("right_square_bracket", "lane(1)", "Next curve", show=False, id="live.lane-next",
                tooltip="The learning curve of the next lane or round"),
        Binding("z", "close", "Close-up", id="live.close", tooltip="Accuracies near dense, or all of them"),
        Binding("v", "value", "Loss/acc", id="live.value", tooltip="Loss or accuracy in the learning curve"),
        Binding("a", "arm", "Arm", show=False, id="live.arm", tooltip="The layers of the next arm"),
        Binding("t", "trial", "Trial", show=False, id="live.trial", tooltip="The layers of the next trial"),
        Binding("slash", "find", "Find", key_display="/", id="live.find", tooltip="Look for words in the log"),
        Binding("down", "into_log", "Into the log", show=False, id="live.into-log", tooltip="To what was found"),
        Binding("escape", "leave", "Leave log", id="live.leave", tooltip="All events again, and all panels"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield RunStatus(id="status")
        with Horizontal(id="panels"):
            yield LinePlot(id="accuracy")
            with Vertical(id="right"):
                with Vertical(id="curves"):
                    yield LinePlot(id="loss")
                    yield LinePlot(id="validation")
                yield LayerBars(id="layers")
        yield Static("", id="newest", markup=False)
        with Vertical(id="log"):
            with Horizontal(id="finding"):
                yield Static("/", id="slash-log", markup=False)
                yield Input(id="find", compact=True, placeholder=f"words, and levels: {', '.join(LEVELS)}")
                yield Static("", id="found", markup=False)
            yield EventLog(id="events")
            yield Static("", id="event", markup=False)
        yield Advice(EMPTY, id="no-run")

    def on_mount(self) -> None:
        super().on_mount()
        self._run: str | None = None
        self._drawn_event = -1
        self._shown_allowed: dict[str, bool] = {}
        self._ticks = 0
        self._lane: int | None = None
        self._key = ""
        self._asked: _Asked | None = None
        self._reading = False
        self._curve: Curve | None = None
        self._show_loss = True
        self._arm = self._trial = 0
        self._log, self._find = self.query_one(EventLog), self.query_one("#find", Input)
        self._fit_curves()

    def fitted(self, width: int, height: int) -> None:
        """On a tall screen loss and accuracy stand one above the other."""
        self.set_class(height >= TALL_FROM, "-tall")
        self.set_class(height < SHORT_BELOW, "-short")
        self.call_after_refresh(self._fit_curves)

    def _fit_curves(self) -> None:
        both = self.query_one("#curves").size.height >= BOTH_CURVES_FROM
        self.query_one("#loss").display = both or self._show_loss
        self.query_one("#validation").display = both or not self._show_loss

    def update(self) -> None:
        """Draw what changed."""
        follower = self.lab.follower
        self.set_class(follower is None, "-empty")
        state = self.lab.state()
        self.query_one(RunStatus).show(follower, state)
        if follower is None:
            return
        # The footer is made anew with its bindings, which takes as long as all else: only when they differ.
        allowed = self._allowed()
        if allowed != self._shown_allowed:
            self._shown_allowed = allowed
            self.refresh_bindings()
        self._ticks += 1
        if follower.run != self._run:
            self._begin(follower.run)
        elif follower.at_work and self._ticks % (2 if self.lab.slow else 4):
            return  # plots take time from a run at work, and are drawn less often than its counters
        if follower.view.last_event != self._drawn_event:
            self._drawn_event = follower.view.last_event
            self.query_one("#accuracy", LinePlot).show(accuracy_picture(follower.view))
            self._log.show(follower.view.log)
            self._show_layers(follower)
            self._tell_newest(follower.view)
        self._show_curve(follower)

    def _begin(self, run: str) -> None:
        self._run, self._drawn_event = run, -1
        self._lane, self._key, self._curve = None, "", None
        self._arm = self._trial = 0
        for plot in self.query(LinePlot):
            plot.look(Sight())

    # Events

    def action_find(self) -> None:
        """The log alone, and what is looked for in it."""
        self.add_class("-log", "-finding")
        self._find.focus()

    @on(Input.Changed, "#find")
    def _find_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._log.sift(event.value)

    @on(Input.Submitted, "#find")
    def action_into_log(self) -> None:
        """From the field into what was found."""
        if self._find.has_focus:
            self._log.focus()

    @on(EventLog.Moved)
    def _tell_event(self) -> None:
        """How many were found, and the whole of the one under the cursor."""
        total = len(self.lab.follower.view.log) if self.lab.follower else 0
        self.query_one("#found", Static).update(f"{amount(self._log.found)} of {amount(total)}")
        chosen = self._log.chosen
        self.query_one("#event", Static).update(event_words(chosen, whole=True) if chosen else Content("none"))

    def action_leave(self) -> None:
        """All events again, and all panels."""
        self._find.value = ""
        self.remove_class("-log", "-finding")
        self.set_focus(self._log)

    def action_fill(self) -> None:
        """The focused panel fills the screen, or all are shown again."""
        if self.has_class("-log"):
            self.action_leave()
        elif self._log.has_focus:
            self.add_class("-log")
        else:
            super().action_fill()

    def _tell_newest(self, view: RunView) -> None:
        """The newest signal of each kind, in one line."""
        self.set_class(bool(view.signals), "-signals")
        words = Text("   ").join(_signal_words(signal) for signal in newest_signals(view))
        self.query_one("#newest", Static).update(words, layout=False)

    # The learning curve

    def _lanes(self, follower: Follower) -> list[tuple[str, str]]:
        """Name and key of each lane at work; of a run that is not, of every finished round."""
        if follower.at_work and follower.progress is not None and follower.progress.lanes:
            return [(f"{lane.arm} t{lane.trial + 1} r{lane.round}", lane.key) for lane in follower.progress.lanes]
        return [
            (f"{arm.name} t{place} r{item.round}", item.key)
            for arm in follower.view.arms
            for place, trial in enumerate(arm.trials, 1)
            for item in trial.rounds.values()
        ]

    def _show_curve(self, follower: Follower, *, chosen: bool = False) -> None:
        """Have the chosen curve read, or read on; `chosen` just now."""
        lanes = self._lanes(follower)
        if not lanes:
            self._draw_curve("", None)
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
                self._read_curves()

    @work(group="curves")
    async def _read_curves(self) -> None:
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
        self._draw_curve(asked.key, curve)

    def _draw_curve(self, key: str, curve: Curve | None) -> None:
        if curve is None or curve != self._curve:
            self._key, self._curve = key, curve
            self.query_one("#loss", LinePlot).show(loss_picture(curve))
            self.query_one("#validation", LinePlot).show(validation_accuracy_picture(curve))

    def action_lane(self, by: int) -> None:
        """The curve of another lane."""
        self._lane = (self._lane or 0) + by
        if self.lab.follower is not None:
            self._show_curve(self.lab.follower, chosen=True)

    def action_value(self) -> None:
        """Loss or accuracy, where both do not fit."""
        self._show_loss = not self._show_loss
        self._fit_curves()

    def action_close(self) -> None:
        """Look closely at what is near dense, or at everything."""
        plot = self.query_one("#accuracy", LinePlot)
        plot.look_near(None if plot.sight.zoomed else near_dense(plot.picture))

    # Layers

    def _layers_of(self, view: RunView) -> tuple[ArmView, int]:
        """The arm and the trial whose layers are shown, of a run that has begun."""
        arm = view.arms[self._arm % len(view.arms)]
        return arm, self._trial % len(arm.trials)

    def _show_layers(self, follower: Follower) -> None:
        panel, arms = self.query_one(LayerBars), follower.view.arms
        if not arms:
            panel.show("", None, {})
            return
        arm, trial = self._layers_of(follower.view)
        rounds = arm.trials[trial].rounds
        newest: RoundView | None = rounds[max(rounds)] if rounds else None
        signals: dict[str, tuple[Signal, ...]] = {}
        for found in signals_of(follower.view, arm.name, trial).values():
            for signal in found:
                if signal.layer is not None:
                    signals[signal.layer] = (*signals.get(signal.layer, ()), signal)
        panel.show(f"{arm.name} t{trial + 1}", newest, signals)

    def action_arm(self) -> None:
        """The layers of the next arm."""
        self._arm += 1
        if self.lab.follower:
            self._show_layers(self.lab.follower)

    def action_trial(self) -> None:
        """The layers of the next trial."""
        self._trial += 1
        if self.lab.follower:
            self._show_layers(self.lab.follower)

    def offers(self) -> list[Offer]:
        """What the panels show."""
        follower = self.lab.follower
        if follower is None:
            return []
        view, curve = follower.view, self._curve
        found = [
            Offer("accuracy", "accuracy of all rounds", self.query_one("#accuracy"), partial(rounds_table, view)),
            Offer("log", "what happened", self.query_one("#events"), partial(log_table, view)),
        ]
        if curve is not None:
            table = partial(curve_table, curve)
            found.append(Offer("loss", f"loss, {curve.name}", self.query_one("#loss"), table))
            found.append(Offer("validation", f"accuracy, {curve.name}", self.query_one("#validation"), table))
        if view.arms:
            arm, trial = self._layers_of(view)
            words = f"weights left by layer and round, {arm.name} trial {trial + 1}"
            table = partial(layers_table, view, arm.name, trial)
            found.append(Offer("layers", words, self.query_one("#layers"), table))
        if follower.study is not None:
            found.append(Offer("study", "the study of the run", toml=to_toml(follower.study), file=follower.run))
        return found

    # Control

    def action_pause(self) -> None:
        """Ask the run to pause."""
        self.post_message(PauseRun())

    def action_resume(self) -> None:
        """Ask the run to go on."""
        self.post_message(ResumeRun())

    def action_take_up(self) -> None:
        """Go on with a run that did not come to its end."""
        if self.lab.follower is not None:
            self.post_message(TakeUpRun(self.lab.follower.run))

    def action_stop(self) -> None:
        """Ask the run to stop."""
        self.post_message(StopRun())

    def action_again(self) -> None:
        """The same study as a new run."""
        if self.lab.follower is not None and self.lab.follower.study is not None:
            self.post_message(StartStudy(self.lab.follower.study))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the state of the run allows."""
        if action == "leave":
            return self.has_class("-log")
        if action == "into_log":
            return self.has_class("-finding")
        if action in ("find", "lane", "value", "arm", "trial", "fill", "close"):
            return self.lab.follower is not None
        return self._allowed().get(action, True)

    def _allowed(self) -> dict[str, bool]:
        follower = self.lab.follower
        at_work = follower is not None and follower.at_work and self.lab.state() != "stopping"
        paused = follower is not None and follower.pausing
        return {
            "pause": at_work and not paused,
            "resume": at_work and paused,
            "take_up": follower is not None and follower.status in RESUMABLE and self.lab.state() == follower.status,
            "stop": at_work,
            "again": follower is not None and not at_work,
        }


def _signal_words(signal: Signal) -> Text:
    """A signal in a few words: what, where and when."""
    what = SIGNAL_WORDS[signal.kind] if signal.layer is None else f"{signal.layer} {SIGNAL_WORDS[signal.kind]}"
    words = plain(f" {what} in {signal.arm} t{signal.trial + 1} r{signal.round}")
    return Text.assemble((SIGNAL_MARKS[signal.kind], "bold"), (words, SIGNAL_STYLES[signal.kind]))
