"""Ctrl-C ends the command quietly, from its first import on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def interrupt_at(module: str, tmp_path: Path) -> tuple[int, list[str]]:
    """The exit code and the words of a command that is interrupted when it has loaded a module."""
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
    return process.returncode, words


# The last module is loaded by the command itself, after its arguments were read.
@pytest.mark.parametrize("module", ["twofold.core.errors", "typer.core", "twofold.cli.flags", "numpy"])
def test_ctrl_c_while_modules_are_loaded_ends_the_command_without_a_word(module: str, tmp_path: Path) -> None:
    code, words = interrupt_at(module, tmp_path)
    assert words == []
    # Python ends itself by the signal where it came while a text was executed, as for a dataclass: the same 130 in a shell.
    assert code in (130, -signal.SIGINT)


@pytest.mark.parametrize("module", ["typer.core", "numpy"])
def test_a_background_job_that_ignores_ctrl_c_is_not_ended(module: str, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command inherits it
    try:
        code, words = interrupt_at(module, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 1
    assert "must have two classes" in "".join(words)
