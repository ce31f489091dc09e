"""Ticket: what survived, round by round."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from engine.views import RunView
from engine.views.ticket import TicketView, histograms, histograms_table, tiles_table
from screens.choice import Chosen, RoundChoice
from screens.choosing import ROUND, ChoosingScreen, choosing
from screens.keys import Advice
from screens.lab import Lab
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

OTHER_STUDY = """The study of this run is not the one that it began with: it has no arm {arm}, but {arms}."""

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


class TicketScreen(ChoosingScreen):
    """What is left of a layer in a round: over its inputs, by unit, and how its weights are spread."""

    MODE = "ticket"
    PAGES = {"inputs": "#tiles", "units": "#tiles", "spreads": "#spreads"}
    FRAME = 0.6
    """Seconds of a round in the film."""

    BINDINGS = [
        *choosing("ticket", shown=False, measures="Weights left or their mean magnitude; of units, in or out",
                  pages="What is left over the inputs of the layer, of its units, or how its weights are spread"),
        Binding("left_square_bracket", "round(-1)", "Round before", id="ticket.round-before", group=ROUND,
                tooltip="The round before"),
        Binding("right_square_bracket", "round(1)", "Next round", id="ticket.round", group=ROUND,
                tooltip="The next round"),
        Binding("left_curly_bracket", f"round({-FAR})", "First round", show=False, id="ticket.round-first",
                tooltip="Round 0"),
        Binding("right_curly_bracket", f"round({FAR})", "Last round", show=False, id="ticket.round-last",
                tooltip="The newest round, also when another one finishes"),
        Binding("space", "film", "Film", id="ticket.film", tooltip="Round after round by itself; again to stop"),
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

    choice: RoundChoice

    def __init__(self, lab: Lab):
        super().__init__(lab, RoundChoice())
        self._tickets = Tickets(lab.store)
        self._wanted: list[tuple[str, str | None]] = []
        self._reading = self._playing = False
        self._drawn: _Drawn | None = None

    def on_mount(self) -> None:
        self._film = self.set_interval(self.FRAME, self._next_frame, pause=True)
        self.watch(self.query_one(Mosaic), "cursor", self._tell, init=False)

    def fitted(self, width: int, height: int) -> None:
        """More words where there is room for them."""
        self.set_class(width >= WIDE_FROM, "-wide")
        self.set_class(width < NARROW_BELOW, "-narrow")
        self.call_after_refresh(self._tell)

    # Drawing

    def begin(self) -> None:
        """Another run is followed."""
        super().begin()
        self._end_film()

    def redraw(self) -> None:
        """Draw what is chosen."""
        view, chosen = self.view, self.choice.of(self.view)
        begun = view is not None and any(trial.rounds for arm in view.arms for trial in arm.trials)
        self.set_empty(not begun)
        if view is None or not begun:
            return
        self._tell_which(view, chosen)
        if chosen is None:
            self._say("", "No round of this trial has finished yet.")
        elif self.choice.page == "spreads":
            self._draw_spreads(chosen)
        else:
            self._draw_tiles(chosen)
        self._tell()

    def _tell_which(self, view: RunView, chosen: Chosen | None) -> None:
        words = self.place(view)
        if chosen is not None:
            words += Text.assemble("  ", (f"round {chosen.round.round}", "bold"), f" of {chosen.arm.planned[-1]}")
            words.append(f"  {chosen.round.p_m:.2f}% of all weights left")
        self.write("#which-round", Text.assemble(("▶ film  ", "bold"), words) if self._playing else words)

    def _draw_spreads(self, chosen: Chosen) -> None:
        number, layer = chosen.round.round, chosen.layer
        step, found = histograms(chosen.arm.trials[chosen.trial], number, layer)
        empty = "not measured: the loss of this round did not stay finite"
        self.query_one("#spreads", LinePlot).show(spread_picture(layer, number, step, found, empty))
        self._drawn = None

    def _draw_tiles(self, chosen: Chosen) -> None:
        whose, item = (self._run, chosen.arm.name, chosen.trial), chosen.round
        study = self.lab.follower.study if self.lab.follower else None
        if study and chosen.arm.name not in [arm.name for arm in study.arm]:
            self._say(
                "", OTHER_STUDY.format(arm=plain(chosen.arm.name), arms=plain(", ".join(it.name for it in study.arm)))
            )
            return
        self._ask(chosen)
        if item.key not in self._tickets:
            if self._drawn and self._drawn.whose == whose:  # the round before stays until the next one is there
                self.write("#tiles-title", Text(f"reading round {item.round} …", "bold"))
            else:
                self._say(f"reading round {item.round} …", "")
            return
        ticket = self._tickets.get(item.key)
        if ticket is None or chosen.layer not in ticket.layers:
            self._say("", MISSING)
            return
        found, look = ticket.layers[chosen.layer], self.choice.look
        drawn = _Drawn(whose, item.key, chosen.layer, look)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.write("#tiles-title", Text(f"r{item.round} {plain(title(found, chosen.before, look))}", "bold"))
        tiles, mosaic = tiles_of(found, look), self.query_one(Mosaic)
        if tiles is None:
            mosaic.say("The last layer: what comes out is the answer, and no unit reads it.")
        else:
            mosaic.show(tiles)

    def _say(self, heading: str, words: str) -> None:
        """No picture, but words."""
        self._drawn = None
        self.write("#tiles-title", Text(heading, "bold"))
        self.query_one(Mosaic).say(words)

    def _ticket_of(self, chosen: Chosen | None) -> TicketView | None:
        """The chosen round, when it is read and has the chosen layer."""
        ticket = self._tickets.get(chosen.round.key) if chosen else None
        return ticket if ticket is not None and chosen is not None and chosen.layer in ticket.layers else None

    def _tell(self) -> None:
        """The words beside and below the picture."""
        chosen = self.choice.of(self.view)
        ticket = self._ticket_of(chosen)
        beside, table, words, colours = Text(), Text(), Text(), Text()
        if chosen is not None and self.choice.page == "spreads":
            _, found = histograms(chosen.arm.trials[chosen.trial], chosen.round.round, chosen.layer)
            beside, table = Text(SPREADS), spread_table(found)
        elif chosen is not None and ticket is not None:
            layer, mosaic, look = ticket.layers[chosen.layer], self.query_one(Mosaic), self.choice.look
            beside = Text(plain(about(layer, chosen.before, look)))
            if chosen.round.result.diverged:
                beside.append(" The loss of this round did not stay finite.", "yellow")
            table = layer_table(ticket, layer.name)
            if mosaic.tiles is not None and self._drawn and self._drawn.key == chosen.round.key:
                words = cursor_words(layer, chosen.before, look, mosaic.cursor)
                colours = tile_legend(mosaic.tiles, sixteen=mosaic.few_colours)
                colours.append("  each of two rows" if mosaic.blended else "", "dim")
        self.write("#under-cursor", words)
        self.write("#tile-legend", colours)
        if self.write("#about-tiles", beside, fixed=False) | self.write("#by-layer-left", table, fixed=False):
            self.call_after_refresh(self._tell_numbers)  # in the room that those leave
        else:
            self._tell_numbers()

    def _tell_numbers(self) -> None:
        """The numbers around the cursor."""
        mosaic, size = self.query_one(Mosaic), self.query_one("#lens").size
        if mosaic.tiles is None or self.choice.page == "spreads":
            self.write("#lens", Text())
        else:
            self.write("#lens", lens(mosaic.tiles, mosaic.cursor, *size))

    def offers(self) -> list[Offer]:
        """The picture that is shown."""
        chosen, mosaic = self.choice.of(self.view), self.query_one(Mosaic)
        if chosen is None:
            return []
        place = f"{chosen.arm.name}-t{chosen.trial + 1}-r{chosen.round.round}-{chosen.layer}"
        if self.choice.page == "spreads":
            table = partial(
                histograms_table, *histograms(chosen.arm.trials[chosen.trial], chosen.round.round, chosen.layer)
            )
            return [Offer(f"spreads-{place}", "how the weights are spread", self.query_one("#spreads"), table)]
        if mosaic.tiles is None or self._drawn is None:
            return []
        look = self._drawn.look
        measure = look.measure if look.unit is None else "weight"
        name = f"{look.page}-{place}" if look.unit is None else f"unit{look.unit}-{place}"
        return [Offer(name, f"{measure}, {chosen.layer}", mosaic, partial(tiles_table, mosaic.tiles, measure))]

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
                    self.redraw()
        finally:
            self._reading = False

    # Keys

    def on_screen_suspend(self) -> None:
        self._end_film()

    def action_round(self, by: int) -> None:
        """An earlier or a later round."""
        self._end_film()
        self.choice.go(self.view, by)
        self.redraw()

    def action_film(self) -> None:
        """Play the rounds from here, at the last one from the first; or stop."""
        if self._playing:
            self._end_film()
            return
        self._playing = True
        if self.choice.round is None:
            self.choice.go(self.view, -FAR)
        self._film.resume()
        self.redraw()

    def _next_frame(self) -> None:
        """The next round, when this one is drawn."""
        chosen = self.choice.of(self.view)
        if self.choice.page != "spreads" and chosen is not None and chosen.round.key not in self._tickets:
            return
        if self.choice.go(self.view, 1):
            self.redraw()
        else:
            self._end_film()

    def _end_film(self) -> None:
        if self._playing:
            self._playing = False
            self._film.pause()
            self.redraw()

    def action_unit(self, by: int) -> None:
        """The next unit alone; after the last one, all of them again."""
        chosen = self.choice.of(self.view)
        ticket = self._ticket_of(chosen)
        if chosen is not None and ticket is not None:
            self.choice.step_unit(ticket.layers[chosen.layer].units, by)
            self.redraw()

    def action_everything(self) -> None:
        """All units again."""
        self.choice.unit = None
        self.redraw()

    def action_look(self) -> None:
        """Into the unit under the cursor, also where it is one of the layer before."""
        chosen, mosaic = self.choice.of(self.view), self.query_one(Mosaic)
        ticket = self._ticket_of(chosen)
        if chosen is None or ticket is None or mosaic.tiles is None:
            return
        if self.choice.look_into(chosen, ticket.layers[chosen.layer], mosaic.cursor.tile):
            self._turn_to("inputs")

    def action_fill(self) -> None:
        """The picture fills the screen but for what is under the cursor, or has words beside it again."""
        if self.choice.page == "spreads":
            super().action_fill()
        else:
            self.toggle_class("-filled")
            self.call_after_refresh(self._tell)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be chosen."""
        if action not in OFFERED:
            return True
        if self.has_class("-empty"):
            return False
        if action in ("unit", "everything"):
            return self.choice.page == "inputs"
        if action == "step":
            return self.choice.several(str(parameters[0]), self.view)
        return self.choice.page != "spreads" or action != "look"
