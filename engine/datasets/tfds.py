"""Published files as a TFDS data set that needs no TensorFlow.

TFDS verifies the files and keeps them as records; the arrays are kept beside them. Importing TFDS takes a second, so it
is imported when a data set is prepared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.datasets.source import Arrays, Build, Report, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reader = Callable[[Source, Sequence[Path]], Arrays]
"""Takes the source and the paths of its originals, in their order. Raises BadInput for an unexpected file."""

_REPORT_EVERY = 1000


@dataclass(frozen=True)
class Citation:
    """The metadata of TFDS records; `version` is that of TFDS's own builder of the same data."""

    version: str
    description: str
    homepage: str
    citation: str


def build_with(citation: Citation, read: Reader) -> Build:
    """Return the `build` of a source: TFDS verifies and keeps the files that `read` turns into arrays."""

    def build(source: Source, draft: Path, originals: Path, report: Report) -> Arrays:
        return _build(source, citation, read, draft / "tfds", originals, report)

    return build


def _build(source: Source, citation: Citation, read: Reader, folder: Path, originals: Path, report: Report) -> Arrays:
    """Write TFDS's records below `folder` from the files in `originals`, which is only read.

    **Returns:** the arrays, in the order of the original files, which is the order of the records too.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    class Records(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc, call-arg]
        """Examples `{"image": uint8 [H, W, C], "label": int32 []}`; splits `train` and `test`."""

        name = source.name
        VERSION = tfds.core.Version(citation.version)
        pkg_dir_path = Path(__file__).with_name("no-such-folder")  # no files beside the code describe this data set
        url_infos = {
            source.url + original.name: tfds.download.checksums.UrlInfo(
                size=original.size, checksum=original.sha256, filename=original.name
            )
            for original in source.originals
        }
        arrays: Arrays

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=citation.description,
                # Image and ClassLabel features would import TensorFlow.
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Tensor(shape=source.image_shape, dtype=np.uint8),
                        "label": tfds.features.Scalar(dtype=np.int32),
                    }
                ),
                supervised_keys=("image", "label"),
                homepage=citation.homepage,
                citation=citation.citation,
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
            paths = dl_manager.download([source.url + original.name for original in source.originals])
            self.arrays = read(source, [Path(path) for path in paths])
            return {
                "train": self._generate_examples(*self.arrays[:2], 0),
                "test": self._generate_examples(*self.arrays[2:], source.train),
            }

        def _generate_examples(
            self, images: NDArray[np.uint8], labels: NDArray[np.int32], before: int
        ) -> Iterator[tuple[int, dict[str, Any]]]:
            total = source.train + source.test
            for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                if index % _REPORT_EVERY == 0:
                    report("writing TFDS records", (before + index) / total)
                yield index, {"image": image, "label": label}

        def _log_download_bytes(self) -> None:
            """TFDS prints here, which would write into the interface."""

        def _log_download_done(self) -> None:
            """As above."""

    tfds.disable_progress_bar()
    builder = Records(data_dir=str(folder), file_format="array_record")
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


def _compare(records: Any, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
    """Read a few records back and compare them with the arrays. Raises RuntimeError where they differ."""
    import numpy as np

    if len(records) != len(labels):
        raise RuntimeError(f"TFDS wrote {len(records)} records for {len(labels)} examples")
    for index in (0, len(labels) // 2, len(labels) - 1):
        record = records[index]
        if record["label"] != labels[index] or not np.array_equal(record["image"], images[index]):
            raise RuntimeError(f"TFDS wrote another example at {index}")
