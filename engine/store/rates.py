"""How fast this machine trains, as measured by the runs before."""

import json
from pathlib import Path

from engine.store.files import write_atomic


class Rates:
    """Iterations of all lanes a second, by a name of network, data and device, in a small JSON file."""

    def __init__(self, path: Path):
        self._path = path

    def get(self, name: str) -> float | None:
        """The rate last measured under `name`; None when there is none or the file is damaged."""
        rate = self._read().get(name)
        return rate if isinstance(rate, float) and rate > 0 else None

    def set(self, name: str, rate: float) -> None:
        write_atomic(self._path, json.dumps({**self._read(), name: float(rate)}, indent=1).encode())

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
