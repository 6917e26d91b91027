"""The measurements of bench/benchmark.py: a function for each, which runs one or more processes and returns numbers."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from journal import Record, run

BENCH = Path(__file__).parent
WRONG_LABEL = "cat.4085.jpg"  # a dog
PYTHON, TWOFOLD = sys.executable, str(Path(sys.executable).with_name("twofold"))


@dataclass(frozen=True, slots=True)
class BenchmarkSetup:
    """The photographs, the weights of MobileNetV2, the folder for work, and the Python of the Keras environment."""

    data: Path
    weights: Path
    work: Path
    keras_python: Path

    @property
    def mobilenetv2(self) -> list[str]:
        return ["--backbone", "mobilenetv2", "--size", "160", "--weights", str(self.weights)]

    @property
    def keras_network(self) -> list[str]:
        """Options for the network, size, pooling and single model input of the Keras program."""
        return [*self.mobilenetv2, "--features", "last", "--effort", "fast"]

    def train(self, data: Path, *options: str, cache: Path | None = None) -> Record:
        """`twofold train` as a process of its own; without `cache` no features are cached."""
        out = ["--out", str(self.work / "bench.twofold"), "--force", "--json"]
        return run([TWOFOLD, "train", str(data), *out, *options, *([] if cache else ["--no-cache"])], cache=cache)

    def train_and_test(self, *options: str, cache: Path | None = None) -> Record:
        return self.train(self.data / "train", "--test", str(self.data / "test"), *options, cache=cache)


def keras(setup: BenchmarkSetup, *options: str) -> Record:
    program = [str(setup.keras_python), str(BENCH / "keras_program.py"), str(setup.data), "--weights", "none"]
    return run([*program, "--out", str(setup.work / "model.keras"), *options])


def torch(setup: BenchmarkSetup) -> Record:
    return run([PYTHON, str(BENCH / "torch_program.py"), str(setup.data), "--weights", str(setup.weights)])


def rates(setup: BenchmarkSetup, backbone: str, dtype: str) -> Record:
    weights = ["--weights", str(setup.weights), "--features", "last"] if backbone == "mobilenetv2" else []
    options = ["--backbone", backbone, "--dtype", dtype, *weights]
    return run([PYTHON, str(BENCH / "embedding_rates.py"), str(setup.data / "test"), *options])


def accuracy(setup: BenchmarkSetup, *options: str) -> Record:
    """Metrics of the test images, one label corrected. Features are cached between runs, because nothing is timed."""
    test = setup.work / "test.csv"
    with test.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("path", "label"))
        for path in sorted((setup.data / "test").glob("*/*.jpg")):
            label = "dogs" if path.name == WRONG_LABEL else path.parent.name
            rows.writerow((path, label))
    record = setup.train(setup.data / "train", "--test", str(test), *options, cache=setup.work / "cache")
    metrics = record["json"]["test"]["metrics"]
    return {name: metrics[name]["value"] for name in ("accuracy", "log_loss", "ece")}


def solar(setup: BenchmarkSetup, seed: int) -> Record:
    sys.path.insert(0, str(BENCH.parent / "examples"))
    from solar_cells import lay_out

    folder = setup.work / "solar"
    lay_out(folder, seed=seed)
    options = ["--test", str(folder / "test.csv"), "--positive", "defective"]
    metrics = setup.train(folder / "train.csv", *options, cache=setup.work / "cache")["json"]["test"]["metrics"]
    return {name: metrics[name]["value"] for name in ("accuracy", "log_loss", "ece")}


def retrain(setup: BenchmarkSetup) -> Record:
    """The second training on the same images. The first fills the cache, if it is missing."""
    cache = setup.work / "cache-retrain"
    if not cache.exists():
        setup.train(setup.data / "train", cache=cache)
    return setup.train(setup.data / "train", cache=cache)


def predict_one(setup: BenchmarkSetup) -> Record:
    """One test image by the bundle of `retrain`: without a cache, and with the compiled network but no features in the cache."""
    cache = setup.work / "cache-predict"
    bundle, image = setup.work / "bench.twofold", next((setup.data / "test").rglob("*.jpg"))
    command = [TWOFOLD, "predict", str(bundle), str(image)]
    if not cache.exists():
        run(command, cache=cache)
    for file in cache.rglob("features.sqlite*"):
        file.unlink()
    return {"first_seconds": run([*command, "--no-cache"])["seconds"], **run(command, cache=cache)}


def show_help(setup: BenchmarkSetup) -> Record:
    return run([TWOFOLD, "--help"])


def install_size(setup: BenchmarkSetup) -> Record:
    """MiB on disk after `pip install .` with compiled bytecode: of the environment, and without pip and setuptools."""
    folder = setup.work / "venv-size"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([PYTHON, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    before = _size(folder)
    subprocess.run([*pip, "--constraint", str(BENCH.parent / "constraints.txt"), str(BENCH.parent)], check=True)
    total = _size(folder)
    shutil.rmtree(folder)
    return {"total": total, "added": total - before}


def _size(folder: Path) -> float:
    """MiB as `du` counts them."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*")) / 2**20


