"""Live: where the run is, and what it has found so far."""

from collections.abc import Iterator
from functools import partial

from rich.text import Text
from textual import events, on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.spec import to_toml
from engine.store import RoundFinished, Signal
from engine.views import (
    LEVELS,
    ArmView,
    RunView,
    layers_table,
    log_table,
    newest_signals,
    rounds_table,
    signals_of,
)
from screens.base import PanelScreen
from screens.keys import Advice, keyed
from screens.lab import RESUMABLE, Follower
from screens.messages import PauseRun, ResumeRun, StartStudy, StopRun, TakeUpRun
from screens.offers import Offer
from screens.pictures import accuracy_picture, near_dense
from screens.sight import Sight
from screens.text import SIGNAL_MARKS, SIGNAL_STYLES, SIGNAL_WORDS, amount, plain
from screens.widgets.layers import LayerBars
from screens.widgets.learning import LearningCurve
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

CURVE = Binding.Group("Curve")


class LiveScreen(PanelScreen):
    """A run at work or an old one; drawn from the store alone."""

    MODE = "live"
    MAIN = "#accuracy"

    BINDINGS = [
        Binding("escape", "leave", "Leave log", id="live.leave", tooltip="All events again, and all panels"),
        Binding("p", "pause", "Pause", id="live.pause", tooltip="Pause the run at its next chunk of work"),
        Binding("p", "resume", "Resume", id="live.resume", tooltip="Let the run go on"),
        Binding("r", "take_up", "Resume", id="live.take-up", tooltip="Go on with the run here, where it was"),
        Binding("x", "stop", "Stop", id="live.stop", tooltip="Stop the run; finished rounds are kept"),
        Binding("n", "again", "Start again", id="live.again", tooltip="The same study as a new run"),
        Binding("left_square_bracket", "lane(-1)", "Curve before", id="live.lane-before", group=CURVE,
                tooltip="The learning curve of the lane or round before"),
        Binding("right_square_bracket", "lane(1)", "Next curve", id="live.lane-next", group=CURVE,
                tooltip="The learning curve of the next lane or round"),
        Binding("z", "close", "Close-up", id="live.close", tooltip="Accuracies near dense, or all of them"),
        Binding("v", "value", "Loss/acc", id="live.value", tooltip="Loss or accuracy in the learning curve"),
        Binding("a", "arm", "Arm", show=False, id="live.arm", tooltip="The layers of the next arm"),
        Binding("t", "trial", "Trial", show=False, id="live.trial", tooltip="The layers of the next trial"),
        Binding("slash", "find", "Find", id="live.find", tooltip="Look for words in the log"),
        Binding("down", "into_log", "Into the log", show=False, id="live.into-log", tooltip="To what was found"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield RunStatus(id="status")
        with Horizontal(id="panels"):
            yield LinePlot(id="accuracy")
            with Vertical(id="right"):
                yield LearningCurve(self.lab, id="curves")
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
        self._run: str | None = None
        self._drawn_event = -1
        self._ticks = 0
        self._arm = self._trial = 0
        self._log, self._find = self.query_one(EventLog), self.query_one("#find", Input)
        self._curve = self.query_one(LearningCurve)

    def fitted(self, width: int, height: int) -> None:
        """More events where the screen is tall."""
        self.set_class(height >= TALL_FROM, "-tall")
        self.set_class(height < SHORT_BELOW, "-short")

    def update(self) -> None:
        """Draw what changed."""
        follower = self.lab.follower
        self.set_class(follower is None, "-empty")
        state = self.lab.state()
        self.query_one(RunStatus).show(follower, state)
        if follower is None:
            return
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
        self._curve.follow(follower)

    def _begin(self, run: str) -> None:
        self._run, self._drawn_event = run, -1
        if self.focused is None:
            self.query_one("#accuracy").focus()
        self._curve.begin()
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
        self.refresh_bindings()

    def action_fill(self) -> None:
        """The focused panel fills the screen, or all are shown again."""
        if self.has_class("-log"):
            self.action_leave()
        elif self._log.has_focus:
            self.add_class("-log")
            self.refresh_bindings()
        else:
            super().action_fill()

    def _tell_newest(self, view: RunView) -> None:
        """The newest signal of each kind, in one line."""
        self.set_class(bool(view.signals), "-signals")
        words = Text("   ").join(_signal_words(signal) for signal in newest_signals(view))
        self.query_one("#newest", Static).update(words, layout=False)

    # The learning curve

    def action_lane(self, by: int) -> None:
        """The curve of another lane."""
        if self.lab.follower is not None:
            self._curve.step(by, self.lab.follower)

    def action_value(self) -> None:
        """Loss or accuracy, where both do not fit."""
        self._curve.turn()

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
        newest: RoundFinished | None = rounds[max(rounds)] if rounds else None
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
        view = follower.view
        found = [
            Offer("accuracy", "accuracy of all rounds", self.query_one("#accuracy"), partial(rounds_table, view)),
            Offer("log", "what happened", self.query_one("#events"), partial(log_table, view)),
            *self._curve.offers(),
        ]
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
        return self._allowed().get(action, True) if self.is_mounted else True

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """What the run is, or that there is no other to choose."""
        follower = self.lab.follower
        if follower is None:
            return "no run is shown"
        alone = {
            "lane": "there is one curve at most",
            "value": "both are shown",
            "arm": "the run has one arm",
            "trial": "the arm has one trial",
            "close": "nothing near dense is known",
        }
        if action == "take_up" and follower.pausing:
            return keyed(self.app, f"{follower.run} is paused; {{live.resume}} resumes it")
        return alone.get(action, f"{follower.run} is {self.lab.state()}")

    def _allowed(self) -> dict[str, bool]:
        follower = self.lab.follower
        at_work = follower is not None and follower.at_work and self.lab.state() != "stopping"
        paused = follower is not None and follower.pausing
        arms = follower.view.arms if follower is not None else ()
        return {
            "pause": at_work and not paused,
            "resume": at_work and paused,
            "take_up": follower is not None and follower.status in RESUMABLE and self.lab.state() == follower.status,
            "stop": at_work,
            "again": follower is not None and not at_work,
            "lane": follower is not None and self._curve.several,
            "value": follower is not None and not self._curve.both,
            "arm": len(arms) > 1,
            "trial": any(len(arm.trials) > 1 for arm in arms),
            "close": follower is not None and self.query_one("#accuracy", LinePlot).picture.level is not None,
            **dict.fromkeys(("find", "fill"), follower is not None),
        }


def _signal_words(signal: Signal) -> Text:
    """A signal in a few words: what, where and when."""
    what = SIGNAL_WORDS[signal.kind] if signal.layer is None else f"{signal.layer} {SIGNAL_WORDS[signal.kind]}"
    words = plain(f" {what} in {signal.arm} t{signal.trial + 1} r{signal.round}")
    return Text.assemble((SIGNAL_MARKS[signal.kind], "bold"), (words, SIGNAL_STYLES[signal.kind]))
