"""Drafts of studies that people typed and have not run yet."""

from contextlib import suppress
from pathlib import Path

from engine.store.files import free_aside, write_atomic, writing

MOST_DRAFTS = 10
MOST_BYTES = 1_000_000
"""The size of one draft."""


class Drafts:
    """The newest ten drafts in `folder`, a file each. The store does not read their content."""

    def __init__(self, folder: Path):
        self._folder = folder

    def kept(self) -> list[tuple[str, float, bytes]]:
        """Return name, time in seconds since the epoch and content of each draft, the oldest first."""
        found = []
        for path in self._paths():
            with suppress(OSError):
                found.append((path.stem, path.stat().st_mtime, path.read_bytes()))
        return found

    def keep(self, name: str, data: bytes) -> None:
        """Replace the draft of that name, atomically; the same content keeps its time.

        Raises Unwritable, and ValueError for one that is too long.
        """
        if len(data) > MOST_BYTES:
            raise ValueError(f"{len(data)} bytes; allowed: at most {MOST_BYTES}")
        path = self._folder / f"{name}.json"
        with writing(path):
            if path.is_file() and path.read_bytes() == data:
                return
            write_atomic(path, data)
        for old in self._paths()[:-MOST_DRAFTS]:
            old.unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Remove the draft of that name, if there is one."""
        with suppress(OSError):
            (self._folder / f"{name}.json").unlink(missing_ok=True)

    def set_aside(self, name: str) -> Path:
        """Rename a damaged draft and return its new path."""
        path = self._folder / f"{name}.json"
        aside = free_aside(path)
        with suppress(OSError):
            path.rename(aside)
        return aside

    def _paths(self) -> list[Path]:
        found = []
        with suppress(OSError):
            found = [(path.stat().st_mtime_ns, path) for path in self._folder.glob("*.json")]
        return [path for _, path in sorted(found)]
