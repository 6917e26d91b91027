"""What loads when, and that nothing is sent: promises about whole processes, so each runs in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twofold.workflows.installation import read_requirements

LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
HUBS = {"huggingface_hub", "kagglehub", "pyarrow", "requests"}
CLI = "from twofold.cli import main\nassert main({arguments!r}) == 0"

# Put before a program, as `sitecustomize`, in its process and in every process that it starts.
WATCH = """
import os, socket

def _record(*what):
    with open(os.environ["CONNECTIONS"], "a") as file:
        print(*what, file=file)
    raise OSError("nothing may leave")

_connect = socket.socket.connect
socket.socket.connect = lambda self, to: _connect(self, to) if self.family == socket.AF_UNIX else _record("connect", to)
socket.getaddrinfo = lambda *host, **_: _record("look up", *host)
"""
FORKED = """
import multiprocessing, urllib.request
process = multiprocessing.get_context("fork").Process(target=urllib.request.urlopen, args=("http://example.org",))
process.start(); process.join()
"""


def run(program: str, **environment: str) -> str:
    """What the program prints. CI's own variables are left out: they would silence a program that reports at home."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env={**kept, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packages(program: str) -> set[str]:
    """The top-level packages that are loaded once `program` ran, Python's own and those of a bare start left out."""

    def loaded(program: str) -> set[str]:
        return set(json.loads(run(program).splitlines()[-1]))

    return loaded(f"{program}\n{LOADED}") - loaded(LOADED) - sys.stdlib_module_names


