"""Speed and memory measured by earlier runs on each machine, for forecasts."""

import platform
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from engine.store.files import write_atomic


class _Devices(BaseModel):
    """`lanes` trained at once at most; `devices` that lanes spread over; `memory` of all devices in bytes, 0 where they
    use the host's; `rates` in iterations of all lanes a second, by kind of study."""

    lanes: int = 0
    devices: int = 0
    memory: int = 0
    rates: dict[str, float] = {}


class _Profile(BaseModel):
    """By host, the tag of the devices last used there; by tag, what was measured."""

    hosts: dict[str, str] = {}
    measured: dict[str, _Devices] = {}


class MachineProfile:
    """A small JSON file. Each kind of device has its own figures, and each host the devices that it used last, so that
    a home on another machine forecasts nothing from this one. A missing or damaged file is an empty profile."""

    def __init__(self, path: Path):
        self._path = path

    @property
    def numerics(self) -> str:
        """The tag of versions and devices that this host last trained with; "" before its first run."""
        return self._read().hosts.get(platform.node(), "")

    @property
    def lanes(self) -> int:
        """Lanes that trained at once, at most; 0 before the first run."""
        return self._devices().lanes

    @property
    def devices(self) -> int:
        """Devices that lanes spread over; 0 before the first run."""
        return self._devices().devices

    @property
    def memory(self) -> int:
        """Bytes of memory of all devices together; 0 where they use the host's, or before the first run."""
        return self._devices().memory

    @property
    def rates(self) -> dict[str, float]:
        """Iterations of all lanes a second, as last measured for each kind of study."""
        return self._devices().rates

    def keep(self, *, numerics: str, lanes: int, rates: dict[str, float], devices: int, memory: int) -> None:
        """Write what a run measured with the devices of tag `numerics`, if that is possible; other rates stay."""
        profile = self._read()
        before = profile.measured.get(numerics, _Devices())
        profile.measured[numerics] = _Devices(
            lanes=max(lanes, before.lanes), devices=devices, memory=memory, rates={**before.rates, **rates}
        )
        profile.hosts[platform.node()] = numerics
        with suppress(OSError):
            write_atomic(self._path, profile.model_dump_json(indent=1).encode())

    def _devices(self) -> _Devices:
        profile = self._read()
        return profile.measured.get(profile.hosts.get(platform.node(), ""), _Devices())

    def _read(self) -> _Profile:
        try:
            return _Profile.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Profile()
