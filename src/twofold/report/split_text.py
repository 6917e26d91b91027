"""The result of `split` as text."""

from twofold.report.layout import note_lines, short_names, table
from twofold.report.timing_text import timing_text
from twofold.workflows.split import PARTS, SplitResult


def split_text(result: SplitResult) -> str:
    """The images of each class and the groups in each part, then notes and the files written."""
    data = result.dataset.as_json()
    names = list(data["counts"])
    rows = [
        [short, *(str(result.counts[part][name]) for part in PARTS)]
        for short, name in zip(short_names(names), names, strict=True)
    ]
    rows.append(["groups", *(str(result.groups[part]) for part in PARTS)])
    skipped = f", {data['skipped']} skipped" if data["skipped"] else ""
    lines = [
        f"{data['files']} files, {data['used']} used{skipped}",
        "",
        *table([["images", *PARTS], *rows]),
        *note_lines(result.notes),
    ]
    lines += ["", timing_text(result.seconds), *(f"Wrote {file}" for file in result.files.values())]
    return "\n".join(lines)
