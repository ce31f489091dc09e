"""MNIST as a TFDS builder that needs no TensorFlow. Importing this module imports TFDS."""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from engine.datasets.mnist import MNIST
from engine.datasets.recipe import Arrays, Report

_CITATION = """@misc{lecun2010mnist, title={{MNIST} handwritten digit database},
author={LeCun, Yann and Cortes, Corinna and Burges, C. J.}, year={2010}, url={http://yann.lecun.com/exdb/mnist/}}"""
_REPORT_EVERY = 1000


def build(folder: Path, originals: Path, report: Report) -> Arrays:
    """Write TFDS's records below `folder` from the files in `originals`, where nothing is written.

    **Returns:** the arrays, in the order of the original files, which is the order of the records too.
    """
    tfds.disable_progress_bar()
    builder = Mnist(
        data_dir=str(folder),
        file_format="array_record",
        report=lambda done: report("writing TFDS records", done),
    )
    builder.download_and_prepare(
        download_dir=str(folder / "downloads"),
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(originals), force_checksums_validation=True, try_download_gcs=False
        ),
    )
    shutil.rmtree(folder / "downloads")
    arrays = builder.arrays
    for split, images, labels in (("train", *arrays[:2]), ("test", *arrays[2:])):
        _compare(builder.as_data_source(split), images, labels)
    return arrays


class Mnist(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc, call-arg]
    """Examples `{"image": uint8 [28, 28, 1], "label": int32 []}`; splits `train` and `test`."""

    VERSION = tfds.core.Version("3.0.1")
    # Nothing of this dataset is described in files beside the code.
    pkg_dir_path = Path(__file__).with_name("no-such-folder")
    url_infos = {
        MNIST.url + original.name: tfds.download.checksums.UrlInfo(
            size=original.size, checksum=original.sha256, filename=original.name
        )
        for original in MNIST.originals
    }

    def __init__(self, *, report: Any, **options: Any):
        self._report = report
        super().__init__(**options)

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description="The MNIST database of handwritten digits.",
            # Image and ClassLabel features would import TensorFlow.
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=MNIST.image_shape, dtype=np.uint8),
                    "label": tfds.features.Scalar(dtype=np.int32),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="http://yann.lecun.com/exdb/mnist/",
            citation=_CITATION,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        paths = dl_manager.download([MNIST.url + original.name for original in MNIST.originals])
        images, labels, test_images, test_labels = (_read_idx(Path(path)) for path in paths)
        self.arrays = Arrays(
            images[..., None], labels.astype(np.int32), test_images[..., None], test_labels.astype(np.int32)
        )
        return {
            "train": self._generate_examples(*self.arrays[:2], 0),
            "test": self._generate_examples(*self.arrays[2:], len(labels)),
        }

    def _generate_examples(
        self, images: NDArray[np.uint8], labels: NDArray[np.int32], before: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        total = MNIST.train + MNIST.test
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            if index % _REPORT_EVERY == 0:
                self._report((before + index) / total)
            yield index, {"image": image, "label": label}

    def _log_download_bytes(self) -> None:
        """TFDS prints here; the terminal is not its to write to."""

    def _log_download_done(self) -> None:
        """As above."""


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """An array from a gzipped IDX file: its fourth byte counts dimensions, big-endian sizes follow."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _compare(records: Any, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
    """Read a few records back: they hold what the arrays hold, in the same order."""
    if len(records) != len(labels):
        raise RuntimeError(f"TFDS wrote {len(records)} records for {len(labels)} examples")
    for index in (0, len(labels) // 2, len(labels) - 1):
        record = records[index]
        if record["label"] != labels[index] or not np.array_equal(record["image"], images[index]):
            raise RuntimeError(f"TFDS wrote another example at {index}")
