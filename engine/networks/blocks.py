"""Parts of deep networks: strided convolutions, batch normalisation, and their initialisation.

Ioffe & Szegedy 2015 (arXiv 1502.03167); He et al. 2015 (arXiv 1502.01852) for the initialisation. Decay, epsilon and
the unbiased running variance are those of PyTorch, which the sources of the lottery ticket hypothesis use.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from engine.networks.base import LayerShape, Params, State

DECAY = 0.9
"""Share of the running statistics that one step keeps."""
EPSILON = 1e-5


def batch_norm(params: Params, state: State, name: str, images: Array, training: bool) -> tuple[Array, State]:
    """The batch normalisation `name` of `[B, H, W, C]` over all axes but the channels, and the new running statistics.

    Training normalises by the batch and moves `name/mean` and `name/var` towards its mean and its unbiased variance;
    evaluation normalises by the running ones and returns no state.
    """
    updates: State = {}
    if training:
        mean, var = images.mean((0, 1, 2)), images.var((0, 1, 2))
        count = images.size // images.shape[-1]
        for key, now in ((f"{name}/mean", mean), (f"{name}/var", var * (count / max(count - 1, 1)))):
            updates[key] = DECAY * state[key] + (1 - DECAY) * now
    else:
        mean, var = state[f"{name}/mean"], state[f"{name}/var"]
    factor = params[f"{name}/scale"] * jax.lax.rsqrt(var + EPSILON)
    return (images - mean) * factor + params[f"{name}/bias"], updates


def conv3x3(params: Params, name: str, images: Array, stride: int = 1) -> Array:
    """The 3x3 convolution `name` without a bias: `[B, H, W, C]` to `[B, ceil(H / stride), ceil(W / stride), D]`."""
    kernel = params[f"{name}/kernel"]
    if jax.default_backend() == "cpu":
        return _convolve_on_cpu(images, kernel, stride)
    return convolve(images, kernel, stride)


def conv1x1(params: Params, name: str, images: Array, stride: int = 1) -> Array:
    """The 1x1 convolution `name` without a bias, as a matrix product; shapes as of `conv3x3`.

    Its gradients are matrix products too, fast inside a loop.
    """
    return images[:, ::stride, ::stride] @ params[f"{name}/kernel"][0, 0]


def convolve(images: Array, kernel: Array, stride: int) -> Array:
    """XLA's convolution with one pixel of zeros around: `[B, H, W, C]` and `[3, 3, C, D]`."""
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve_on_cpu(images: Array, kernel: Array, stride: int) -> Array:
    """`convolve` with gradients that stay fast inside a compiled loop on a CPU, where XLA's own do not."""
    return convolve(images, kernel, stride)


def _forward(images: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return convolve(images, kernel, stride), (images, kernel)


def _backward(stride: int, kept: tuple[Array, Array], above: Array) -> tuple[Array, Array]:
    images, kernel = kept
    return _image_gradient(above, kernel, stride, images.shape), _kernel_gradient(images, above, stride)


_convolve_on_cpu.defvjp(_forward, _backward)


def _image_gradient(above: Array, kernel: Array, stride: int, shape: tuple[int, ...]) -> Array:
    """A forward convolution of the gradient above, with zeros between its pixels, by the kernel turned round."""
    sizes = zip(shape[1:3], above.shape[1:3], strict=True)
    padding = [(1, _zeros_after(size, places, stride) + 1) for size, places in sizes]
    return jax.lax.conv_general_dilated(
        above,
        jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
        (1, 1),
        padding,
        lhs_dilation=(stride, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _kernel_gradient(images: Array, above: Array, stride: int) -> Array:
    """One matrix product: the images at the kernel's three columns by the gradient above at its three rows.

    Entry (row, column) of the kernel sums over the same pixels for all rows and columns if the images move sideways and
    the gradient above moves up and down, so that a product of `3C` by `3D` holds all nine. On one core it took a sixth
    of the time of a convolution by the gradient above for 16 channels at 32x32, half for 64 at 8x8.
    """
    (height, _, channels), (rows, columns, outputs) = images.shape[1:], above.shape[1:]
    wide = jnp.pad(images, ((0, 0), (0, 0), (1, 1), (0, 0)))
    sideways = jnp.concatenate([wide[:, :, place:][:, :, ::stride][:, :, :columns] for place in range(3)], -1)
    after = _zeros_after(height, rows, stride)
    # Zeros between the rows for a stride; a padding of -1 cuts a row off.
    upright = jnp.concatenate(
        [
            jax.lax.pad(
                above, jnp.zeros((), above.dtype), ((0, 0, 0), (row - 1, after + 1 - row, stride - 1), *[(0, 0, 0)] * 2)
            )
            for row in range(3)
        ],
        -1,
    )
    products = sideways.reshape(-1, 3 * channels).T @ upright.reshape(-1, 3 * outputs)
    return products.reshape(3, channels, 3, outputs).transpose(2, 0, 1, 3)


def _zeros_after(size: int, places: int, stride: int) -> int:
    """Pixels that come after the last of `places` pixels, `stride` apart, in an image of that `size`."""
    return size - ((places - 1) * stride + 1)


def he_normal(layers: tuple[LayerShape, ...], key: Array) -> Params:
    """Kernels of He et al. 2015, each from a key of its own: normal, not cut, of variance 2 / inputs.

    Inputs count the receptive field of a convolution.
    """
    draw = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal")
    return {
        layer.parameter: draw(jax.random.fold_in(key, depth), layer.shape, jnp.float32)
        for depth, layer in enumerate(layers)
    }


def uniform_bias(layer: LayerShape, key: Array) -> Params:
    """The bias of a layer as PyTorch draws it: uniform between -1 and 1 over the square root of its inputs."""
    bound = (layer.size // layer.shape[-1]) ** -0.5
    return {f"{layer.name}/bias": jax.random.uniform(key, layer.shape[-1:], jnp.float32, -bound, bound)}


def batch_norm_start(name: str, channels: int, key: Array) -> tuple[Params, State]:
    """Parameters and state of a batch normalisation: scale uniform in [0, 1), bias 0, mean 0, variance 1.

    The scale is that of open_lth (`batchnorm_init = uniform`), the code of Frankle et al. 2020.
    """
    zeros, ones = jnp.zeros(channels, jnp.float32), jnp.ones(channels, jnp.float32)
    params = {f"{name}/scale": jax.random.uniform(key, (channels,), jnp.float32), f"{name}/bias": zeros}
    return params, {f"{name}/mean": zeros, f"{name}/var": ones}
