"""Networks of installed packages, as `tools/make_backbone_package.py` writes them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.drawings import draw
from twofold.core.errors import BackboneError, UsageError
from twofold.core.options import BackboneOptions
from twofold.embedding import Runtime
from twofold.networks import Backbone, load_backbone

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "make_backbone_package.py"


def run_tool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *map(str, words)], check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def package(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the package that the tool writes for the tiny network."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "LICENSE").write_text("Free.", encoding="utf-8")
    words = ("--name", "tiny-net", "--licence", "MIT", "--licence-file", folder / "LICENSE", "--out", folder)
    run = run_tool(tiny_file, *words)
    assert run.returncode == 0, run.stderr
    return folder / "twofold-tiny-net"


@pytest.fixture
def installed(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the installed package's files: what pip would put into site-packages, without pip."""
    site = tmp_path / "site"
    shutil.copytree(package / "twofold_tiny_net", site / "twofold_tiny_net")
    record = site / "twofold_tiny_net-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: twofold-tiny-net\nVersion: 1.0\n", encoding="utf-8")
    (record / "entry_points.txt").write_text("[twofold.backbones]\ntiny-net = twofold_tiny_net\n", encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    return site / "twofold_tiny_net"


def load(cache: Path, **options: object) -> Backbone:
    return load_backbone(BackboneOptions("tiny-net", **options), "f32", cache=cache)  # type: ignore[arg-type]


def test_the_package_declares_its_entry_point_and_licence(package: Path) -> None:
    text = (package / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."twofold.backbones"]\ntiny-net = "twofold_tiny_net"' in text
    assert 'license = "MIT"' in text
    assert (package / "LICENSE").read_text(encoding="utf-8") == "Free."


def test_a_packaged_network_gives_the_features_of_its_source(
    installed: Path, tiny: Backbone, runtime: Runtime, tmp_path: Path
) -> None:
    backbone = load(tmp_path, crop_mode=tiny.preprocessing.crop_mode)
    assert backbone.name == "tiny-net"
    images = [draw("bars", 0), draw("rings", 1)]
    features = [runtime.embed(images, runtime.engine(network)).features for network in (backbone, tiny)]
    assert np.array_equal(*features)


def test_its_code_does_not_run(installed: Path, tmp_path: Path) -> None:
    (installed / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    assert load(tmp_path).name == "tiny-net"


def test_a_folder_of_the_same_name_does_not_hide_it(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny-net").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path).name == "tiny-net"


def test_an_unknown_name_is_answered_with_the_packaged_ones(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'tiny-net'\?"):
        load_backbone(BackboneOptions("tiny-nets"), "f32", cache=tmp_path)


def test_options_that_the_package_fixes_are_refused(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`mean` is fixed in the package of tiny-net; leave it out"):
        load(tmp_path, mean=(1.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="takes images of 16 pixels, not `size` 32"):
        load(tmp_path, size=32)


@pytest.mark.parametrize(
    ("key", "value"), [("size", 0), ("size", "16"), ("crop_mode", "auto"), ("crop_pct", 1.5), ("filter", None)]
)
def test_a_wrong_record_is_refused(key: str, value: object, installed: Path, tmp_path: Path) -> None:
    record = json.loads((installed / "backbone.json").read_text(encoding="utf-8"))
    (installed / "backbone.json").write_text(json.dumps({**record, key: value}), encoding="utf-8")
    with pytest.raises(BackboneError, match=f"not supported: {key} {value!r}"):
        load(tmp_path)


def test_missing_files_are_refused(installed: Path, tmp_path: Path) -> None:
    (installed / "graph.onnx").unlink()
    with pytest.raises(BackboneError, match=r"no readable graph\.onnx"):
        load(tmp_path)
    (installed / "backbone.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BackboneError, match="must have the keys"):
        load(tmp_path)


def test_the_tool_says_what_is_wrong(tmp_path: Path) -> None:
    words = ("--name", "x", "--licence", "MIT", "--licence-file", tmp_path / "none", "--out", tmp_path)
    run = run_tool("nothing.onnx", *words)
    assert run.returncode == 1
    assert "none" in run.stderr
    assert "Traceback" not in run.stderr
