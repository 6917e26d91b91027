"""Where the numbers come from: files, versions, hashes, the command."""

import shlex
from collections import Counter
from typing import Any, Final

from twofold.core.files import printable
from twofold.workflows.report import ReportData

_MOST_FILES: Final = 200


def file_counts(data: ReportData) -> list[tuple[str, str, str]]:
    """(status, reason, number of files) for each reason, the most frequent first."""
    counts = Counter((file.status, file.reason) for file in data.files)
    return [(status, reason, f"{count:,}") for (status, reason), count in counts.most_common()]


def file_rows(data: ReportData) -> list[tuple[str, str, str]]:
    """The first files that are not used or are flagged: (path, status, reason)."""
    ordered = sorted(data.files, key=lambda file: file.status != "skipped")
    return [(printable(file.path), file.status, file.reason) for file in ordered[:_MOST_FILES]]


def provenance(data: ReportData) -> list[tuple[str, str]]:
    """Pairs of a name and a value."""
    record, seconds = data.record, data.result.get("seconds", {})
    backbone = record["backbone"]
    preprocessing = backbone["preprocessing"]
    rows = [
        ("bundle", data.name),
        ("made", str(record.get("created", ""))),
        ("command", shlex.join(map(str, record.get("command", ())))),
        (
            "network",
            f"{backbone['name']}, {preprocessing['size']} px, {backbone['dtype']}, crop mode {preprocessing['crop_mode']}",
        ),
        ("C", "" if record.get("C") is None else f"{record['C']:.4g}"),
        ("seed", str(record.get("seed", ""))),
        ("versions", _versions(record)),
        ("seconds", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())),
    ]
    rows += [(f"sha256 of {name}", digest) for name, digest in record.get("files", {}).items()]
    rows.append(("sha256 of the record", str(record.get("sha256", ""))))
    return [(name, printable(value)) for name, value in rows if value]


def _versions(record: Any) -> str:
    versions = {"twofold": record.get("twofold", ""), **record.get("versions", {})}
    return ", ".join(f"{name} {version}" for name, version in versions.items())
