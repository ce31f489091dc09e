"""What runs before have found out about this machine, for forecasts that cost nothing."""

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from engine.store.files import write_atomic


class _Sheet(BaseModel):
    numerics: str = ""
    lanes: int = 0
    devices: int = 0
    memory: int = 0
    rates: dict[str, float] = {}


class MachineFacts:
    """A small JSON file; a missing or damaged one knows nothing."""

    def __init__(self, path: Path):
        self._path = path

    @property
    def numerics(self) -> str:
        """The versions and device that rounds were last computed with; "" before the first run."""
        return self._read().numerics

    @property
    def lanes(self) -> int:
        """Lanes that trained at once at the most; 0 before the first run."""
        return self._read().lanes

    @property
    def devices(self) -> int:
        """Devices that lanes spread over; 0 before the first run."""
        return self._read().devices

    @property
    def memory(self) -> int:
        """Bytes that all devices together have of their own; 0 where they use the machine's, or it is not known."""
        return self._read().memory

    @property
    def rates(self) -> dict[str, float]:
        """Iterations of all lanes a second, as last measured for each kind of study."""
        return self._read().rates

    def keep(self, *, numerics: str, lanes: int, rates: dict[str, float], devices: int, memory: int) -> None:
        """Write down what a run found, where that can be; rates of other names stay."""
        found = self._read()
        sheet = _Sheet(
            numerics=numerics,
            lanes=max(lanes, found.lanes),
            devices=devices,
            memory=memory,
            rates={**found.rates, **rates},
        )
        with suppress(OSError):
            write_atomic(self._path, sheet.model_dump_json(indent=1).encode())

    def _read(self) -> _Sheet:
        try:
            return _Sheet.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Sheet()
