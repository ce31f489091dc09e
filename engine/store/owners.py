"""Which process writes what: recognised also when its number has been given to another since."""

import os
import socket
import time
from dataclasses import dataclass
from typing import Self

import psutil

HEARTBEAT_LIMIT = 60.0
"""Seconds without a heartbeat after which an owner on another host counts as gone."""


@dataclass(frozen=True)
class Owner:
    """A process. `start` tells it from others of its number before and after it."""

    host: str
    pid: int
    start: str

    @classmethod
    def this(cls) -> Self:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _start(os.getpid()))

    @property
    def words(self) -> str:
        return f"process {self.pid} on {self.host}"

    def alive(self, beat: float) -> bool:
        """Whether it lives: known by pid and start on this host; elsewhere by its last heartbeat, in seconds since the
        epoch."""
        if self.host != socket.gethostname():
            return time.time() - beat < HEARTBEAT_LIMIT
        return bool(self.start) and self.start == _start(self.pid)


def _start(pid: int) -> str:
    """When a process began, in words that no change of the clock alters; empty where none lives."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        # Linux counts from its start, which psutil takes from the clock.
        since = psutil.boot_time() if psutil.LINUX else 0.0
        return f"{process.create_time() - since:.2f}"
    except (psutil.Error, ValueError, OverflowError):
        return ""
