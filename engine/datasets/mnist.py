"""MNIST: the four files of LeCun, Cortes and Burges."""

from engine.datasets import idx
from engine.datasets.published import Card, build_with
from engine.datasets.recipe import Original, Recipe

_CARD = Card(
    version="3.0.1",
    description="The MNIST database of handwritten digits.",
    homepage="http://yann.lecun.com/exdb/mnist/",
    citation="""@misc{lecun2010mnist, title={{MNIST} handwritten digit database},
author={LeCun, Yann and Cortes, Corinna and Burges, C. J.}, year={2010}, url={http://yann.lecun.com/exdb/mnist/}}""",
)

MNIST = Recipe(
    name="mnist",
    about="28x28 handwritten digits: the data of the paper's LeNet-300-100",
    image_shape=(28, 28, 1),
    train=60_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=build_with(_CARD, idx.read),
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
