"""Heatmaps: how alike the weights of the rounds are, and their masks and magnitudes while they are trained."""

from collections.abc import Iterator
from functools import partial

from rich.text import Text
from textual import events, on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from engine.views import (
    MEASURES,
    ArmView,
    Measure,
    RunView,
    bird_grid,
    grid_table,
    layer_grid,
    magnitudes_table,
    round_grid,
)
from screens.base import PanelScreen, rewrite
from screens.keys import Advice, keyed
from screens.offers import Offer
from screens.pictures import magnitude_picture
from screens.readout import bird_words, legend, magnitude_title, magnitude_words, pair_words
from screens.text import plain
from screens.widgets.heatmap import Heatmap
from screens.widgets.palette import Scale, distance_scale
from screens.widgets.plot import LinePlot

EMPTY = """Nothing to compare yet.

A heatmap needs two finished rounds of a trial. Press {mode.runs} for Runs, and {runs.open} on a run;
or {mode.configure} for Configure, and {configure.start} to start one."""

NOT_WATCHED = """No early birds were watched for.

A study with early_bird = watch, under prune in Configure ({mode.configure}), shows here how far
the mask that a round would leave moves from epoch to epoch, and when it settles."""

NO_EPOCHS = """No distance is known yet: it takes a finished round of two epochs or more."""

BOTH_FROM = 32
"""Rows of the window from which both heatmaps of rank correlations are shown."""

LOW_BELOW = 20
"""Rows of the window below which the words on the cursor have few lines."""

PAGES = {"layers": "#by-layer", "rounds": "#by-round", "birds": "#birds", "magnitudes": "#magnitudes"}
"""What the screen shows in turn, and the widget that has the focus there."""

_MEASURES: tuple[Measure, ...] = ("alive", "all", "jaccard", "chance")


