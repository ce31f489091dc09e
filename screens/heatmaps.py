"""Heatmaps: how alike the weights of the rounds are, and their masks and magnitudes while they are trained."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from engine.analysis.pairs import Pairs, all_pairs
from engine.views import (
    ArmView,
    Measure,
    RunView,
    early_bird_grid,
    early_bird_lines,
    grid_table,
    layer_grid,
    layer_lines,
    magnitudes_table,
    measure_names,
    measure_words,
    round_grid,
    stabilised_first,
)
from screens.choice import Choice
from screens.choosing import ROUND, ChoosingScreen, choosing
from screens.keys import Advice, keyed
from screens.lab import Lab
from screens.latest import Latest
from screens.offers import Offer
from screens.pictures import correlation_picture, distance_picture, magnitude_picture
from screens.readout import bird_words, legend, magnitude_title, magnitude_words, measure_cell, pair_words
from screens.sight import Sight
from screens.text import plain
from screens.widgets.heatmap import Heatmap
from screens.widgets.palette import Scale, distance_scale
from screens.widgets.plot import LinePlot

EMPTY = """Nothing to compare yet.

A heatmap needs two finished rounds of a trial. Press {mode.runs} for Runs, and {runs.open} on a run;
or {mode.configure} for Configure, and {configure.start} to start one."""

NOT_WATCHED = """No early birds were watched for.

A study with early_bird = watch, under prune in Configure ({mode.configure}), shows here how \
far the mask that a round would leave moves from epoch to epoch, and when it settles."""

NO_EPOCHS = """No distance is known yet: it takes a finished round of two epochs or more."""

BOTH_FROM = 32
"""Rows of the window from which both heatmaps of rank correlations are shown."""

LOW_BELOW = 20
"""Rows of the window below which the words on the cursor have few lines."""

STABILISED = 6
"""Layers of which it is said, in the order in which their rankings stabilised, when that was."""

MEASURED: tuple[Measure, ...] = ("alive", "all", "jaccard", "chance")
"""The measures of two rounds in turn; those of one round follow them."""


class _Shown(NamedTuple):
    """An arm, a trial's place in it, a layer and a measure."""

    arm: ArmView
    trial: int
    layer: str
    measure: Measure


