"""Trains one network with Lightning: checkpoints, resumption, interruption, and out-of-memory errors."""

import signal
import threading
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
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from twofold.core import errors
from twofold.core.errors import LearningError, LearningInterruptedError
from twofold.core.notes import Note
from twofold.core.third_party import mute_loggers
from twofold.learning.batches import Batches
from twofold.learning.callbacks import AtomicCheckpointIO, KeepFreedMemory, RelocatableCheckpoint, TrainingProgressBar
from twofold.learning.learner import EpochMetrics, Learner
from twofold.learning.memory import return_freed
from twofold.learning.processes import check_rank_zero, cluster_environment
from twofold.learning.recipes import Recipe
from twofold.learning.samplers import MIN_BATCH
from twofold.networks.modules.network import Network

_LAST, _BEST = "last.ckpt", "best.ckpt"
# Memory of a step on a CPU grows with its pixels: 32 images of 200 x 200 take the classic network some 5 GB.
_MICRO_BATCH_PIXELS = 32 * 200 * 200


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices that train, `count` per node. `dtype` is Lightning's `precision`; `description` labels the progress bar."""

    dtype: str
    count: int = 1
    nodes: int = 1
    threads: int | None = None
    quiet: bool = False
    description: str = ""

    @property
    def processes(self) -> int:
        return self.count * self.nodes


@dataclass(frozen=True, slots=True, eq=False)
class TrainingHistory:
    """The metrics of every epoch, and which epoch (from 1) had the lowest validation loss."""

    epochs: list[EpochMetrics] = field(repr=False)
    best_epoch: int
    interrupted: bool
    notes: tuple[Note, ...] = field(repr=False)


def train_network(
    make_learner: Callable[[], Learner],
    batches: Batches,
    folder: Path,
    devices: Devices,
    *,
    callbacks: tuple[Callback, ...] = (),
) -> tuple[Network, TrainingHistory]:
    """The network with the weights of its best epoch, and its history.

    `folder` holds the checkpoints; training continues from them where there are any. Raises LearningError where the loss is
    not finite or the memory is too small for the smallest micro-batch, LearningInterruptedError for Ctrl-C before the end of
    the first epoch, and NotRankZeroError in all but the first of several processes.
    """
    learner, notes = make_learner(), []
    accumulate = _initial_accumulation(learner.recipe, devices)
    while True:
        try:
            interrupted = _fit(learner, batches.with_accumulation(accumulate), folder, devices, accumulate, callbacks)
            break
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if accumulate * 2 > _max_accumulation(learner.recipe, devices):
                images = _micro_batch(learner.recipe, devices, accumulate)
                raise LearningError(
                    f"There is not enough memory for {images} images at once; use a smaller `size`."
                ) from error
            accumulate *= 2
            notes.append(_out_of_memory_note(_micro_batch(learner.recipe, devices, accumulate)))
        learner = make_learner()
    last, best = _read_checkpoint(folder / _LAST), _read_checkpoint(folder / _BEST)
    if not last:
        raise LearningInterruptedError(
            "Training was interrupted before the end of the first epoch; there is no network yet."
        )
    weights = {name.removeprefix("network."): value for name, value in best["state_dict"].items()}
    learner.network.load_state_dict(weights)
    # The best checkpoint is written first; an interruption then may have prevented the last one.
    epochs = max(last["history"], best["history"], key=len)
    return learner.network.cpu().eval(), TrainingHistory(epochs, int(best["epoch"]) + 1, interrupted, tuple(notes))


