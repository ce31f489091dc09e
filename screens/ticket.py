"""Ticket: what survived, round by round."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from engine.views import RunView, TicketView, spreads, spreads_table, tiles_table
from screens.base import PanelScreen
from screens.choice import PAGES, Choice, Chosen
from screens.keys import Advice
from screens.looks import (
    SPREADS,
    Look,
    about,
    cursor_words,
    layer_table,
    lens,
    spread_picture,
    spread_table,
    tile_legend,
    tiles_of,
    title,
)
from screens.offers import Offer
from screens.reading import Tickets
from screens.text import plain
from screens.widgets.mosaic import Mosaic
from screens.widgets.plot import LinePlot

EMPTY = """No round has finished yet.

What survives is shown from the first finished round of a trial on.
Press {mode.runs} for Runs, and {runs.open} on a run;
or {mode.configure} for Configure, and {configure.start} to start one."""

MISSING = "The weights of this round are not kept here, or their file is damaged."

WIDE_FROM, NARROW_BELOW = 110, 76
"""Columns of the window from which the words beside the picture have more of them, and below which fewer."""

OFFERED = {"page", "round", "film", "step", "unit", "look", "everything"}
"""Actions that need a round to look at."""

FAR = 1000
"""More rounds than a trial has."""


class _Drawn(NamedTuple):
    """What the tiles are of."""

    whose: tuple[str, str, int]
    key: str
    layer: str
    look: Look


class TicketScreen(PanelScreen):
    """What is left of a layer in a round: over its inputs, by unit, and how its weights are spread."""

    MODE = "ticket"
    FRAME = 0.6
    """Seconds of a round in the film."""

    BINDINGS = [
        Binding("g,tab", "page(1)", "View", key_display="g", id="ticket.page", priority=True,
                tooltip="What is left over the inputs of the layer, of its units, or how its weights are spread"),
        Binding("G,shift+tab", "page(-1)", "View before", show=False, id="ticket.page-before", priority=True,
                tooltip="The view before"),
        Binding("left_square_bracket", "round(-1)", "Round", key_display="[ ]", id="ticket.round-before",
                tooltip="The round before"),
        Binding("right_square_bracket", "round(1)", "Next round", show=False, id="ticket.round",
                tooltip="The next round"),
        Binding("left_curly_bracket", f"round({-FAR})", "First round", show=False, id="ticket.round-first",
                tooltip="Round 0"),
        Binding("right_curly_bracket", f"round({FAR})", "Last round", show=False, id="ticket.round-last",
                tooltip="The newest round, also when another one finishes"),
        Binding("space", "film", "Film", id="ticket.film", tooltip="Round after round by itself; again to stop"),
        Binding("a", "step('arm',1)", "Arm", show=False, id="ticket.arm", tooltip="The next arm"),
        Binding("A", "step('arm',-1)", "Arm before", show=False, id="ticket.arm-before", tooltip="The arm before"),
        Binding("t", "step('trial',1)", "Trial", show=False, id="ticket.trial", tooltip="The next trial"),
        Binding("T", "step('trial',-1)", "Trial before", show=False, id="ticket.trial-before",
                tooltip="The trial before"),
        Binding("y", "step('layer',1)", "Layer", id="ticket.layer", tooltip="The next layer"),
        Binding("Y", "step('layer',-1)", "Layer before", show=False, id="ticket.layer-before",
                tooltip="The layer before"),
        Binding("m", "step('measure',1)", "Measure", id="ticket.measure",
                tooltip="Weights left or their mean magnitude; of units, in or out"),
        Binding("u", "unit(1)", "Unit", id="ticket.unit", tooltip="The weights of the next unit alone"),
        Binding("U", "unit(-1)", "Unit before", show=False, id="ticket.unit-before",
                tooltip="The weights of the unit before"),
        Binding("enter", "look", "Look into", show=False, id="ticket.look",
                tooltip="The weights of the unit under the cursor"),
        Binding("escape", "everything", "All units", show=False, id="ticket.all", tooltip="Back to all units"),
    ]  # fmt: skip

    def body(self) -> Iterator[Widget]:
        yield Static("", id="which-round", markup=False)
        yield Static("", id="tiles-title", markup=False)
        with Horizontal(id="survivors"):
            yield Mosaic(id="tiles")
            yield LinePlot(id="spreads")
            with Vertical(id="beside"):
                yield Static("", id="about-tiles", markup=False)
                yield Static("", id="by-layer-left", markup=False)
                yield Static("", id="lens", markup=False)
        yield Static("", id="under-cursor", markup=False)
        yield Static("", id="tile-legend", markup=False)
        yield Advice(EMPTY, id="no-ticket")

    def on_mount(self) -> None:
        super().on_mount()
        self._tickets = Tickets(self.lab.store)
        self._choice = Choice()
        self._known: object = None
        self._run = ""
        self._wanted: list[tuple[str, str | None]] = []
        self._reading = self._playing = False
        self._drawn: _Drawn | None = None
        self._film = self.set_interval(self.FRAME, self._next_frame, pause=True)
        self._turn_to(self._choice.page)

    def fitted(self, width: int, height: int) -> None:
        """More words where there is room for them."""
        self.set_class(width >= WIDE_FROM, "-wide")
        self.set_class(width < NARROW_BELOW, "-narrow")
        self.call_after_refresh(self._tell)

    # Drawing

    def update(self) -> None:
        """Draw what changed."""
        follower = self.lab.follower
        known = None if follower is None else (follower.run, follower.view.last_event)
        if known != self._known:
            self._known = known
            if follower is not None and follower.run != self._run:
                self._run = follower.run
                self._choice.begin()
                self._end_film()
            self._redraw()

    @property
    def _view(self) -> RunView | None:
        return self.lab.follower.view if self.lab.follower else None

    def _redraw(self) -> None:
        view, chosen = self._view, self._choice.of(self._view)
        begun = view is not None and any(trial.rounds for arm in view.arms for trial in arm.trials)
        if begun == self.has_class("-empty"):
            self.set_class(not begun, "-empty")
            self.refresh_bindings()
        if view is None or not begun:
            return
        self._tell_which(view, chosen)
        if chosen is None:
            self._say("", "No round of this trial has finished yet.")
        elif self._choice.page == "spreads":
            self._draw_spreads(chosen)
        else:
            self._draw_tiles(chosen)
        self._tell()

    def _tell_which(self, view: RunView, chosen: Chosen | None) -> None:
        arm, trial = self._choice.trial_of(view)
        place = f"({view.arms.index(arm) + 1} of {len(view.arms)})  trial {trial + 1} of {len(arm.trials)}"
        words = Text.assemble((plain(arm.name), "bold"), f" {place}")
        if chosen is not None:
            words += Text.assemble("  ", (f"round {chosen.round.round}", "bold"), f" of {arm.planned[-1]}")
            words.append(f"  {chosen.round.p_m:.2f}% of all weights left")
        self._write("#which-round", Text.assemble(("▶ film  ", "bold"), words) if self._playing else words)

    def _draw_spreads(self, chosen: Chosen) -> None:
        number, layer = chosen.round.round, chosen.layer
        step, found = spreads(chosen.arm.trials[chosen.trial], number, layer)
        empty = "not measured: the loss of this round did not stay finite"
        self.query_one("#spreads", LinePlot).show(spread_picture(layer, number, step, found, empty))
        self._drawn = None

    def _draw_tiles(self, chosen: Chosen) -> None:
        whose, item = (self._run, chosen.arm.name, chosen.trial), chosen.round
        self._ask(chosen)
        if item.key not in self._tickets:
            if self._drawn and self._drawn.whose == whose:  # the round before stays until the next one is there
                self._write("#tiles-title", Text(f"reading round {item.round} …", "bold"))
            else:
                self._say(f"reading round {item.round} …", "")
            return
        ticket = self._tickets.get(item.key)
        if ticket is None or chosen.layer not in ticket.layers:
            self._say("", MISSING)
            return
        found, look = ticket.layers[chosen.layer], self._choice.look
        drawn = _Drawn(whose, item.key, chosen.layer, look)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._write("#tiles-title", Text(f"r{item.round} {plain(title(found, chosen.before, look))}", "bold"))
        tiles, mosaic = tiles_of(found, look), self.query_one(Mosaic)
        if tiles is None:
            mosaic.say("The last layer: what comes out is the answer, and no unit reads it.")
        else:
            mosaic.show(tiles)

    def _say(self, heading: str, words: str) -> None:
        """No picture, but words."""
        self._drawn = None
        self._write("#tiles-title", Text(heading, "bold"))
        self.query_one(Mosaic).say(words)

    def _ticket_of(self, chosen: Chosen | None) -> TicketView | None:
        """The chosen round, when it is read and has the chosen layer."""
        ticket = self._tickets.get(chosen.round.key) if chosen else None
        return ticket if ticket is not None and chosen is not None and chosen.layer in ticket.layers else None

    def _tell(self) -> None:
        """The words beside and below the picture."""
        chosen = self._choice.of(self._view)
        ticket = self._ticket_of(chosen)
        beside, table, words, colours = Text(), Text(), Text(), Text()
        if chosen is not None and self._choice.page == "spreads":
            _, found = spreads(chosen.arm.trials[chosen.trial], chosen.round.round, chosen.layer)
            beside, table = Text(SPREADS), spread_table(found)
        elif chosen is not None and ticket is not None:
            layer, mosaic, look = ticket.layers[chosen.layer], self.query_one(Mosaic), self._choice.look
            beside = Text(plain(about(layer, chosen.before, look)))
            if chosen.round.diverged:
                beside.append(" The loss of this round did not stay finite.", "yellow")
            table = layer_table(ticket, layer.name)
            if mosaic.tiles is not None and self._drawn and self._drawn.key == chosen.round.key:
                words = cursor_words(layer, chosen.before, look, mosaic.cursor)
                colours = tile_legend(mosaic.tiles, sixteen=mosaic.few_colours)
                colours.append("  each of two rows" if mosaic.blended else "", "dim")
        self._write("#under-cursor", words)
        self._write("#tile-legend", colours)
        if self._write("#about-tiles", beside, fixed=False) | self._write("#by-layer-left", table, fixed=False):
            self.call_after_refresh(self._tell_numbers)  # in the room that those leave
        else:
            self._tell_numbers()

    def _tell_numbers(self) -> None:
        """The numbers around the cursor."""
        mosaic, size = self.query_one(Mosaic), self.query_one("#lens").size
        if mosaic.tiles is None or self._choice.page == "spreads":
            self._write("#lens", Text())
        else:
            self._write("#lens", lens(mosaic.tiles, mosaic.cursor, *size))

    def offers(self) -> list[Offer]:
        """The picture that is shown."""
        chosen, mosaic = self._choice.of(self._view), self.query_one(Mosaic)
        if chosen is None:
            return []
        place = f"{chosen.arm.name}-t{chosen.trial + 1}-r{chosen.round.round}-{chosen.layer}"
        if self._choice.page == "spreads":
            table = partial(spreads_table, *spreads(chosen.arm.trials[chosen.trial], chosen.round.round, chosen.layer))
            return [Offer(f"spreads-{place}", "how the weights are spread", self.query_one("#spreads"), table)]
        if mosaic.tiles is None or self._drawn is None:
            return []
        look = self._drawn.look
        measure = look.measure if look.unit is None else "weight"
        name = f"{look.page}-{place}" if look.unit is None else f"unit{look.unit}-{place}"
        return [Offer(name, f"{measure}, {chosen.layer}", mosaic, partial(tiles_table, mosaic.tiles, measure))]

    def _write(self, selector: str, words: Text, *, fixed: bool = True) -> bool:
        """Write words if they are others; whether they were. `fixed`: in a place whose size they do not change."""
        place = self.query_one(selector, Static)
        if place.content == words:
            return False
        place.update(words, layout=not fixed)
        return True

    # Reading

    def _ask(self, chosen: Chosen) -> None:
        """Have the round read, and while the film plays the one after it."""
        wanted = [chosen.round]
        if self._playing:
            wanted += [later for later in chosen.rounds if later.round > chosen.round.round][:1]
        study = self.lab.follower.study if self.lab.follower else None
        data = study.recipe(study.named(chosen.arm.name)).data.name if study else None
        self._wanted = [(each.key, data) for each in wanted if each.key not in self._tickets]
        if self._wanted and not self._reading:
            self._reading = True
            self._read()

    @work(group="rounds")
    async def _read(self) -> None:
        """Read what is wanted, one after the other: what is no longer wanted is left out."""
        try:
            while self._wanted:
                key, data = self._wanted.pop(0)
                if key not in self._tickets:
                    self._tickets.keep(key, await asyncio.to_thread(self._tickets.read, key, data))
                    self._redraw()
        finally:
            self._reading = False

    # Keys

    @on(Mosaic.Moved)
    def _cursor_moved(self) -> None:
        self._tell()

    def _turn_to(self, page: str) -> None:
        self._choice.page = page
        self.maximized = None
        for other in PAGES:
            self.set_class(other == page, f"-{other}")
        self._redraw()
        self.refresh_bindings()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.focused is None:
            self._focus_page()

    def on_screen_suspend(self) -> None:
        self._end_film()

    def _focus_page(self) -> None:
        self.query_one("#spreads" if self._choice.page == "spreads" else "#tiles").focus()

    def action_page(self, by: int) -> None:
        """Show the next view."""
        self._turn_to(PAGES[(PAGES.index(self._choice.page) + by) % len(PAGES)])
        self._focus_page()

    def action_step(self, what: str, by: int) -> None:
        """The next or the one before of arms, trials, layers or measures."""
        self._choice.step(what, by)
        self._redraw()

    def action_round(self, by: int) -> None:
        """An earlier or a later round."""
        self._end_film()
        self._choice.go(self._view, by)
        self._redraw()

    def action_film(self) -> None:
        """Play the rounds from here, at the last one from the first; or stop."""
        if self._playing:
            self._end_film()
            return
        self._playing = True
        if self._choice.round is None:
            self._choice.go(self._view, -FAR)
        self._film.resume()
        self._redraw()

    def _next_frame(self) -> None:
        """The next round, when this one is drawn."""
        chosen = self._choice.of(self._view)
        if self._choice.page != "spreads" and chosen is not None and chosen.round.key not in self._tickets:
            return
        if self._choice.go(self._view, 1):
            self._redraw()
        else:
            self._end_film()

    def _end_film(self) -> None:
        if self._playing:
            self._playing = False
            self._film.pause()
            self._redraw()

    def action_unit(self, by: int) -> None:
        """The next unit alone; after the last one, all of them again."""
        chosen = self._choice.of(self._view)
        ticket = self._ticket_of(chosen)
        if chosen is not None and ticket is not None:
            self._choice.step_unit(ticket.layers[chosen.layer].units, by)
            self._redraw()

    def action_everything(self) -> None:
        """All units again."""
        self._choice.unit = None
        self._redraw()

    def action_look(self) -> None:
        """Into the unit under the cursor, also where it is one of the layer before."""
        chosen, mosaic = self._choice.of(self._view), self.query_one(Mosaic)
        ticket = self._ticket_of(chosen)
        if chosen is None or ticket is None or mosaic.tiles is None:
            return
        if self._choice.look_into(chosen, ticket.layers[chosen.layer], mosaic.cursor.tile):
            self._turn_to("inputs")

    def action_fill(self) -> None:
        """The picture fills the screen but for what is under the cursor, or has words beside it again."""
        if self._choice.page == "spreads":
            super().action_fill()
        else:
            self.toggle_class("-filled")
            self.call_after_refresh(self._tell)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be chosen."""
        if not hasattr(self, "_choice") or action not in (
            "page",
            "round",
            "film",
            "step",
            "unit",
            "look",
            "everything",
        ):
            return True
        if self.has_class("-empty"):
            return False
        if action in ("unit", "everything"):
            return self._choice.page == "inputs"
        return self._choice.page != "spreads" or (action != "look" and parameters[:1] != ("measure",))