class HeatmapsScreen(ChoosingScreen):
    """Layer by round, round by round of one layer, round by epoch, and the magnitudes of a layer in a round.

    Layer and round stay the same from one to the next. Cells can be drawn as lines.
    """

    MODE = "heatmaps"
    PAGES = {"layers": "#by-layer", "rounds": "#by-round", "birds": "#birds", "magnitudes": "#magnitudes"}
    LINED = ("layers", "birds")
    """Pages that can be drawn as lines."""

    BINDINGS = [
        *choosing("heatmaps", shown=True,
                  pages="Layer by round, round by round, mask distances by epoch, or magnitudes",
                  measures="Spearman over weights alive in both or over all, overlap of masks, overlap by chance"),
        Binding("number_sign", "lines", "Lines", id="heatmaps.lines",
                tooltip="The numbers as lines, and back to the numbers"),
        Binding("left_square_bracket", "round(-1)", "Round before", id="heatmaps.round-before", group=ROUND,
                tooltip="The magnitudes of the round before"),
        Binding("right_square_bracket", "round(1)", "Next round", id="heatmaps.round", group=ROUND,
                tooltip="The magnitudes of the next round"),
        Binding("s", "scale", "Scale", id="heatmaps.scale", tooltip="Colours fitted to the values, or -1 to 1"),
    ]  # fmt: skip

    def __init__(self, lab: Lab):
        measures = {"layers": measure_names(), "rounds": MEASURED, "birds": ("",), "magnitudes": ("",)}
        super().__init__(lab, Choice(measures))
        self._round = 0
        self._fitted = True
        self._lines = False
        self._pairs: Pairs = {}
        self._asked: tuple[str, ...] = ()
        self._pairing: Latest[tuple[str, ...], Pairs] = Latest(self, self._pair_up, self._paired)

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
        with Vertical(id="line-part"):
            yield LinePlot(id="lines")
        with Vertical(id="magnitude-part"):
            yield LinePlot(id="magnitudes")
        yield Static("", id="readout", markup=False)
        yield Static("", id="legend", markup=False)
        yield Advice(EMPTY, id="no-heatmap")

    def on_mount(self) -> None:
        for heatmap in self.query(Heatmap):
            self.watch(heatmap, "cursor", partial(self._cursor_moved, heatmap), init=False)
        lines = self.query_one("#lines", LinePlot)
        self.watch(lines, "sight", partial(self._point_moved, lines), init=False)

    def fitted(self, width: int, height: int) -> None:
        """Both heatmaps of rank correlations where there is room for them."""
        self.set_class(height >= BOTH_FROM, "-both")
        self.set_class(height < LOW_BELOW, "-low")
        self.call_after_refresh(self.redraw)

    @property
    def chosen(self) -> _Shown | None:
        """What is shown."""
        view = self.view
        if view is None:
            return None
        layer = list(view.layers)[self.choice.layer_of(view)]
        return _Shown(*self.choice.trial_of(view), layer, self.choice.measure or MEASURED[0])

    @property
    def as_lines(self) -> bool:
        """Whether the page is drawn as lines."""
        return self._lines and self.choice.page in self.LINED

    def begin(self) -> None:
        """Another run is followed."""
        super().begin()
        self._round = 0
        self._asked = ()
        for plot in self.query(LinePlot):
            plot.look(Sight())

    def redraw(self) -> None:
        """Draw what is chosen."""
        view, chosen = self.view, self.chosen
        self.set_empty(chosen is None)
        if view is None or chosen is None:
            return
        arm, trial, layer, measure = chosen
        self.set_class(bool(view.signals), "-signals")
        self.set_class(self.as_lines, "-lines")
        words = self.place(view).append(f"  {len(arm.trials[trial].rounds)}/{len(arm.planned)} rounds  ")
        if self.choice.page == "birds":
            self._show_birds(view, arm, trial)
        elif self.choice.page == "magnitudes":
            self._show_magnitudes(arm, trial, layer)
        else:
            self._show_correlations(view, arm, trial, layer, measure)
            words.append(plain(measure_words(measure)), "bold")
        self.write("#which", words)
        self._follow_choice()
        self._tell_cell()

    def _show_correlations(self, view: RunView, arm: ArmView, trial: int, layer: str, measure: Measure) -> None:
        scale = None if self._fitted else Scale(-1.0, 1.0)
        layers = layer_grid(view, arm.name, trial, measure)
        self.query_one("#by-layer", Heatmap).show(layers, scale)
        self._ask_pairs(arm, trial)
        between = measure if measure in MEASURED else MEASURED[0]
        by_round = round_grid(view, arm.name, trial, layer, between, self._pairs)
        self.query_one("#by-round", Heatmap).show(by_round, scale)
        tall = 2 if self.size.height >= BOTH_FROM + 6 else 1
        lines = len(layers.rows) * tall + 2 + bool(layers.column_marks)
        self.query_one("#layer-part").styles.height = lines if self.has_class("-both") else "1fr"
        self.query_one("#lines", LinePlot).show(
            correlation_picture(layer_lines(view, arm.name, trial, measure), measure)
        )
        what = "each with the round before" if measure in MEASURED else plain(measure_words(measure))
        self._entitle("layer", f"layer by round: {what}")
        self._entitle("round", f"{plain(layer)}: every pair of rounds")

    def _ask_pairs(self, arm: ArmView, trial: int) -> None:
        """Compute the pairs of rounds in a thread, once somebody looks at them."""
        keys = tuple(item.key for item in arm.trials[trial].rounds.values())
        looked_at = self.choice.page == "rounds" or self.has_class("-both")
        if looked_at and len(keys) > 2 and keys != self._asked:
            self._asked = keys
            self._pairing.ask(keys)

    def _pair_up(self, keys: tuple[str, ...]) -> Pairs:
        return all_pairs(self.lab.store.rounds, keys, self.lab.store.home, lambda: self._asked != keys)

    def _paired(self, keys: tuple[str, ...], found: Pairs) -> None:
        self._pairs |= found
        self.redraw()

    def on_unmount(self) -> None:
        """Stop computing pairs: a thread at work would delay the exit."""
        self._asked = ()

    def _show_birds(self, view: RunView, arm: ArmView, trial: int) -> None:
        grid = early_bird_grid(view, arm.name, trial)
        scale = distance_scale([value for row in grid.values for value in row]) if self._fitted else Scale(0.0, 1.0)
        self.query_one("#birds", Heatmap).show(grid, scale)
        self.query_one("#lines", LinePlot).show(distance_picture(early_bird_lines(view, arm.name, trial)))
        self.set_class(not grid.columns, "-no-birds")
        self._entitle("bird", "mask distance by epoch: each with the epoch before")
        study = self.lab.follower.study if self.lab.follower else None
        recipes = [study.recipe(it) for it in study.arm if it.name == arm.name] if study is not None else []
        watched = any(recipe.prune.early_bird != "off" for recipe in recipes)
        self.write("#no-birds", Text(keyed(self.app, NO_EPOCHS if watched else NOT_WATCHED)))

    def _show_magnitudes(self, arm: ArmView, trial: int, layer: str) -> None:
        item = arm.trials[trial].rounds.get(self._round)
        found = item.result.magnitudes.get(layer) if item else None
        empty = "not measured: the loss of this round did not stay finite" if item else "this round is not known yet"
        title = magnitude_title(layer, self._round, found)
        self.query_one("#magnitudes", LinePlot).show(magnitude_picture(title, found, empty))

    def _entitle(self, part: str, words: str) -> None:
        self.write(f"#{part}-part .grid-title", Text(words, "dim"))

    @property
    def _shown_heatmap(self) -> Heatmap | None:
        page = self.choice.page
        return None if page == "magnitudes" else self.query_one(self.PAGES[page], Heatmap)

    def _follow_choice(self) -> None:
        """Put the cursor on the chosen layer and round."""
        view, chosen, heatmap = self.view, self.chosen, self._shown_heatmap
        if view is None or chosen is None or heatmap is None or heatmap.grid is None:
            return
        row, column = heatmap.cursor
        grid, number, page = heatmap.grid, str(self._round), self.choice.page
        if page == "birds":
            row = grid.rows.index(number) if number in grid.rows else row
        else:
            column = grid.columns.index(number) if number in grid.columns else column
        if page == "layers":
            row = self.choice.layer_of(view)
        heatmap.put_cursor(row, column)
        if self.as_lines:
            plot = self.query_one("#lines", LinePlot)
            item = chosen.arm.trials[chosen.trial].rounds.get(self._round)
            at = item.p_m if item and self._round and page == "layers" else plot.sight.at
            line = chosen.layer if page == "layers" else f"r{self._round}"
            plot.look(replace(plot.sight, line=line, at=at))

    def _tell_cell(self) -> None:
        view, chosen, heatmap = self.view, self.chosen, self._shown_heatmap
        if view is None or chosen is None:
            return
        arm, trial, layer, measure = chosen
        words, colours = Text(), Text()
        if heatmap is None:
            words = magnitude_words(view, arm.name, trial, layer, self._round)
        elif heatmap.grid is not None and heatmap.grid.columns:
            row, column = heatmap.cursor
            second = int(heatmap.grid.columns[column])
            if self.choice.page == "birds":
                words = bird_words(view, arm.name, trial, int(heatmap.grid.rows[row]), second)
            else:
                before = [number for number in arm.planned if number < second]
                layers = self.choice.page == "layers"
                first = (before[-1] if before else 0) if layers else int(heatmap.grid.rows[row])
                words = (
                    measure_cell(view, arm.name, trial, heatmap.grid.rows[row], second, measure)
                    if layers and measure not in MEASURED
                    else pair_words(view, arm.name, trial, layer, (first, second), self._pairs)
                )
            sixteen = self.app.console.color_system in (None, "standard") or self.app.native_ansi_color
            colours = legend(heatmap.scale, heatmap.grid.kinds, self.size.width, sixteen=sixteen)
            if self.choice.page == "layers" and (order := stabilised_first(view, arm.name, trial)):
                told = ", ".join(f"{plain(name)} r{number}" for name, number in order[:STABILISED])
                colours.append(f": {told}" if heatmap.grid.kinds == {"stabilised"} else f"; stabilised {told}")
        self.write("#readout", words)
        self.write("#legend", colours)

    def _cursor_moved(self, heatmap: Heatmap) -> None:
        view = self.view
        if heatmap is self._shown_heatmap and view is not None:
            layer = self.choice.layer_of(view)
            self._take_cursor(heatmap)
            if self.choice.layer_of(view) != layer:
                self.redraw()
            else:
                self._tell_cell()

    def _take_cursor(self, heatmap: Heatmap) -> None:
        """Choose the layer and round under the cursor."""
        row, column = heatmap.cursor
        if heatmap.grid is None or not heatmap.grid.columns:
            return
        self._round = int(heatmap.grid.rows[row] if heatmap.id == "birds" else heatmap.grid.columns[column])
        if heatmap.id == "by-layer":
            self.choice.choose_layer(row)

    def _point_moved(self, plot: LinePlot) -> None:
        """Choose the layer and the round of the point, and of an early bird its epoch."""
        heatmap, point = self._shown_heatmap, plot.point
        if not self.as_lines or heatmap is None or heatmap.grid is None:
            return
        row, column = heatmap.cursor
        names = list(heatmap.grid.rows)
        if self.choice.page == "layers":
            row = names.index(plot.sight.line) if plot.sight.line in names else row
        if point is not None:
            number, x = point.trace.line.rounds[point.number], point.trace.line.x[point.number]
            if self.choice.page == "birds":
                row, column = names.index(str(number)), heatmap.grid.columns.index(f"{x:.0f}")
            else:
                column = heatmap.grid.columns.index(str(number))
        heatmap.put_cursor(row, column)

    def offers(self) -> list[Offer]:
        """The heatmaps or histograms that are shown."""
        chosen = self.chosen
        if chosen is None:
            return []
        arm, trial, layer, measure = chosen
        whose = f"{arm.name}-t{trial + 1}"
        item = arm.trials[trial].rounds.get(self._round)
        magnitudes = item.result.magnitudes.get(layer) if item else None
        if self.choice.page == "magnitudes":
            table = None if magnitudes is None else partial(magnitudes_table, magnitudes)
            name = f"magnitudes-{whose}-{layer}-r{self._round}"
            return [Offer(name, "how the weights are spread", self.query_one("#magnitudes"), table)]
        names = {"by-layer": f"{measure}-{whose}", "by-round": f"{measure}-{whose}-{layer}", "birds": f"birds-{whose}"}
        if self.as_lines and (heatmap := self._shown_heatmap) and heatmap.grid and heatmap.grid.columns:
            table = partial(grid_table, heatmap.grid)
            return [Offer(names[str(heatmap.id)], heatmap.grid.title, self.query_one("#lines"), table)]
        return [
            Offer(names[str(heatmap.id)], heatmap.grid.title, heatmap, partial(grid_table, heatmap.grid))
            for heatmap in self.query(Heatmap)
            if heatmap.grid is not None and heatmap.grid.columns and heatmap.size
        ]

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click on another heatmap turns to it."""
        for page, selector in self.PAGES.items():
            if selector == f"#{event.widget.id}" and page != self.choice.page:
                if isinstance(event.widget, Heatmap):
                    self._take_cursor(event.widget)
                self._turn_to(page)

    def focus_page(self) -> None:
        """To the heatmap or the plot."""
        if self.as_lines:
            self.query_one("#lines").focus()
        else:
            super().focus_page()

    def action_lines(self) -> None:
        """The numbers as lines, or as cells again."""
        self._lines = not self._lines
        self.maximized = None
        self.redraw()
        self.focus_page()

    def action_round(self, by: int) -> None:
        """The magnitudes of another round."""
        chosen = self.chosen
        if chosen is not None:
            planned = chosen[0].planned
            place = planned.index(self._round) if self._round in planned else 0
            self._round = planned[max(0, min(place + by, len(planned) - 1))]
            self.redraw()

    def action_scale(self) -> None:
        """Fit the colours to the values, or keep them from -1 to 1."""
        self._fitted = not self._fitted
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what there is to choose in this view; heatmaps have cursors of their own."""
        if action not in ("page", "round", "step", "scale", "lines"):
            return True
        page = self.choice.page
        fits = {
            "round": page == "magnitudes",
            "scale": page != "magnitudes" and not self.as_lines,
            "lines": page in self.LINED,
            "step": action == "step" and self.choice.several(str(parameters[0]), self.view),
        }
        return self.chosen is not None and fits.get(action, True)
