"""One network learned by Lightning: checkpoints, resumption, interruption, and what happens when memory runs out."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from twofold.core import errors
from twofold.core.errors import LearningError, LearningInterruptedError
from twofold.core.notes import Note
from twofold.core.third_party import mute_loggers
from twofold.learning.batches import FEWEST, Batches
from twofold.learning.learner import Learner, Row
from twofold.learning.memory import give_back_freed, keep_freed
from twofold.learning.processes import launched, leave_to_the_first
from twofold.learning.progress_bar import Bar
from twofold.learning.recipes import Recipe
from twofold.networks.modules.network import Network

_LAST, _BEST = "last.ckpt", "best.ckpt"
# What a step takes on a CPU grows with its pixels: 32 pictures of 200 x 200 take the classic network some 5 GB.
_PIXELS_AT_ONCE = 32 * 200 * 200


@dataclass(frozen=True, slots=True)
class Devices:
    """What learns: `precision` is Lightning's word; `count` is that of each of the nodes; `what` stands at the bar."""

    dtype: str
    count: int = 1
    nodes: int = 1
    threads: int | None = None
    quiet: bool = False
    what: str = ""

    @property
    def processes(self) -> int:
        return self.count * self.nodes


@dataclass(frozen=True, slots=True, eq=False)
class TrainingHistory:
    """How learning went; the network that was handed in has the weights of its best epoch."""

    epochs: list[Row] = field(repr=False)
    best: int  # the epoch, from 1
    interrupted: bool
    notes: tuple[Note, ...] = field(repr=False)


