"""What one compilation is made for, and what a lane's steps are fed with."""

from dataclasses import dataclass

import numpy as np
import optax
from numpy.typing import NDArray

from engine.rng import ORDER_STREAM, permutation
from engine.spec import Train

_CAPACITY = 1000


@dataclass(frozen=True)
class Program:
    """The static part of a training: two lanes with the same one run the same compiled code.

    `image_shape` is `[H, W, C]`; `evaluate_every` and `iterations` are in steps.
    """

    network: str
    image_shape: tuple[int, int, int]
    classes: int
    optimizer: str
    momentum: float
    batch: int
    evaluate_every: int
    iterations: int
    dropout: float = 0.0
    clamped: bool = False
    augment: bool = False

    @classmethod
    def of(
        cls,
        network: str,
        image_shape: tuple[int, int, int],
        classes: int,
        train: Train,
        iterations: int | None = None,
    ) -> "Program":
        """The program of a recipe, for so many of its `iterations` (all when left out)."""
        steps = train.iterations if iterations is None else iterations
        momentum = train.momentum if train.optimizer == "sgd" else 0.0
        every = min(train.evaluate_every, steps)
        return cls(
            network=network,
            image_shape=image_shape,
            classes=classes,
            optimizer=train.optimizer,
            momentum=momentum,
            batch=train.batch,
            evaluate_every=every,
            iterations=steps,
            dropout=train.dropout,
            clamped=train.clamp is not None,
            augment=train.augment,
        )

    @property
    def intervals(self) -> int:
        """Evaluation intervals that one call may run at the most."""
        return max(1, _CAPACITY // self.evaluate_every)

    @property
    def evaluations(self) -> tuple[int, ...]:
        """The iterations after which the network is validated; always after the last."""
        regular = range(self.evaluate_every, self.iterations + 1, self.evaluate_every)
        return tuple(regular) if self.iterations in regular else (*regular, self.iterations)


def optimizer_of(program: Program) -> optax.GradientTransformation:
    """The update rule without its learning rate, which is a value of each step.

    Adam with beta 0.9 and 0.999, epsilon 1e-8 (Kingma & Ba 2015); or momentum without dampening.
    """
    if program.optimizer == "adam":
        return optax.scale_by_adam()
    return optax.trace(program.momentum)


def learning_rates(train: Train) -> NDArray[np.float32]:
    """The learning rate of every step, `[iterations]`: step i (from 0) of the schedule under its warm-up."""
    steps = np.arange(train.iterations)
    rates = np.full(train.iterations, train.learning_rate)
    for milestone in train.milestones:
        rates[steps >= milestone] *= train.decay
    if train.warmup:
        rates *= np.minimum(1.0, (steps + 1) / train.warmup)
    return rates.astype(np.float32)


def batch_order(train: NDArray[np.int32], batch: int, iterations: int, seed: int) -> NDArray[np.int32]:
    """The examples of every step, `[iterations, batch]`: the indices `train`, shuffled anew each epoch.

    The epochs follow each other without a gap: a batch may end one and begin the next.
    """
    epochs = -(-iterations * batch // len(train))
    stream = np.concatenate([train[permutation(len(train), seed, ORDER_STREAM, epoch)] for epoch in range(epochs)])
    return stream[: iterations * batch].reshape(iterations, batch)
