"""The result of `fetch` as text."""

from collections.abc import Sequence

from twofold.workflows.fetch import FetchResult


def fetch_text(result: FetchResult, commands: Sequence[str]) -> str:
    """The files written, the classes of each folder, notes, and the commands to run next."""
    skipped = ", ".join(f"{count} {code}" for code, count in sorted(result.unpacked.skipped.items()))
    lines = [f"Wrote {result.out}: {result.unpacked.files:,} files" + (f"; skipped: {skipped}" if skipped else "")]
    for folder in result.folders:
        lines.append(f"{folder.path}: " + ", ".join(f"{count:,} {name}" for name, count in folder.counts.items()))
    lines += [f"note: {note.text}" for note in result.notes]
    lines += ["", "Next:", *(f"  {command}" for command in commands)] if commands else []
    return "\n".join(lines)
