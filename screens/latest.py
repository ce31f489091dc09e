"""Work in a thread on what is asked for last."""

import asyncio
import threading
from collections.abc import Callable
from inspect import isawaitable
from typing import Generic, TypeVar

from textual.timer import Timer
from textual.widget import Widget

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class Latest(Generic[Asked, Found]):
    """Does `work` in a thread, one at a time, on the newest of what is asked for, once nothing else has been for
    `pause` seconds; `then` is told in the loop of `widget`, unless something newer is asked for by then."""

    def __init__(
        self,
        widget: Widget,
        work: Callable[[Asked], Found],
        then: Callable[[Asked, Found], object],
        *,
        pause: float = 0.02,
    ):
        self._widget, self._work, self._then, self._pause = widget, work, then, pause
        self._wanted: list[Asked] = []
        self._timer: Timer | None = None
        self._busy = False
        self._working = threading.Lock()

    def ask(self, what: Asked) -> None:
        """Work on `what`, and on nothing that was asked for before and is not begun."""
        self.forget()
        self._wanted = [what]
        self._timer = self._widget.set_timer(self._pause, self._begin)

    def forget(self) -> None:
        """Tell nothing of what was asked for."""
        self._wanted = []
        if self._timer is not None:
            self._timer.stop()

    def finish(self) -> None:
        """Do what is not begun, here and now."""
        wanted = self._wanted
        self.forget()
        for what in wanted:
            self._do(what)

    def _do(self, what: Asked) -> Found:
        with self._working:
            return self._work(what)

    def _begin(self) -> None:
        if not self._busy and self._wanted:
            self._busy = True
            self._widget.run_worker(self._go)

    async def _go(self) -> None:
        try:
            while self._wanted:
                wanted = self._wanted
                found = await asyncio.to_thread(self._do, wanted[0])
                if self._wanted is wanted:
                    self._wanted = []
                    if self._widget.is_attached:
                        told = self._then(wanted[0], found)
                        if isawaitable(told):
                            await told
        finally:
            self._busy = False
