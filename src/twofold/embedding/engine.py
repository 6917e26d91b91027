"""Running a backbone: a fixed batch, one inference request for each processor."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twofold.core.errors import BackboneError
from twofold.core.notes import Note
from twofold.core.parallel import available_processors
from twofold.data import PreprocessedImage, Preprocessing, preprocess
from twofold.embedding.compilation import check_sizes, computes_int8, fold_constants, import_openvino, prepare, remember
from twofold.embedding.probes import Probes, probe_images
from twofold.networks import Backbone, fast_dtypes, processor_name

if TYPE_CHECKING:
    import openvino

BATCH = 8
_PATIENCE = 0.15  # seconds for probe images, after which no further round of them begins


class InferenceRequest:
    """One inference request with its own input: fill `squares`, then `run`. For one thread at a time."""

    def __init__(self, request: "openvino.InferRequest") -> None:
        self._request = request
        # OpenVINO's own memory: nothing is shared with or freed by Python. It is asked for here because two threads that were
        # the first to ask for any tensor's `data` have waited for each other for ever.
        self.model_inputs: NDArray[np.uint8] = request.get_input_tensor().data

    def run(self, count: int) -> NDArray[np.float32]:
        """The vectors of the first `count` squares, (count, d)."""
        try:
            self._request.infer()
            return np.array(self._request.get_tensor("features").data[:count])
        except (RuntimeError, MemoryError) as error:
            raise _failure("The network", error) from error


class Engine:
    """A backbone ready to run, by any number of threads; compiled at the first use, in the thread that starts it.

    `cache` is a folder for compiled networks, or None. With `probes`, fast arithmetic is used only where it gives their logits.
    A vector does not depend on what else is in its batch.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        threads: int | None = None,
        cache: Path | None = None,
        probes: Probes | None = None,
    ) -> None:
        self.backbone = backbone
        self.threads = threads or available_processors()
        self.notes: list[Note] = []
        self._exact = backbone.dtype == "f32" or backbone.dtype not in fast_dtypes()
        self._cache = cache
        self._probes = probes
        self._starting = Lock()
        self._lanes: tuple[InferenceRequest, ...] = ()
        self._idle: SimpleQueue[InferenceRequest] = SimpleQueue()

    @property
    def exact(self) -> bool:
        """Whether the graph is computed as it is written, in float32; settled once the engine has started."""
        return self._exact

    @property
    def identity(self) -> str:
        """The identity of the backbone and of the arithmetic that runs it: what a vector depends on beside the picture."""
        told = self.backbone.identity
        return f"{told}-exact" if self._exact and self.backbone.dtype != "f32" else told

    @property
    def started(self) -> bool:
        """Whether the network is compiled."""
        return bool(self._lanes)

    @property
    def requests(self) -> tuple[InferenceRequest, ...]:
        """One lane for each thread. All requests are made here, together: made inside worker threads they have crashed."""
        with self._starting:
            if not self._lanes:
                self._lanes = self._checked_lanes(import_openvino().Core())
                for request in self._lanes:
                    self._idle.put(request)
        return self._lanes

    @contextmanager
    def request(self) -> Iterator[InferenceRequest]:
        """A lane that nobody else has meanwhile; waits for one to be free. The engine must have started."""
        assert self._lanes
        request = self._idle.get()
        try:
            yield request
        finally:
            self._idle.put(request)

    def _checked_lanes(self, core: "openvino.Core") -> tuple[InferenceRequest, ...]:
        if not self._exact:
            with suppress(BackboneError):  # as bfloat16 where oneDNN was told to do without
                if self.backbone.dtype != "int8" or computes_int8(core):
                    requests = self._made_lanes(core)
                    if self._agree(requests):
                        return requests
                    self.notes.append(_slower(self.backbone))
            self._exact = True
        requests = self._made_lanes(core)
        if self.backbone.dtype == "int8" and not self._agree(requests):
            raise BackboneError(
                f"The network {self.backbone.name} does not give here what it gave where the model was trained, not even in "
                "exact arithmetic: install the versions of openvino and pillow that bundle.json names, or train it again."
            )
        return requests

    def _made_lanes(self, core: "openvino.Core") -> tuple[InferenceRequest, ...]:
        compiled = self._compiled(core)
        return tuple(InferenceRequest(compiled.create_infer_request()) for _ in range(self.threads))

    def _compiled(self, core: "openvino.Core") -> "openvino.CompiledModel":
        fast = "f32" if self._exact else self.backbone.dtype
        settings = {
            # Left alone, OpenVINO computes in bfloat16 wherever the processor can, and answers depend on the machine.
            "INFERENCE_PRECISION_HINT": "bf16" if fast == "bf16" else "f32",
            # Off, quantised tensors are computed in float32: as the graph says, at about the speed of a float network.
            "LP_TRANSFORMS_MODE": fast == "int8",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads,
        }
        side = self.backbone.preprocessing.size
        folder = self._folder()
        if folder is not None:
            with suppress(RuntimeError):
                core.set_property({"CACHE_DIR": str(folder)})
        try:
            model = core.read_model(self.backbone.graph)
            model.reshape({"image": [BATCH, side, side, 3]})
            check_sizes(model)
            if fast != "int8":
                fold_constants(model)
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _failure(f"The network {self.backbone.name}", error) from error
        if folder is not None:
            remember(folder)
        return compiled

    def _folder(self) -> Path | None:
        """Where the compiled network is kept; None where that cannot be: it is compiled anew each time."""
        if self._cache is None:
            return None
        folder = self._cache / _digest(self.identity)
        try:
            prepare(folder)
        except OSError:
            return None
        return folder

    def _agree(self, requests: Sequence[InferenceRequest]) -> bool:
        """Whether the lanes give the logits of the probes; asked once on each processor, where that can be remembered."""
        if self._probes is None:
            return True
        asked = (self.identity, self._probes.digest, processor_name(), import_openvino().__version__)
        verdict = None if self._cache is None else self._cache / _digest(*asked)
        if verdict is not None and verdict.is_file():
            return True
        if not self._probes.agree(_probe_vectors(requests, self.backbone.preprocessing)):
            return False
        if verdict is not None:
            with suppress(OSError):
                verdict.touch()
        return True


