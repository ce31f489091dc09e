"""A convolution with batch normalisation (Ioffe & Szegedy 2015), then the mean over the image."""

from engine.networks import LayerShape, Network, glorot
from engine.registry import network

WIDTH, MOMENTUM, EPSILON = 16, 0.9, 1e-5


@network("conv-1-bn", "one convolution, batch normalisation, global average pool", source="an example")
def conv_bn(image_shape, classes):
    height, columns, channels = image_shape
    layers = (
        LayerShape("conv1", "conv", (3, 3, channels, WIDTH), positions=height * columns),
        LayerShape("output", "output", (WIDTH, classes), reads=("conv1",)),
    )

    def init(key):
        import jax.numpy as jnp

        zeros, ones = jnp.zeros(WIDTH), jnp.ones(WIDTH)
        params = glorot(layers, key) | {"bn1/scale": ones, "bn1/bias": zeros}
        return params, {"bn1/mean": zeros, "bn1/variance": ones}

    def apply(params, state, images, training):
        import jax

        from engine.networks.ops import conv, dense

        values = conv(params, "conv1", images)
        mean, variance = state["bn1/mean"], state["bn1/variance"]
        if training is not None:
            state = {
                "bn1/mean": MOMENTUM * mean + (1 - MOMENTUM) * values.mean((0, 1, 2)),
                "bn1/variance": MOMENTUM * variance + (1 - MOMENTUM) * values.var((0, 1, 2)),
            }
            mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
        values = (values - mean) * jax.lax.rsqrt(variance + EPSILON) * params["bn1/scale"] + params["bn1/bias"]
        return dense(params, "output", jax.nn.relu(values).mean((1, 2))), state

    return Network(layers, init, apply)
