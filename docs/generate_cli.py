"""Writes docs/cli.md from the help pages of the commands: `python docs/generate_cli.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Commands

Results go to stdout, progress and errors to stderr. Exit code: 0 done, 1 it could not be done (one sentence says why and what
to do), 2 wrong usage, 3 done but a `--require` is not met, 130 Ctrl-C, 141 the reader of stdout ended first, as in `| head`. No
file is left half-written.

<!-- Written by docs/generate_cli.py; change the help texts in src/twofold instead. -->
"""


def reference() -> str:
    """The page."""
    return HEAD + "".join(f"\n## twofold {name}\n\n```text\n{help_page(name)}```\n" for name in commands())


def commands() -> list[str]:
    """Every command, in the order of `twofold --help`."""
    _, _, section = help_page().partition("Commands:\n")
    return re.findall(r"^  (\w+) ", section.partition("\n\n")[0], re.MULTILINE)


def help_page(*command: str) -> str:
    """What `twofold COMMAND --help` prints at 100 columns."""
    environment = {**os.environ, "COLUMNS": "100"}
    words = [sys.executable, "-m", "twofold", *command, "--help"]
    return subprocess.run(words, env=environment, capture_output=True, check=True, encoding="utf-8").stdout


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
