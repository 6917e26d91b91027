"""How an exported model compares with its bundle, also on large JPEG files, which twofold decodes at reduced scale.

    python bench/export.py pets.twofold pets/test --sample 100

For the images as they are and enlarged, each saved as JPEG: the differences, the decisions that differ, and milliseconds an image
of both, one at a time and in one thread, decoding included.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

from PIL import Image, ImageOps

from twofold.bundle.storage import load_bundle
from twofold.core.options import ExportOptions, RuntimeOptions
from twofold.data import list_files, open_image
from twofold.embedding import Runtime
from twofold.networks.onnx_program import open_onnx
from twofold.workflows.model_export import export
from twofold.workflows.predict import Predictor

FACTORS = (1, 2, 4)


def enlarge(files: list[Path], factor: int, folder: Path) -> list[Path]:
    """Copies of the images as JPEG of quality 90, each side `factor` times as long."""
    folder.mkdir()
    copies = []
    for number, file in enumerate(files):
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        copies.append(folder / f"{number}.jpg")
        size = (image.width * factor, image.height * factor)
        image.resize(size, Image.Resampling.LANCZOS).save(copies[-1], quality=90)
    return copies


def milliseconds(bundle_path: Path, model: Path, files: list[Path]) -> tuple[float, float]:
    """Milliseconds an image of the Predictor and of the exported model, from bytes, in turns."""
    program, _ = open_onnx(model, threads=1)
    seconds = [0.0, 0.0]
    runtime = Runtime(Path("/dev/null"), RuntimeOptions(cache=False, threads=1))
    with Predictor(load_bundle(bundle_path), runtime) as predictor:
        predictor.warm()
        for file in files:
            data = file.read_bytes()
            start = perf_counter()
            predictor.predict_batch([data])
            middle = perf_counter()
            program(open_image(data))
            seconds[0] += middle - start
            seconds[1] += perf_counter() - middle
    return seconds[0] / len(files) * 1000, seconds[1] / len(files) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--sample", type=int, default=100)
    arguments = parser.parse_args()
    files = list_files([arguments.images])
    files = files[:: max(len(files) // arguments.sample, 1)][: arguments.sample]
    options = ExportOptions(sample=len(files), max_difference=1.0, max_flips=len(files))
    with tempfile.TemporaryDirectory() as temporary:
        for factor in FACTORS:
            copies = enlarge(files, factor, Path(temporary) / f"x{factor}")
            out = Path(temporary) / f"export{factor}"
            runtime = Runtime(Path(temporary) / "cache")
            result = export(
                load_bundle(arguments.bundle), "onnx", out, options, runtime, data=copies[0].parent, force=False
            )
            times = milliseconds(arguments.bundle, out / "model.onnx", copies[:20])
            parity = result.parity
            pixels = max(image.pixels[0] for image in parity.images)
            print(
                f"x{factor}: {len(copies)} images, {parity.reduced} at reduced scale; probability {parity.difference:.6f}, from "
                f"the same pixels {parity.same_pixels:.6f}; {len(parity.flips)} flips; pixels {pixels}; "
                f"twofold {times[0]:.1f} ms, exported {times[1]:.1f} ms"
            )


if __name__ == "__main__":
    main()
