"""Bundles: folders with a model, its record and its evidence. docs/bundle.md describes the format."""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from twofold.bundle.card import replace_decision
from twofold.bundle.format import FORMAT, MAX_BYTES, AnotherFormatError, Record, checksum, read_record
from twofold.bundle.held_out_scores import HeldOutScores, read_test_scores
from twofold.bundle.model import Model, OnRows, Prediction
from twofold.bundle.scores import ScoreTable, read_scores
from twofold.core.errors import BackboneError, BundleError, UsageError
from twofold.core.files import check_writable, read_file
from twofold.core.json_text import json_text
from twofold.core.notes import Note
from twofold.core.privacy import public_address
from twofold.core.replacement import clear_leftovers, move_folder, temporary_folder
from twofold.data import Preprocessing, is_address
from twofold.decision import Calibration, Familiarity, Head
from twofold.decision.familiarity import Parts
from twofold.duplicates import FingerprintIndex, read_index
from twofold.embedding import Engine, FeatureRow, Runtime, Source
from twofold.networks import Backbone, Scoring, check_network, read_familiarity, with_scores, without_scores

FILES: Final = {
    *("README.md", "bundle.json", "evaluation.json", "fingerprints.csv", "history.csv"),
    *("files.csv", "model.onnx", "report.html", "scores.csv", "test_scores.csv", "tuning.csv"),
}
_MAX_FILE_BYTES: Final = {
    "bundle.json": MAX_BYTES,
    "model.onnx": 2**31 - 1,
    "fingerprints.csv": 10**9,
    "scores.csv": 10**9,
    "test_scores.csv": 10**9,
    "evaluation.json": 10**9,
    "files.csv": 10**9,
}
StreamItem = TypeVar("StreamItem")

