"""Explanations as lines of text and as JSON."""

from typing import Any

from twofold.workflows.evidence_checks import EvidenceChecks
from twofold.workflows.evidence_region import Region
from twofold.workflows.explain import Explanation


def format_explanation(explanation: Explanation, positive: str) -> str:
    """One line: label, probability, and where the evidence for the label lies; for a file without a map the reason.

    `positive` is the name of the positive class.
    """
    prediction = explanation.prediction
    if prediction.read_error is not None:
        return f"{prediction.path}: {prediction.reason}. {prediction.read_error.sentence}"
    assert explanation.region is not None
    label = prediction.label or prediction.reason
    probability = f"probability of {positive} {prediction.probability:.3f}"
    return f"{prediction.path}: {label}, {probability}; {format_region(explanation.region)}"


def format_region(region: Region) -> str:
    """Where the evidence lies, as in `for dogs: in the upper left, 62% of the evidence in 10% of the area`."""
    if region.fraction == 0:
        return f"nothing speaks for {region.label}"
    place = (
        "scattered over the image" if region.place == "scattered" else f"{_preposition(region.place)} {region.place}"
    )
    return f"for {region.label}: {place}, {region.fraction:.0%} of the evidence in {region.area:.0%} of the area"


def _preposition(place: str) -> str:
    return "at the" if place in ("top", "bottom") else "on the" if place in ("left", "right") else "in the"


def explanation_record(explanation: Explanation, files: dict[str, str]) -> dict[str, Any]:
    """An explanation as JSON. `files` are the paths of its overlay and its map."""
    prediction, region = explanation.prediction, explanation.region
    place = {} if region is None else {"for": region.label, "place": region.place}
    numbers = {} if region is None else {"evidence": round(region.fraction, 4), "area": round(region.area, 4)}
    return {
        "path": prediction.path,
        "label": prediction.label,
        "probability": prediction.probability,
        "logit": prediction.logit,
        "reason": prediction.reason,
        "method": explanation.method,
        "bias": explanation.bias,
        "region": {**place, **numbers} or None,
        **files,
    }


def checks_lines(checks: EvidenceChecks) -> list[str]:
    """The checks of a model's maps, a line each."""
    lines = [f"Checked on {checks.images} images (method: {checks.method})."]
    if checks.patches:
        lines.append(
            f"Pasted patches of the other class: the map changes most there in {checks.hits} of {checks.patches} images, "
            f"by chance in {checks.chance:.0%}."
        )
    if checks.randomised_correlation is not None:
        lines.append(
            f"Correlation with the maps of a head whose weights were shuffled: {checks.randomised_correlation:.2f}. Near 0 "
            "the map follows the model, near 1 only the image."
        )
    for step in checks.deletion:
        lines.append(
            f"{step.area:.0%} of the area covered: the logit moves to the other class by {step.strongest:.2f} where the "
            f"evidence is strongest, by {step.random:.2f} at random places."
        )
    return lines
