"""Heatmaps: how alike the weights of the rounds are, layer by layer."""

from collections.abc import Iterator

from rich.text import Text
from textual import events, on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from engine.views import MEASURES, ArmView, Measure, RunView, layer_grid, round_grid
from screens.base import LabScreen
from screens.readout import legend, pair_words
from screens.text import plain
from screens.widgets.heatmap import Heatmap
from screens.widgets.palette import Scale

EMPTY = """Nothing to compare yet.

A heatmap needs two finished rounds of a trial. Press 2 for Runs, and enter on a run;
or 1 for Configure, and s to start one."""

BOTH_FROM = 32
"""Rows of the window from which both heatmaps are shown."""

_MEASURES: tuple[Measure, ...] = ("alive", "all", "jaccard", "chance")


class HeatmapsScreen(LabScreen):
    """Layer by round, and round by round of one layer."""

    MODE = "heatmaps"

    BINDINGS = [
        Binding("g,tab,shift+tab", "grid", "Other grid", key_display="g", id="heatmaps.grid",
                tooltip="Layer by round, or round by round", priority=True),
        Binding("a", "step('arm',1)", "Arm", id="heatmaps.arm", tooltip="The next arm"),
        Binding("A", "step('arm',-1)", "Arm before", show=False, id="heatmaps.arm-before", tooltip="The arm before"),
        Binding("t", "step('trial',1)", "Trial", id="heatmaps.trial", tooltip="The next trial"),
        Binding("T", "step('trial',-1)", "Trial before", show=False, id="heatmaps.trial-before",
                tooltip="The trial before"),
        Binding("y", "step('layer',1)", "Layer", id="heatmaps.layer", tooltip="The next layer"),
        Binding("Y", "step('layer',-1)", "Layer before", show=False, id="heatmaps.layer-before",
                tooltip="The layer before"),
        Binding("m", "step('measure',1)", "Measure", id="heatmaps.measure",
                tooltip="Spearman over weights alive in both or over all, overlap of masks, overlap by chance"),
        Binding("s", "scale", "Scale", id="heatmaps.scale", tooltip="Colours fitted to the values, or -1 to 1"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield Static("", id="which", markup=False)
        with Vertical(id="layer-part"):
            yield Static("", classes="grid-title", markup=False)
            yield Heatmap(id="by-layer")
        with Vertical(id="round-part"):
            yield Static("", classes="grid-title", markup=False)
            yield Heatmap(id="by-round")
        yield Static("", id="readout", markup=False)
        yield Static("", id="legend", markup=False)
        yield Static(EMPTY, id="no-heatmap", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self._at = {"arm": 0, "trial": 0, "layer": 0, "measure": 0}
        self._fitted = True
        self._drawn: object = None
        self._drawn_run = ""
        self.set_class(True, "-by-layer")

    def fitted(self, width: int, height: int) -> None:
        """Both heatmaps where there is room for them."""
        self.set_class(height >= BOTH_FROM, "-both")
        self.call_after_refresh(self._redraw)

    @property
    def _view(self) -> RunView | None:
        follower = self.lab.follower
        return follower.view if follower is not None and follower.view.arms else None

    @property
    def chosen(self) -> tuple[ArmView, int, str, Measure] | None:
        """Arm, trial, layer and measure that are shown."""
        view = self._view
        if view is None or not view.layers:
            return None
        arm = view.arms[self._at["arm"] % len(view.arms)]
        layers = list(view.layers)
        return (
            arm,
            self._at["trial"] % len(arm.trials),
            layers[self._at["layer"] % len(layers)],
            _MEASURES[self._at["measure"] % len(_MEASURES)],
        )

    def update(self) -> None:
        """Draw what changed."""
        follower = self.lab.follower
        known = None if follower is None else (follower.run, follower.view.last_event)
        if known != self._drawn:
            if follower is not None and follower.run != self._drawn_run:
                self._drawn_run = follower.run
                self._at.update(arm=0, trial=0, layer=0)
            self._drawn = known
            was = self.has_class("-empty")
            self._redraw()
            if self.has_class("-empty") != was:
                self.refresh_bindings()

    def _redraw(self) -> None:
        view, chosen = self._view, self.chosen
        self.set_class(chosen is None, "-empty")
        if view is None or chosen is None:
            return
        arm, trial, layer, measure = chosen
        scale = None if self._fitted else Scale(-1.0, 1.0)
        by_layer, by_round = self.query_one("#by-layer", Heatmap), self.query_one("#by-round", Heatmap)
        layers = layer_grid(view, arm.name, trial, measure)
        rounds = round_grid(view, arm.name, trial, layer, measure)
        by_layer.show(layers, scale)
        by_round.show(rounds, scale)
        by_layer.put_cursor(list(view.layers).index(layer), by_layer.cursor[1])
        tall = 2 if self.size.height >= BOTH_FROM + 6 else 1
        self.query_one("#layer-part").styles.height = len(layers.rows) * tall + 2 if self.has_class("-both") else "1fr"
        known = len(arm.trials[trial].rounds)
        words = Text.assemble(
            (plain(arm.name), "bold"),
            f" ({view.arms.index(arm) + 1} of {len(view.arms)})  trial {trial + 1} of {len(arm.trials)}",
            f"  {known}/{len(arm.planned)} rounds  ",
            (MEASURES[measure], "bold"),
        )
        _write(self.query_one("#which", Static), words)
        titles = ("layer by round: each with the round before", f"{plain(layer)}: every pair of rounds")
        for part, title in zip(self.query(".grid-title").results(Static), titles, strict=True):
            _write(part, Text(title, "dim"))
        self._tell_cell()

    @property
    def _shown_heatmap(self) -> Heatmap:
        return self.query_one("#by-layer" if self.has_class("-by-layer") else "#by-round", Heatmap)

    def _tell_cell(self) -> None:
        view, chosen = self._view, self.chosen
        heatmap = self._shown_heatmap
        if view is None or chosen is None or heatmap.grid is None or not heatmap.grid.columns:
            _write(self.query_one("#readout", Static), Text())
            return
        arm, trial, layer, _ = chosen
        row, column = heatmap.cursor
        second = int(heatmap.grid.columns[column])
        if heatmap.id == "by-layer":
            before = [number for number in arm.planned if number < second]
            pair = (before[-1] if before else 0, second)
        else:
            pair = (int(heatmap.grid.rows[row]), second)
        _write(self.query_one("#readout", Static), pair_words(view, arm.name, trial, layer, pair))
        sixteen = self.app.console.color_system in (None, "standard") or self.app.native_ansi_color
        _write(self.query_one("#legend", Static), legend(heatmap.scale, self.size.width, sixteen=sixteen))

    @on(Heatmap.Moved)
    def _cursor_moved(self, event: Heatmap.Moved) -> None:
        view = self._view
        if event.heatmap.id == "by-layer" and view is not None and event.row != self._at["layer"] % len(view.layers):
            self._at["layer"] = event.row
            self._redraw()
        else:
            self._tell_cell()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Heatmap):
            self.set_class(event.widget.id == "by-layer", "-by-layer")
            self._tell_cell()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.focused is None:
            self._shown_heatmap.focus()

    def action_grid(self) -> None:
        """Show (or go to) the other heatmap."""
        self.set_class(not self.has_class("-by-layer"), "-by-layer")
        self._shown_heatmap.focus()
        self._tell_cell()

    def action_step(self, what: str, by: int) -> None:
        """The next or the one before of arms, trials, layers or measures."""
        self._at[what] += by
        self._redraw()

    def action_scale(self) -> None:
        """Fit the colours to the values, or keep them from -1 to 1."""
        self._fitted = not self._fitted
        self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to choose."""
        return self.chosen is not None if action in ("grid", "step", "scale") and hasattr(self, "_at") else True


def _write(place: Static, words: Text) -> None:
    """Write words of a fixed height, if they are others: laying the screen out again would cost more than all else."""
    if place.content != words:
        place.update(words, layout=False)
