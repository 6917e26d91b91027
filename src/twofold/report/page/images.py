"""The images of the page: thumbnails, the cells of the matrices, the gallery and pairs of duplicates."""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from markupsafe import Markup

from twofold.core.files import printable
from twofold.core.notes import count_text
from twofold.workflows.evidence_checks import EvidenceChecks
from twofold.workflows.report import ImageKey, Pair, ReportData, role_of
from twofold.workflows.report_images import ScoredImages
from twofold.workflows.thumbnails import COLUMNS, Sheet, Thumbnails

_KINDS: Final = {
    "exact": "equal files",
    "pixels": "equal pixels",
    "near": "near duplicates",
    "same-scene": "the same object",
}

_PLACES: Final = re.compile(r'<script type="application/json" id="thumbnails">(.*?)</script>', re.DOTALL)
_MAP_KEYS: Final = re.compile(r'<script type="application/json" id="maps">(.*?)</script>', re.DOTALL)
_CHECKS: Final = re.compile(r'<script type="application/json" id="map-checks">(.*?)</script>', re.DOTALL)
_MAP: Final = re.compile(r'data-map="(\d{1,3})"\] \{ background-image: url\(data:image/png;base64,([\w+/=]+)\)')
_SHEET: Final = re.compile(
    r"rows: (\d{1,3}); background-size: [\d% ]+; background-image: url\(data:image/jpeg;base64,([\w+/=]+)\)"
)