def train_many(setup: BenchmarkSetup, repeats: int = 10) -> Record:
    """Training on a folder with `repeats` copies of each image, for peak memory and the seconds of the fit."""
    folder = setup.work / f"times-{repeats}"
    for image in (setup.data / "train").rglob("*.jpg"):
        for number in range(repeats):
            target = folder / image.parent.name / f"{number}-{image.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(image, target)
    return setup.train(folder)


def decoding(setup: BenchmarkSetup) -> Record:
    return run([PYTHON, str(BENCH / "decoding.py"), str(setup.data / "test")])


@dataclass(frozen=True, slots=True)
class Measurement:
    """A name in the journal, the function that measures it, and the number of runs, by default that of `--repeats`."""

    name: str
    measure: Callable[[BenchmarkSetup], Record]
    repeats: int | None = None


PROGRAMS = (  # compared with one another, so interleaved
    Measurement("keras", keras),
    Measurement("keras-cached", lambda setup: keras(setup, "--cache-features")),
    Measurement("torch", torch),
    Measurement(
        "twofold-keras-network-f32", lambda setup: setup.train_and_test(*setup.keras_network, "--dtype", "f32")
    ),
    Measurement("twofold-keras-network", lambda setup: setup.train_and_test(*setup.keras_network)),
    Measurement("twofold-fast", lambda setup: setup.train_and_test("--effort", "fast")),
    Measurement("twofold", lambda setup: setup.train_and_test()),
)
RATES = tuple(
    Measurement(f"rates-{backbone}-{dtype}", lambda setup, b=backbone, p=dtype: rates(setup, b, p), 1)
    for backbone in ("mobilenetv2", "efficientnet-lite0")
    for dtype in ("f32", "int8")
)
ACCURACY = (
    Measurement("accuracy-efficientnet-lite0", accuracy, 1),
    Measurement("accuracy-efficientnet-lite0-fast", lambda setup: accuracy(setup, "--effort", "fast"), 1),
    Measurement("accuracy-efficientnet-lite0-f32", lambda setup: accuracy(setup, "--dtype", "f32"), 1),
    Measurement("accuracy-efficientnet-lite2", lambda setup: accuracy(setup, "--backbone", "efficientnet-lite2"), 1),
    Measurement("accuracy-mobilenetv2", lambda setup: accuracy(setup, *setup.mobilenetv2), 1),
    Measurement("accuracy-mobilenetv2-last", lambda setup: accuracy(setup, *setup.keras_network), 1),
    *(Measurement(f"solar-{seed}", lambda setup, s=seed: solar(setup, s), 1) for seed in range(5)),
)
REQUIREMENTS = (
    Measurement("retrain", retrain),
    Measurement("predict-one", predict_one, 5),
    Measurement("help", show_help, 5),
    Measurement("install", install_size, 1),
    Measurement("train-many", train_many, 1),
    Measurement("decoding", decoding, 1),
)
