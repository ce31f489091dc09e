"""The environment cannot change numbers or end in a traceback."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.training.probe import check_platform

ROOT = Path(__file__).resolve().parents[2]

HOSTILE = {
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1",
    "JAX_DISABLE_JIT": "1",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_LOG_COMPILES": "1",
    "JAX_EXPLAIN_CACHE_MISSES": "1",
    "JAX_ENABLE_COMPILATION_CACHE": "0",
    "JAX_LEGACY_PRNG_KEY": "error",
    "JAX_NUM_CPU_DEVICES": "5",
}

TRAIN = """
import hashlib, sys
from pathlib import Path
import numpy as np
from engine.networks import build, initial_weights
from engine.spec import Train
from engine.training import DataOnDevices, Lane, LaneBatch, Program, batch_order, learning_rates, machine, prepare_jax

prepare_jax(Path(sys.argv[1]))
recipe = Train(iterations=6, batch=5, learning_rate=1e-2, dropout=0.5, augment=True, evaluate_every=3)
network, rng = build("lenet-300-100", (4, 4, 1), 3), np.random.default_rng(0)
images, labels = rng.integers(0, 256, (40, 4, 4, 1), np.uint8), rng.integers(0, 3, 40).astype(np.int32)
rows = np.arange(30, dtype=np.int32)
lane = Lane(
    start=initial_weights(network, 1),
    masks={layer.parameter: rng.random(layer.shape) < 0.5 for layer in network.layers},
    order=batch_order(rows, 5, 6, 1),
    rates=learning_rates(recipe),
    validation=np.arange(30, 40, dtype=np.int32),
    mean=np.zeros(1, np.float32),
    std=np.ones(1, np.float32),
    seed=3,
)
data = DataOnDevices.put(1, (images, labels), (images, labels))
batch = LaneBatch(Program.of("lenet-300-100", (4, 4, 1), 3, recipe), [lane], data, 1)
curves = [batch.dispatch(1, 3, True).wait() for _ in range(2)]
(end,) = batch.finish()
found = b"".join(end.final.params[name].tobytes() for name in sorted(end.final.params))
print(hashlib.sha256(found).hexdigest(), curves, end.test_accuracy, machine().devices, machine().tag, sep="|")
"""


def printed(folder: Path, **variables: str) -> str:
    """What a training in a process with these variables prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    ran = subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder)],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def test_variables_of_jax_change_no_number(tmp_path: Path) -> None:
    plain = printed(tmp_path)
    assert printed(tmp_path / "other", **HOSTILE) == plain
    assert any(tmp_path.iterdir()), "compiled programs are kept"


@pytest.mark.slow
def test_flags_of_xla_are_in_the_tag_in_one_order(tmp_path: Path) -> None:
    flags = ["--xla_dump_max_hlo_modules=3", "--xla_cpu_enable_fast_math=false"]
    one, other = (printed(tmp_path, XLA_FLAGS=" ".join(order)).rpartition("|")[2] for order in (flags, flags[::-1]))
    assert one == other
    assert one.strip().endswith(f"XLA_FLAGS {' '.join(sorted(flags))}")
    assert {name for name in ("jax", "jaxlib", "optax", "numpy") if f"{name} " in one} == {
        "jax",
        "jaxlib",
        "optax",
        "numpy",
    }


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("JAX_PLATFORMS", "nonsense", "JAX_PLATFORMS: found 'nonsense'; allowed: platforms that JAX finds here: cpu"),
        (
            "XLA_FLAGS",
            "--xla_nonsense=1",
            "XLA_FLAGS: found '--xla_nonsense=1'; allowed: flags that this version of XLA",
        ),
        ("JAX_ENABLE_X64", "perhaps", "JAX_ENABLE_X64: JAX does not start under these variables: "),
    ],
)
def test_what_jax_does_not_start_with_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    only(monkeypatch, {variable: value})
    with pytest.raises(BadInput) as refused:
        check_platform()
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_an_accelerator_that_is_absent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("jax_plugins") is not None:
        pytest.skip("JAX has plugins for accelerators here")
    only(monkeypatch, {"JAX_PLATFORMS": "cuda"})
    with pytest.raises(BadInput, match="JAX_PLATFORMS: found 'cuda'; allowed: platforms that JAX finds here: cpu"):
        check_platform()


def test_without_such_variables_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {})
    monkeypatch.setattr(subprocess, "run", None)
    check_platform()


def only(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """The environment with no other variables of JAX and XLA than these."""
    for name in list(os.environ):
        if name.startswith(("JAX_", "XLA_")):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
