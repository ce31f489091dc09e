"""Convolution and pooling that train fast inside a compiled loop, on a CPU too."""

import jax
import jax.numpy as jnp
from jax import Array


def convolve(images: Array, kernel: Array) -> Array:
    """The 3x3 convolution with zero padding: `[B, H, W, C]` and `[3, 3, C, D]` to `[B, H, W, D]`.

    On a CPU XLA's own gradients are convolutions of permuted axes, and inside a loop those leave the fast kernel:
    a step of Conv-2 took 19 s for 0.2. There the gradients are written out as
    forward convolutions of transposed arrays. Accelerators keep XLA's.
    """
    return _written_out(images, kernel) if jax.default_backend() == "cpu" else plain(images, kernel)


def plain(images: Array, kernel: Array) -> Array:
    """The library's, a pixel of zeros around: `[B, H, W, C]` and `[h, w, C, D]` to `[B, H - h + 3, W - w + 3, D]`."""
    around = ((1, 1), (1, 1))
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), around, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def max_pool(images: Array) -> Array:
    """The greatest of each 2x2 pixels: `[B, 2H, 2W, C]` to `[B, H, W, C]`; ties share the gradient equally.

    A maximum over two axes, since that of XLA's `reduce_window`, whose gradient goes to the first of a tie, costs
    a CPU four times as much: 52 ms for 13 at `[60, 32, 32, 64]`, there and back.
    """
    batch, height, width, channels = images.shape
    return images.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


@jax.custom_vjp
def _written_out(images: Array, kernel: Array) -> Array:
    return plain(images, kernel)


def _forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return plain(images, kernel), (images, kernel)


def _backward(kept: tuple[Array, Array], above: Array) -> tuple[Array, Array]:
    """From the gradient above, `[B, H, W, D]`, to those of the images and of the kernel."""
    images, kernel = kept
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    # The kernel's: channels take the place of examples, and the gradient above is a kernel of the whole image's size.
    # Measured on two cores for Conv-6's six layers: 296 ms of CPU time, as nine shifted matrix products 427.
    shifted = plain(images.transpose(3, 1, 2, 0), above.transpose(1, 2, 0, 3))
    return plain(above, turned), shifted.transpose(1, 2, 0, 3)


_written_out.defvjp(_forward, _backward)


def dense(params: dict[str, Array], name: str, inputs: Array) -> Array:
    """The dense layer `name`: `[B, I]` to `[B, O]`."""
    return inputs @ params[f"{name}/kernel"] + params[f"{name}/bias"]


def conv(params: dict[str, Array], name: str, images: Array) -> Array:
    """The 3x3 convolution `name` with its bias: `[B, H, W, C]` to `[B, H, W, D]`."""
    return convolve(images, params[f"{name}/kernel"]) + params[f"{name}/bias"]


def dropout(values: Array, rate: float, key: Array) -> Array:
    """Each value dropped with probability `rate`, the others scaled up to keep the mean (Srivastava et al. 2014)."""
    if not rate:
        return values
    kept = jax.random.bernoulli(key, 1 - rate, values.shape)
    return jnp.where(kept, values / (1 - rate), 0)
