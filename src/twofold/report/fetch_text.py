"""The result of `fetch` as text."""

from twofold.report.layout import note_lines
from twofold.workflows.fetch import FetchResult


def fetch_text(result: FetchResult) -> str:
    """The files written, the classes of each folder, and notes."""
    skipped = ", ".join(f"{count} {code}" for code, count in sorted(result.unpacked.skipped.items()))
    lines = [f"Wrote {result.out}: {result.unpacked.files:,} files" + (f"; skipped: {skipped}" if skipped else "")]
    for folder in result.folders:
        lines.append(f"{folder.path}: " + ", ".join(f"{count:,} {name}" for name, count in folder.counts.items()))
    lines += note_lines(result.notes)
    return "\n".join(lines)
