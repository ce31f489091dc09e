"""The devices that lanes spread over, and the configuration of JAX."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import jax

MAX_LANES_PER_DEVICE = 64


class OutOfMemory(Exception):
    """The devices have too little memory."""


@contextmanager
def out_of_memory() -> Iterator[None]:
    """Convert JAX's errors about memory in the block to OutOfMemory."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OutOfMemory from None


@dataclass(frozen=True)
class Machine:
    """The devices of this process.

    `tag` names everything that may change bits and cannot be configured: versions, platform, kind and number of
    devices, model of CPU, `XLA_FLAGS`.
    """

    platform: str
    kind: str
    devices: int
    tag: str

    @property
    def on_cpu(self) -> bool:
        return self.platform == "cpu"

    @property
    def memory(self) -> int:
        """Bytes of memory of all devices together; 0 on a CPU, and where they do not report it."""
        return self._total("bytes_limit")

    @property
    def memory_used(self) -> int:
        """Bytes of device memory in use by this process; 0 on a CPU."""
        return self._total("bytes_in_use")

    def _total(self, name: str) -> int:
        stats = [] if self.on_cpu else [device.memory_stats() or {} for device in jax.devices()]
        return sum(int(each.get(name, 0)) for each in stats)

    @property
    def words(self) -> str:
        return f"{self.devices} CPU cores" if self.on_cpu else f"{self.devices} x {self.kind}"

    def width(self, wanted: int) -> int:
        """Return the width of a batch when `wanted` lanes are ready.

        On a CPU, one lane per core. On accelerators, a power of two per device, which keeps the number of compilations
        low and depends only on the study.
        """
        if self.on_cpu:
            return max(1, min(wanted, self.devices))
        each = 1
        while each * self.devices < wanted and each < MAX_LANES_PER_DEVICE:
            each *= 2
        return each * self.devices


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_PINNED: dict[str, object] = {
    # Numbers
    "jax_enable_x64": False,
    "jax_default_matmul_precision": "float32",
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_softmax_custom_jvp": True,
    "jax_use_direct_linearize": True,
    # Random numbers
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_random_seed_offset": 0,
    "jax_legacy_prng_key": "allow",
    # Debugging, which changes programs, prints over the screen or raises
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_enable_checks": False,
    "jax_disable_jit": False,
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_disable_most_optimizations": False,
    "jax_log_compiles": False,
    "jax_explain_cache_misses": False,
    "jax_dump_ir_to": "",
    "jax_transfer_guard": "allow",
    "jax_transfer_guard_host_to_device": "allow",
    "jax_transfer_guard_device_to_host": "allow",
    "jax_transfer_guard_device_to_device": "allow",
    # Compiled programs are kept, however small
    "jax_enable_compilation_cache": True,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def prepare_jax(compiled: Path) -> None:
    """Configure JAX before it first looks for devices: one CPU device a core, memory allocated as needed, compiled
    programs kept in the folder `compiled`, and everything that results depend on, whatever the environment says."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for name, value in _PINNED.items():
        _configure(name, value)
    _configure("jax_compilation_cache_dir", str(compiled))
    _prepare_devices()


@cache
def _prepare_devices() -> None:
    _configure("jax_num_cpu_devices", cores())
    platforms = str(jax.config.jax_platforms or "")  # type: ignore[attr-defined]
    if platforms and "cpu" not in platforms.split(","):
        # Initial weights are drawn on a CPU.
        _configure("jax_platforms", f"{platforms},cpu")


def _configure(name: str, value: object) -> None:
    jax.config.update(name, value)  # type: ignore[no-untyped-call]


@cache
def machine() -> Machine:
    """Return the accelerators of this machine, else its CPU cores. Call `prepare_jax` first."""
    found = jax.devices()
    kind, name = found[0].device_kind, found[0].platform
    versions = " ".join(f"{package} {version(package)}" for package in ("jax", "jaxlib", "optax", "numpy"))
    flags = " ".join(sorted(os.environ.get("XLA_FLAGS", "").split()))
    tag = f"{versions} on {name} {kind} x{len(found)}, {_cpu_model()}{flags and f', XLA_FLAGS {flags}'}"
    return Machine(name, kind, len(found), tag)


def _cpu_model() -> str:
    """Return the model of the CPU: its instruction set affects bits."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
