"""What is measured: one small function a figure, each a whole process or several, each giving plain numbers."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from measure import Figures, run

HERE = Path(__file__).parent
PYTHON, TWOFOLD = sys.executable, str(Path(sys.executable).with_name("twofold"))


@dataclass(frozen=True, slots=True)
class Given:
    """Where the photographs are, MobileNetV2's weights, and where to work."""

    data: Path
    weights: Path
    work: Path
    keras: Path

    @property
    def mobilenetv2(self) -> list[str]:
        return ["--backbone", "mobilenetv2", "--size", "160", "--weights", str(self.weights)]

    @property
    def same(self) -> list[str]:
        """The network, size and pooling of the Keras program."""
        return [*self.mobilenetv2, "--features", "last"]

    def train(self, data: Path, *options: str, cache: Path | None = None) -> Figures:
        """`twofold train` as a whole process; without `cache` nothing is remembered before or after."""
        out = ["--out", str(self.work / "bench.twofold"), "--force", "--json"]
        return run([TWOFOLD, "train", str(data), *out, *options, *([] if cache else ["--no-cache"])], cache=cache)

    def train_and_test(self, *options: str, cache: Path | None = None) -> Figures:
        return self.train(self.data / "train", "--test", str(self.data / "test"), *options, cache=cache)


def keras(given: Given, *options: str) -> Figures:
    program = [str(given.keras), str(HERE / "keras_program.py"), str(given.data), "--weights", "none"]
    return run([*program, "--out", str(given.work / "model.keras"), *options])


def torch(given: Given) -> Figures:
    return run([PYTHON, str(HERE / "torch_program.py"), str(given.data), "--weights", str(given.weights)])


def rates(given: Given, backbone: str, dtype: str) -> Figures:
    weights = ["--weights", str(given.weights), "--features", "last"] if backbone == "mobilenetv2" else []
    options = ["--backbone", backbone, "--dtype", dtype, *weights]
    return run([PYTHON, str(HERE / "rates.py"), str(given.data / "test"), *options])


def accuracy(given: Given, *options: str) -> Figures:
    """The numbers of the test part, vectors kept between runs: nothing is timed here."""
    done = given.train_and_test(*options, cache=given.work / "cache")["json"]["test"]["metrics"]
    return {name: done[name]["value"] for name in ("accuracy", "log_loss", "ece")}


def solar(given: Given, seed: int) -> Figures:
    sys.path.insert(0, str(HERE.parent / "examples"))
    from solar_cells import lay_out

    folder = given.work / "solar"
    lay_out(folder, seed=seed)
    test = ["--test", str(folder / "test.csv"), "--positive", "defective"]
    done = given.train(folder / "train.csv", *test, cache=given.work / "cache")["json"]
    return {name: done["test"]["metrics"][name]["value"] for name in ("accuracy", "log_loss", "ece")}


def retrain(given: Given) -> Figures:
    """The second training on the same pictures; the first one, where need be, fills the cache."""
    cache = given.work / "cache-retrain"
    if not cache.exists():
        given.train(given.data / "train", cache=cache)
    return given.train(given.data / "train", cache=cache)


def predict_one(given: Given) -> Figures:
    """One picture that was never seen, by the bundle that `retrain` left: at first, and with the compiled network remembered."""
    cache = given.work / "cache-predict"
    bundle, image = given.work / "bench.twofold", next((given.data / "test").rglob("*.jpg"))
    command = [TWOFOLD, "predict", str(bundle), str(image)]
    if not cache.exists():
        run(command, cache=cache)
    for kept in cache.rglob("features.sqlite*"):
        kept.unlink()
    return {"first_seconds": run([*command, "--no-cache"])["seconds"], **run(command, cache=cache)}


def show_help(given: Given) -> Figures:
    return run([TWOFOLD, "--help"])


def install_size(given: Given) -> Figures:
    """MiB on disk after `pip install .`, compiled bytecode included: the whole environment, and what it has beside pip."""
    folder = given.work / "venv-size"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([PYTHON, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    before = _size(folder)
    subprocess.run([*pip, "--constraint", str(HERE.parent / "constraints.txt"), str(HERE.parent)], check=True)
    whole = _size(folder)
    shutil.rmtree(folder)
    return {"whole": whole, "added": whole - before}


def _size(folder: Path) -> float:
    """MiB, as `du` counts them."""
    return sum(file.lstat().st_blocks * 512 for file in folder.rglob("*")) / 2**20


def many(given: Given, duplicates: int = 10) -> Figures:
    """Training on every picture `copies` times over, as files of their own: peak memory, and what the fit takes."""
    folder = given.work / f"times-{duplicates}"
    for image in (given.data / "train").rglob("*.jpg"):
        for copy in range(duplicates):
            target = folder / image.parent.name / f"{copy}-{image.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(image, target)
    return given.train(folder)


def decoding(given: Given) -> Figures:
    return run([PYTHON, str(HERE / "decoding.py"), str(given.data / "test")])


@dataclass(frozen=True, slots=True)
class Figure:
    """A name in the journal and how it is measured; and how often, where not as often as `--repeats` says."""

    name: str
    measure: Callable[[Given], Figures]
    repeats: int | None = None


PROGRAMS = (  # timed against one another, so interleaved
    Figure("keras", keras),
    Figure("keras-cached", lambda given: keras(given, "--cache-features")),
    Figure("torch", torch),
    Figure("twofold-same-f32", lambda given: given.train_and_test(*given.same, "--dtype", "f32")),
    Figure("twofold-same", lambda given: given.train_and_test(*given.same)),
    Figure("twofold", lambda given: given.train_and_test()),
)
RATES = tuple(
    Figure(f"rates-{backbone}-{dtype}", lambda given, b=backbone, p=dtype: rates(given, b, p), 1)
    for backbone in ("mobilenetv2", "efficientnet-lite0")
    for dtype in ("f32", "int8")
)
ACCURACY = (
    Figure("accuracy-efficientnet-lite0", accuracy, 1),
    Figure("accuracy-efficientnet-lite0-f32", lambda given: accuracy(given, "--dtype", "f32"), 1),
    Figure("accuracy-efficientnet-lite2", lambda given: accuracy(given, "--backbone", "efficientnet-lite2"), 1),
    Figure("accuracy-mobilenetv2", lambda given: accuracy(given, *given.mobilenetv2), 1),
    Figure("accuracy-mobilenetv2-last", lambda given: accuracy(given, *given.same), 1),
    *(Figure(f"solar-{seed}", lambda given, s=seed: solar(given, s), 1) for seed in range(5)),
)
PROMISES = (
    Figure("retrain", retrain),
    Figure("predict-one", predict_one, 5),
    Figure("help", show_help, 5),
    Figure("install", install_size, 1),
    Figure("many", many, 1),
    Figure("decoding", decoding, 1),
)
