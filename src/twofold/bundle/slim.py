"""The slim form of a bundle, for handing on: the same answers, without names and scores of the training images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from twofold.bundle.card import decision_sentences
from twofold.bundle.model import Model
from twofold.bundle.score_quantiles import fit_quantiles
from twofold.bundle.storage import Bundle, new_bundle_folder, write_model
from twofold.core.files import open_replacement
from twofold.core.json_text import json_text
from twofold.duplicates.fingerprints import write_index

_EVALUATIONS: Final = ("cross_validation", "validation", "test")
_NUMBERS: Final = ("images", "groups", "variance_factors", "threshold", "confusion", "decided", "metrics", "per_class")
_FILES: Final = """## Files

This is the slim form of a bundle: `model.onnx`, `bundle.json`, the metrics in `evaluation.json`, and
`fingerprints.csv`, hashes of the training images without their names. Their scores and the file report stay with the whole
bundle; `bundle.json` has quantiles of the scores, by which it can be watched.
"""


def write_slim_bundle(bundle: Bundle, out: Path, *, force: bool) -> None:
    """Writes the slim form of a bundle at `out`, whole or not at all.

    The model is the same, with its probe logits. Left out are paths, the command, the file report and the report; of the scores
    remain quantiles. Raises UsageError where `out` is not free, BundleError where a file of the bundle is missing or altered.
    """
    index, evaluation = bundle.fingerprint_index(), bundle.evaluation()
    numbers = tuple(f"image {number}" for number in range(1, len(index.paths) + 1))
    card = bundle.path / "README.md"
    with new_bundle_folder(out, force=force) as folder:
        with open_replacement(folder / "fingerprints.csv") as file:
            write_index(replace(index, paths=numbers), file)
        (folder / "evaluation.json").write_text(json_text(_metrics(evaluation)), encoding="utf-8")
        if card.is_file():
            text = card.read_text(encoding="utf-8", errors="surrogateescape")
            (folder / "README.md").write_text(
                _slim_card(text, bundle.model), encoding="utf-8", errors="surrogateescape"
            )
        write_model(folder, bundle.model, _slim_record(bundle.record) | _quantiles(bundle))


def _quantiles(bundle: Bundle) -> dict[str, Any]:
    """The quantiles of the scores, about 2 kB, with which the slim form can be watched."""
    if not (bundle.path / "scores.csv").exists():  # a slim form already: its record has them
        return {}
    return {"score_quantiles": fit_quantiles(bundle.scores()).as_json()}


def _metrics(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of an evaluation.json, which has paths beside them."""
    blocks = {name: evaluation[name] for name in _EVALUATIONS if isinstance(evaluation.get(name), dict)}
    return {name: {key: block[key] for key in _NUMBERS if key in block} for name, block in blocks.items()}


def _slim_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record without commands and paths."""
    decisions = [{**decision, "command": []} for decision in record.get("decisions", [])]
    options = {
        panel: {key: None if key in ("weights", "decisions") else value for key, value in values.items()}
        if isinstance(values, dict)
        else values
        for panel, values in record.get("options", {}).items()
    }
    history = {"decisions": decisions} if decisions else {}
    return {**record, "command": [], "options": options, **history}


def _slim_card(card: str, model: Model) -> str:
    """The card of the slim form: the metrics of the card, which are tables, and none of its sentences, which may name files."""
    metrics = "\n".join(line for line in card.partition("## Model")[0].splitlines() if line.startswith("| "))
    negative, positive = model.classes
    decision = f"<!-- decision -->{decision_sentences(model.rule, model.classes)}<!-- /decision -->"
    title = f"# A model of {negative} and {positive}\n\nClassifies an image as {negative} or {positive}. {decision}"
    return f"{title}\n\n## Evaluation\n\nValues with 95% intervals.\n\n{metrics}\n\n{_FILES}"