def learn_network(
    make: Callable[[], Learner], batches: Batches, place: Path, devices: Devices, *, extra: tuple[Callback, ...] = ()
) -> tuple[Network, TrainingHistory]:
    """The learner's network with the weights of its best epoch, and how that went.

    `place` holds the checkpoints; where one is there already, learning goes on from it. Raises LearningError where the loss is
    no number any more or memory does not suffice for a few pictures.
    """
    learner, notes = make(), []
    accumulate = _begin_with(learner.recipe, devices)
    while True:
        try:
            interrupted = _fit(learner, batches.accumulating(accumulate), place, devices, accumulate, extra)
            break
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            if accumulate * 2 > _most_parts(learner.recipe, devices):
                images = -(-learner.recipe.batch_size // (accumulate * devices.processes))
                raise LearningError(
                    f"Memory does not suffice to learn from {images} pictures at once; use a smaller --size."
                ) from error
            accumulate *= 2
            notes.append(_halved(learner.recipe.batch_size // accumulate))
        learner = make()
    last, best = _read(place / _LAST), _read(place / _BEST)
    if not last:
        raise LearningInterruptedError(
            "Learning was interrupted before its first epoch was over; there is no network yet."
        )
    weights = {name.removeprefix("network."): value for name, value in best["state_dict"].items()}
    learner.network.load_state_dict(weights)
    history = max(last["history"], best["history"], key=len)  # the best is written first, and the last then may not be
    return learner.network.cpu().eval(), TrainingHistory(history, int(best["epoch"]) + 1, interrupted, tuple(notes))


def _begin_with(recipe: Recipe, devices: Devices) -> int:
    """Steps that a batch is cut into at first, so that an ordinary machine's memory suffices."""
    if torch.cuda.is_available():
        return 1
    images = max(FEWEST, _PIXELS_AT_ONCE // recipe.size**2) * devices.processes
    return max(1, min(-(-recipe.batch_size // images), _most_parts(recipe, devices)))


def _most_parts(recipe: Recipe, devices: Devices) -> int:
    """Parts that a batch can be cut into."""
    return recipe.batch_size // (FEWEST * devices.processes)


def _fit(
    learner: Learner, batches: Batches, place: Path, devices: Devices, accumulate: int, extra: tuple[Callback, ...]
) -> bool:
    """Learns to the end; True where somebody pressed Ctrl-C."""
    place.mkdir(parents=True, exist_ok=True)
    checkpoint = place / _LAST
    if _finished(_read(checkpoint), learner.recipe):
        leave_to_the_first()
        return False
    with mute_loggers("lightning.pytorch", "lightning.fabric"), warnings.catch_warnings(), _threads(devices.threads):
        # Lightning's hints to programmers are not for who types a command.
        warnings.filterwarnings("ignore", module=r"(lightning|torch|kornia|tensorboard)(\..*)?")
        trainer = _trainer(learner.recipe, place, devices, accumulate, extra)
        try:
            trainer.fit(learner, batches, ckpt_path=str(checkpoint) if checkpoint.exists() else None, weights_only=True)
        except ProcessRaisedException as error:
            raise _said(error) from error
        except ProcessExitedException as error:
            raise LearningError(
                f"One of the processes was ended from outside ({error}), as systems do when memory runs out: "
                "go on with --resume, or learn anew with a smaller --batch-size or --size."
            ) from error
        except SystemExit:
            if trainer.state.status != TrainerStatus.INTERRUPTED:
                raise
            signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning leaves it ignored
        finally:
            give_back_freed()
    leave_to_the_first()
    return trainer.state.status == TrainerStatus.INTERRUPTED


class _KeepFreed(Callback):
    """In each of the processes that learn."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        keep_freed()


class _Whole(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there. Lightning's own comes from the folder for temporary files: where
    that is another disk, it is copied, and half of it may be there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        part = Path(f"{path}.part")
        with part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


class _Moving(ModelCheckpoint):
    """Knows the best epoch so far also where the folder was moved; Lightning's own forgets it then."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return path and str(Path(str(self.dirpath)) / Path(path).name)

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})


def _said(error: ProcessRaisedException) -> Exception:
    """What one of the processes raised: torch hands on the text of its traceback alone."""
    where, _, sentence = str(error).strip().rpartition("\n")[2].partition(": ")
    module, _, name = where.rpartition(".")
    return getattr(errors, name)(sentence) if module == errors.__name__ else RuntimeError(str(error))


def _trainer(recipe: Recipe, place: Path, devices: Devices, accumulate: int, extra: tuple[Callback, ...]) -> Trainer:
    every_epoch = partial(_Moving, place, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [
        _KeepFreed(),
        LearningRateMonitor(logging_interval="epoch"),
        *([WeightAveraging(avg_fn=partial(_running, recipe.average))] if recipe.average else []),
        *(
            [EarlyStopping("val_loss", patience=recipe.patience, check_on_train_epoch_end=True)]
            if recipe.patience
            else []
        ),
        *([] if devices.quiet else [Bar(devices.what)]),
        *extra,
        every_epoch(filename="best", monitor="val_loss", mode="min"),
        every_epoch(filename="last"),
    ]
    several, by_others = devices.processes > 1, launched() > 1
    return Trainer(
        accelerator="auto",
        devices=devices.count,
        num_nodes=devices.nodes,
        strategy=("ddp" if by_others else "ddp_spawn") if several else "auto",
        plugins=[_Whole(), *([] if by_others else [LightningEnvironment()])],  # any job of SLURM's looks started by it
        precision=devices.dtype,  # type: ignore[arg-type]  # its words are a Literal of Lightning's own
        max_epochs=recipe.epochs,
        accumulate_grad_batches=accumulate,
        callbacks=callbacks,
        logger=list(_loggers(place)),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        sync_batchnorm=several and torch.cuda.is_available(),
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=not devices.quiet,
        default_root_dir=place,
    )


def _running(kept: float, so_far: Tensor, now: Tensor, steps: Tensor) -> Tensor:
    """A running average that keeps this share of itself at each step, less at first: what it began with is soon forgotten."""
    fraction = torch.clamp((1 + steps) / (10 + steps), max=kept)
    return so_far + (now - so_far) * (1 - fraction)


def _loggers(place: Path) -> Iterator[Logger]:
    yield CSVLogger(place, name="log", flush_logs_every_n_steps=1)
    if find_spec("tensorboard") is not None:
        yield TensorBoardLogger(place, name="tensorboard")
    if find_spec("mlflow") is not None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it reports its use to its makers otherwise
        yield MLFlowLogger("twofold", tracking_uri=f"sqlite:///{place / 'mlflow.db'}")


def _finished(checkpoint: dict[str, Any], recipe: Recipe) -> bool:
    """Whether nothing is left to learn: Lightning would learn for one epoch more after it was stopped early."""
    if not checkpoint:
        return False
    stopped = (state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping"))
    waited = next((state["wait_count"] for state in stopped), 0)
    return bool(checkpoint["epoch"] + 1 >= recipe.epochs or (recipe.patience and waited >= recipe.patience))


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _halved(images: int) -> Note:
    text = f"Memory ran out, so {images} pictures were learned from at once; the steps are as large as before."
    return Note("out-of-memory", text)


def _read(checkpoint: Path) -> dict[str, Any]:
    return dict(torch.load(checkpoint, map_location="cpu", weights_only=True)) if checkpoint.exists() else {}


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
