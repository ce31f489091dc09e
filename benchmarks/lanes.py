"""Training LeNet-300-100 at 28x28 in lanes, against torch doing the same work, and against the matrix products alone.

The same work: rows of uint8 pixels gathered by index, normalised, forward, backward, masked gradients, Adam.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sample import CLASSES, MEAN, STD, half_lane, noise
from benchmarks.sides import Sides, line
from engine.networks import build
from engine.spec import Train
from engine.training import (
    DataOnDevices,
    LaneBatch,
    Program,
    StepTimer,
    machine,
    prepare_jax,
    train,
)

EXAMPLES, BATCH, STEPS = 20_000, 60, 1_500
NETWORK, IMAGE = "lenet-300-100", (28, 28, 1)
ROUNDS = 9


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        prepare_jax(Path(folder))
        return _cpu() if machine().on_cpu else _accelerator()


def _cpu() -> bool:
    sides = Sides(
        {
            "one lane": _lanes(1),
            "two lanes": _lanes(min(2, machine().devices)),
            "torch fused": _torch(fused=True),
            "torch": _torch(fused=False),
            "products": _products(),
        },
        ROUNDS,
    )
    print(f"lanes: LeNet-300-100, batch {BATCH}, masked Adam, {machine().words}; iterations/s of all lanes")
    for name in ("one lane", "two lanes", "torch fused", "torch", "products"):
        line(name, sides.rate(name))
    return all(
        [
            line("one lane / torch with fused Adam", sides.ratio("one lane", "torch fused"), 1.6),
            line("one lane / torch's default loop", sides.ratio("one lane", "torch"), 2.7),
            line("one lane / its matrix products alone", sides.ratio("one lane", "products"), 0.6),
            line("two lanes / one lane", sides.ratio("two lanes", "one lane"), 1.35),
        ]
    )


def _accelerator() -> bool:
    counts = (1, 16, 64)
    sides = Sides({f"{count} lanes": _lanes(count) for count in counts}, ROUNDS)
    print(f"lanes: LeNet-300-100, batch {BATCH}, masked Adam, {machine().words}; iterations/s of all lanes")
    for count in counts:
        line(f"{count} lanes", sides.rate(f"{count} lanes"))
    for count in counts[1:]:
        line(f"{count} lanes / 1 lane", sides.ratio(f"{count} lanes", "1 lanes"))
    return True


def _lanes(count: int) -> Callable[[], float]:
    """Iterations a second of `count` lanes together, after the first quarter of a round."""
    recipe = Train(iterations=STEPS, batch=BATCH, evaluate_every=STEPS // 10)
    program = Program.of(NETWORK, IMAGE, CLASSES, recipe)
    devices = min(count, machine().devices)
    width = count if machine().on_cpu else machine().width(count)
    pixels, labels = noise(IMAGE, EXAMPLES)
    data = DataOnDevices.put(devices, (pixels, labels), (pixels[:100], labels[:100]))
    lanes = [half_lane(NETWORK, IMAGE, EXAMPLES, recipe, seed) for seed in range(count)]
    pace = StepTimer()

    def run() -> float:
        pack = LaneBatch(program, lanes, data, width)
        ticks: list[tuple[float, int]] = []

        def between(iteration: int, *_: object) -> bool:
            ticks.append((time.perf_counter(), iteration))
            return True

        train(pack, pace, between)
        then, before = next(tick for tick in ticks if tick[1] >= STEPS // 4)
        return count * (STEPS - before) / (ticks[-1][0] - then)

    return run


def _torch(*, fused: bool) -> Callable[[], float]:
    import torch

    pixels, labels = (torch.from_numpy(part) for part in noise(IMAGE, EXAMPLES))
    labels = labels.long()
    lane = half_lane(NETWORK, IMAGE, EXAMPLES, Train(iterations=STEPS, batch=BATCH, evaluate_every=STEPS), 0)
    kernels = [torch.from_numpy(lane.start.params[name].copy()) for name in lane.masks]
    layers = [(kernel, torch.zeros(kernel.shape[1])) for kernel in kernels]
    params = [tensor.requires_grad_() for pair in layers for tensor in pair]
    masks = [torch.from_numpy(mask.astype(np.float32)) for mask in lane.masks.values()]
    order = torch.from_numpy(lane.order.astype(np.int64))
    rule = torch.optim.Adam(params, lr=1.2e-3, fused=fused or None)
    loss_of = torch.nn.CrossEntropyLoss()
    steps = STEPS // 3

    def run() -> float:
        begun = time.perf_counter()
        for rows in order[:steps]:
            hidden = ((pixels[rows].float() / 255 - MEAN) / STD).flatten(1)
            for depth, (kernel, bias) in enumerate(layers):
                hidden = torch.addmm(bias, hidden, kernel)
                if depth < len(layers) - 1:
                    hidden = torch.relu(hidden)
            loss = loss_of(hidden, labels[rows])
            rule.zero_grad()
            loss.backward()
            for (kernel, _), mask in zip(layers, masks, strict=True):
                kernel.grad.mul_(mask)
            rule.step()
        return steps / (time.perf_counter() - begun)

    return run


def _products() -> Callable[[], float]:
    """Steps a second if a step were its matrix products and nothing else: the roofline.

    Each layer's forward product and weight gradient, and the input gradient of all but the first, at the rate
    measured for these very shapes on all cores.
    """
    draw = np.random.default_rng(1)
    sizes = [layer.shape for layer in build(NETWORK, IMAGE, CLASSES).layers]
    arrays = [
        tuple(jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in ((BATCH, a), (a, b), (BATCH, b)))
        for a, b in sizes
    ]

    def products(inputs: jax.Array, kernel: jax.Array, above: jax.Array, number: jax.Array) -> tuple[jax.Array, ...]:
        # The small factors change with each step, so that no product can be moved out of the loop.
        inputs, above = inputs + number, above + number
        return inputs @ kernel, inputs.T @ above, above @ kernel.T

    @jax.jit
    def many(arrays: list[tuple[jax.Array, ...]], steps: int) -> list[tuple[jax.Array, ...]]:
        def step(number: jax.Array, _: object) -> list[tuple[jax.Array, ...]]:
            found = [products(*layer, number * 1e-6) for layer in arrays]
            return [found[0][:2], *found[1:]]

        return jax.lax.fori_loop(1, steps, step, step(jnp.int32(0), None))

    def run() -> float:
        begun = time.perf_counter()
        jax.block_until_ready(many(arrays, STEPS))
        return STEPS / (time.perf_counter() - begun)

    return run
