"""Writes docs/cli.md out of what the commands say of themselves: `python docs/generate_cli.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

Results go to stdout, progress to stderr. Exit code: 0 done, 1 it could not be done (one sentence says why and what to
do), 2 wrong usage, 3 done but a `--require` is not met. Ctrl-C leaves no half-written file.

<!-- Written by docs/generate_cli.py; change the help texts in src/twofold instead. -->
"""


def reference() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n## twofold {name}\n\n```text\n{said(name)}```\n" for name in commands())


def commands() -> list[str]:
    """Every command, in the order of `twofold --help`."""
    _, _, listed = said().partition("Commands")
    return re.findall(r"^│ (\w+) ", listed, re.MULTILINE)


def said(*command: str) -> str:
    """What `twofold COMMAND --help` prints."""
    plain = {**os.environ, "COLUMNS": "100", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}
    twofold = Path(sys.executable).with_name("twofold")
    text = subprocess.run(
        [twofold, *command, "--help"], env=plain, capture_output=True, check=True, encoding="utf-8"
    ).stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
