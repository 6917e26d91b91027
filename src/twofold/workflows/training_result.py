"""The result of `train`: the model with its evaluations, its audit and its notes."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from twofold.audit import Audit
from twofold.audit.leakage import Leakage
from twofold.core.notes import Note
from twofold.core.options import TrainingOptions
from twofold.dataset.labelled import LabelledDataset
from twofold.evaluation import Evaluation
from twofold.evaluation.notebook_view import result_html
from twofold.workflows.crops import CropsChoice
from twofold.workflows.dtype_check import DtypeCheck
from twofold.workflows.fit import Fit

if TYPE_CHECKING:
    from twofold.learning.training_run import TrainingRun

Evidence = Literal["cross_validation", "validation"]


@dataclass(frozen=True, slots=True, eq=False)
class TestResult:
    """The evaluation on a test set, and its images that duplicate training images."""

    dataset: LabelledDataset
    evaluation: Evaluation
    leakage: Leakage

    def as_json(self) -> dict[str, Any]:
        """The block "test"."""
        return {"data": self.dataset.as_json(), **self.evaluation.as_json(), **self.leakage.as_json()}


@dataclass(frozen=True, slots=True, eq=False)
class NetworkResult:
    """The training run of a network, and the evaluation of the model on the images that the network was trained on."""

    run: "TrainingRun"
    train: Evaluation

    def as_json(self) -> dict[str, Any]:
        """The block "learning"."""
        run, history = self.run, self.run.history
        return {
            "epochs": len(history.epochs),
            "best_epoch": history.best_epoch,
            "interrupted": history.interrupted,
            "images": {"train": len(self.train.labels), "validation": int(run.validation.sum())},
            "history": history.epochs,
            "tuning": None if run.tuning is None else run.tuning.as_json(),
            "weight_interpolation": None if run.interpolation is None else run.interpolation.as_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What `train` returns; `workflows.save.save` writes it as a bundle.

    `roots` are DATA and the test data; paths in a bundle are relative to them.
    """

    options: TrainingOptions = field(repr=False)
    dataset: LabelledDataset
    fit: Fit
    audit: Audit
    learning: NetworkResult | None
    dtype_check: DtypeCheck | None
    test: TestResult | None
    seconds: dict[str, float]
    notes: tuple[Note, ...] = field(repr=False)
    roots: tuple[Path, ...] = ()
    crops: CropsChoice | None = None

    @property
    def evidence(self) -> Evidence:
        """Where the scores of the model's evaluation come from: cross-validation, or the validation set of a training run."""
        run = self.training_run
        return "cross_validation" if run is None or run.folds is not None else "validation"

    @property
    def training_run(self) -> "TrainingRun | None":
        """The training run of the model's network. None for a frozen network, also where fine-tuning did not improve it."""
        return self.learning.run if self.learning is not None and self.learning.run.beats_frozen else None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training of the network."""
        return self.learning is not None and self.learning.run.history.interrupted

    def _repr_html_(self) -> str:
        evaluations = {self.evidence.replace("_", "-"): self.fit.evaluation}
        if self.test is not None:
            column, headline = self.test.leakage.headline(self.test.evaluation)
            evaluations[column] = headline
        return result_html(evaluations, [note.text for note in self.notes])

    def as_json(self) -> dict[str, Any]:
        """The result as JSON."""
        backbone = self.fit.model.backbone
        network: dict[str, Any] = {}
        if self.learning is not None:
            network = {"train": self.learning.train.as_json(), "learning": self.learning.as_json()}
        return {
            "data": self.dataset.as_json(),
            "backbone": {"name": backbone.name, "size": backbone.preprocessing.size, "dtype": backbone.dtype},
            "mode": self.options.learning.mode,
            self.evidence: self.fit.evaluation.as_json(),
            "audit": self.audit.as_json(),
            **network,
            **({} if self.test is None else {"test": self.test.as_json()}),
            **crop_choices(self.crops),
            "dtype_check": None if self.dtype_check is None else asdict(self.dtype_check),
            "seconds": self.seconds,
            "notes": [asdict(note) for note in self.notes],
        }


def crop_choices(crops: CropsChoice | None) -> dict[str, Any]:
    """The blocks "crop_mode_choice" and "views_choice"; null where nothing was chosen."""
    mode, views = (None, None) if crops is None else (crops.crop_mode, crops.views_choice)
    return {
        "crop_mode_choice": None if mode is None else mode.as_json(),
        "views_choice": None if views is None else views.as_json(),
    }
