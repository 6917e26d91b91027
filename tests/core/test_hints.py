"""Installation advice works from a clone."""

import re
import tomllib
from pathlib import Path

import pytest

from twofold.core.hints import install

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_no_text_advises_to_install_twofold_from_an_index() -> None:
    files = [path for place in ("src", "docs", "examples") for path in (ROOT / place).rglob("*")]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (*files, ROOT / "README.md")
        if path.suffix in (".py", ".md", ".jinja")
    }
    assert len(texts) > 100
    assert not [path for path, text in texts.items() if re.search(r"install (-\S+ )*[\"']?twofold", text)]


@pytest.mark.parametrize("extra", ["hub", "figures", "torch", "tune", "lite1", "lite2"])
def test_an_extra_is_installed_from_the_clone(extra: str) -> None:
    assert extra in EXTRAS
    assert f"pip install '.[{extra}]'" in install(extra)
