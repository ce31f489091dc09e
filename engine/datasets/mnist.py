"""MNIST: the four files of LeCun, Cortes and Burges."""

from pathlib import Path

from engine.datasets.recipe import Arrays, Original, Recipe, Report


def _build(draft: Path, originals: Path, report: Report) -> Arrays:
    # TFDS takes a second to import; only a preparation needs it.
    from engine.datasets import mnist_tfds

    return mnist_tfds.build(draft / "tfds", originals, report)


MNIST = Recipe(
    name="mnist",
    about="28x28 handwritten digits: the data of the paper's LeNet-300-100",
    image_shape=(28, 28, 1),
    train=60_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=_build,
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
