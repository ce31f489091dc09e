"""MNIST and Fashion-MNIST: four gzipped IDX files each, of the same sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine import registry
from engine.datasets.source import Arrays, Original, Source
from engine.datasets.tfds import Citation, build_with
from engine.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BYTES = 0x08


def read(source: Source, paths: Sequence[Path]) -> Arrays:
    """Read the arrays from four files: training images and labels, test images and labels.

    **Raises:** BadInput for a file that is damaged or has other sizes than `source` names.
    """
    import numpy as np

    height, width, _ = source.image_shape
    shapes = ((source.train, height, width), (source.train,), (source.test, height, width), (source.test,))
    images, labels, test_images, test_labels = map(_read, paths, shapes)
    return Arrays(images[..., None], labels.astype(np.int32), test_images[..., None], test_labels.astype(np.int32))


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read `shape` bytes after the header: two zeros, the type, the rank, each size as a big-endian 32-bit number."""
    import gzip
    import zlib

    import numpy as np

    header = bytes((0, 0, _BYTES, len(shape))) + np.array(shape, ">u4").tobytes()
    wanted = len(header) + int(np.prod(shape))
    try:
        with gzip.open(path) as file:
            data = file.read(wanted + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: damaged ({error})") from error
    if not data.startswith(header) or len(data) != wanted:
        raise BadInput(f"{path}: not the file expected, an IDX array of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)


_MNIST = Citation(
    version="3.0.1",
    description="The MNIST database of handwritten digits.",
    homepage="http://yann.lecun.com/exdb/mnist/",
    citation="""@misc{lecun2010mnist, title={{MNIST} handwritten digit database},
author={LeCun, Yann and Cortes, Corinna and Burges, C. J.}, year={2010}, url={http://yann.lecun.com/exdb/mnist/}}""",
)

MNIST = Source(
    name="mnist",
    about="28x28 handwritten digits: the data of the paper's LeNet-300-100",
    image_shape=(28, 28, 1),
    train=60_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=build_with(_MNIST, read),
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    originals=(
        Original(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        Original(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        Original(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        Original(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
)
registry.dataset.add(
    MNIST.name, MNIST.about, MNIST, source="LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/"
)

_FASHION = Citation(
    version="3.0.1",
    description="Zalando's article images, a drop-in replacement for MNIST.",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    citation="""@article{xiao2017fashion, title={Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms}, author={Xiao, Han and Rasul, Kashif and Vollgraf, Roland}, journal={arXiv:1708.07747},
year={2017}}""",
)

FASHION_MNIST = Source(
    name="fashion_mnist",
    about="28x28 articles of clothing: MNIST's sizes, a harder task",
    image_shape=(28, 28, 1),
    train=60_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=build_with(_FASHION, read),
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    originals=(
        Original(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        Original(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        Original(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        Original(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
)
registry.dataset.add(
    FASHION_MNIST.name, FASHION_MNIST.about, FASHION_MNIST, source="Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747"
)
