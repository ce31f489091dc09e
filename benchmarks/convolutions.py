"""Training Conv-2 and Conv-6 at 32x32: a step inside the lanes' loop against the same step called from Python.

XLA leaves a CPU's fast kernels when the gradient of its convolution stands in a loop, and a step then takes 70
times as long: this is the guard against that. Torch doing the same work stands beside it.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.sample import CLASSES, MEAN, STD, half_lane, noise
from benchmarks.sides import Sides, line
from engine.networks import build
from engine.spec import Train
from engine.training import (
    DataOnDevices,
    LaneBatch,
    Program,
    batch_order,
    machine,
    prepare_jax,
)
from engine.training.program import optimizer_of

NETWORKS = {"conv-2": 5, "conv-6": 3}
"""Steps that are timed together."""
EXAMPLES, BATCH = 2_000, 60
IMAGE = (32, 32, 3)
ROUNDS = 3


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        prepare_jax(Path(folder))
        met = [_network(name, steps) for name, steps in NETWORKS.items()]
    return all(met)


def _network(network: str, steps: int) -> bool:
    together = min(2, machine().devices) if machine().on_cpu else 16
    lanes = f"{together} lanes"
    sides = Sides(
        {
            "inside": _inside(network, steps, 1),
            lanes: _inside(network, steps, together),
            "outside": _outside(network, steps),
            "torch": _torch(network, steps),
        },
        ROUNDS,
    )
    print(f"convolutions: {network}, batch {BATCH}, masked Adam, {machine().words}; iterations/s of all lanes")
    for name in ("inside", lanes, "outside", "torch"):
        line(name, sides.rate(name))
    line(f"{lanes} / one", sides.ratio(lanes, "inside"))
    line("one lane / torch's default loop on its CPU", sides.ratio("inside", "torch"))
    return line("a step inside the loop / one outside", sides.ratio("outside", "inside"), 3, at_most=True)


def _recipe(steps: int) -> Train:
    """Enough for the first run, which compiles, and all rounds."""
    iterations = steps * (ROUNDS + 1)
    return Train(iterations=iterations, batch=BATCH, learning_rate=2e-4, evaluate_every=iterations)


def _inside(network: str, steps: int, count: int) -> Callable[[], float]:
    """Iterations a second of `count` lanes together, as the engine trains them."""
    recipe = _recipe(steps)
    program = Program.of(network, IMAGE, CLASSES, recipe)
    pixels, labels = noise(IMAGE, EXAMPLES)
    data = DataOnDevices.put(min(count, machine().devices), (pixels, labels), (pixels[:1], labels[:1]))
    pack = LaneBatch(program, [half_lane(network, IMAGE, EXAMPLES, recipe, seed) for seed in range(count)], data, count)

    def run() -> float:
        begun = time.perf_counter()
        pack.dispatch(1, steps, False).wait()
        return count * steps / (time.perf_counter() - begun)

    return run


def _outside(network: str, steps: int) -> Callable[[], float]:
    """The same step as a compiled function of its own, called for each step."""
    recipe = _recipe(steps)
    lane = half_lane(network, IMAGE, EXAMPLES, recipe, 0)
    rule = optimizer_of(Program.of(network, IMAGE, CLASSES, recipe))
    apply = build(network, IMAGE, CLASSES).apply
    pixels, labels = (jnp.asarray(part) for part in noise(IMAGE, EXAMPLES))
    masks = {name: jnp.asarray(mask) for name, mask in lane.masks.items()}

    @jax.jit
    def step(params, moments, masks, pixels, labels, rows):  # type: ignore[no-untyped-def]
        images = (pixels[rows].astype(jnp.float32) / 255 - MEAN) / STD

        def loss_of(params):  # type: ignore[no-untyped-def]
            return optax.softmax_cross_entropy_with_integer_labels(
                apply(params, {}, images, None)[0], labels[rows]
            ).mean()

        gradients = jax.grad(loss_of)(params)
        for name, mask in masks.items():
            gradients[name] = jnp.where(mask, gradients[name], 0)
        updates, moments = rule.update(gradients, moments)
        return jax.tree.map(lambda weight, update: weight - 2e-4 * update, params, updates), moments

    params = jax.tree.map(jnp.asarray, lane.start.params)
    state = [params, rule.init(params)]

    def run() -> float:
        begun = time.perf_counter()
        for rows in lane.order[:steps]:
            state[:] = step(*state, masks, pixels, labels, rows)
        jax.block_until_ready(state)
        return steps / (time.perf_counter() - begun)

    return run


def _torch(network: str, steps: int) -> Callable[[], float]:
    import torch
    from torch import nn

    pixels, labels = (torch.from_numpy(part) for part in noise(IMAGE, EXAMPLES))
    pixels, labels = pixels.permute(0, 3, 1, 2).contiguous(), labels.long()
    parts: list[nn.Module] = []
    layers = build(network, IMAGE, CLASSES).layers
    for layer, after in itertools.pairwise(layers):
        if layer.kind == "conv":
            parts += [nn.Conv2d(layer.shape[2], layer.shape[3], 3, padding=1), nn.ReLU()]
            if after.positions < layer.positions:
                parts.append(nn.MaxPool2d(2))
            if after.kind != "conv":
                parts.append(nn.Flatten())
        else:
            parts += [nn.LazyLinear(layer.shape[1]), nn.ReLU()]
    model = nn.Sequential(*parts, nn.LazyLinear(CLASSES))
    model(torch.zeros(1, IMAGE[2], *IMAGE[:2]))
    kernels = [param for param in model.parameters() if param.ndim > 1]
    masks = [(torch.rand_like(kernel) < 0.5).float() for kernel in kernels]
    rule = torch.optim.Adam(model.parameters(), lr=2e-4)
    loss_of = nn.CrossEntropyLoss()
    order = torch.from_numpy(batch_order(np.arange(EXAMPLES, dtype=np.int32), BATCH, steps, 0).astype(np.int64))

    def run() -> float:
        begun = time.perf_counter()
        for rows in order:
            loss = loss_of(model((pixels[rows].float() / 255 - MEAN) / STD), labels[rows])
            rule.zero_grad()
            loss.backward()
            for kernel, mask in zip(kernels, masks, strict=True):
                assert kernel.grad is not None
                kernel.grad.mul_(mask)
            rule.step()
        return steps / (time.perf_counter() - begun)

    return run
