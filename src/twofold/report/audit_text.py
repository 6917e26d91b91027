"""What an audit found, as people read it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twofold.core.files import printable
from twofold.workflows.audit import AuditResult

_MOST = 10  # lines of a list: the ledger and --json have all
_KINDS = {"bytes": "same bytes", "pixels": "same pixels", "near": "nearly alike"}


def print_audit(auditing: AuditResult, out: Path | None) -> None:
    found = auditing.as_json()
    data, statuses = found["data"], found["statuses"]
    counts = ", ".join(f"{count} {name}" for name, count in data["counts"].items())
    lines = [
        f"{data['images']} files: "
        + ", ".join(f"{count} {status}" for status, count in statuses.items())
        + f"; {counts}"
    ]
    if found["reasons"]:
        lines.append("reasons: " + ", ".join(f"{count} {code}" for code, count in found["reasons"].items()))
    lines += _listed(f"copies: {len(found['duplicates'])}", [_copy(copy) for copy in found["duplicates"]])
    if "against" in found:
        pairs = [f"{_KINDS[leak['kind']]:12}  {leak['path']} = {leak['duplicate_of']}" for leak in found["against"]]
        lines += _listed(_counted(len(pairs), len(found["against_other"])), pairs)
    lines += _suspects(found)
    lines += ["", "enough? " + found["learning_curve"]["text"]] if "learning_curve" in found else []
    lines += [""] * bool(found["notes"]) + [f"note: {note['text']}" for note in found["notes"]]
    lines += ["", f"Wrote {out}"] if out is not None else []
    sys.stdout.write(printable("\n".join(lines)) + "\n")


def _counted(own: int, others: int) -> str:
    return f"duplicates: {own} images of DATA are in OTHER, {others} images of OTHER are in DATA"


def _suspects(found: dict[str, Any]) -> list[str]:
    expected = found["label_errors_expected"]
    if expected is None:
        return []
    about = f"about {expected['value']:.0f} wrong in all ({expected['low']:.0f} to {expected['high']:.0f})"
    rows = [f"{one['p_label_error']:.3f}  {one['path']} as {one['label']}" for one in found["label_issues"]]
    return _listed(f"labels worth a look: {len(rows)}; {about}", rows)


def _copy(copy: dict[str, Any]) -> str:
    apart = "" if copy["labels_agree"] else ", under the other label"
    return f"{_KINDS[copy['kind']]:12}  {copy['path']} = {copy['duplicate_of']}{apart}"


def _listed(title: str, rows: Sequence[str]) -> list[str]:
    more = [f"  and {len(rows) - _MOST} more: --out and --json have all"] if len(rows) > _MOST else []
    return ["", title, *(f"  {row}" for row in rows[:_MOST]), *more]
