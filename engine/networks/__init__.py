"""Networks: pure functions of flat parameters, one file a family, each registered under its name.

A *layer* has a kernel that can be pruned; its *parameter* is the kernel's path, `conv1/kernel`. *State* is updated in
training without a gradient, such as batch statistics. JAX is imported when a function needs it, so shapes of layers are
available without it.
"""

from engine.networks.base import (
    HostArrays,
    LayerShape,
    Network,
    Params,
    Snapshot,
    State,
    Training,
    build,
    glorot,
    image_problem,
    init_key,
    initial_weights,
    layer_of,
    weight_count,
)

__all__ = [
    "HostArrays",
    "LayerShape",
    "Network",
    "Params",
    "Snapshot",
    "State",
    "Training",
    "build",
    "glorot",
    "image_problem",
    "init_key",
    "initial_weights",
    "layer_of",
    "weight_count",
]
