"""A folder of parts with features, from which a model is trained without opening an image again."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from twofold.bundle.storage import Bundle, load_bundle, new_bundle_folder
from twofold.core.errors import BundleError, DataError, UsageError
from twofold.core.files import write_errors
from twofold.core.hints import require
from twofold.core.notes import count_text
from twofold.workflows.scale.feature_rows import FeatureFormat
from twofold.workflows.scale.output_folder import RECORD, read_run
from twofold.workflows.scale.part_files import PARTS, part_name
from twofold.workflows.scale.plan import read_parts
from twofold.workflows.scale.prediction_rows import printable_path
from twofold.workflows.scale.run_parts import unfinished_parts
from twofold.workflows.scale.sources.remote_files import is_remote

BUNDLE: Final = "bundle.twofold"
_MODEL_FILES: Final = ("bundle.json", "model.onnx")
_ADVICE: Final = "give the folder that `predict` wrote with `engine` and `save_features`"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureFolder:
    """A finished run with features: the files of its parts, and the bundle whose network computed them.

    Relative paths in it are relative to `working_folder`.
    """

    path: Path
    bundle: Bundle = field(repr=False)
    parts: tuple[Path, ...] = field(repr=False)
    working_folder: str

    @property
    def width(self) -> int:
        """The number of features of an image."""
        return self.bundle.model.head.weights.size

    def key(self, path: str) -> str:
        """By what the path of a row is found: itself, absolute."""
        return path if is_remote(path) else os.path.normpath(os.path.join(self.working_folder, path))

    def tables(self, columns: Sequence[str]) -> Iterator[Any]:
        """These columns of each part, a pyarrow.Table. Raises DataError where one cannot be read."""
        return (self.table(part, columns) for part in range(len(self.parts)))

    def table(self, part: int, columns: Sequence[str]) -> Any:
        """These columns of one part."""
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self.parts[part]).read(list(columns))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.parts[part]} is damaged: delete it, and predict into {self.path} again, which computes it anew."
            ) from error


def key_of_file(path: Path) -> str:
    """The key of a labelled file, as `FeatureFolder.key` gives it for its row: a path joins the slashes of an address.

    >>> key_of_file(Path("s3://bucket/cats/1.jpg")), key_of_file(Path("/data/new/../1.jpg"))
    ('s3://bucket/cats/1.jpg', '/data/1.jpg')
    """
    address = str(path).replace(":/", "://", 1)
    return printable_path(address if is_remote(address) else os.path.abspath(path))


def open_features(path: Path) -> FeatureFolder:
    """The folder of a finished run with features.

    Raises UsageError where it is none, DataError where parts are missing or damaged, BundleError where its model is.
    """
    require("Training on saved features", "pyarrow", extra="scale")
    if not (path / RECORD).is_file():
        raise UsageError(f"{path} is no folder of predictions: {_ADVICE}.")
    record = read_run(path / RECORD)
    if not record.get("features"):
        raise UsageError(f"{path} holds predictions without features: {_ADVICE}.")
    parts = read_parts(path, str(record["bundle"]))
    if not parts or not (path / BUNDLE).exists():
        raise DataError(f"The run in {path} is not finished: predict into it again, which computes the rest.")
    bundle = load_bundle(path / BUNDLE)
    if bundle.record["sha256"] != record["bundle"]:
        raise BundleError(f"{path / BUNDLE} is not the bundle of this run: restore it, or predict into a new folder.")
    unfinished = unfinished_parts(parts, path / PARTS, FeatureFormat(bundle.model.head.weights.size))
    if unfinished:
        raise DataError(
            f"{len(unfinished)} of {count_text(len(parts), 'part')} in {path} are missing or damaged: predict into it again, "
            "which computes the rest."
        )
    files = tuple(path / PARTS / part_name(part.digest) for part in parts)
    return FeatureFolder(path, bundle, files, str(record.get("working_folder") or path.anchor or os.sep))


def copy_model(bundle: Path, out: Path, model: str) -> None:
    """Copies what predictions need of the bundle with this SHA-256, where there is no copy yet."""
    if out.exists():
        return
    with write_errors(out), new_bundle_folder(out, force=False) as folder:
        for name in _MODEL_FILES:
            shutil.copyfile(bundle / name, folder / name)
        if load_bundle(folder).record["sha256"] != model:
            raise BundleError(f"{bundle} was replaced during the run: run it again, into another folder.")
