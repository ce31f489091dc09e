"""Published files as a TFDS data set that needs no TensorFlow. Importing this module imports TFDS."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from engine.datasets.published import Card, Reader
from engine.datasets.recipe import Arrays, Recipe, Report

_REPORT_EVERY = 1000


def build(recipe: Recipe, card: Card, read: Reader, folder: Path, originals: Path, report: Report) -> Arrays:
    """Write TFDS's records below `folder` from the files in `originals`, where nothing is written.

    **Returns:** the arrays, in the order of the original files, which is the order of the records too.
    """
    # TFDS wants these as attributes of the class.
    attributes = {
        "name": recipe.name,
        "VERSION": tfds.core.Version(card.version),
        "url_infos": {
            recipe.url + original.name: tfds.download.checksums.UrlInfo(
                size=original.size, checksum=original.sha256, filename=original.name
            )
            for original in recipe.originals
        },
    }
    tfds.disable_progress_bar()
    builder = type("Published", (_Records,), attributes, skip_registration=True)(
        recipe,
        card,
        read,
        lambda done: report("writing TFDS records", done),
        data_dir=str(folder),
        file_format="array_record",
    )
    builder.download_and_prepare(
        download_dir=str(folder / "downloads"),
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(originals), force_checksums_validation=True, try_download_gcs=False
        ),
    )
    shutil.rmtree(folder / "downloads")
    arrays: Arrays = builder.arrays
    for split, images, labels in (("train", *arrays[:2]), ("test", *arrays[2:])):
        _compare(builder.as_data_source(split), images, labels)
    return arrays


class _Records(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc, call-arg]
    """Examples `{"image": uint8 [H, W, C], "label": int32 []}`; splits `train` and `test`."""

    VERSION = tfds.core.Version("0.0.0")
    # Nothing of this dataset is described in files beside the code.
    pkg_dir_path = Path(__file__).with_name("no-such-folder")

    def __init__(self, recipe: Recipe, card: Card, read: Reader, report: Any, **options: Any):
        self._recipe, self._card, self._read, self._report = recipe, card, read, report
        super().__init__(**options)

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._card.description,
            # Image and ClassLabel features would import TensorFlow.
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=self._recipe.image_shape, dtype=np.uint8),
                    "label": tfds.features.Scalar(dtype=np.int32),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self._card.homepage,
            citation=self._card.citation,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        paths = dl_manager.download([self._recipe.url + original.name for original in self._recipe.originals])
        self.arrays = self._read(self._recipe, [Path(path) for path in paths])
        return {
            "train": self._generate_examples(*self.arrays[:2], 0),
            "test": self._generate_examples(*self.arrays[2:], self._recipe.train),
        }

    def _generate_examples(
        self, images: NDArray[np.uint8], labels: NDArray[np.int32], before: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        total = self._recipe.train + self._recipe.test
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            if index % _REPORT_EVERY == 0:
                self._report((before + index) / total)
            yield index, {"image": image, "label": label}

    def _log_download_bytes(self) -> None:
        """TFDS prints here; the terminal is not its to write to."""

    def _log_download_done(self) -> None:
        """As above."""


def _compare(records: Any, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
    """Read a few records back: they hold what the arrays hold, in the same order."""
    if len(records) != len(labels):
        raise RuntimeError(f"TFDS wrote {len(records)} records for {len(labels)} examples")
    for index in (0, len(labels) // 2, len(labels) - 1):
        record = records[index]
        if record["label"] != labels[index] or not np.array_equal(record["image"], images[index]):
            raise RuntimeError(f"TFDS wrote another example at {index}")