@pytest.fixture(scope="module")
def bundle(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained in a process of its own, in an empty home, with watched sockets: see `connections` beside it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    arguments = ["train", str(drawn), "--out", str(folder / "drawn.twofold"), "--quiet"]
    run(CLI.format(arguments=arguments), **progress_bar(folder))
    return folder / "drawn.twofold"


def progress_bar(folder: Path) -> dict[str, str]:
    home = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    return {**home, "PYTHONPATH": str(folder), "CONNECTIONS": str(folder / "connections")}


def test_importing_twofold_loads_nothing_heavy() -> None:
    assert packages("import twofold") <= {"twofold", "numpy", "PIL"}


def test_showing_help_loads_nothing_heavy() -> None:
    typer = {"typer", "annotated_doc", "shellingham", "rich", "markdown_it", "mdurl", "pygments"}
    typer |= {"attr"}  # which rich asks for where another package brought it
    assert packages(CLI.format(arguments=["--help"])) <= {"twofold", "numpy", "PIL", "platformdirs", *typer}


def test_predicting_loads_no_framework(bundle: Path, drawn: Path) -> None:
    arguments = ["predict", str(bundle), str(drawn / "bars"), "--no-cache"]
    heavy = {"torch", "sklearn", "scipy", "onnx", "matplotlib", "jinja2", "pandas"}
    assert not packages(CLI.format(arguments=arguments)) & (heavy | HUBS)


# Put before a program: packages that are not in `allowed` are not there.
SLIM = """
import sys
from importlib.abc import MetaPathFinder

class Slim(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Slim())
"""


def slim() -> str:
    """What hides the packages of twofold that deploy/requirements.txt does not name."""
    lines = (Path(__file__).parents[1] / "deploy" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = {line.partition(";")[0].strip() for line in lines if line and not line.startswith("#")}
    named.add("starlette")  # which fastapi brings
    missing = {each.module for each in read_requirements() if each.package not in named}
    assert {"sklearn", "scipy", "onnx", "jinja2", "torch"} <= missing
    return SLIM.format(missing=missing)


@pytest.mark.parametrize("command", ["predict", "explain", "doctor"])
def test_answering_needs_no_more_than_the_slim_installation(
    command: str, bundle: Path, drawn: Path, tmp_path: Path
) -> None:
    more = {"predict": [str(drawn / "bars")], "explain": [str(drawn / "bars" / "bars-000.png"), "--out", str(tmp_path)]}
    arguments = [command, str(bundle), *more.get(command, [])]
    program = CLI.format(arguments=arguments).replace("== 0", f"== {int(command == 'doctor')}")  # packages are missing
    assert ("scikit-learn" if command == "doctor" else "bars") in run(slim() + program)


SERVICE = """
from pathlib import Path
from twofold.core.options import RuntimeOptions, ServiceOptions
from twofold.embedding import Runtime
from twofold.serving.model_repository import ModelRepository
from twofold.serving.service import Service
from twofold.serving.service_app import build_service

repository = ModelRepository({{"drawn": Path({bundle!r})}}, Runtime(Path(os.devnull), RuntimeOptions(cache=False)))
repository.load()
repository.warm()
service = Service(repository, ServiceOptions(), 1)
build_service(service, None, None)
print(service.metrics.text().decode())
"""


def test_serving_needs_no_more_than_the_slim_installation(bundle: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    metrics = run(slim() + "import os\n" + SERVICE.format(bundle=str(bundle)))
    assert "twofold_ready 1.0" in metrics
    assert 'twofold_watch_wealth{measure="logit",model="drawn"} 1.0' in metrics


def test_what_the_slim_installation_lacks_is_named_in_a_sentence(drawn: Path, tmp_path: Path) -> None:
    arguments = ["train", str(drawn), "--out", str(tmp_path / "a.twofold")]
    program = f"from twofold.cli import main\nsys.exit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", slim() + program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "is not installed: twofold doctor says what is missing." in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_explaining_loads_no_framework(bundle: Path, drawn: Path, tmp_path: Path) -> None:
    arguments = ["explain", str(bundle), str(drawn / "bars" / "bars-000.png"), "--out", str(tmp_path), "--no-cache"]
    heavy = {"torch", "sklearn", "scipy", "onnx", "matplotlib", "jinja2", "pandas"}
    assert not packages(CLI.format(arguments=arguments)) & (heavy | HUBS)


def test_a_quick_audit_loads_no_network(drawn: Path) -> None:
    heavy = {"openvino", "onnx", "torch", "sklearn", "matplotlib", "jinja2", "pandas"}
    arguments = ["audit", str(drawn), "--quick", "--quiet"]
    assert not packages(CLI.format(arguments=arguments)) & (heavy | HUBS)


def test_the_watch_sees_what_a_forked_process_asks_for(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    run(FORKED, **progress_bar(tmp_path))
    assert "look up example.org" in (tmp_path / "connections").read_text(encoding="utf-8")


def test_training_and_predicting_send_nothing_and_leave_nothing_at_home(bundle: Path, drawn: Path) -> None:
    home = bundle.parent
    run(CLI.format(arguments=["predict", str(bundle), str(drawn / "rings")]), **progress_bar(home))
    assert not (home / "connections").exists()
    assert {entry.name for entry in home.iterdir()} <= {"sitecustomize.py", "__pycache__", "twofold", "drawn.twofold"}


def test_learning_a_network_sends_nothing_either(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    flags = "--mode scratch --recipe modern --image-size 32 --epochs 1 --batch-size 8 --quiet"
    arguments = ["train", str(drawn), "--out", str(tmp_path / "own.twofold"), *flags.split()]
    run(CLI.format(arguments=arguments), **progress_bar(tmp_path))
    assert not (tmp_path / "connections").exists()
    assert (tmp_path / "own.twofold" / "model.onnx").is_file()


def test_training_on_a_frozen_network_loads_no_framework(drawn: Path, tmp_path: Path) -> None:
    arguments = ["train", str(drawn), "--out", str(tmp_path / "a.twofold"), "--quiet", "--no-cache"]
    learning = {"torch", "lightning", "transformers", "optuna"}
    assert not packages(CLI.format(arguments=arguments)) & (learning | HUBS)


def test_another_program_can_import_the_telemetry_afterwards() -> None:
    program = (
        "from twofold.embedding.compilation import import_openvino\nimport_openvino()\n"
        "import openvino_telemetry\nprint(openvino_telemetry.__file__)"
    )
    assert run(program).strip()


def test_openvino_is_kept_from_reporting() -> None:
    program = (
        "from twofold.embedding.compilation import import_openvino\nimport_openvino()\nimport sys\nprint(*sys.modules)"
    )
    assert not [name for name in run(program).split() if name.startswith("openvino_telemetry.")]
