"""The devices that lanes spread over, and JAX set up for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax

MAX_LANES_PER_DEVICE = 64


class OutOfMemory(Exception):
    """The devices have no room for what was asked of them."""


@contextmanager
def out_of_memory() -> Iterator[None]:
    """Raises OutOfMemory where that is what JAX says within."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OutOfMemory from None


@dataclass(frozen=True)
class Machine:
    """What trains. `tag` names all of it that may change bits: versions, platform, kind of device and cores."""

    platform: str
    kind: str
    devices: int
    tag: str

    @property
    def on_cpu(self) -> bool:
        return self.platform == "cpu"

    @property
    def memory(self) -> int:
        """Bytes that all devices together have of their own, as far as they tell; 0 on a CPU."""
        return self._told("bytes_limit")

    @property
    def memory_used(self) -> int:
        """Bytes of it that this process has in use; 0 on a CPU."""
        return self._told("bytes_in_use")

    def _told(self, what: str) -> int:
        told = [] if self.on_cpu else [device.memory_stats() or {} for device in jax.devices()]
        return sum(int(stats.get(what, 0)) for stats in told)

    @property
    def words(self) -> str:
        return f"{self.devices} CPU cores" if self.on_cpu else f"{self.devices} x {self.kind}"

    def width(self, wanted: int) -> int:
        """Lanes of one pack where `wanted` could train at once.

        On a CPU a lane a core. On accelerators a multiple of the devices, a power of two on each: few widths,
        so that few programs are compiled, and the same for the same study.
        """
        if self.on_cpu:
            return max(1, min(wanted, self.devices))
        each = 1
        while each * self.devices < wanted and each < MAX_LANES_PER_DEVICE:
            each *= 2
        return each * self.devices


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_jax(compiled: Path) -> None:
    """Set JAX up, before it first looks for devices: a CPU device a core, memory taken as it is needed, and
    compiled programs kept in the folder `compiled`."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _configure("jax_compilation_cache_dir", str(compiled))
    _configure("jax_persistent_cache_min_compile_time_secs", 0.0)
    _configure("jax_persistent_cache_min_entry_size_bytes", -1)
    _split_cpu()


@cache
def _split_cpu() -> None:
    _configure("jax_num_cpu_devices", cores())


def _configure(name: str, value: object) -> None:
    jax.config.update(name, value)  # type: ignore[no-untyped-call]


@cache
def machine() -> Machine:
    """The accelerators of this machine, or else its CPU cores. Call `prepare_jax` first."""
    found = jax.devices()
    platform, kind = found[0].platform, found[0].device_kind
    versions = " ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "flax", "optax"))
    return Machine(platform, kind, len(found), f"{versions} on {platform} {kind} x{len(found)}")
