"""The answer of the page: one sentence with its evidence, the rule, and the notes."""

from dataclasses import dataclass
from typing import Any, Final

from twofold.audit.leakage import LEAKAGE
from twofold.report.page.numbers import interval
from twofold.report.shortcuts_text import SHORTCUT
from twofold.workflows.report import ReportData

_SOURCES: Final = {
    "test": ("test images", ""),
    "test (unseen)": ("test images", "None of them duplicates a training image."),
    "test (inflated)": ("test images", "Some of them duplicate training images, so that it is inflated."),
    "first": ("test images", ""),
    "first (unseen)": ("test images", "None of them duplicates a training image."),
    "first (inflated)": ("test images", "Some of them duplicate training images, so that it is inflated."),
    "validation": ("validation images", "They chose the best epoch, too."),
}
_OUT_OF_FOLD: Final = "training images", "Each was scored by a model that was fitted without it."
_WARNINGS: Final = {
    LEAKAGE,
    SHORTCUT,
    "label-issues",
    "labels-not-checked",
    "no-gate",
    "few-images-for-gate",
    "intervals-of-fixed-scores",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in one sentence, what it rests on, and what the rule says."""

    sentence: str
    evidence: str
    rule: str


def answer(data: ReportData) -> Answer:
    """The answer of the headline."""
    column, (negative, positive) = data.columns[0], data.classes
    block = column.block
    accuracy, counts = block["metrics"]["accuracy"], [block["per_class"][name]["support"] for name in data.classes]
    images, remark = _SOURCES.get(column.name, _OUT_OF_FOLD)
    sentence = (
        f"{negative} or {positive}: right in {accuracy['value']:.2%} of {block['images']:,} {images}, "
        f"95% interval {accuracy['low']:.2%} to {accuracy['high']:.2%}."
    )
    groups = "" if block["groups"] == block["images"] else f" in {block['groups']:,} groups"
    evidence = (
        f"Accuracy {interval(accuracy)} on {counts[0]:,} {negative} and {counts[1]:,} {positive}{groups}. {remark} "
        f"Always {data.classes[int(counts[1] >= counts[0])]} would be right in {max(counts) / sum(counts):.2%}."
    )
    return Answer(sentence, evidence.replace("  ", " "), _rule_sentence(data))


def _rule_sentence(data: ReportData) -> str:
    rule, (negative, positive) = (
        data.record["rule"],
        (sorted(data.record["classes"], key=lambda name: name == data.record["positive"])),
    )
    text = f"An image is {positive} where its probability is at least {rule['high']:.4g}"
    if rule["low"] < rule["high"]:
        text += f", {negative} below {rule['low']:.4g}, and unsure between"
    if rule["prevalence"] is not None:
        text += f", where {rule['prevalence']:.2%} of the images are {positive}"
    gate = "; an image unlike the training images is unfamiliar and gets no label" if rule["gate"] is not None else ""
    return f"{text}{gate} (policy: {rule['policy']['name']})."


def notes(data: ReportData) -> list[dict[str, Any]]:
    """The notes of the result, warnings first."""
    entries = [{"text": note["text"], "warning": note["code"] in _WARNINGS} for note in data.notes]
    return sorted(entries, key=lambda entry: not entry["warning"])
