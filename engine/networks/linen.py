"""Networks from Flax: a `flax.linen` module becomes a network in a line.

    @network("my-net", "a small network with batch normalisation")
    def my_net(image_shape, classes):
        return from_linen(MyNet(classes), image_shape)

`MyNet.__call__(images, train: bool)` returns logits `[B, classes]`. Its parameters are named by their paths in the
module, `Conv_0/kernel`; batch statistics are state. Every kernel can be pruned; the last is the output layer.
"""

from typing import TYPE_CHECKING, Any

from engine.networks.base import LayerShape, Network, Params, State, Training

if TYPE_CHECKING:
    from flax import linen
    from jax import Array

PARAMS, STATE = "params", "batch_stats"


def from_linen(module: "linen.Module", image_shape: tuple[int, int, int]) -> Network:
    """The network that a module computes on images `[H, W, C]`.

    The module is called with `train`, and with a key named `dropout` in training; it draws dropout at its own rate, not
    the recipe's. Layers read one another in the order in which the module calls them. Raises ValueError for variables
    other than parameters and batch statistics, and where no parameter is a kernel.
    """
    import jax
    import jax.numpy as jnp

    outputs: dict[str, tuple[int, ...]] = {}

    def init(key: "Array") -> tuple[Params, State]:
        variables = module.init({"params": key}, jnp.zeros((1, *image_shape), jnp.float32), train=False)
        if set(variables) - {PARAMS, STATE}:
            others = ", ".join(sorted(set(variables) - {PARAMS, STATE}))
            raise ValueError(f"{type(module).__name__}: found variables {others}; allowed: {PARAMS} and {STATE}")
        return _flat(variables.get(PARAMS, {})), _flat(variables.get(STATE, {}))

    def apply(params: Params, state: State, images: "Array", training: Training | None) -> tuple["Array", State]:
        variables = {PARAMS: _nested(params), STATE: _nested(state)}
        if training is None:
            logits: Any = module.apply(variables, images, train=False)
            return logits, state
        logits, changed = module.apply(variables, images, train=True, mutable=[STATE], rngs={"dropout": training.key})
        return logits, _flat(changed.get(STATE, {}))

    def observe() -> Params:
        """The parameters, while the shape of each module's output is noted in the order of the calls."""
        from flax import linen

        def note(call: Any, arguments: Any, keywords: Any, context: Any) -> Any:
            found = call(*arguments, **keywords)
            if hasattr(found, "shape"):
                outputs["/".join(context.module.path)] = found.shape
            return found

        with linen.intercept_methods(note):
            return init(jax.random.key(0))[0]

    shapes = jax.eval_shape(observe)
    names = [name for name in outputs if f"{name}/kernel" in shapes]
    if not names:
        raise ValueError(
            f"{type(module).__name__}: found no kernel; allowed: a module with a dense layer or convolution"
        )
    layers = []
    for place, name in enumerate(names):
        shape = tuple(shapes[f"{name}/kernel"].shape)
        kind = "output" if place == len(names) - 1 else "dense" if len(shape) == 2 else "conv"
        positions = 1
        for side in outputs[name][1:-1]:
            positions *= side
        layers.append(LayerShape(name, kind, shape, positions, tuple(names[max(0, place - 1) : place])))
    return Network(tuple(layers), init, apply)


def _flat(tree: Any) -> dict[str, Any]:
    from flax.traverse_util import flatten_dict

    found: dict[str, Any] = flatten_dict(tree, sep="/")  # type: ignore[no-untyped-call]
    return found


def _nested(arrays: dict[str, Any]) -> Any:
    from flax.traverse_util import unflatten_dict

    return unflatten_dict(arrays, sep="/")  # type: ignore[no-untyped-call]
