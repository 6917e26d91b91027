"""The choice of crop mode and views together: the sample is embedded once, with the crops of all candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twofold.core.notes import Note
from twofold.core.options import BackboneOptions, CropMode
from twofold.data import FileList
from twofold.embedding import Runtime, Source
from twofold.networks import Backbone
from twofold.workflows.crop_mode import WHOLE, CropModeChoice, choose_crop_mode
from twofold.workflows.embedded_sample import CropComparison, EmbeddedSample, embed_sample
from twofold.workflows.views import Grids, ViewsChoice, candidate_grids, choose_views


@dataclass(frozen=True, slots=True)
class CropsChoice:
    """The crop mode and the views to use, and their choices; None where an option fixes them or there was nothing to choose."""

    mode: CropMode
    views: Grids
    crop_mode: CropModeChoice | None = None
    views_choice: ViewsChoice | None = None

    def apply(self, backbone: Backbone) -> Backbone:
        """The backbone with this crop mode and these views."""
        preprocessing = replace(backbone.preprocessing, crop_mode=self.mode, views=self.views)
        return replace(backbone, preprocessing=preprocessing)

    def notes(self) -> tuple[Note, ...]:
        """A note for each choice."""
        return tuple(choice.note() for choice in (self.crop_mode, self.views_choice) if choice is not None)


def choose_crops(
    file_list: FileList,
    sources: Sequence[Source],
    backbone: Backbone,
    options: BackboneOptions,
    runtime: Runtime,
    folds: int,
    seed: int,
    *,
    whole: tuple[CropMode, ...] = WHOLE,
    windows: bool = True,
) -> tuple[CropsChoice, EmbeddedSample | None]:
    """The crop mode and views for these images, where the options leave them open, and the rows that decided.

    The crop mode is chosen first, among `whole` and `center`; `windows` is False for a network that sees one model input.
    """
    fixed, grids, fixed_views = backbone.preprocessing, Grids(), options.fixed_views
    choose_mode = options.fixed_crop_mode is None
    if windows and fixed_views is None:
        grids = candidate_grids(options, sources, fixed.size, runtime.options.max_pixels)
    if not choose_mode and not grids:
        return CropsChoice(fixed.crop_mode, fixed.views), None
    embedded = replace(fixed, crop_mode="both" if choose_mode else fixed.crop_mode, views=grids or fixed.views)
    sample = embed_sample(file_list, sources, replace(backbone, preprocessing=embedded), runtime, seed)
    comparison = CropComparison.of_sample(sample, file_list, folds, seed)
    mode = choose_crop_mode(comparison, fixed, whole) if choose_mode else None
    chosen = fixed if mode is None else replace(fixed, crop_mode=mode.mode)
    views = choose_views(comparison, chosen, grids) if grids else None
    return CropsChoice(chosen.crop_mode, fixed.views if views is None else views.views, mode, views), sample
