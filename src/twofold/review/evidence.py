"""Evidence maps of the images under review, by the model of the bundle."""

from typing import Final

from twofold.report.evidence_layer import layer_png
from twofold.review.app import RenderMap
from twofold.workflows.explain import Explainer
from twofold.workflows.review import Review

_SIDE: Final = 512  # pixels of the longer side


def evidence_maps(review: Review, explainer: Explainer) -> RenderMap:
    """A function from the row of an image to its evidence map as PNG; None where the image cannot be read any more."""
    files, used = review.dataset.file_list.files, review.dataset.table.used

    def render(row: int) -> bytes | None:
        evidence = explainer.explain(files[int(used[row])].path).map
        return None if evidence is None else layer_png(evidence, _SIDE)

    return render
