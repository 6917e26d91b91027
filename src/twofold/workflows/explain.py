"""The Explainer: where in an image the evidence for its label lies."""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.model import Model, Prediction
from twofold.bundle.storage import Bundle
from twofold.core.errors import BackboneError, BundleError
from twofold.core.notes import Note
from twofold.core.options import RuntimeOptions
from twofold.core.parallel import prefetch
from twofold.data import ImageArray, PreprocessedImage, ReadError, open_image
from twofold.decision import Head
from twofold.embedding import (
    EvidenceNetwork,
    FeatureRow,
    InferenceRequest,
    Metadata,
    Runtime,
    Source,
    UnknownPoolingError,
    compute_evidence_map,
    covered_logits,
    find_pattern,
    make_feature_row,
    occlude,
    preprocess_content,
    read_content,
)
from twofold.workflows.evidence_region import Region, find_region

Method = Literal["exact", "occlusion"]
_OCCLUSION: Final = (
    "Features of {name} are not means or standard deviations over places, so the evidence comes from occlusion: the change of "
    "the logit where a patch is covered. Such a map does not sum up to the logit."
)
_BFLOAT16: Final = (
    "The model runs in bfloat16, whose sums are too coarse for a map, so the maps and their logits were computed in "
    "float32."
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A prediction and the evidence for it.

    `map` (h, w) is signed: positive cells speak for the positive class. Its cells divide the upright image evenly. With the
    method `exact`, map.sum() + bias is the logit: the head's bias is spread over the map, and `bias` is what the grey margins of
    a padded image add, else 0 up to rounding. What the maps of all images have at their borders is left out. With `occlusion` a
    cell is the logit less that without the cell, and there is no `bias`. An image that cannot be read has no map. `region` says
    where the evidence for the more probable class lies.
    """

    prediction: Prediction
    map: NDArray[np.float32] | None = field(default=None, repr=False)
    bias: float | None = None
    method: Method | None = None
    region: Region | None = None

    @property
    def logit(self) -> float | None:
        return self.prediction.logit


class Explainer:
    """Explanations by a bundle or a model; its network is compiled at the first image. Any number of threads may use it.

    Without a `runtime` nothing is cached between runs. Methods raise BundleError, or BackboneError for a model, where the network
    cannot be run.

    >>> explainer = Explainer(load_bundle("pets.twofold"))  # doctest: +SKIP
    >>> explainer.explain(Path("rex.jpg")).map.shape  # doctest: +SKIP
    (128, 160)
    """

    def __init__(self, bundle: Bundle | Model, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or Runtime(Path(os.devnull), RuntimeOptions(cache=False))
        self.model = bundle.model if isinstance(bundle, Bundle) else bundle
        self._path = bundle.path if isinstance(bundle, Bundle) else None
        self._engine = self.model.engine(self.runtime)
        self._network: EvidenceNetwork | None = None
        self._pattern: NDArray[np.float32] | None = None
        self._method: Method | None = None
        self._lock = Lock()

    @property
    def method(self) -> Method:
        """How this network's maps are computed."""
        if self._method is None:
            with self._lock, self._name_bundle_in_errors():
                self._engine.start()
                if self._method is None:
                    try:
                        self._network = EvidenceNetwork(self._engine)
                    except UnknownPoolingError:
                        self._method = "occlusion"
                    else:
                        self._pattern = self._find_pattern(self._network)
                        self._method = "exact"
        return self._method

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was assumed or could not be used, once an image was explained."""
        name = self.model.backbone.name
        occlusion = [Note("occlusion", _OCCLUSION.format(name=name))] if self._method == "occlusion" else []
        bfloat16 = [Note("evidence-in-f32", _BFLOAT16)] if self._method == "exact" and self._in_bfloat16 else []
        return (*self.runtime.notes, *self._engine.notes, *occlusion, *bfloat16)

    @property
    def _in_bfloat16(self) -> bool:
        return self.model.backbone.dtype == "bf16" and not self._engine.exact

    def explain(self, source: Source, *, method: Method | None = None) -> Explanation:
        """The explanation of a path, bytes, PIL image or array. `method` "occlusion" is possible for every network."""
        chosen = method or self.method
        path = str(source) if isinstance(source, Path) else ""
        image = self._read(source)
        if isinstance(image, ReadError):
            row = FeatureRow(None, None, None, image)
            return Explanation(self.model.predict_rows([path], [row])[0])
        with self._name_bundle_in_errors():
            evidence, bias, features = self._exact(image[1]) if chosen == "exact" else self._occlusion(image[1])
        prediction = self.model.predict_rows([path], [make_feature_row(*image, features)])[0]
        if prediction.read_error is not None:
            return Explanation(prediction)
        return Explanation(prediction, evidence, bias, chosen, self._region(prediction, evidence))

    def _region(self, prediction: Prediction, evidence: NDArray[np.float32]) -> Region:
        """Where the evidence for the label lies; of an image without one, for the class that the threshold gives."""
        assert prediction.probability is not None
        number = int(self.model.rule.answer(np.array([prediction.probability]))[0])
        return find_region(evidence if number else -evidence, self.model.classes[number])

    def covered_logits(self, source: Source, covers: Iterable[Sequence[int]]) -> NDArray[np.float64] | ReadError:
        """The logit of the image, then that with each of `covers` covered, (1 + n,): lists of the PATCHES x PATCHES patches."""
        image = self._read(source)
        if isinstance(image, ReadError):
            return image
        preprocessing = self.model.backbone.preprocessing
        with self._request() as request:
            return covered_logits(request, image[1], preprocessing, self.model.logits, covers)[0]

    def with_head(self, head: Head) -> "Explainer":
        """The explainer of the same network with another head."""
        self.method  # noqa: B018  # so that both have the network
        other = copy(self)
        other.model = replace(self.model, head=head)
        if self._network is not None:
            other._pattern = other._find_pattern(self._network)
        return other

    def stream(self, sources: Iterable[Source]) -> Generator[Explanation]:
        """The explanations of all sources in order, each as soon as it is available, in bounded memory."""
        self.method  # noqa: B018  # compiles in this thread: see `Engine.start`
        with ThreadPoolExecutor(self._engine.threads, thread_name_prefix="explain") as pool:
            try:
                yield from prefetch(pool, self.explain, sources, 2 * self._engine.threads)
            finally:
                pool.shutdown(cancel_futures=True)

    def open(self, source: Source) -> ImageArray | ReadError:
        """The image in which a map lies, upright, at full size, (height, width, 3)."""
        content = read_content(source)
        if isinstance(content, ReadError):
            return content
        ranges, max_pixels = self.model.backbone.preprocessing.ranges, self.runtime.options.max_pixels
        return open_image(content.source, max_pixels=max_pixels, ranges=ranges)

    def _find_pattern(self, network: EvidenceNetwork) -> NDArray[np.float32]:
        return find_pattern(network, self.model.backbone.preprocessing, self.model.head.weights)

    def _read(self, source: Source) -> tuple[Metadata, PreprocessedImage] | ReadError:
        content = read_content(source)
        if isinstance(content, ReadError):
            return content
        max_pixels = self.runtime.options.max_pixels
        return preprocess_content(content, self.model.backbone.preprocessing, max_pixels=max_pixels)

    def _exact(self, image: PreprocessedImage) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
        """The map, the bias and the features of the model inputs."""
        if self.method != "exact" or self._network is None:
            raise BackboneError(
                f"The evidence of {self.model.backbone.name} cannot be exact: use `method='occlusion'`."
            )
        head = self.model.head
        preprocessing = self.model.backbone.preprocessing
        result = compute_evidence_map(self._network, image, preprocessing, head.weights, head.bias, self._pattern)
        return result.cells, result.margins, result.features

    def _occlusion(self, image: PreprocessedImage) -> tuple[NDArray[np.float32], None, NDArray[np.float32]]:
        with self._request() as request:
            cells, features = occlude(request, image, self.model.backbone.preprocessing, self.model.logits)
        return cells, None, features

    @contextmanager
    def _request(self) -> Iterator[InferenceRequest]:
        with self._name_bundle_in_errors():
            self._engine.start()
            with self._engine.request() as request:
                yield request

    @contextmanager
    def _name_bundle_in_errors(self) -> Iterator[None]:
        try:
            yield
        except BackboneError as error:
            if self._path is None:
                raise
            raise BundleError(f"{self._path} cannot be explained: {error}") from error
