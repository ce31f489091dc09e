"""The command palette: every action of the screen, every run and every preset, by name."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from textual.app import App, SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from engine.spec import load_study, preset_names
from engine.store import RunSummary, Store
from screens.messages import EditStudy, OpenRun
from screens.text import moment, plain

MOST, NEWEST = 20, 3
"""Runs or presets that are listed for what was typed, and runs before anything is typed."""
MOTIONS = {"up", "down", "left", "right", "first", "last"}
"""Bindings that only make sense as keys."""


def actions(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Every action that has a key here, and the themes."""
    yield SystemCommand("Theme", "Change the colours", app.action_change_theme)
    told: set[str] = set()
    for node, binding, enabled, _ in screen.active_bindings.values():
        motion = (binding.id or "").rpartition(".")[2] in MOTIONS
        if not enabled or binding.system or not binding.id or motion or binding.description in told:
            continue
        told.add(binding.description)

        async def act(action: str = binding.action, node: object = node) -> None:
            await app.run_action(action, default_namespace=node)  # type: ignore[arg-type]

        words = f"{app.get_key_display(binding)}  {binding.tooltip or binding.description}"
        yield SystemCommand(binding.description, escape(words), act)


def escape(text: str) -> str:
    """Return text as markup that shows just that. Textual's own function leaves a bracket that is not closed."""
    return text.replace("[", r"\[")


class Command(NamedTuple):
    """A line of the palette: what it is called, what it is, and what it does."""

    name: str
    words: str
    act: Callable[[], object]


class Named(Provider):
    """Commands of which there may be many: listed and matched in a thread, and the best of them shown."""

    NEWEST = 0

    async def startup(self) -> None:
        self._commands: list[Command] = await asyncio.to_thread(lambda: list(self.commands()))

    def commands(self) -> Iterator[Command]:
        """All of them, called in a thread."""
        yield from ()

    async def discover(self) -> Hits:
        for command in self._commands[: self.NEWEST]:
            yield DiscoveryHit(command.name, command.act, help=escape(command.words))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)

        def best() -> list[tuple[float, int]]:
            scored = ((matcher.match(command.name), -place) for place, command in enumerate(self._commands))
            return heapq.nlargest(MOST, (found for found in scored if found[0] > 0))

        for score, place in await asyncio.to_thread(best):
            command = self._commands[-place]
            yield Hit(score, matcher.highlight(escape(command.name)), command.act, help=escape(command.words))


class Runs(Named):
    """Every run of the store, the newest first."""

    NEWEST = NEWEST

    def commands(self) -> Iterator[Command]:
        store: Store = self.app.lab.store  # type: ignore[attr-defined]
        for run in store.runs():
            yield Command(f"Open run {run.id}", _about(run), partial(self.app.post_message, OpenRun(run.id)))


class Presets(Named):
    """Every preset, to be put into the form."""

    def commands(self) -> Iterator[Command]:
        for name in preset_names():
            about = load_study(name).about.partition(". ")[0]
            yield Command(f"Configure with {name}", about, partial(self._edit, name))

    def _edit(self, name: str) -> None:
        self.app.post_message(EditStudy(load_study(name), name))


def _about(run: RunSummary) -> str:
    rounds = f"{run.rounds_done}/{run.rounds_total} rounds"
    return plain(", ".join(filter(None, (run.title, run.status, run.dataset, rounds, moment(run.created)))))
