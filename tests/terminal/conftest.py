"""Consoles that are closed at the end of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from consoles import Console


@pytest.fixture
def console() -> Iterator[Callable[..., Console]]:
    """Opens consoles, and closes them at the end."""
    opened: list[Console] = []

    def open_console(code: str, home: Path, *arguments: str, leads: bool = True, **variables: str) -> Console:
        opened.append(Console(code, home, *arguments, leads=leads, **variables))
        return opened[-1]

    yield open_console
    for item in opened:
        item.close()
