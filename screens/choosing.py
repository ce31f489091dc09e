"""What Heatmaps and Ticket have in common: pages on a trial of the followed run, chosen by the same keys."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.widgets import Static

from engine.views import RunView
from screens.base import PanelScreen, rewrite
from screens.choice import Choice
from screens.lab import Lab
from screens.text import plain

ROUND = Binding.Group("Round")


def choosing(mode: str, *, shown: bool, pages: str, measures: str) -> list[Binding]:
    """The keys of a mode that choose; `pages` and `measures` tell what there is, `shown` has arm and trial in the
    last line."""
    return [
        Binding("g,tab", "page(1)", "View", id=f"{mode}.page", priority=True, tooltip=pages),
        Binding("G,shift+tab", "page(-1)", "View before", show=False, id=f"{mode}.page-before", priority=True,
                tooltip="The view before"),
        Binding("a", "step('arm',1)", "Arm", show=shown, id=f"{mode}.arm", tooltip="The next arm"),
        Binding("A", "step('arm',-1)", "Arm before", show=False, id=f"{mode}.arm-before", tooltip="The arm before"),
        Binding("t", "step('trial',1)", "Trial", show=shown, id=f"{mode}.trial", tooltip="The next trial"),
        Binding("T", "step('trial',-1)", "Trial before", show=False, id=f"{mode}.trial-before",
                tooltip="The trial before"),
        Binding("y", "step('layer',1)", "Layer", id=f"{mode}.layer", tooltip="The next layer"),
        Binding("Y", "step('layer',-1)", "Layer before", show=False, id=f"{mode}.layer-before",
                tooltip="The layer before"),
        Binding("m", "step('measure',1)", "Measure", id=f"{mode}.measure", tooltip=measures),
    ]  # fmt: skip


class ChoosingScreen(PanelScreen):
    """Pages on a trial of the followed run. `PAGES` names them, each with the selector of the widget that its keys are
    for."""

    PAGES: ClassVar[Mapping[str, str]]

    def __init__(self, lab: Lab, choice: Choice):
        super().__init__(lab)
        self.choice = choice
        self._known: object = None
        self._run = ""

    def on_mount(self) -> None:
        self._turn_to(self.choice.page)

    @abstractmethod
    def redraw(self) -> None:
        """Draw what is chosen."""

    def begin(self) -> None:
        """Another run is followed."""
        self.choice.begin()
        self.refresh_bindings()

    def update(self) -> None:
        """Draw what changed."""
        follower = self.lab.follower
        known = None if follower is None else (follower.run, follower.view.last_event)
        if known != self._known:
            self._known = known
            if follower is not None and follower.run != self._run:
                self._run = follower.run
                self.begin()
            self.redraw()

    @property
    def view(self) -> RunView | None:
        """The run that is shown, once it has begun."""
        view = self.lab.follower.view if self.lab.follower else None
        return view if view is not None and view.arms and view.layers else None

    def place(self, view: RunView) -> Text:
        """The chosen arm and trial in words."""
        arm, trial = self.choice.trial_of(view)
        words = f" ({view.arms.index(arm) + 1} of {len(view.arms)})  trial {trial + 1} of {len(arm.trials)}"
        return Text.assemble((plain(arm.name), "bold"), words)

    def set_empty(self, empty: bool) -> None:
        """Whether there is nothing to show yet."""
        if empty != self.has_class("-empty"):
            self.set_class(empty, "-empty")
            self.refresh_bindings()
            if empty:
                self.set_focus(None)
            elif self.focused is None:
                self.focus_page()

    def write(self, selector: str, words: Text, *, fixed: bool = True) -> bool:
        """Write words if they are others, as `rewrite` does."""
        return rewrite(self.query_one(selector, Static), words, fixed=fixed)

    def _turn_to(self, page: str) -> None:
        self.choice.page = page
        self.maximized = None
        self.update_classes({f"-{other}": other == page for other in self.PAGES})
        self.redraw()
        self.refresh_bindings()

    def focus_page(self) -> None:
        """To the widget that the keys of the page are for."""
        self.query_one(self.PAGES[self.choice.page]).focus()

    def on_screen_resume(self) -> None:
        if self.focused is None and not self.has_class("-empty"):
            self.focus_page()

    def action_page(self, by: int) -> None:
        """Show the next view."""
        pages = list(self.PAGES)
        self._turn_to(pages[(pages.index(self.choice.page) + by) % len(pages)])
        self.focus_page()

    def action_step(self, what: str, by: int) -> None:
        """The next or the one before of arms, trials, layers or measures."""
        self.choice.step(what, by)
        self.redraw()

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """What there is but one of."""
        one = {"arm": "the run has one arm", "trial": "the run has one trial", "layer": "the network has one layer"}
        if self.view is None or action != "step":
            return super().refusal(action, parameters)
        return one.get(str(parameters[0]), "this view has one")
