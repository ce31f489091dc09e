"""The line in which runs are asked for, and how many of them there are."""

from collections.abc import Callable, Iterator, Sequence

from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.errors import BadInput
from engine.store import RunSummary
from engine.views import Filter, parse_filter, suggestions
from screens.text import plain

HELP = "words, status:done,stopped dataset:mnist acc>0.98 took>1h age<2d; - before one leaves out"


class _FieldSuggester(Suggester):
    """Fields, and the values that the runs have."""

    def __init__(self, runs: Callable[[], Sequence[RunSummary]]):
        super().__init__(use_cache=False, case_sensitive=True)
        self._runs = runs

    async def get_suggestion(self, value: str) -> str | None:
        return suggestions(value, self._runs())


class FilterLine(Vertical):
    """A field that is seen while it is in use, words beside it, and below it what could not be understood."""

    class Wanted(Message):
        """Other runs are asked for."""

    class Left(Message):
        """The field is left: the list is gone back to."""

    def __init__(self, runs: Callable[[], Sequence[RunSummary]], *, id: str | None = None):
        super().__init__(id=id)
        self._runs = runs
        self.filter = Filter()

    def compose(self) -> Iterator[Widget]:
        with Horizontal():
            yield Static("/", id="slash")
            yield Input(id="filter", compact=True, placeholder=HELP, suggester=_FieldSuggester(self._runs))
            yield Static("", id="counted", markup=False)
        yield Static("", id="filter-problem", markup=False)

    def on_mount(self) -> None:
        # Where nothing else can be focused, Textual focuses what cannot be seen.
        self._input.can_focus = False

    @property
    def _input(self) -> Input:
        return self.query_one(Input)

    @property
    def typing(self) -> bool:
        """Whether the field has the focus."""
        return self._input.has_focus

    def say(self, words: str) -> None:
        """Words beside the field."""
        self.query_one("#counted", Static).update(words, layout=False)

    def open(self) -> None:
        """Go to the field."""
        self.add_class("-open")
        self._input.can_focus = True
        self._input.focus()

    @property
    def used(self) -> bool:
        """Whether it has words, or is being typed into."""
        return bool(self._input.value) or self.typing

    def clear(self) -> bool:
        """Ask for all runs, and leave the field; whether it was in use."""
        if used := self.used:
            self._input.value = ""
            self._leave()
        return used

    def _leave(self) -> None:
        self.set_class(bool(self._input.value), "-open")
        self._input.can_focus = False
        self.post_message(self.Left())

    def on_input_changed(self) -> None:
        self._ask(typing=True)

    def on_input_submitted(self) -> None:
        if self._ask(typing=False):
            self._leave()

    def _ask(self, *, typing: bool) -> bool:
        """Ask for what is typed; whether that could be understood. If not, the list stays as it is, and so it does
        while a field is being typed that is still but a word which no run has."""
        problem, text = "", self._input.value
        try:
            wanted = parse_filter(text)
        except BadInput as error:
            problem = str(error)
        else:
            if not (typing and suggestions(text, []) and not wanted.of(self._runs())):
                self.filter = wanted
                self.post_message(self.Wanted())
        self.query_one("#filter-problem", Static).update(plain(problem))
        self.set_class(bool(problem), "-problem")
        return not problem
