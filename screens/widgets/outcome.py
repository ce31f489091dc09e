"""What the study in the form comes to."""

from collections.abc import Iterator

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Static

from engine.spec import Study
from engine.store import Store
from screens.costs import Costs, costs_of, costs_words
from screens.keys import keyed
from screens.latest import Latest
from screens.text import plain
from screens.widgets.toml import TomlArea


class Outcome(Vertical):
    """The start button, what is wrong, a note, what the study costs and what it is about; or its TOML."""

    FORECAST_AFTER = 0.2

    class Costed(Message):
        """The costs are told."""

    def __init__(self, store: Store):
        super().__init__(id="outcome")
        self._store = store
        self._study: Study | None = None
        self._said: dict[str, str] = {}

    def compose(self) -> Iterator[Widget]:
        yield Button(keyed(self.app, "Start  ({configure.start})"), id="start", variant="success", compact=True)
        yield Static("", id="problems", markup=False)
        yield Static("", id="note", markup=False)
        with VerticalScroll(id="about-study", can_focus=False):
            yield Static("", id="forecast", markup=False)
            yield Static("", id="about", markup=False)
        yield TomlArea()

    def on_mount(self) -> None:
        self.button, self.toml = self.query_one("#start", Button), self.query_one(TomlArea)
        self._pane = self.query_one("#about-study", VerticalScroll)
        self._panes = {name: self.query_one(f"#{name}", Static) for name in ("problems", "note", "about", "forecast")}
        self._costing = Latest[Study, Costs](
            self, lambda study: costs_of(study, self._store), self._show_costs, pause=self.FORECAST_AFTER
        )
        self.say("note", "")

    @property
    def study(self) -> Study | None:
        """The study, where it can be started."""
        return self._study

    @property
    def problem(self) -> str:
        """Why it cannot, as far as that is said here."""
        return self._said.get("problems", "")

    def say(self, where: str, words: str) -> None:
        """Put words into a pane, if they are others; one without words takes no room."""
        if self._said.get(where) != words:
            self._said[where] = words
            pane = self._panes[where]
            pane.display = bool(words)
            pane.update(Content(words))

    def judge(self, study: Study | None, problem: str, about: str) -> None:
        """Tell of a study, None for one that is not sound, what is wrong with it and what it is about."""
        self._study = study
        self.button.disabled = study is None
        self.say("problems", plain(problem))
        self.say("about", plain(about))
        self.forecast()

    def forecast(self) -> None:
        """Tell what it costs here and now."""
        if self._study is None:
            self._costing.forget()
            self._panes["forecast"].update("")
        else:
            self._costing.ask(self._study)

    def _show_costs(self, study: Study, costs: Costs) -> None:
        """Hashing the keys of a large study takes longer than a key press may."""
        self._panes["forecast"].update(costs_words(costs))
        self.call_after_refresh(self.post_message, self.Costed())
        self.say("problems", plain(costs.problem))
        if costs.problem:
            self._study = None
            self.button.disabled = True

    @property
    def scrolls(self) -> bool:
        """Whether there is more than can be seen at once."""
        return self._pane.max_scroll_y > 0

    def read(self, way: int) -> None:
        """A page on or back."""
        self._pane.scroll_page_down(animate=False) if way > 0 else self._pane.scroll_page_up(animate=False)
