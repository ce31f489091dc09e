"""The definition of a network: named layers, and pure functions of flat parameters.

Parameters are one dictionary by path, `conv1/kernel`, `bn1/scale`; state, which training updates without a gradient,
is another. Only the kernels of `layers` can be pruned.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import registry
from engine.rng import INIT_STREAM

if TYPE_CHECKING:
    import numpy as np
    from jax import Array
    from numpy.typing import NDArray

Params = dict[str, "Array"]
State = dict[str, "Array"]
HostArrays = dict[str, "NDArray[np.float32]"]
"""Parameters or state on the host, by path."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A network's parameters and state at one moment, on the host."""

    params: HostArrays
    state: HostArrays = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether every value is a finite number."""
        import numpy as np

        return all(bool(np.isfinite(array).all()) for array in (*self.params.values(), *self.state.values()))


class Training(NamedTuple):
    """Arguments of a network in training only: the key and the rate of dropout."""

    key: "Array"
    dropout: float = 0.0


@dataclass(frozen=True)
class LayerShape:
    """A layer with a kernel that can be pruned.

    **Arguments:** `kind`, such as dense, conv, output or shortcut; `shape` of the kernel, `[inputs, outputs]` or
    `[height, width, inputs, outputs]`; `positions`, how many output positions the kernel is applied at for one example;
    `reads`, its input layers, empty for the image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    positions: int = 1
    reads: tuple[str, ...] = ()

    @property
    def parameter(self) -> str:
        """The path of its kernel among the parameters."""
        return f"{self.name}/kernel"

    @property
    def size(self) -> int:
        """Weights of the kernel."""
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        """Output values for one example."""
        return self.positions * self.shape[-1]

    @property
    def multiplications(self) -> int:
        """Multiplications for one example."""
        return self.positions * self.size


@dataclass(frozen=True)
class Network:
    """A network for images of one shape and a number of classes.

    **Arguments:** `layers` in order of depth; `init(key)`, fresh parameters and state;
    `apply(params, state, images, training)`, logits `[B, classes]` and the new state from normalised images
    `[B, H, W, C]`, where `training` is None in evaluation, which leaves the state as it is.
    """

    layers: tuple[LayerShape, ...]
    init: Callable[["Array"], tuple[Params, State]]
    apply: Callable[[Params, State, "Array", Training | None], tuple["Array", State]]

    @property
    def weights(self) -> int:
        """Weights of all kernels."""
        return weight_count(self.layers)


def layer_of(parameter: str) -> str:
    """Return the layer of a parameter: `conv1` for `conv1/kernel`."""
    return parameter.rpartition("/")[0]


def weight_count(layers: tuple[LayerShape, ...]) -> int:
    """Return the number of weights in all kernels."""
    return sum(layer.size for layer in layers)


def build(name: str, image_shape: tuple[int, int, int], classes: int, **parameters: Any) -> Network:
    """Return the network of that name for images `[H, W, C]`.

    Raises KeyError for an unknown name or parameter, ValueError if the network cannot take such images or values.
    """
    entry = registry.network.entry(name)
    return _build(entry.value, image_shape, classes, tuple(sorted(entry.arguments(parameters).items())))


@lru_cache(64)
def _build(
    make: Callable[..., Network], image_shape: tuple[int, int, int], classes: int, parameters: tuple[Any, ...]
) -> Network:
    return make(image_shape, classes, **dict(parameters))


def image_problem(name: str, image_shape: tuple[int, int, int], **parameters: Any) -> str | None:
    """Return why a network cannot take images `[H, W, C]`, in one line; None if it can."""
    try:
        build(name, image_shape, 2, **parameters)
    except ValueError as error:
        return str(error)
    return None


def init_key(seed: int) -> "Array":
    """Return the key of the initial weights of a seed."""
    import jax

    return jax.random.fold_in(jax.random.key(seed), INIT_STREAM)


def initial_weights(network: Network, seed: int) -> Snapshot:
    """Return initial parameters and state, drawn on the CPU so that every device starts from the same bits."""
    import jax
    import numpy as np

    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        params, state = network.init(init_key(seed))
        host = [{name: np.asarray(array) for name, array in arrays.items()} for arrays in (params, state)]
        return Snapshot(*host)


def glorot(layers: tuple[LayerShape, ...], key: "Array") -> Params:
    """Return Glorot normal kernels and zero biases, with one key per layer.

    A normal of variance 2 / (inputs + outputs), both times the receptive field of a convolution, cut at two standard
    deviations and rescaled to that variance (Glorot & Bengio 2010).
    """
    import jax
    import jax.numpy as jnp

    draw = jax.nn.initializers.glorot_normal()
    params: Params = {}
    for depth, layer in enumerate(layers):
        params[layer.parameter] = draw(jax.random.fold_in(key, depth), layer.shape, jnp.float32)
        params[f"{layer.name}/bias"] = jnp.zeros(layer.shape[-1], jnp.float32)
    return params
