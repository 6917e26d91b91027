"""Running a backbone: OpenVINO, a fixed batch, one request for each processor.

The only module that imports OpenVINO.
"""

import sys
import types
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twofold.embedding.backbone import Backbone
from twofold.embedding.processors import available_processors
from twofold.embedding.sizes import check_sizes
from twofold.errors import BackboneError

if TYPE_CHECKING:
    import openvino

BATCH = 8
KEPT = 20  # compiled networks: some 15 MB each in float32


def import_openvino() -> Any:
    """The openvino module, imported so that it reports nothing to anybody."""
    # OpenVINO's import sends an event to its maker; an empty module in this place makes it use its own silent stub.
    sys.modules.setdefault("openvino_telemetry", types.ModuleType("openvino_telemetry"))
    import openvino

    return openvino


class Lane:
    """One inference request with its own input: fill `squares`, then `run`. For one thread at a time."""

    def __init__(self, request: "openvino.InferRequest") -> None:
        self._request = request
        # OpenVINO's own memory: nothing is shared with or freed by Python. It is asked for here because two threads that were
        # the first to ask for any tensor's `data` have waited for each other for ever.
        self.squares: NDArray[np.uint8] = request.get_input_tensor().data

    def run(self, count: int) -> NDArray[np.float32]:
        """The vectors of the first `count` squares, (count, d)."""
        try:
            self._request.infer()
            return np.array(self._request.get_tensor("vector").data[:count])
        except (RuntimeError, MemoryError) as error:
            raise BackboneError(f"The network cannot be run by OpenVINO: {_reason(error)}.") from error


class Engine:
    """A backbone ready to run; compiled at the first use, in the thread that asks for its lanes.

    `cache` is a folder for compiled networks, or None. A vector does not depend on what else is in its batch.
    """

    def __init__(self, backbone: Backbone, *, threads: int | None = None, cache: Path | None = None) -> None:
        self.backbone = backbone
        self.threads = threads or available_processors()
        self._cache = cache

    @cached_property
    def lanes(self) -> tuple[Lane, ...]:
        """One lane for each thread. All requests are made here, together: made inside worker threads they have crashed."""
        compiled = self._compiled()
        return tuple(Lane(compiled.create_infer_request()) for _ in range(self.threads))

    def _compiled(self) -> "openvino.CompiledModel":
        core = import_openvino().Core()
        if self._cache is not None:
            with suppress(RuntimeError):  # a folder that cannot be made: compiled anew each time
                core.set_property({"CACHE_DIR": str(self._cache)})
        settings = {
            # Left alone, OpenVINO computes in bfloat16 wherever the processor can, and answers depend on the machine.
            "INFERENCE_PRECISION_HINT": "bf16" if self.backbone.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads,
        }
        side = self.backbone.square.size
        try:
            model = core.read_model(self.backbone.graph)
            model.reshape({"image": [BATCH, side, side, 3]})
            check_sizes(model)
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, ValueError, MemoryError) as error:
            name = self.backbone.name
            raise BackboneError(f"The network {name} cannot be run by OpenVINO: {_reason(error)}.") from error
        if self._cache is not None:
            _tidy(self._cache)
        return compiled


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["there is not enough memory"])[-1]


def _tidy(folder: Path) -> None:
    """Leaves the newest of the compiled networks; OpenVINO adds one for every graph and never takes one away."""
    with suppress(OSError):  # another process may be tidying, too
        oldest_first = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime)
        for path in oldest_first[:-KEPT]:
            path.unlink()
