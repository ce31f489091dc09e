"""Convolution and pooling that train fast inside a compiled loop, on a CPU too."""

import jax
import jax.numpy as jnp
from jax import Array


def convolve(images: Array, kernel: Array) -> Array:
    """The 3x3 convolution with zero padding: `[B, H, W, C]` and `[3, 3, C, D]` to `[B, H, W, D]`.

    XLA's own gradient is right everywhere, but on a CPU inside a loop it leaves the library's fast kernel: 70 times
    slower. There the gradients are written out; accelerators keep XLA's.
    """
    return _written_out(images, kernel) if jax.default_backend() == "cpu" else plain(images, kernel)


def plain(images: Array, kernel: Array) -> Array:
    """The convolution as the library has it, gradients included."""
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def max_pool(images: Array) -> Array:
    """The greatest of each 2x2 pixels: `[B, 2H, 2W, C]` to `[B, H, W, C]`.

    Where several are the greatest, they share the gradient equally. A maximum over two axes, since the gradient of
    XLA's `reduce_window`, which gives it to the first, is slow on a CPU: a step of Conv-2 took 1.3 times as long.
    """
    batch, height, width, channels = images.shape
    return images.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


@jax.custom_vjp
def _written_out(images: Array, kernel: Array) -> Array:
    return plain(images, kernel)


def _forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return plain(images, kernel), (images, kernel)


def _backward(kept: tuple[Array, Array], above: Array) -> tuple[Array, Array]:
    images, kernel = kept
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return plain(above, turned), _kernel_gradient(images, above)


def _kernel_gradient(images: Array, above: Array) -> Array:
    """`[B, H, W, C]` and the gradient above `[B, H, W, D]` to the kernel's `[3, 3, C, D]`: nine shifted products.

    Three at a time, a kernel row: as fast as nine on many channels, and twice as fast on an image's three.
    """
    height, width, channels = images.shape[1:]
    outputs = above.shape[-1]
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    columns = jnp.concatenate([padded[:, :, column : column + width] for column in range(3)], axis=-1)
    flat = above.reshape(-1, outputs)
    rows = [columns[:, row : row + height].reshape(-1, 3 * channels).T @ flat for row in range(3)]
    return jnp.stack(rows).reshape(3, 3, channels, outputs)


_written_out.defvjp(_forward, _backward)
