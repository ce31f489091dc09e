"""Fashion-MNIST: Zalando's four files, in MNIST's format and sizes."""

from engine.datasets import idx
from engine.datasets.published import Card, build_with
from engine.datasets.recipe import Original, Recipe

_CARD = Card(
    version="3.0.1",
    description="Zalando's article images, a drop-in replacement for MNIST.",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    citation="""@article{xiao2017fashion, title={Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms}, author={Xiao, Han and Rasul, Kashif and Vollgraf, Roland}, journal={arXiv:1708.07747},
year={2017}}""",
)

FASHION_MNIST = Recipe(
    name="fashion_mnist",
    about="28x28 articles of clothing: MNIST's sizes, a harder task",
    image_shape=(28, 28, 1),
    train=60_000,
    test=10_000,
    classes=10,
    validation_size=5_000,
    build=build_with(_CARD, idx.read),
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
