"""Results as JSON."""

import json
from typing import Any


def json_text(record: Any, *, ascii_only: bool = False) -> str:
    """The record as indented JSON with a line break at its end. Numbers must be finite; undefined ones are None."""
    return json.dumps(record, indent=1, ensure_ascii=ascii_only, allow_nan=False) + "\n"
