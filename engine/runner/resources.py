"""The resources that this process uses, for the progress of a run."""

import time

import psutil

from engine.store import ResourceUsage
from engine.training import machine
from engine.training.devices import cores

EVERY_SECONDS = 1.0
"""Between two readings of the operating system and the devices."""


class ResourceMonitor:
    """Measures CPU time and memory of this process, and memory of its devices."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._when, self._busy = time.monotonic(), self._seconds()
        self._use: ResourceUsage | None = None

    def read(self) -> ResourceUsage:
        """The newest reading, at most a second old. Call `prepare_jax` first."""
        now = time.monotonic()
        if self._use is None or now - self._when >= EVERY_SECONDS:
            busy, found = self._seconds(), machine()
            self._use = ResourceUsage(
                cpu=(busy - self._busy) / max(now - self._when, 1e-3),
                cores=cores(),
                memory=self._process.memory_info().rss,
                memory_total=psutil.virtual_memory().total,
                device_memory=found.memory_used,
                device_memory_total=found.memory,
            )
            self._when, self._busy = now, busy
        return self._use

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system
