"""A Python package with a network, so that `pip install` makes it a `--backbone` of twofold.

    python tools/make_backbone_package.py hf:facebook/dinov2-small --name dinov2-small \
        --licence Apache-2.0 --licence-file LICENSE --out packages

BACKBONE is what `--backbone` takes: FILE.onnx, hf:ID (timm and transformers; extra `torch`), a folder or MODULE:FUNCTION. Before
you pass the package on, check that the licence of the weights permits it.
"""

import argparse
import json
import re
from pathlib import Path

from platformdirs import user_cache_path

from twofold.core.errors import TwofoldError
from twofold.core.options import BackboneOptions
from twofold.networks import Backbone, load_backbone
from twofold.networks.packaged import GRAPH, GROUP, RECORD

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "twofold-{name}"
version = "1.0"
description = "The network {name} for twofold"
license = "{licence}"
license-files = ["LICENSE"]

[project.entry-points."{group}"]
{name} = "{module}"

[tool.setuptools]
packages = ["{module}"]

[tool.setuptools.package-data]
{module} = ["{graph}", "{record}"]
"""


def write_package(backbone: Backbone, name: str, licence: str, licence_text: str, source: str, out: Path) -> Path:
    """Writes the package as the new folder OUT/twofold-NAME, and returns it."""
    folder, module = out / f"twofold-{name}", f"twofold_{re.sub('[^a-z0-9]', '_', name)}"
    (folder / module).mkdir(parents=True)
    preprocessing = backbone.preprocessing
    record = {
        "size": preprocessing.size,
        "crop_mode": preprocessing.crop_mode,
        "crop_pct": preprocessing.crop_pct,
        "filter": preprocessing.filter,
        "licence": licence,
        "source": source,
    }
    values = {"name": name, "licence": licence, "group": GROUP, "module": module, "graph": GRAPH, "record": RECORD}
    (folder / module / GRAPH).write_bytes(backbone.graph)
    (folder / module / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / module / "__init__.py").write_text(f'"""The network {name}: files, no code."""\n', encoding="utf-8")
    (folder / "LICENSE").write_text(licence_text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PROJECT.format(**values), encoding="utf-8")
    return folder


def package_name(text: str) -> str:
    if not re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"lower-case letters, digits and hyphens only, got {text!r}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", metavar="BACKBONE")
    parser.add_argument("--name", type=package_name, required=True, help="the name for `--backbone`")
    parser.add_argument("--licence", required=True, help="of the weights, as an SPDX expression such as Apache-2.0")
    parser.add_argument("--licence-file", type=Path, required=True, help="its text")
    parser.add_argument("--size", type=int, help="side of the model input, where the network leaves it open")
    parser.add_argument("--out", type=Path, required=True, help="folder for the package")
    arguments = parser.parse_args()
    options = BackboneOptions(arguments.backbone, size=arguments.size)
    try:
        text = arguments.licence_file.read_text(encoding="utf-8")
        backbone = load_backbone(options, "f32", cache=user_cache_path("twofold"))
        folder = write_package(backbone, arguments.name, arguments.licence, text, arguments.backbone, arguments.out)
    except (TwofoldError, OSError) as error:
        parser.exit(1, f"{error}\n")
    print(f"Wrote {folder}. Install it with: pip install {folder.resolve()}")


if __name__ == "__main__":
    main()
