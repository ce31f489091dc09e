"""The 1,797 handwritten digits that come with scikit-learn: real data without a download."""

from pathlib import Path

from engine import registry
from engine.datasets.source import Arrays, Report, Source

_TEST_SHARE = 0.2
_TEST_SEED = 0
_BRIGHTEST = 16


def _build(source: Source, draft: Path, originals: Path, report: Report) -> Arrays:
    """Hold out a fixed stratified fifth as the test set; scale 0..16 to 0..255, to the nearest."""
    report("reading scikit-learn's digits", 0.0)
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits().images, load_digits().target
    images = np.rint(images[..., None] * (255 / _BRIGHTEST)).astype(np.uint8)
    labels = labels.astype(np.int32)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=_TEST_SHARE, random_state=_TEST_SEED, stratify=labels
    )
    train, test = np.sort(train), np.sort(test)
    return Arrays(images[train], labels[train], images[test], labels[test])


DIGITS = Source(
    name="digits",
    about="8x8 handwritten digits, built in: for trying things out",
    image_shape=(8, 8, 1),
    train=1437,
    test=360,
    classes=10,
    validation_size=143,
    build=_build,
)
registry.dataset.add(DIGITS.name, DIGITS.about, DIGITS, source="Alpaydin and Kaynak 1998, UCI; scikit-learn's copy")
