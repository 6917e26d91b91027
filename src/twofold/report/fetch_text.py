"""What fetch made, as people read it and as JSON."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twofold.core.errors import DataError
from twofold.core.files import printable
from twofold.core.options import DataOptions
from twofold.core.privacy import public_address
from twofold.data import SplitPlan, find_splits, list_labelled_files, plan_splits
from twofold.fetching import Unpacked


def gathered(source: str, out: Path, sha256: str | None, unpacked: Unpacked) -> dict[str, Any]:
    """What lies in the folder: its parts or itself, with the files of each class, and what to type next."""
    parts = find_splits(out) or [out]
    data, notes = [], []
    for part in parts:
        try:
            items = list_labelled_files(part, DataOptions()).files
            data.append({"path": str(part), "counts": dict(sorted(Counter(item.label for item in items).items()))})
        except DataError as error:
            notes.append({"code": "not-two-classes", "text": str(error)})
    ready = [part for part in parts if str(part) in {block["path"] for block in data}]
    wrote = {"files": unpacked.files, "bytes": unpacked.bytes, "skipped": dict(sorted(unpacked.skipped.items()))}
    named = {"source": public_address(source), "out": str(out), "sha256": sha256}
    return {**named, **wrote, "data": data, "next": _commands(plan_splits(ready)) if ready else [], "notes": notes}


def print_gathered(result: dict[str, Any]) -> None:
    skipped = ", ".join(f"{count} {code}" for code, count in result["skipped"].items())
    lines = [f"Wrote {result['out']}: {result['files']:,} files" + (f"; skipped: {skipped}" if skipped else "")]
    for part in result["data"]:
        lines.append(f"{part['path']}: " + ", ".join(f"{count:,} {name}" for name, count in part["counts"].items()))
    lines += [f"note: {note['text']}" for note in result["notes"]]
    lines += ["", "Next:", *(f"  {command}" for command in result["next"])] if result["next"] else []
    sys.stdout.write(printable("\n".join(lines)) + "\n")


def _commands(plan: SplitPlan) -> list[str]:
    """What to run next."""
    commands = [f"twofold train {shlex.quote(str(plan.train))} --out NAME.twofold"]
    if plan.evaluate is not None:
        commands.append(f"twofold evaluate NAME.twofold {shlex.quote(str(plan.evaluate))}")
    elif plan.predict is not None:
        commands.append(f"twofold predict NAME.twofold {shlex.quote(str(plan.predict))}")
    return commands
