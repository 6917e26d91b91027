"""Evidence maps of the images in the gallery, to be laid over their thumbnails."""

from contextlib import closing
from dataclasses import replace
from typing import Final

from twofold.report.evidence_layer import layer_png
from twofold.workflows.evidence_checks import evidence_checks
from twofold.workflows.explain import Explainer
from twofold.workflows.report import ImageKey, ReportData, role_of
from twofold.workflows.report_images import ScoredImages
from twofold.workflows.thumbnails import SIDE

MOST_MAPS: Final = 24
_MOST_OF_KIND: Final = 8
_MOST_OF_CELL: Final = 3
_CHECKED: Final = 16  # images that the checks of the maps are made on


def with_maps(data: ReportData, explainer: Explainer) -> ReportData:
    """The data with maps of the first images of each kind in the gallery; without, where only occlusion, which is slow, gives
    maps."""
    keys = [key for key in _gallery_keys(data) if key in data.thumbnails.places and key in data.sources][:MOST_MAPS]
    if not keys or explainer.method != "exact":
        return data
    with closing(explainer.stream([data.sources[key] for key in keys])) as explanations:
        pairs = zip(keys, explanations, strict=True)
        return replace(data, maps={key: layer_png(each.map, SIDE) for key, each in pairs if each.map is not None})


def with_map_checks(data: ReportData, explainer: Explainer) -> ReportData:
    """The data with the checks of the model's maps on some of its images; without, where no image is at hand."""
    sources = [source for key, source in data.sources.items() if key in data.thumbnails.places][:_CHECKED]
    if not sources or explainer.method != "exact":
        return data
    return replace(data, map_checks=evidence_checks(explainer, sources))


def _errors(scored: ScoredImages) -> list[int]:
    """The most confident errors, with the first ones of both kinds among them: those that a cell of the matrix shows first."""
    first = (scored.cell(0, 1)[:_MOST_OF_CELL], scored.cell(1, 0)[:_MOST_OF_CELL])
    kinds = {int(row) for rows in first for row in rows}
    errors = [row for row in map(int, scored.errors) if row not in kinds][: _MOST_OF_KIND - len(kinds)]
    return sorted(kinds.union(errors), key=lambda row: -abs(scored.sample.probabilities[row] - scored.rule.threshold))


def _gallery_keys(data: ReportData) -> list[ImageKey]:
    """The images of the gallery, errors first, each once."""
    keys: list[ImageKey] = []
    for scored in data.scored:
        for rows in (_errors(scored), scored.unfamiliar, scored.borderline):
            keys += [(role_of(scored.name), scored.paths[int(row)]) for row in rows[:_MOST_OF_KIND]]
    issues = data.result.get("audit", {}).get("label_issues", ())
    keys[_MOST_OF_KIND:_MOST_OF_KIND] = [("train", issue["path"]) for issue in issues[:_MOST_OF_KIND]]
    return list(dict.fromkeys(keys))
