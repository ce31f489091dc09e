"""The static part of a training, and the order and learning rates of its steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import registry
from engine.rng import ORDER_STREAM, permutation
from engine.spec import Train

if TYPE_CHECKING:
    import optax
    from jaxtyping import Float32, Int32


@dataclass(frozen=True)
class Program:
    """The static part of a training: lanes with equal programs share one compilation.

    **Arguments:** `network`, a name in the registry, and `parameters`, the values of its parameters by name;
    `image_shape`, `[H, W, C]`; `evaluate_every`, steps between validations; `optimizer`, a name in the registry, and
    `settings`, the values of its parameters by name; `weight_decay`, the L2 coefficient.
    """

    network: str
    image_shape: tuple[int, int, int]
    classes: int
    batch: int
    evaluate_every: int
    optimizer: str
    settings: tuple[tuple[str, Any], ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    weight_decay: float = 0.0
    dropout: float = 0.0
    augment: bool = False

    @classmethod
    def of(
        cls,
        network: str,
        image_shape: tuple[int, int, int],
        classes: int,
        train: Train,
        parameters: Mapping[str, Any] = {},
    ) -> Program:
        """The program of a recipe; `parameters` are the network's."""
        return cls(
            network=network,
            image_shape=image_shape,
            classes=classes,
            batch=train.batch,
            evaluate_every=train.evaluate_every,
            optimizer=train.optimizer,
            settings=tuple(_fields(registry.optimizer[train.optimizer], train).items()),
            parameters=tuple(sorted(registry.network.entry(network).arguments(parameters).items())),
            weight_decay=train.weight_decay,
            dropout=train.dropout,
            augment=train.augment,
        )


def optimizer_of(program: Program) -> optax.GradientTransformation:
    """The update rule, without the learning rate and the weight decay."""
    return registry.optimizer[program.optimizer](**dict(program.settings))


def learning_rates(train: Train) -> Float32[NDArray[np.float32], " iterations"]:
    """Return the learning rate of every step, `[iterations]`: the schedule times a linear warm-up."""
    steps = np.arange(train.iterations)
    schedule = registry.schedule[train.schedule]
    rates = train.learning_rate * np.asarray(schedule(steps, **_fields(schedule, train)), np.float64)
    if train.warmup:
        rates *= np.minimum(1.0, (steps + 1) / train.warmup)
    return rates.astype(np.float32)


def batch_order(
    train: Int32[NDArray[np.int32], " N"], batch: int, iterations: int, seed: int
) -> Int32[NDArray[np.int32], "{iterations} {batch}"]:
    """Return the examples of every step, `[iterations, batch]`: the indices `train`, reshuffled each epoch.

    Epochs are concatenated: a batch can span two epochs.
    """
    epochs = -(-iterations * batch // len(train))
    stream = np.concatenate([train[permutation(len(train), seed, ORDER_STREAM, epoch)] for epoch in range(epochs)])
    return stream[: iterations * batch].reshape(iterations, batch)


def _fields(function: Callable[..., Any], train: Train) -> dict[str, Any]:
    """The fields of the recipe that a function takes as keyword-only parameters."""
    return {
        name: getattr(train, name)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name in type(train).model_fields
    }
