"""The engine, which runs a backbone: a fixed batch, and one inference request for each processor."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
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
from twofold.data import ImageArray, PreprocessedImage, Preprocessing, preprocess
from twofold.embedding.compilation import (
    check_sizes,
    computes_int8,
    fold_constants,
    import_openvino,
    prepare_folder,
    record_checksums,
)
from twofold.embedding.probes import Probes, probe_images
from twofold.networks import Backbone, fast_dtypes, processor_name

if TYPE_CHECKING:
    import openvino

BATCH = 8
_PROBE_SECONDS = 0.15  # for probe images; no new round of them starts after this time


class InferenceRequest:
    """One inference request with its own input: fill `model_inputs`, then `run`. For one thread at a time."""

    def __init__(self, request: "openvino.InferRequest") -> None:
        self._request = request
        # Memory that OpenVINO owns: Python neither shares nor frees it. It is fetched here, because two threads have deadlocked
        # when they were the first to read any tensor's `data`.
        self.model_inputs: NDArray[np.uint8] = request.get_input_tensor().data

    def run(self, count: int) -> NDArray[np.float32]:
        """The features of the first `count` model inputs, (count, d)."""
        try:
            self._request.infer()
            return np.array(self._request.get_tensor("features").data[:count])
        except (RuntimeError, MemoryError) as error:
            raise _failure("The network", error) from error

    def features(self, model_inputs: Sequence[ImageArray]) -> NDArray[np.float32]:
        """The features of any number of model inputs, (n, d)."""
        batch, batches = len(self.model_inputs), []
        for start in range(0, len(model_inputs), batch):
            part = model_inputs[start : start + batch]
            for row, model_input in enumerate(part):
                self.model_inputs[row] = model_input
            batches.append(self.run(len(part)))
        return np.concatenate(batches)


class Engine:
    """A backbone that any number of threads can run; compiled at the first use, in the thread that starts it.

    `cache` is a folder for compiled networks, or None. With `probes`, a fast dtype is used only where it reproduces their logits.
    The features of an image do not depend on the rest of its batch.
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
        self.notes: tuple[Note, ...] = ()
        self._exact = backbone.dtype == "f32" or backbone.dtype not in fast_dtypes()
        self._cache = cache
        self._probes = probes
        self._starting = Lock()
        self._requests: tuple[InferenceRequest, ...] = ()
        self._idle: SimpleQueue[InferenceRequest] = SimpleQueue()
        self._single_untried = Lock()  # acquired once and never released
        self._single_starts = 0
        self._single_requests: tuple[InferenceRequest, ...] = ()
        self._idle_single: SimpleQueue[InferenceRequest] = SimpleQueue()

    @property
    def exact(self) -> bool:
        """Whether the graph is computed in float32 as it is written; final once the engine has started."""
        return self._exact

    @property
    def identity(self) -> str:
        """The identity of the backbone and its dtype: everything besides the image that feature rows depend on."""
        identity = self.backbone.identity
        return f"{identity}-exact" if self._exact and self.backbone.dtype != "f32" else identity

    @property
    def started(self) -> bool:
        """Whether the network is compiled."""
        return bool(self._requests)

    @property
    def requests(self) -> tuple[InferenceRequest, ...]:
        """One request of BATCH images for each thread. All are made here: made inside worker threads they crashed."""
        if not self._requests:
            with self._starting:
                if not self._requests:
                    requests = self._check_requests(import_openvino().Core())
                    for request in requests:
                        self._idle.put(request)
                    self._requests = requests
        return self._requests

    def start(self, *, single: bool = False) -> None:
        """Compiles the network if it is not compiled. Call it before `request`, outside of worker threads.

        With `single`, the caller waits for one image. From the second such call on, single images have their own requests, which
        take an eighth of the time; the first call may be the only one.
        """
        self.requests  # noqa: B018
        if single:
            self._single_starts += 1
            if self._single_starts > 1:
                self._start_single()

    def warm(self) -> None:
        """Compiles everything now, also the requests for single images."""
        self.requests  # noqa: B018
        self._start_single()

    def compile_extended(self, extend: "Callable[[openvino.Model], None]", batch: int) -> "openvino.CompiledModel":
        """The network for this batch with what `extend` adds to it, in the dtype of the engine, but float32 for bfloat16.

        Raises BackboneError where it cannot be run.
        """
        self.requests  # noqa: B018  # which settles the dtype
        return self._compile(import_openvino().Core(), batch, extend)

    @property
    def batch(self) -> int:
        """The least number of images whose model inputs fill batches."""
        return BATCH // math.gcd(BATCH, len(self.backbone.preprocessing.crops))

    def split(self, count: int) -> list[int]:
        """How many of `count` images to compute at a time: the network computes a part of a batch as long as a whole one."""
        rest = count % self.batch
        parts = [1] * rest if self._single_requests else [rest] * bool(rest)
        return [self.batch] * (count // self.batch) + parts

    @contextmanager
    def request(self, count: int = BATCH) -> Iterator[InferenceRequest]:
        """A request for `count` images, exclusive to the caller; waits until one is free. The engine must have started."""
        assert self._requests
        idle = self._idle_single if count == 1 and self._single_requests else self._idle
        request = idle.get()
        try:
            yield request
        finally:
            idle.put(request)

    def _start_single(self) -> None:
        """Makes the requests for single images, if their features are bit-identical to those of a batch.

        It is tried once. Other threads do not wait for it: requests for batches also take single images.
        """
        if not self._single_untried.acquire(blocking=False):
            return
        with suppress(BackboneError):
            requests = self._compile_requests(import_openvino().Core(), batch=1)
            if self._same_features(requests[0]):
                for request in requests:
                    self._idle_single.put(request)
                self._single_requests = requests

    def _check_requests(self, core: "openvino.Core") -> tuple[InferenceRequest, ...]:
        if not self._exact:
            with suppress(BackboneError):  # such as bfloat16 where oneDNN was limited to older instructions
                if self.backbone.dtype != "int8" or computes_int8(core):
                    requests = self._compile_requests(core)
                    if self._agree(requests):
                        return requests
                    self.notes = (_slower_note(self.backbone),)
            self._exact = True
        requests = self._compile_requests(core)
        if self.backbone.dtype == "int8" and not self._agree(requests):
            raise BackboneError(
                f"The network {self.backbone.name} does not reproduce the logits of the training on this computer, not even in "
                "float32: install the versions of openvino and pillow that bundle.json names, or train it again."
            )
        return requests

    def _compile_requests(self, core: "openvino.Core", batch: int = BATCH) -> tuple[InferenceRequest, ...]:
        compiled = self._compile(core, batch)
        return tuple(InferenceRequest(compiled.create_infer_request()) for _ in range(self.threads))

    def _compile(
        self, core: "openvino.Core", batch: int, extend: "Callable[[openvino.Model], None] | None" = None
    ) -> "openvino.CompiledModel":
        dtype = "f32" if self._exact or (extend and self.backbone.dtype == "bf16") else self.backbone.dtype
        settings = {
            # By default OpenVINO computes in bfloat16 where the processor supports it, and predictions depend on the processor.
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bf16" else "f32",
            # When off, quantised tensors are computed in float32, exactly as in the graph, at about the speed of a float network.
            "LP_TRANSFORMS_MODE": dtype == "int8",
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
            model.reshape({"image": [batch, side, side, 3]})
            check_sizes(model)
            if extend is not None:
                extend(model)
            if dtype != "int8":
                fold_constants(model)
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _failure(f"The network {self.backbone.name}", error) from error
        if folder is not None:
            record_checksums(folder)
        return compiled

    def _folder(self) -> Path | None:
        """The folder of the compiled network; None where it cannot be made, and the network is compiled each time."""
        if self._cache is None:
            return None
        folder = self._cache / _digest(self.identity)
        try:
            prepare_folder(folder)
        except OSError:
            return None
        return folder

    def _agree(self, requests: Sequence[InferenceRequest]) -> bool:
        """Whether the requests give the logits of the probes; a positive result is cached for this processor."""
        if self._probes is None:
            return True
        key = (self.identity, self._probes.digest, processor_name(), import_openvino().__version__)
        verdict = None if self._cache is None else self._cache / _digest(*key)
        if verdict is not None and verdict.is_file():
            return True
        if not self._probes.agree(_probe_features(requests, self.backbone.preprocessing)):
            return False
        if verdict is not None:
            with suppress(OSError):
                verdict.touch()
        return True

    def _same_features(self, single: InferenceRequest) -> bool:
        """Whether the features of single images are bit-identical to those of a batch, for a batch of probe images."""
        model_inputs = _probe_inputs(self.backbone.preprocessing)[:BATCH]
        with self.request() as request:
            expected = _features([request], model_inputs)
        return np.array_equal(_features([single], model_inputs, batch=1), expected)


def _probe_inputs(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The model inputs of the probe images, (PROBES * k, size, size, 3), those of an image one after the other."""
    images = [preprocess(image, preprocessing) for image in probe_images()]
    return np.stack([each for image in images if isinstance(image, PreprocessedImage) for each in image.model_inputs])


def _probe_features(requests: Sequence[InferenceRequest], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The features of the probe images, or of as many as there is time for, (n, d)."""
    count = len(preprocessing.crops)
    model_inputs, step = _probe_inputs(preprocessing), max(1, BATCH * len(requests) // count) * count
    start, rounds = perf_counter(), []
    for first in range(0, len(model_inputs), step):
        rounds.append(_features(requests, model_inputs[first : first + step]))
        if perf_counter() - start > _PROBE_SECONDS:
            break
    features = np.concatenate(rounds)
    return np.stack([preprocessing.pool(row) for row in features.reshape(len(features) // count, -1)])


def _features(
    requests: Sequence[InferenceRequest], model_inputs: NDArray[np.uint8], batch: int = BATCH
) -> NDArray[np.float32]:
    """The features of model inputs (n, size, size, 3), by all requests at once, (n, d)."""
    idle: SimpleQueue[InferenceRequest] = SimpleQueue()
    for request in requests:
        idle.put(request)

    def run(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = idle.get()
        request.model_inputs[: len(inputs)] = inputs
        features = request.run(len(inputs))
        idle.put(request)
        return features

    with ThreadPoolExecutor(len(requests)) as pool:
        return np.concatenate(list(pool.map(run, np.split(model_inputs, range(batch, len(model_inputs), batch)))))


def _slower_note(backbone: Backbone) -> Note:
    text = (
        f"This processor computes {backbone.dtype} differently from the one on which the model was trained, so float32 was "
        "used, which is slower but exact."
    )
    return Note("dtype-fallback", text)


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:32]


def _failure(network: str, error: Exception) -> BackboneError:
    reason = (str(error).strip().splitlines() or ["there is not enough memory"])[-1]
    return BackboneError(f"{network} cannot be run by OpenVINO: {reason}.")
