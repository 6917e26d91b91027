"""The result of `fetch` as text and as JSON."""

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
    """The splits of the folder, or the folder itself, with the number of files of each class, and the commands to run next."""
    data, labelled, notes = [], [], []
    for split in find_splits(out) or [out]:
        try:
            files = list_labelled_files(split, DataOptions()).files
        except DataError as error:
            notes.append({"code": "not-two-classes", "text": str(error)})
        else:
            labelled.append(split)
            data.append({"path": str(split), "counts": dict(sorted(Counter(file.label for file in files).items()))})
    return {
        "source": public_address(source),
        "out": str(out),
        "sha256": sha256,
        "files": unpacked.files,
        "bytes": unpacked.bytes,
        "skipped": dict(sorted(unpacked.skipped.items())),
        "data": data,
        "next": _commands(plan_splits(labelled)) if labelled else [],
        "notes": notes,
    }


def print_gathered(result: dict[str, Any]) -> None:
    """Writes the result to stdout."""
    skipped = ", ".join(f"{count} {code}" for code, count in result["skipped"].items())
    lines = [f"Wrote {result['out']}: {result['files']:,} files" + (f"; skipped: {skipped}" if skipped else "")]
    for split in result["data"]:
        lines.append(f"{split['path']}: " + ", ".join(f"{count:,} {name}" for name, count in split["counts"].items()))
    lines += [f"note: {note['text']}" for note in result["notes"]]
    lines += ["", "Next:", *(f"  {command}" for command in result["next"])] if result["next"] else []
    sys.stdout.write(printable("\n".join(lines)) + "\n")


def _commands(plan: SplitPlan) -> list[str]:
    """The command lines that follow the plan."""
    commands = [f"twofold train {shlex.quote(str(plan.train))} --out NAME.twofold"]
    if plan.evaluate is not None:
        commands.append(f"twofold evaluate NAME.twofold {shlex.quote(str(plan.evaluate))}")
    elif plan.predict is not None:
        commands.append(f"twofold predict NAME.twofold {shlex.quote(str(plan.predict))}")
    return commands
