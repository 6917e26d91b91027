"""Ctrl-C ends the command quietly, from its first import on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


# The last module is loaded by the command itself, after its arguments were read.
@pytest.mark.parametrize("module", ["twofold.core.errors", "typer.core", "twofold.cli.flags", "numpy"])
def test_ctrl_c_while_modules_are_loaded_ends_the_command_without_a_word(module: str, tmp_path: Path) -> None:
    arguments = ["-X", "importtime", "-m", "twofold", "audit", str(tmp_path), "--quick"]
    for number in range(100):
        (tmp_path / f"{number}.png").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rpartition("|")[2].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        words = [line for line in process.stderr if not line.startswith("import time:")]
    assert words == []
    # Python ends itself by the signal where it came while a text was executed, as for a dataclass: the same 130 in a shell.
    assert process.returncode in (130, -signal.SIGINT)