def _initial_accumulation(recipe: Recipe, devices: Devices) -> int:
    """The initial number of micro-batches per batch, chosen for the memory of an ordinary computer."""
    if torch.cuda.is_available():
        return 1
    images = max(MIN_BATCH, _MICRO_BATCH_PIXELS // recipe.size**2) * devices.processes
    return max(1, min(-(-recipe.batch_size // images), _max_accumulation(recipe, devices)))


def _micro_batch(recipe: Recipe, devices: Devices, accumulate: int) -> int:
    """The number of images that a process has in memory at once, at most."""
    return -(-recipe.batch_size // (accumulate * devices.processes))


def _max_accumulation(recipe: Recipe, devices: Devices) -> int:
    return recipe.batch_size // (MIN_BATCH * devices.processes)


def _fit(
    learner: Learner,
    batches: Batches,
    folder: Path,
    devices: Devices,
    accumulate: int,
    callbacks: tuple[Callback, ...],
) -> bool:
    """Trains to the end. Returns True where Ctrl-C interrupted it."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / _LAST
    if _is_finished(_read_checkpoint(checkpoint), learner.recipe):
        check_rank_zero()
        return False
    with (
        mute_loggers("lightning.pytorch", "lightning.fabric"),
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),  # dropout draws from the process's generator
        _threads(devices.threads),
        _interrupt_handler(),
    ):
        # Lightning's hints are for programmers, not for users of twofold.
        warnings.filterwarnings("ignore", module=r"(lightning|torch|tensorboard)(\..*)?")
        trainer = _trainer(learner.recipe, folder, devices, accumulate, callbacks)
        try:
            trainer.fit(learner, batches, ckpt_path=str(checkpoint) if checkpoint.exists() else None, weights_only=True)
        except ProcessRaisedException as error:
            raise _original_error(error) from error
        except ProcessExitedException as error:
            raise LearningError(
                f"One of the processes was killed ({error}), possibly because memory ran out: continue with "
                "`resume=True`, or start again with a smaller `batch_size` or `size`."
            ) from error
        except SystemExit:  # how Lightning ends after Ctrl-C
            if trainer.state.status != TrainerStatus.INTERRUPTED:
                raise
        finally:
            return_freed()
    check_rank_zero()
    return trainer.state.status == TrainerStatus.INTERRUPTED


def _original_error(error: ProcessRaisedException) -> Exception:
    """The exception that one of the processes raised: torch passes on only the text of its traceback."""
    location, _, sentence = str(error).strip().rpartition("\n")[2].partition(": ")
    module, _, name = location.rpartition(".")
    return getattr(errors, name)(sentence) if module == errors.__name__ else RuntimeError(str(error))


def _trainer(
    recipe: Recipe, folder: Path, devices: Devices, accumulate: int, callbacks: tuple[Callback, ...]
) -> Trainer:
    checkpoint = partial(
        RelocatableCheckpoint, folder, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    all_callbacks: list[Callback] = [
        KeepFreedMemory(),
        LearningRateMonitor(logging_interval="epoch"),
        *([WeightAveraging(avg_fn=partial(_moving_average, recipe.ema_decay))] if recipe.ema_decay else []),
        *(
            [EarlyStopping("val_loss", patience=recipe.patience, check_on_train_epoch_end=True)]
            if recipe.patience
            else []
        ),
        *([] if devices.quiet else [TrainingProgressBar(devices.description)]),
        *callbacks,
        checkpoint(filename="best", monitor="val_loss", mode="min"),
        checkpoint(filename="last"),
    ]
    distributed = devices.processes > 1
    cluster = cluster_environment() if distributed else None
    return Trainer(
        accelerator="auto",
        devices=devices.count,
        num_nodes=devices.nodes,
        strategy="auto" if not distributed else "ddp_spawn" if cluster is None else "ddp",
        # Explicit, because Lightning assumes that SLURM started every process in a SLURM job.
        plugins=[AtomicCheckpointIO(), cluster or LightningEnvironment()],
        precision=devices.dtype,  # type: ignore[arg-type]  # a Literal of Lightning's own
        max_epochs=recipe.epochs,
        accumulate_grad_batches=accumulate,
        callbacks=all_callbacks,
        logger=list(_loggers(folder)),
        log_every_n_steps=10,
        num_sanity_val_steps=0,
        sync_batchnorm=distributed and torch.cuda.is_available(),
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=not devices.quiet,
        default_root_dir=folder,
    )


def _moving_average(decay: float, average: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
    """The exponential moving average after one more step; the decay starts low, to limit the influence of the initial weights."""
    fraction = torch.clamp((1 + steps) / (10 + steps), max=decay)
    return average + (weights - average) * (1 - fraction)


def _loggers(folder: Path) -> Iterator[Logger]:
    yield CSVLogger(folder, name="log", flush_logs_every_n_steps=1)
    if find_spec("tensorboard") is not None:
        yield TensorBoardLogger(folder, name="tensorboard")


def _read_checkpoint(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, map_location="cpu", weights_only=True)) if path.exists() else {}


def _is_finished(checkpoint: dict[str, Any], recipe: Recipe) -> bool:
    """Whether no epoch is left: Lightning would train one more after early stopping."""
    if not checkpoint:
        return False
    states = (state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping"))
    epochs_without_gain = next((state["wait_count"] for state in states), 0)
    return bool(
        checkpoint["epoch"] + 1 >= recipe.epochs or (recipe.patience and epochs_without_gain >= recipe.patience)
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text


def _out_of_memory_note(images: int) -> Note:
    text = f"Memory ran out, so the micro-batch was reduced to {images} images; the batch size is unchanged."
    return Note("out-of-memory", text)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _interrupt_handler() -> Iterator[None]:
    """Restores the caller's handler of Ctrl-C when the block ends: Lightning leaves the signal ignored after an interruption."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