_ADVICE: Final = "restore the bundle from a backup, or train it again"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle in memory: its `path`, its `model`, and `record`, the content of bundle.json. A `Predictor` predicts with it."""

    path: Path
    model: Model = field(repr=False)
    record: dict[str, Any] = field(repr=False)

    def fingerprint_index(self) -> FingerprintIndex:
        """The fingerprints of the training images. Raises BundleError where they are missing or altered."""
        data = _read(self.path, "fingerprints.csv", self.record["files"])
        try:
            # Not splitlines, which also cuts names at other characters than line ends.
            return read_index(io.StringIO(data.decode("utf-8"), newline=""))
        except ValueError as error:
            raise BundleError(f"{self.path / 'fingerprints.csv'} is damaged ({error}); {_ADVICE}.") from error

    def evaluation(self) -> dict[str, Any]:
        """The content of evaluation.json; empty where there is none. Raises BundleError where it was altered."""
        if not (self.path / "evaluation.json").exists():
            return {}
        try:
            plain = json.loads(_read(self.path, "evaluation.json", self.record["files"]))
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{self.path / 'evaluation.json'} is damaged; {_ADVICE}.") from error
        return plain if isinstance(plain, dict) else {}

    def scores(self) -> ScoreTable:
        """The scores that the model's calibration comes from. Raises BundleError where they are missing or altered."""
        if not (self.path / "scores.csv").exists():
            raise BundleError(
                f"{self.path} holds no scores.csv, as a bundle for handing on: take the whole bundle, or choose a rule on "
                "labelled images with `data`."
            )
        data = _read(self.path, "scores.csv", self.record["files"])
        try:
            return read_scores(data.decode("utf-8", "surrogateescape"), self.model.classes)
        except ValueError as error:
            raise BundleError(f"{self.path / 'scores.csv'} is damaged ({error}); {_ADVICE}.") from error

    def test_scores(self) -> HeldOutScores | None:
        """The scores of the test set of the training; None where there was none. Raises BundleError where they are altered."""
        if not (self.path / "test_scores.csv").exists():
            return None
        data = _read(self.path, "test_scores.csv", self.record["files"])
        try:
            return read_test_scores(data.decode("utf-8", "surrogateescape"), self.model.classes)
        except ValueError as error:
            raise BundleError(f"{self.path / 'test_scores.csv'} is damaged ({error}); {_ADVICE}.") from error

    def file_rows(self) -> list[dict[str, str]]:
        """The rows of files.csv, the file report of the training; none where it is missing. Raises BundleError where it was
        altered."""
        if not (self.path / "files.csv").exists():
            return []
        text = _read(self.path, "files.csv", self.record["files"]).decode("utf-8", "surrogateescape")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def folds(self) -> dict[str, int]:
        """The fold of each training image that has a score, by its path; empty where the bundle holds no scores.

        Raises BundleError where they are altered.
        """
        if not (self.path / "scores.csv").exists():
            return {}
        table = self.scores()
        return dict(zip(table.paths, table.folds.tolist(), strict=True))

    def always_answering(self) -> Self:
        """The bundle with a label for every image that can be read, by the threshold alone."""
        return replace(self, model=replace(self.model, rule=self.model.rule.always_answering()))

    def stream(
        self,
        sources: Iterable[Source | str],
        runtime: Runtime,
        engine: Engine,
        add_note: Callable[[Note], None] = lambda note: None,
    ) -> Generator[Prediction]:
        """The predictions of `Model.stream`. Raises BundleError where the network cannot be run."""
        return self._name_bundle_in_errors(self.model.stream(sources, runtime, engine, add_note))

    def stream_rows(
        self,
        sources: Iterable[Source | str],
        runtime: Runtime,
        engine: Engine,
        add_note: Callable[[Note], None] = lambda note: None,
    ) -> Generator[tuple[Prediction, FeatureRow]]:
        """The predictions and rows of `Model.stream_rows`. Raises BundleError where the network cannot be run."""
        return self._name_bundle_in_errors(self.model.stream_rows(sources, runtime, engine, add_note))

    def predict_batch(
        self, sources: Sequence[Source], runtime: Runtime, engine: Engine, on_rows: OnRows | None = None
    ) -> list[Prediction]:
        """The predictions of `Model.predict_batch`. Raises BundleError where the network cannot be run."""
        try:
            return self.model.predict_batch(sources, runtime, engine, on_rows)
        except BackboneError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: BackboneError) -> BundleError:
        return BundleError(f"{self.path} cannot be used for predictions: {error}")

    def _name_bundle_in_errors(self, answers: Generator[StreamItem]) -> Generator[StreamItem]:
        try:
            with closing(answers):
                yield from answers
        except BackboneError as error:
            raise self._unusable(error) from error


def check_free(path: Path, *, force: bool) -> None:
    """UsageError where no bundle can be written at `path`. Call it before long work. An empty folder is free."""
    if is_address(str(path)):
        raise UsageError(f"{public_address(str(path))} is an address; give a local folder.")
    if path.is_symlink():
        raise UsageError(f"{path} is a link; give the folder that it points to, or another.")
    check_writable(path)
    if os.path.ismount(path):
        raise UsageError(f"{path} is a mount point and cannot be replaced; give a folder inside it.")
    entries = _entries(path)
    if not entries and not path.is_file():
        return
    if "bundle.json" not in entries:
        raise UsageError(f"{path} exists and is not a bundle, so it is not replaced; give another path.")
    if not force:
        raise UsageError(f"{path} exists; replace it with `force=True`, or give another path.")
    foreign = sorted(entries - FILES)
    if foreign:
        raise UsageError(
            f"{path} holds files that twofold did not write ({', '.join(foreign[:5])}); move them, or give another path."
        )