def _probe_vectors(requests: Sequence[InferenceRequest], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The vectors of the probe images, or of as many as there is time for, (n, d)."""
    looks = [preprocess(image, preprocessing) for image in probe_images()]
    model_inputs = np.stack([seen.model_input for seen in looks if isinstance(seen, PreprocessedImage)])
    begun, rounds = perf_counter(), []
    for at in range(0, len(model_inputs), BATCH * len(requests)):
        rounds.append(_vectors(requests, model_inputs[at : at + BATCH * len(requests)]))
        if perf_counter() - begun > _PATIENCE:
            break
    return np.concatenate(rounds)


def _vectors(requests: Sequence[InferenceRequest], model_inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vectors of squares (n, size, size, 3), by all lanes at once, (n, d)."""
    idle: SimpleQueue[InferenceRequest] = SimpleQueue()
    for request in requests:
        idle.put(request)

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = idle.get()
        request.model_inputs[: len(batch)] = batch
        features = request.run(len(batch))
        idle.put(request)
        return features

    with ThreadPoolExecutor(len(requests)) as pool:
        return np.concatenate(list(pool.map(run, np.split(model_inputs, range(BATCH, len(model_inputs), BATCH)))))


def _slower(backbone: Backbone) -> Note:
    text = (
        f"This processor computes {backbone.dtype} differently from the one that the model was trained on, so float32 was "
        "used: slower, and exact."
    )
    return Note("exact-arithmetic", text)


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:32]


def _failure(network: str, error: Exception) -> BackboneError:
    reason = (str(error).strip().splitlines() or ["there is not enough memory"])[-1]
    return BackboneError(f"{network} cannot be run by OpenVINO: {reason}.")
