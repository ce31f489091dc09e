"""Check in a child process that JAX starts under this process's environment."""

import os
import subprocess
import sys
from functools import cache

from engine.errors import BadInput

_START = "import jax; print(*sorted({'cpu'} | {device.platform for device in jax.devices()}))"
_SECONDS = 120


def check_platform() -> None:
    """Raise BadInput, one line, if JAX cannot start: `JAX_PLATFORMS` names an absent platform, or `XLA_FLAGS` contains
    unknown flags.

    XLA aborts the process on an unknown flag, so a child process tries, only if one of the variables is set.
    """
    variables = {name: value for name, value in os.environ.items() if name == "XLA_FLAGS" or name.startswith("JAX_")}
    if problem := _problem(tuple(sorted(variables.items()))):
        raise BadInput(problem)


@cache
def _problem(variables: tuple[tuple[str, str], ...]) -> str | None:
    if not variables:
        return None
    started, output = _start(dict(os.environ))
    if started:
        return None
    given, lines = dict(variables), [line.strip() for line in output.splitlines() if line.strip()]
    flags = given.get("XLA_FLAGS")
    if flags and any("XLA_FLAGS" in line for line in lines):
        return f"XLA_FLAGS: found {flags!r}; allowed: flags that this version of XLA has"
    wanted = given.get("JAX_PLATFORMS")
    if wanted:
        others, found = _start({name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"})
        if others:
            return f"JAX_PLATFORMS: found {wanted!r}; allowed: platforms that JAX finds here: {' '.join(found.split())}"
    reason = lines[-1][:200] if lines else "it ended without a word"
    return f"{', '.join(given)}: JAX does not start under these variables: {reason}"


def _start(environment: dict[str, str]) -> tuple[bool, str]:
    """Return whether JAX starts, and its output: the platforms or the error."""
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-c", _START],  # -P: no modules from the working directory
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer in {_SECONDS} s"
    return ran.returncode == 0, ran.stdout if ran.returncode == 0 else ran.stderr