def _entries(path: Path) -> set[str]:
    """The names of a folder's entries; none where there is no folder."""
    try:
        return {entry.name for entry in path.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise UsageError(f"{path} cannot be listed ({error.strerror}); give another path.") from error


def prepare_output(path: Path, *, force: bool) -> list[Note]:
    """Removes leftovers of killed processes beside `path`, and returns a note for each. UsageError where `path` is not free."""
    sentences = clear_leftovers(path, FILES)
    try:
        check_free(path, force=force)
    except UsageError as error:
        raise UsageError(" ".join((str(error), *sentences))) from error
    return [Note("leftovers", text) for text in sentences]


@contextmanager
def new_bundle_folder(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside `path`. It is moved to `path` when the block succeeds, and removed when it fails.

    Where it cannot be moved, for example because another process wrote there first and `force` is False, the UsageError says
    where the result is.
    """
    prepare_output(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as folder:
        yield folder
        try:
            move_folder(folder, path, force=force)
        except OSError as error:
            raise UsageError(_rescue(folder, path, error)) from error


def _rescue(folder: Path, path: Path, error: OSError) -> str:
    """Renames the result, which may have taken hours, to a free name, and returns a sentence with that name."""
    numbers = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    free = next(name for name in numbers if not os.path.lexists(name))
    folder.rename(free)
    why = "another process wrote there" if os.path.lexists(path) else error.strerror
    return f"{path} could not be written ({why}); the result is in {free}: rename or remove it."


def write_model(folder: Path, model: Model, record: dict[str, Any]) -> None:
    """Writes `model.onnx`, then `bundle.json` with `record`, the model and the hash of every file in the folder. Call it last."""
    scoring = scoring_of(model.backbone.preprocessing, model.head, model.probability_curve, model.familiarity)
    (folder / "model.onnx").write_bytes(with_scores(model.backbone.graph, scoring))
    content = {"format": FORMAT, **record, **_model_record(model)}
    content["files"] = {file.name: _sha256(file.read_bytes()) for file in sorted(folder.iterdir())}
    content["sha256"] = checksum(content)
    # JSON reads backslash escapes back.
    (folder / "bundle.json").write_text(json_text(content), encoding="utf-8", errors="backslashreplace")


def write_decision(
    bundle: Bundle, model: Model, decisions: Sequence[dict[str, Any]], text: str, out: Path, *, force: bool
) -> None:
    """Writes the bundle with another rule at `out`, whole or not at all: its files, with this history of decisions, and a card
    that has this text on the decision."""
    record = {**bundle.record, "decisions": list(decisions)}
    with new_bundle_folder(out, force=force) as folder:
        for name in sorted(FILES.intersection(_entries(bundle.path)) - {"bundle.json", "model.onnx", "report.html"}):
            shutil.copyfile(bundle.path / name, folder / name)
        card = folder / "README.md"
        if card.is_file():
            plain = card.read_text(encoding="utf-8", errors="surrogateescape")
            card.write_text(replace_decision(plain, text), encoding="utf-8", errors="surrogateescape")
        write_model(folder, model, record)


def load_bundle(path: str | Path) -> Bundle:
    """The bundle at `path`. Loading runs no code from the bundle.

    Raises BundleError where it is missing, damaged, altered, of another format, or not a bundle that twofold can have written.
    """
    folder = Path(path)
    record = _record(folder)
    graph, familiarity = _network(folder, record)
    backbone = Backbone(record.name, graph, record.preprocessing, record.dtype, record.features)
    model = Model(record.classes, backbone, record.head, record.calibration, record.rule, record.probes, familiarity)
    return Bundle(folder, model, record.content)


def altered_files(bundle: Bundle) -> dict[str, str]:
    """What is wrong with the files that bundle.json names, by name; those that are as they were written are left out."""
    faults = {}
    for name, digest in bundle.record["files"].items():
        try:
            with (bundle.path / name).open("rb") as file:
                altered = hashlib.file_digest(file, "sha256").hexdigest() != digest
        except FileNotFoundError:
            faults[name] = "is missing"
        except OSError as error:
            faults[name] = f"cannot be read ({error.strerror or error})"
        else:
            faults |= {name: "was altered"} if altered else {}
    return faults


def read_command(path: Path) -> tuple[str, ...]:
    """The words of the command that wrote the bundle at `path`, as far as its bundle.json can be read, also a damaged bundle."""
    try:
        words = json.loads(read_file(path / "bundle.json", MAX_BYTES))["command"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()
    legal = isinstance(words, list) and all(isinstance(word, str) for word in words)
    return tuple(words) if legal else ()


def scoring_of(
    preprocessing: Preprocessing, head: Head, calibration: Calibration, familiarity: Familiarity | None
) -> Scoring:
    """What the outputs `logit`, `probability` and `familiarity` of model.onnx are computed from."""
    curve = (calibration.slope, calibration.intercept, calibration.low, calibration.high)
    if familiarity is None:
        return Scoring(preprocessing, head.weights, head.bias, curve)
    arrays = {name: getattr(familiarity, name) for name in ("mean", "axes", "knots", "levels")}
    return Scoring(preprocessing, head.weights, head.bias, curve, familiarity.parts, arrays)


def _model_record(model: Model) -> dict[str, Any]:
    backbone, probes = model.backbone, model.probe_logits
    return {
        "classes": sorted(model.classes),
        "positive": model.classes[1],
        "backbone": {
            "name": backbone.name,
            "features": backbone.features,
            "dtype": backbone.dtype,
            "preprocessing": asdict(backbone.preprocessing),
        },
        "calibration": asdict(model.calibration),
        "rule": model.rule.as_json(),
        "familiarity": None if model.familiarity is None else {"parts": model.familiarity.parts},
        "head": {"bias": model.head.bias, "weights": [float(weight) for weight in model.head.weights]},
        "probes": None if probes is None else [round(float(logit), 6) for logit in probes],
    }


def _record(folder: Path) -> Record:
    data = _read(folder, "bundle.json", {})
    try:
        return read_record(data)
    except AnotherFormatError as error:
        advice = (
            "train it again"
            if error.version < FORMAT
            else "update twofold: run git pull && pip install . in your clone"
        )
        raise BundleError(
            f"{folder} has format {error.version}, this version of twofold reads format {FORMAT}; {advice}."
        ) from error
    except ValueError as error:
        raise BundleError(f"{folder / 'bundle.json'} cannot be used: {error}; {_ADVICE}.") from error


def _network(folder: Path, record: Record) -> tuple[bytes, Familiarity | None]:
    """The network without its scores, and the familiarity. BundleError where the scores differ from those of the record."""
    data = _read(folder, "model.onnx", record.files)
    head, preprocessing = record.head, record.preprocessing
    try:
        familiarity = None if record.familiarity is None else _familiarity(data, record.familiarity, head)
        curve = record.calibration.at_prevalence(record.rule.prevalence)
        graph = without_scores(data, scoring_of(preprocessing, head, curve, familiarity))
        width = check_network(graph, preprocessing.size)
        if width is not None and width * preprocessing.moments != head.weights.size:
            raise ValueError(f"it gives {width} features, the head in bundle.json has {head.weights.size} weights")
    except ValueError as error:
        raise BundleError(f"{folder / 'model.onnx'} cannot be used: {error}; {_ADVICE}.") from error
    return graph, familiarity


def _familiarity(model: bytes, parts: Parts, head: Head) -> Familiarity:
    """The familiarity in the constants of model.onnx. Raises ValueError where its arrays are illegal."""
    familiarity = Familiarity(parts, **read_familiarity(model))
    familiarity.check(head.weights.size)
    return familiarity


def _read(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The file's bytes, checked against its SHA-256 in `files`; bundle.json has its own checksum."""
    path = folder / name
    try:
        data = read_file(path, _MAX_FILE_BYTES[name])
    except (FileNotFoundError, NotADirectoryError) as error:
        what = f"is not a bundle: it holds no {name}" if os.path.exists(folder) else "does not exist"
        raise BundleError(f"{folder} {what}; give the folder that training wrote.") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror or error}); {_ADVICE}.") from error
    except ValueError as error:
        raise BundleError(f"{path} cannot be read: {error}; {_ADVICE}.") from error
    if name != "bundle.json" and _sha256(data) != files.get(name):
        raise BundleError(f"{path} is damaged or was altered; {_ADVICE}.")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