@dataclass(frozen=True, slots=True)
class Card:
    """An image with its caption. `sheet` is -1 where it has no thumbnail, `map` is the number of its evidence map, or -1."""

    path: str
    caption: str
    sheet: int
    column: int
    row: int
    map: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of the gallery."""

    title: str
    text: str
    cards: tuple[Card, ...]


def sheets(thumbnails: Thumbnails[ImageKey]) -> list[dict[str, Any]]:
    """The sheets for the style of the page: number, rows and the JPEG file in base64 of each."""
    return [
        {"number": number, "rows": sheet.rows, "data": Markup(base64.b64encode(sheet.jpeg).decode())}
        for number, sheet in enumerate(thumbnails.sheets)
    ]


def maps(data: ReportData) -> list[dict[str, Any]]:
    """The evidence maps for the style of the page: number and the PNG file in base64 of each."""
    return [
        {"number": number, "data": Markup(base64.b64encode(png).decode())}
        for number, png in enumerate(data.maps.values())
    ]


def places_json(thumbnails: Thumbnails[ImageKey]) -> list[list[Any]]:
    """[role, path, sheet, cell] of each thumbnail, from which `read_images` knows them again."""
    return [[*key, *place] for key, place in thumbnails.places.items()]


@dataclass(frozen=True, slots=True)
class PageImages:
    """The thumbnails in a page, the evidence maps over them, as PNG files, and the checks of the maps."""

    thumbnails: Thumbnails[ImageKey]
    maps: dict[ImageKey, bytes] = field(repr=False)
    map_checks: EvidenceChecks | None = None


def read_images(page: str) -> PageImages:
    """The images in a page that was written before; none where it is another page, or was altered."""
    return PageImages(_read_thumbnails(page), _read_maps(page), _read_checks(page))


def with_images(data: ReportData, images: PageImages) -> ReportData:
    """The data with the images of a page that was written before: those of the training or of the test set where that page shows
    more of them."""
    new, old = data.thumbnails, images.thumbnails
    roles = {role for role in ("train", "test") if _count(old, role) > _count(new, role)}
    unchanged = old.only({key for key in old.places if key[0] in roles})
    maps = {key: png for key, png in data.maps.items() if key[0] not in roles}
    maps |= {key: png for key, png in images.maps.items() if key[0] in roles}
    thumbnails = new.only({key for key in new.places if key[0] not in roles}).joined(unchanged)
    checks = data.map_checks if data.map_checks is not None else images.map_checks
    return replace(data, thumbnails=thumbnails, maps=maps, map_checks=checks)


def _count(thumbnails: Thumbnails[ImageKey], role: str) -> int:
    return sum(key[0] == role for key in thumbnails.places)


def _read_checks(page: str) -> EvidenceChecks | None:
    block = _CHECKS.search(page)
    try:
        return EvidenceChecks.from_json(json.loads(block[1])) if block else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _read_maps(page: str) -> dict[ImageKey, bytes]:
    block = _MAP_KEYS.search(page)
    try:
        keys = [(role, path) for role, path in json.loads(block[1] if block else "")]
        files = {keys[int(number)]: base64.b64decode(data, validate=True) for number, data in _MAP.findall(page)}
    except (ValueError, TypeError, IndexError, RecursionError):
        return {}
    return files if all(png.startswith(b"\x89PNG") for png in files.values()) else {}


def _read_thumbnails(page: str) -> Thumbnails[ImageKey]:
    block = _PLACES.search(page)
    try:
        places = {
            (role, path): (int(sheet), int(cell)) for role, path, sheet, cell in json.loads(block[1] if block else "")
        }
        sheets = tuple(Sheet(base64.b64decode(data, validate=True), int(rows)) for rows, data in _SHEET.findall(page))
    except (ValueError, TypeError, RecursionError):
        return Thumbnails()
    usable = all(sheet.jpeg.startswith(b"\xff\xd8\xff") for sheet in sheets)
    if not usable or any(not 0 <= sheet < len(sheets) for sheet, _ in places.values()):
        return Thumbnails()
    return Thumbnails(sheets, places)


def cells(scored: ScoredImages, data: ReportData) -> dict[str, Any]:
    """The images of each cell of a matrix: [path, probability, sheet, cell, map], worst first; -1 where there is none."""
    sample, role = scored.sample, role_of(scored.name)
    numbers = {key: number for number, key in enumerate(data.maps)}
    result = {}
    for (label, answer), rows in scored.shown_cells.items():
        count = int(((sample.labels == label) & (sample.decisions == answer)).sum())
        first = "the most confident errors first" if label != answer else "the least certain first"
        shown = f"The first {len(rows)} of {count}" if len(rows) < count else count_text(count, "image")
        images = [
            [
                printable(scored.paths[row]),
                float(f"{sample.probabilities[row]:.6g}"),
                *data.thumbnails.places.get((role, scored.paths[row]), (-1, 0)),
                numbers.get((role, scored.paths[row]), -1),
            ]
            for row in rows.tolist()
        ]
        title = f"{data.classes[label]} called {data.classes[answer]} ({scored.name})"
        result[f"{label}{answer}"] = {"title": title, "text": f"{shown}, {first}.", "images": images}
    return result


def gallery(data: ReportData) -> list[Kind]:
    """The kinds of images that are worth a look; empty ones are left out."""
    kinds = [kind for scored in data.scored for kind in _kinds(scored, data)]
    issues = data.result.get("audit", {}).get("label_issues", ())[:24]
    if issues:
        cards = tuple(
            _card(("train", entry["path"]), f"labelled {entry['label']}, p(error) {entry['p_label_error']:.2f}", data)
            for entry in issues
        )
        kinds.append(
            Kind(
                "Possible label errors",
                "Labels that out-of-fold scores contradict, the most probable error first.",
                cards,
            )
        )
    return [kind for kind in kinds if kind.cards]


def _kinds(scored: ScoredImages, data: ReportData) -> list[Kind]:
    name = scored.name
    return [
        Kind(
            f"Confident errors ({name})",
            "Wrong answers, the farthest from the threshold first.",
            _cards(scored, scored.errors[:12], data),
        ),
        Kind(f"Borderline ({name})", "Images close to the threshold.", _cards(scored, scored.borderline[:12], data)),
        Kind(
            f"Unfamiliar ({name})",
            "Images unlike the training images, which get no label; the least familiar first.",
            _cards(scored, scored.unfamiliar[:12], data),
        ),
    ]


def _cards(scored: ScoredImages, rows: Iterable[Any], data: ReportData) -> tuple[Card, ...]:
    role, (_, positive), sample = role_of(scored.name), data.classes, scored.sample
    return tuple(
        _card(
            (role, scored.paths[row]),
            f"labelled {data.classes[int(sample.labels[row])]}, {positive} {sample.probabilities[row]:.4g}",
            data,
        )
        for row in map(int, rows)
    )


def pair_cards(data: ReportData) -> list[dict[str, Any]]:
    """Test images that duplicate training images, and duplicates of each other, side by side."""
    return [
        {
            "title": _pair_title(pair),
            "cards": [
                _card(key, "test image" if key[0] == "test" else "training image", data)
                for key in (pair.first, pair.second)
            ],
        }
        for pair in data.pairs
    ]


def _pair_title(pair: Pair) -> str:
    text = _KINDS.get(pair.kind, pair.kind)
    if pair.first[0] != pair.second[0]:
        return f"Leak: {text}"
    return text.capitalize() if pair.labels_agree else f"{text.capitalize()}, different labels"


def _card(key: ImageKey, caption: str, data: ReportData) -> Card:
    sheet, cell = data.thumbnails.places.get(key, (-1, 0))
    number = list(data.maps).index(key) if key in data.maps else -1
    return Card(printable(key[1]), caption, sheet, cell % COLUMNS, cell // COLUMNS, number)
