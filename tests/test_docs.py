"""The documentation says what is: every example runs, the command reference is generated, every page builds."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import generate_cli
import pytest
from drawings import draw, draw_folder

from twofold.audit.file_report import REASONS
from twofold.cli import main
from twofold.data.file_list import SKIP_NOTES
from twofold.data.members import SKIP_SENTENCES
from twofold.data.read_errors import Code

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("pip", "git", "make", "cd")  # commands in examples that are not ours to run


def examples(page: Path) -> Iterator[tuple[str, str]]:
    """("python", code) and ("twofold", arguments) in the order of the page."""
    for language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            yield language, body
        if language == "console":
            for command in re.findall(r"^\$ (.*)", body, re.MULTILINE):
                name, _, arguments = command.partition(" ")
                assert name == "twofold" or name in ELSEWHERE, command
                if name == "twofold":
                    yield name, arguments


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The networks in the arithmetic of this machine: the first example makes them, as at a user's."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def desk(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the images that the examples speak of."""
    for folder, start in (("photos", 0), ("other", 30), ("pets/train", 0), ("pets/test", 40)):
        draw_folder(tmp_path / folder, 12, start, labels=("cats", "dogs"))
    (tmp_path / "new").mkdir()
    for number in range(3):
        draw("rings", 100 + number).save(tmp_path / "new" / f"{number}.jpg")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_twofold(arguments: str) -> None:
    words = shlex.split(arguments)
    if "mobilenetv2" in words:  # its weights are a download, and tests use no network: the flags are checked, no more
        flags = {word for word in words if word.startswith("--")}
        assert flags <= set(re.findall(r"--[\w-]+", generate_cli.help_page(words[0]))), arguments
        return
    if words[0] in ("review", "label", "serve"):  # they serve until Ctrl-C: tests/review and tests/serving do that
        assert {word for word in words if word.startswith("--")} <= set(
            re.findall(r"--[\w-]+", generate_cli.help_page(words[0]))
        )
        return
    if words[0] == "export" and "bundle" not in words:  # here are few images, and the network is int8 on some machines
        words += ["--sample", "10", "--max-difference", "1", "--max-flips", "10"]
    if "--mode" in words:  # what takes an hour on photographs is to take a second here
        words += ["--epochs", "1", "--size", "96" if "finetune" in words else "48", "--batch-size", "8"]
    given = [match for word in words for match in (sorted(map(str, Path().glob(word))) or [word])]
    if words[0] == "doctor":  # other tests may have loaded into this process what is a fault
        subprocess.run([sys.executable, "-m", "twofold", *given], check=True)
        return
    assert main(given) == 0, arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_in_their_order(page: Path, desk: Path) -> None:
    names: dict[str, object] = {}
    for kind, text in examples(page):
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
        else:
            run_twofold(text)


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-E",
        "-d",
        tmp_path / "trees",
        ROOT / "docs",
        tmp_path / "html",
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


def test_the_command_reference_is_up_to_date() -> None:
    assert generate_cli.PAGE.read_text(encoding="utf-8") == generate_cli.reference(), "run: python docs/generate_cli.py"


def test_the_readme_shows_every_command() -> None:
    shown = {arguments.split()[0] for kind, arguments in examples(ROOT / "README.md") if kind == "twofold"}
    assert shown >= set(generate_cli.commands())


def test_every_reason_of_the_ledger_is_explained() -> None:
    _, _, tables = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8").partition("## Reasons in the file report")
    firsts = [line.split("|")[1] for line in tables.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    explained = set(re.findall(r"`([\w-]+)`", " ".join(firsts)))
    assert explained == {*get_args(Code), *SKIP_NOTES, *SKIP_SENTENCES, *REASONS}
