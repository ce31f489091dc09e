"""Which part of a run Heatmaps and Ticket show. Knows no window."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from engine.store import RoundFinished
from engine.views import ArmView, RunView
from engine.views.ticket import LayerTicket
from screens.looks import MEASURES, Look


class Chosen(NamedTuple):
    """A finished round of a trial, and a layer. `before`: the layer before it, '' for the first."""

    arm: ArmView
    trial: int
    round: RoundFinished
    layer: str
    before: str

    @property
    def rounds(self) -> list[RoundFinished]:
        """The finished rounds of the trial."""
        return list(self.arm.trials[self.trial].rounds.values())


class Choice:
    """Arm, trial, layer, page, and of each page a measure, each kept while the others change.

    `measures` are those of each page in turn; pages with the same ones have them in common.
    """

    def __init__(self, measures: Mapping[str, tuple[str, ...]]) -> None:
        self._measures = measures
        self.page = next(iter(measures))
        self._at: Counter[str | tuple[str, ...]] = Counter()

    def begin(self) -> None:
        """Another run: its first arm, trial and layer; page and measures stay."""
        for what in ("arm", "trial", "layer"):
            self._at[what] = 0

    def trial_of(self, view: RunView) -> tuple[ArmView, int]:
        """The arm and the trial's place in it, of a run that has begun."""
        arm = view.arms[self._at["arm"] % len(view.arms)]
        return arm, self._at["trial"] % len(arm.trials)

    def layer_of(self, view: RunView) -> int:
        """The layer's place."""
        return self._at["layer"] % len(view.layers)

    def several(self, what: str, view: RunView | None) -> bool:
        """Whether there is another arm, trial, layer or measure to choose."""
        if what == "measure":
            return len(self._measures[self.page]) > 1
        if view is None:
            return False
        if what == "trial":
            return any(len(arm.trials) > 1 for arm in view.arms)
        return len(view.arms if what == "arm" else view.layers) > 1

    def choose_layer(self, place: int) -> None:
        """The layer at that place."""
        self._at["layer"] = place

    @property
    def measure(self) -> str:
        """That of the page."""
        measures = self._measures[self.page]
        return measures[self._at[measures] % len(measures)]

    def step(self, what: str, by: int) -> None:
        """The next or the one before of arms, trials, layers or measures."""
        self._at[self._measures[self.page] if what == "measure" else what] += by


class RoundChoice(Choice):
    """A finished round, and of the inputs of a layer all units or one.

    `round` None is the newest one, also when another one finishes; `unit` None is all of them.
    """

    def __init__(self) -> None:
        super().__init__(MEASURES)
        self.round: int | None = None
        self.unit: int | None = None

    def begin(self) -> None:
        super().begin()
        self.round = self.unit = None

    def of(self, view: RunView | None) -> Chosen | None:
        """What is chosen of a run: the round, or the last one before it that there is."""
        if view is None or not view.arms or not view.layers:
            return None
        arm, trial = self.trial_of(view)
        rounds = arm.trials[trial].rounds
        if not rounds:
            return None
        number = max(rounds)
        if self.round is not None:
            number = max((known for known in rounds if known <= self.round), default=min(rounds))
        layers, place = list(view.layers), self.layer_of(view)
        return Chosen(arm, trial, rounds[number], layers[place], layers[place - 1] if place else "")

    @property
    def look(self) -> Look:
        """The page with its measure, and of the inputs the unit."""
        return Look(self.page, self.measure, self.unit if self.page == "inputs" else None)

    def step(self, what: str, by: int) -> None:
        super().step(what, by)
        if what == "layer":
            self.unit = None

    def go(self, view: RunView | None, by: int) -> bool:
        """Some rounds on, as far as there are; whether there was one to go to."""
        chosen = self.of(view)
        if chosen is None:
            return False
        numbers = [item.round for item in chosen.rounds]
        place = numbers.index(chosen.round.round)
        to = max(0, min(place + by, len(numbers) - 1))
        self.round = None if to == len(numbers) - 1 else numbers[to]
        return to != place

    def step_unit(self, units: int, by: int) -> None:
        """The next unit alone; after the last one, all of them again."""
        place = ((0 if self.unit is None else self.unit + 1) + by) % (units + 1)
        self.unit = place - 1 if place else None

    def look_into(self, chosen: Chosen, layer: LayerTicket, tile: int) -> bool:
        """Choose the unit that a tile stands for, also where it is of the layer before; whether it stands for one."""
        if self.page == "inputs" and (layer.input_kind == "units" or self.unit is not None):
            if layer.input_kind == "pixels" or not chosen.before:
                return False
            self.step("layer", -1)
        elif self.page == "inputs" and layer.input_kind != "channels":
            return False
        self.page, self.unit = "inputs", tile
        return True
