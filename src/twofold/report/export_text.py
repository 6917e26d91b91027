"""The result of `export` as text."""

from twofold.core.notes import count_text
from twofold.workflows.model_export import FIXED_SIZE, ExportResult
from twofold.workflows.parity import CONFIDENCE


def export_text(result: ExportResult) -> str:
    """The comparison with the bundle, and the files."""
    written = [f"Wrote {file}" for file in result.files]
    parity = result.parity
    if parity is None:
        return "\n".join([f"Not compared with the bundle: {result.as_json()['parity']['not_compared']}", "", *written])
    record = parity.as_json()
    flips = f"{len(parity.flips)} of {len(parity.images)} decisions differ"
    lines = [
        f"Compared with the bundle in {parity.runtime} on {count_text(len(parity.images), 'image')}: {parity.sampled} at "
        "random, and those nearest the threshold",
        f"  pixels of the model input differ by at most {record['pixels']['largest_difference_same_pixels']} of 255"
        if result.target not in FIXED_SIZE
        else "  cropped and resized by twofold, before the exported model",
        f"  probabilities differ by at most {parity.difference:.6f}",
        f"  {flips}: at most {parity.bound:.2%} do ({CONFIDENCE:.0%})",
    ]
    if parity.reduced:
        lines.append(
            f"  {count_text(parity.reduced, 'large JPEG file')}, which twofold decodes at reduced scale: from the same pixels "
            f"probabilities differ by at most {parity.same_pixels:.6f}"
        )
    return "\n".join([*lines, "", *written])
