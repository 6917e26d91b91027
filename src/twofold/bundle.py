"""Bundles: a folder that holds all that is needed to answer, explain and tune again. The format stands in docs/bundle.md."""

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twofold.copies import Known, read_known
from twofold.data import Square
from twofold.decision import Calibration, Head
from twofold.embedding import Backbone, Machine, Source
from twofold.errors import BundleError, UsageError
from twofold.model import Answer, Model
from twofold.options import EngineOptions
from twofold.writing import check_writable

FILES = {
    *("README.md", "bundle.json", "evaluation.json", "hashes.csv", "learning.csv"),
    *("ledger.csv", "model.onnx", "scores.csv", "tuning.csv"),
}
FORMAT = 2  # counts up when a bundle of before cannot be used any more


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle that was read: its model, and its record (`bundle.json`) as it stands."""

    path: Path
    model: Model
    record: dict[str, Any]

    def trained_on(self) -> Known:
        """Hashes of the pictures that the model was trained on. BundleError where they are missing or altered."""
        text = _checked(self.path, self.record, "hashes.csv").decode("utf-8")
        try:
            return read_known(io.StringIO(text, newline=""))  # not splitlines, which cuts names at more than line ends
        except ValueError as error:
            raise BundleError(f"{self.path / 'hashes.csv'} is damaged ({error}); train it again.") from error

    def predict(self, sources: Iterable[Source | str], machine: Machine | None = None) -> list[Answer]:
        """One answer for every path, bytes, PIL image or array, in the order given.

        Nothing is kept between calls unless `machine` says where.
        """
        return self.model.predict(sources, machine or Machine(self.path, EngineOptions(cache=False)))


def check_free(path: Path, *, force: bool) -> None:
    """UsageError where `path` cannot become a bundle: to be called before long work, not after."""
    if path.is_symlink():
        raise UsageError(f"{path} is a link; name the folder that it leads to, or another.")
    check_writable(path)
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; pass --force to replace it, or another --out.")
    if path.exists() and not (path / "bundle.json").is_file():
        raise UsageError(f"{path} is not a bundle, so --force does not replace it; pass another --out.")
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in FILES) if path.exists() else []
    if others:
        raise UsageError(
            f"{path} holds what twofold did not write ({', '.join(others[:5])}); move it, or pass another --out."
        )


@contextmanager
def writing(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and vanishes when it does not."""
    check_free(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp's folders are for their owner only
        _take_place(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _take_place(folder: Path, path: Path) -> None:
    """A folder cannot be renamed onto another: the old one steps aside, and back if anything goes wrong."""
    if not path.exists():
        folder.rename(path)
        return
    old = folder.with_name(f"{folder.name}.old")
    try:
        path.rename(old)
        folder.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old)


def write_model(folder: Path, model: Model, record: dict[str, Any]) -> None:
    """Writes `model.onnx`, then `bundle.json`: `record`, and the hash of every file in the folder. Call it last."""
    from twofold.embedding.graph import with_head  # imports onnx, which reading a bundle does not need

    (folder / "model.onnx").write_bytes(with_head(model.backbone.graph, model.head.weights, model.head.bias))
    whole = {"format": FORMAT, **record, **_model_record(model)}
    whole["files"] = {file.name: _sha256(file.read_bytes()) for file in sorted(folder.iterdir())}
    whole["sha256"] = _seal(whole)
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (folder / "bundle.json").write_text(text, encoding="utf-8", errors="backslashreplace")  # which JSON reads back


def load_bundle(path: str | Path) -> Bundle:
    """The bundle at `path`. Raises BundleError where it is missing, damaged, altered, or of a newer format."""
    folder = Path(path)
    record = _record(folder)
    graph = _checked(folder, record, "model.onnx")
    about = record["backbone"]
    negative = next(name for name in record["classes"] if name != record["positive"])
    model = Model(
        classes=(negative, record["positive"]),
        backbone=Backbone(
            about["name"], graph, Square(**about["square"]), about["precision"], about["vector"], about["identity"]
        ),
        head=Head(np.array(record["head"]["weights"], np.float32), record["head"]["bias"]),
        calibration=Calibration(**record["calibration"]),
        threshold=record["threshold"]["value"],
        probe_logits=None if record["probes"] is None else np.array(record["probes"]),
    )
    return Bundle(folder, model, record)


def _model_record(model: Model) -> dict[str, Any]:
    backbone, probes = model.backbone, model.probe_logits
    return {
        "classes": sorted(model.classes),
        "positive": model.classes[1],
        "backbone": {
            "name": backbone.name,
            "identity": backbone.identity,
            "vector": backbone.vector,
            "precision": backbone.precision,
            "square": asdict(backbone.square),
        },
        "calibration": asdict(model.calibration),
        "head": {"bias": model.head.bias, "weights": [float(weight) for weight in model.head.weights]},
        "probes": None if probes is None else [round(float(logit), 6) for logit in probes],
    }


def _record(folder: Path) -> dict[str, Any]:
    file = folder / "bundle.json"
    if not file.is_file():
        what = "is not there" if not folder.exists() else "is not a bundle: it holds no bundle.json"
        raise BundleError(f"{folder} {what}; a bundle is the folder that 'twofold train … --out' writes.")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version = record["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{file} is damaged; take the bundle from a copy, or train it again.") from error
    if version != FORMAT:
        older = isinstance(version, int) and version < FORMAT
        advice = "train it again" if older else "update twofold: in your clone, type git pull && pip install ."
        raise BundleError(f"{folder} has format {version}, this twofold reads format {FORMAT}; {advice}.")
    if record.get("sha256") != _seal(record):
        raise BundleError(f"{file} was altered after it was written; take the bundle from a copy, or train it again.")
    return dict(record)


def _checked(folder: Path, record: dict[str, Any], name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder / name} cannot be read ({error.strerror}); take the bundle from a copy, or train it again."
        ) from error
    if _sha256(data) != record["files"][name]:
        raise BundleError(f"{folder / name} is damaged or was altered; take the bundle from a copy, or train it again.")
    return data


def _seal(record: dict[str, Any]) -> str:
    rest = {key: value for key, value in record.items() if key != "sha256"}
    return _sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
