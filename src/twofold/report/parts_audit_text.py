"""The result of an audit in parts as text."""

from typing import Final

from twofold.core.notes import count_text
from twofold.duplicates import DuplicateKind
from twofold.report.layout import note_lines
from twofold.workflows.scale.audit_parts import DUPLICATES, PartsAudit

_KINDS: Final[dict[DuplicateKind, str]] = {
    "exact": "same bytes",
    "pixels": "same pixels",
    "near": "near",
    "same-scene": "same object",
}


def parts_audit_text(audit: PartsAudit) -> str:
    """Files, read errors, pairs and groups of each kind, the largest groups, then notes and where the files are."""
    run, duplicates = audit.run, audit.duplicates
    errors = sum(audit.read_errors.values())
    lines = [f"{count_text(run.images, 'file')}: {run.images - errors} read, {errors} skipped"]
    if errors:
        lines.append("reasons: " + ", ".join(f"{count} {code}" for code, count in audit.read_errors.items()))
    for kind, count in duplicates.kinds.items():
        groups = f" in {count_text(count.groups, 'group')}" if count.pairs else ""
        lines.append(f"{_KINDS[kind]}: {count_text(count.pairs, 'pair')}{groups}")
    if duplicates.across_folders:
        lines.append(f"duplicates in different folders: {count_text(duplicates.across_folders, 'pair')}")
    if duplicates.largest:
        largest = [f"  {count_text(group.images, 'image')}, the first is {group.first}" for group in duplicates.largest]
        lines += ["", "largest groups of duplicates:", *largest]
    lines += note_lines(run.notes)
    before = f", {run.finished_before} of them before" if run.finished_before else ""
    return "\n".join([*lines, "", f"Wrote {run.folder}: {count_text(run.parts, 'part')}{before}, and {DUPLICATES}"])