class HeatmapsScreen(PanelScreen):
    """Layer by round, round by round of one layer, round by epoch, and the magnitudes of a layer in a round.

    Layer and round stay the same from one to the next.
    """

    MODE = "heatmaps"

    BINDINGS = [
        Binding("g,tab", "page(1)", "View", key_display="g", id="heatmaps.page", priority=True,
                tooltip="Layer by round, round by round, mask distances by epoch, or magnitudes"),
        Binding("G,shift+tab", "page(-1)", "View before", show=False, id="heatmaps.page-before", priority=True,
                tooltip="The view before"),
        Binding("left_square_bracket", "round(-1)", "Round", key_display="[ ]", id="heatmaps.round-before",
                tooltip="The magnitudes of the round before"),
        Binding("right_square_bracket", "round(1)", "Next round", show=False, id="heatmaps.round",
                tooltip="The magnitudes of the next round"),
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
        with Vertical(id="bird-part"):
            yield Static("", classes="grid-title", markup=False)
            yield Heatmap(id="birds")
            yield Static("", id="no-birds", markup=False)
        with Vertical(id="magnitude-part"):
            yield LinePlot(id="magnitudes")
        yield Static("", id="readout", markup=False)
        yield Static("", id="legend", markup=False)
        yield Advice(EMPTY, id="no-heatmap")

    def on_mount(self) -> None:
        super().on_mount()
        self._at = {"arm": 0, "trial": 0, "layer": 0, "measure": 0}
        self._round = 0
        self._fitted = True
        self._drawn: object = None
        self._drawn_run = ""
        self._page = "layers"
        self._turn_to(self._page)

    def fitted(self, width: int, height: int) -> None:
        """Both heatmaps of rank correlations where there is room for them."""
        self.set_class(height >= BOTH_FROM, "-both")
        self.set_class(height < LOW_BELOW, "-low")
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
                self._round = 0
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
        self.set_class(bool(view.signals), "-signals")
        known = len(arm.trials[trial].rounds)
        words = Text.assemble(
            (plain(arm.name), "bold"),
            f" ({view.arms.index(arm) + 1} of {len(view.arms)})  trial {trial + 1} of {len(arm.trials)}",
            f"  {known}/{len(arm.planned)} rounds  ",
        )
        if self._page == "birds":
            self._show_birds(view, arm, trial)
        elif self._page == "magnitudes":
            self._show_magnitudes(arm, trial, layer)
        else:
            self._show_correlations(view, arm, trial, layer, measure)
            words.append(MEASURES[measure], "bold")
        rewrite(self.query_one("#which", Static), words)
        self._follow_choice()
        self._tell_cell()

    def _show_correlations(self, view: RunView, arm: ArmView, trial: int, layer: str, measure: Measure) -> None:
        scale = None if self._fitted else Scale(-1.0, 1.0)
        layers = layer_grid(view, arm.name, trial, measure)
        self.query_one("#by-layer", Heatmap).show(layers, scale)
        self.query_one("#by-round", Heatmap).show(round_grid(view, arm.name, trial, layer, measure), scale)
        tall = 2 if self.size.height >= BOTH_FROM + 6 else 1
        lines = len(layers.rows) * tall + 2 + bool(layers.column_marks)
        self.query_one("#layer-part").styles.height = lines if self.has_class("-both") else "1fr"
        self._entitle("layer", "layer by round: each with the round before")
        self._entitle("round", f"{plain(layer)}: every pair of rounds")

    def _show_birds(self, view: RunView, arm: ArmView, trial: int) -> None:
        grid = bird_grid(view, arm.name, trial)
        scale = distance_scale([value for row in grid.values for value in row]) if self._fitted else Scale(0.0, 1.0)
        self.query_one("#birds", Heatmap).show(grid, scale)
        self.set_class(not grid.columns, "-no-birds")
        self._entitle("bird", "mask distance by epoch: each with the epoch before")
        study = self.lab.follower.study if self.lab.follower else None
        recipes = [study.recipe(it) for it in study.arm if it.name == arm.name] if study is not None else []
        watched = any(recipe.prune.early_bird != "off" for recipe in recipes)
        rewrite(self.query_one("#no-birds", Static), Text(keyed(self.app, NO_EPOCHS if watched else NOT_WATCHED)))

    def _show_magnitudes(self, arm: ArmView, trial: int, layer: str) -> None:
        item = arm.trials[trial].rounds.get(self._round)
        found = item.magnitudes.get(layer) if item else None
        empty = "not measured: the loss of this round did not stay finite" if item else "this round is not known yet"
        title = magnitude_title(layer, self._round, found)
        self.query_one("#magnitudes", LinePlot).show(magnitude_picture(title, found, empty))

    def _entitle(self, part: str, words: str) -> None:
        rewrite(self.query_one(f"#{part}-part .grid-title", Static), Text(words, "dim"))

    @property
    def _shown_heatmap(self) -> Heatmap | None:
        return None if self._page == "magnitudes" else self.query_one(PAGES[self._page], Heatmap)

    def _follow_choice(self) -> None:
        """Put the cursor on the chosen layer and round."""
        view, heatmap = self._view, self._shown_heatmap
        if view is None or heatmap is None or heatmap.grid is None:
            return
        row, column = heatmap.cursor
        grid, number = heatmap.grid, str(self._round)
        if self._page == "birds":
            row = grid.rows.index(number) if number in grid.rows else row
        else:
            column = grid.columns.index(number) if number in grid.columns else column
        if self._page == "layers":
            row = self._at["layer"] % len(view.layers)
        heatmap.put_cursor(row, column)

    def _tell_cell(self) -> None:
        view, chosen, heatmap = self._view, self.chosen, self._shown_heatmap
        if view is None or chosen is None:
            return
        arm, trial, layer, _ = chosen
        words, colours = Text(), Text()
        if heatmap is None:
            words = magnitude_words(view, arm.name, trial, layer, self._round)
        elif heatmap.grid is not None and heatmap.grid.columns:
            row, column = heatmap.cursor
            second = int(heatmap.grid.columns[column])
            if self._page == "birds":
                words = bird_words(view, arm.name, trial, int(heatmap.grid.rows[row]), second)
            else:
                before = [number for number in arm.planned if number < second]
                first = (before[-1] if before else 0) if self._page == "layers" else int(heatmap.grid.rows[row])
                words = pair_words(view, arm.name, trial, layer, (first, second))
            sixteen = self.app.console.color_system in (None, "standard") or self.app.native_ansi_color
            colours = legend(heatmap.scale, heatmap.grid.kinds, self.size.width, sixteen=sixteen)
        rewrite(self.query_one("#readout", Static), words)
        rewrite(self.query_one("#legend", Static), colours)

    @on(Heatmap.Moved)
    def _cursor_moved(self, event: Heatmap.Moved) -> None:
        if event.heatmap is self._shown_heatmap:
            layer = self._at["layer"]
            self._take_cursor(event.heatmap)
            if self._at["layer"] != layer:
                self._redraw()
            else:
                self._tell_cell()

    def _take_cursor(self, heatmap: Heatmap) -> None:
        """Choose the layer and round under the cursor, which may have gone on since it said that it moved."""
        row, column = heatmap.cursor
        if heatmap.grid is None or not heatmap.grid.columns:
            return
        self._round = int(heatmap.grid.rows[row] if heatmap.id == "birds" else heatmap.grid.columns[column])
        if heatmap.id == "by-layer":
            self._at["layer"] = row

    def offers(self) -> list[Offer]:
        """The heatmaps or histograms that are shown."""
        chosen = self.chosen
        if chosen is None:
            return []
        arm, trial, layer, measure = chosen
        whose = f"{arm.name}-t{trial + 1}"
        item = arm.trials[trial].rounds.get(self._round)
        magnitudes = item.magnitudes.get(layer) if item else None
        if self._page == "magnitudes":
            table = None if magnitudes is None else partial(magnitudes_table, magnitudes)
            name = f"magnitudes-{whose}-{layer}-r{self._round}"
            return [Offer(name, "how the weights are spread", self.query_one("#magnitudes"), table)]
        names = {"by-layer": f"{measure}-{whose}", "by-round": f"{measure}-{whose}-{layer}", "birds": f"birds-{whose}"}
        return [
            Offer(names[str(heatmap.id)], heatmap.grid.title, heatmap, partial(grid_table, heatmap.grid))
            for heatmap in self.query(Heatmap)
            if heatmap.grid is not None and heatmap.grid.columns and heatmap.size
        ]

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click on another heatmap turns to it."""
        for page, selector in PAGES.items():
            if selector == f"#{event.widget.id}" and page != self._page:
                if isinstance(event.widget, Heatmap):
                    self._take_cursor(event.widget)
                self._turn_to(page)

    def _turn_to(self, page: str) -> None:
        self._page = page
        self.maximized = None
        for other in PAGES:
            self.set_class(other == page, f"-{other}")
        self._redraw()
        self.refresh_bindings()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.focused is None:
            self.query_one(PAGES[self._page]).focus()

    def action_page(self, by: int) -> None:
        """Show (or go to) the next view."""
        pages = list(PAGES)
        self._turn_to(pages[(pages.index(self._page) + by) % len(pages)])
        self.query_one(PAGES[self._page]).focus()

    def action_round(self, by: int) -> None:
        """The magnitudes of another round."""
        chosen = self.chosen
        if chosen is not None:
            planned = chosen[0].planned
            place = planned.index(self._round) if self._round in planned else 0
            self._round = planned[max(0, min(place + by, len(planned) - 1))]
            self._redraw()

    def action_step(self, what: str, by: int) -> None:
        """The next or the one before of arms, trials, layers or measures."""
        self._at[what] += by
        self._redraw()

    def action_scale(self) -> None:
        """Fit the colours to the values, or keep them from -1 to 1."""
        self._fitted = not self._fitted
        self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what there is to choose in this view; heatmaps have cursors of their own."""
        if action not in ("page", "round", "step", "scale") or not hasattr(self, "_page"):
            return True
        if action == "step" and parameters[0] == "measure":
            return self.chosen is not None and self._page in ("layers", "rounds")
        magnitudes = self._page == "magnitudes"
        return self.chosen is not None and {"round": magnitudes, "scale": not magnitudes}.get(action, True)
