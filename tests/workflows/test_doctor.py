"""The doctor names each planted fault with what mends it, and finds nothing where nothing is planted."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rights import ordinary_rights

from twofold.bundle.format import checksum
from twofold.core.options import BackboneOptions, RuntimeOptions, TrainingOptions
from twofold.core.system_memory import SystemMemory
from twofold.embedding import Runtime, cached_runtime
from twofold.networks import fast_dtypes
from twofold.report.doctor_text import doctor_text
from twofold.workflows.bundle_checks import ProbeResult, check_bundle, check_probes, check_versions
from twofold.workflows.computer import Cache, Certificates, Computer, Folder, read_certificates, read_computer
from twofold.workflows.computer_checks import check_computer
from twofold.workflows.diagnosis import Check, Diagnosis
from twofold.workflows.doctor import diagnose
from twofold.workflows.installation import TrialImports, check_packages, read_packages, read_requirements
from twofold.workflows.save import save
from twofold.workflows.train import train

GIGABYTE = 1e9
DAY = 86_400.0
HEALTHY = Computer(
    processor="Xeon",
    instructions=frozenset({"avx2", "avx512f", "avx512_vnni"}),
    processors=8,
    available_processors=8,
    quota=8,
    memory=SystemMemory(16 * GIGABYTE, 8 * GIGABYTE),
    cache=Cache(Path("/home/ann/.cache/twofold"), 10**9),
    temporary=Folder(Path("/tmp"), 50 * GIGABYTE),
    here=Folder(Path("/home/ann"), 50 * GIGABYTE),
    now=2e9,
    installed=2e9 - 10 * DAY,
    certificates=Certificates(140, 139),
    blas="SkylakeX",
)

# The fault, the facts that it changes, the check that names it, its status, and what its text and its mending contain.
PLANTED = [
    ("a processor without AVX2", {"instructions": frozenset({"sse4_2"})}, "processor", "warning", "without AVX2", ""),
    (
        "limited instructions",
        {"environment": {"ONEDNN_MAX_CPU_ISA": "AVX2"}},
        *("processor", "warning", "ONEDNN_MAX_CPU_ISA=AVX2", "unset ONEDNN_MAX_CPU_ISA"),
    ),
    (
        "one thread for fits",
        {"environment": {"OMP_NUM_THREADS": "1"}},
        *("threads", "warning", "1 thread of 8", "unset OMP_NUM_THREADS"),
    ),
    ("an affinity of one", {"available_processors": 1}, "threads", "warning", "1 of 8", "taskset -cp 0-7 $$"),
    (
        "a quota of one",
        {"available_processors": 1, "quota": 1},
        *("threads", "warning", "the container's quota", "more processors"),
    ),
    (
        "arithmetic of another processor",
        {"blas": "Nehalem", "environment": {"OPENBLAS_CORETYPE": "Nehalem"}},
        *("arithmetic", "warning", "OPENBLAS_CORETYPE=Nehalem", "unset OPENBLAS_CORETYPE"),
    ),
    (
        "little memory",
        {"memory": SystemMemory(2 * GIGABYTE, 0.7 * GIGABYTE)},
        *("memory", "warning", "700 MB free of 2.0 GB (the machine)", "close other programs"),
    ),
    (
        "a container with little memory",
        {"memory": SystemMemory(16 * GIGABYTE, 0.2 * GIGABYTE, 0.25 * GIGABYTE)},
        *("memory", "fault", "200 MB free of 250 MB (the container's limit)", "docker update -m 4g"),
    ),
    (
        "a full disk",
        {"here": Folder(Path("/data"), 0.05 * GIGABYTE)},
        *("current folder", "fault", "/data, 50 MB free: make room", "du -xh -d 1 /data"),
    ),
    (
        "no temporary files",
        {"temporary": Folder(Path("/tmp"), 0.0, "Read-only file system")},
        *("temporary files", "fault", "Read-only file system", "export TMPDIR=FOLDER"),
    ),
    ("a clock at its beginning", {"now": 0.0}, "clock", "fault", "1970-01-01", "timedatectl"),
    (
        "a clock of another century",
        {"now": 5e9, "certificates": Certificates(140, 0)},
        *("clock", "fault", "0 of 140 certificates", "timedatectl"),
    ),
    (
        "no certificates",
        {"certificates": Certificates(0, 0)},
        *("certificates", "warning", "none", "apt-get install ca-certificates"),
    ),
    (
        "telemetry",
        {"telemetry": ("openvino_telemetry.main",)},
        *("telemetry", "fault", "reports its use", "pip uninstall -y openvino-telemetry"),
    ),
]


def test_a_healthy_computer_has_no_warning_and_no_fault() -> None:
    assert {check.status for check in check_computer(HEALTHY)} == {"ok"}


@pytest.mark.parametrize(
    ("facts", "name", "status", "text", "mend"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED]
)
def test_each_planted_fault_of_the_computer_is_named_alone_with_what_mends_it(
    facts: dict[str, object], name: str, status: str, text: str, mend: str
) -> None:
    (check,) = [check for check in check_computer(replace(HEALTHY, **facts)) if check.status != "ok"]
    assert (check.name, check.status) == (name, status)
    assert text in check.text
    assert mend in check.mend


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_a_cache_folder_that_cannot_be_written_to_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with ordinary_rights():
        runtime = cached_runtime(lambda: tmp_path / "locked" / "twofold", RuntimeOptions())
        check = named(check_computer(read_computer(runtime, {})), "cache")
    assert check.status == "fault"
    assert "Permission denied" in check.text
    assert check.mend == "export XDG_CACHE_HOME=FOLDER"


def test_a_missing_home_folder_is_a_fault() -> None:
    def find() -> Path:
        raise RuntimeError("Could not determine home directory.")

    check = named(check_computer(read_computer(cached_runtime(find, RuntimeOptions()), {})), "cache")
    assert check.status == "fault"
    assert "no home folder" in check.text


def test_damaged_feature_rows_are_a_fault_and_their_absence_is_none(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    assert named(check_computer(read_computer(runtime, {})), "cache").status == "ok"
    (tmp_path / "features.sqlite").write_bytes(b"no database" * 100)
    check = named(check_computer(read_computer(runtime, {})), "cache")
    assert check.status == "fault"
    assert check.mend == f"rm {tmp_path / 'features.sqlite'}"


def test_certificates_of_the_system_are_valid_today_and_not_in_1970() -> None:
    today = read_certificates(1.8e9)
    if today is None or today.count == 0:
        pytest.skip("this system has no file of certificates")
    assert today.valid > today.count / 2
    past = read_certificates(0.0)
    assert past is not None
    assert past.valid < past.count / 10


def test_a_missing_or_outdated_package_is_a_fault_and_a_missing_extra_is_named_with_what_installs_it() -> None:
    lines = ["numpy>=2.0", "no-such-package>=1.5", "pillow>=12.0; extra == 'drawing'", "numpy>=2000; extra == 'new'"]
    lines += ["numpy>=1.0; extra == 'absent'", "no-other-package; extra == 'absent'"]
    checks = check_packages(read_packages(read_requirements(lines), {}))
    assert [(check.name, check.status) for check in checks] == [
        *(("packages", "fault"), ("extra drawing", "ok"), ("extra new", "fault"), ("extras", "ok"))
    ]
    assert checks[0].text == "no-such-package is missing."
    assert checks[0].mend == "pip install 'no-such-package>=1.5'"
    assert "is not >=2000" in checks[2].text
    assert checks[3].text == "not installed: absent (no-other-package)"
    assert checks[3].mend == "pip install '.[absent]'"


def test_the_installation_of_the_tests_is_complete() -> None:
    requirements = read_requirements()
    assert {"numpy", "openvino", "pillow"} <= {each.package for each in requirements if not each.extra}
    assert named(check_packages(read_packages(requirements, {})), "packages").status == "ok"


def test_trial_imports_end_in_time_and_say_nothing_of_what_they_did_not_reach() -> None:
    requirements = read_requirements(["numpy; extra == 'a'"])
    with TrialImports(requirements, 0.0) as imports:
        assert imports.faults() in ({}, {"numpy": ""})
    with TrialImports(requirements, 60.0) as imports:
        assert imports.faults() == {"numpy": ""}


@pytest.fixture(scope="module")
def small_bundle(drawn: Path, tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a tiny network, for reading only."""
    folder = tmp_path_factory.mktemp("small")
    options = TrainingOptions(backbone=BackboneOptions(backbone=str(tiny_file), crop_mode="squash"))
    save(
        train(drawn, options, Runtime(folder / "cache")),
        folder / "small.twofold",
        command=["twofold", "train", "my photos"],
    )
    return folder / "small.twofold"


@pytest.fixture
def copy(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "small.twofold"))


def bundle_checks(bundle: Path) -> list[Check]:
    return check_bundle(bundle, Runtime(bundle.parent / "cache"), {})


def test_a_bundle_as_it_was_written_has_no_fault(copy: Path) -> None:
    checks = bundle_checks(copy)
    assert [(check.name, check.status) for check in checks] == [
        *(("bundle", "ok"), ("versions", "ok"), ("probe images", "ok"))
    ]
    assert "differ by 0.000 standard deviations" in checks[2].text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.onnx", "model.onnx is damaged or was altered"),
        ("bundle.json", "it is damaged, or was altered"),
        ("scores.csv", "scores.csv was altered"),
    ],
)
def test_an_altered_file_of_a_bundle_is_named_with_the_command_that_trained_it(
    copy: Path, name: str, text: str
) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data.replace(b"bars", b"cars", 1) if name != "model.onnx" else data[:-1] + b"\0")
    check = bundle_checks(copy)[0]
    assert check.status == "fault"
    assert text in check.text
    assert check.mend == "twofold train 'my photos' `force`"


@pytest.mark.parametrize(
    ("name", "text"), [("model.onnx", "holds no model.onnx"), ("files.csv", "files.csv is missing")]
)
def test_a_missing_file_of_a_bundle_is_named(copy: Path, name: str, text: str) -> None:
    (copy / name).unlink()
    check = bundle_checks(copy)[0]
    assert check.status == "fault"
    assert text in check.text


def test_a_bundle_of_another_format_is_named(copy: Path) -> None:
    record = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    (copy / "bundle.json").write_text(json.dumps({**record, "format": 99}), encoding="utf-8")
    check = bundle_checks(copy)[0]
    assert check.status == "fault"
    assert "has format 99" in check.text


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    check = bundle_checks(tmp_path)[0]
    assert check.status == "fault"
    assert "is not a bundle" in check.text
    assert check.mend == f"restore {tmp_path} from a backup, or train it again"


def test_other_versions_than_those_of_the_training_are_a_warning() -> None:
    check = check_versions(
        {"pillow": "11.0.0", "openvino": "2026.4.1", "onnx": "1"}, {"pillow": "13.0.0", "openvino": "2026.4.1"}
    )
    assert check.status == "warning"
    assert check.text == "pillow 13.0.0, trained with 11.0.0."
    assert check.mend == "pip install pillow==11.0.0"


def test_probe_images_with_other_logits_are_a_fault(copy: Path) -> None:
    path = copy / "bundle.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["probes"] = [logit + 1 for logit in record["probes"]]
    record["sha256"] = checksum(record)
    path.write_text(json.dumps(record), encoding="utf-8")
    check = bundle_checks(copy)[2]
    assert (check.name, check.status) == ("probe images", "fault")
    assert check.mend.startswith("pip install openvino==")


def test_a_fast_dtype_that_is_computed_in_float32_is_a_warning() -> None:
    result = ProbeResult("int8", exact=True, differences=np.zeros(32))
    assert check_probes(result, {}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "again").mend == "unset ONEDNN_MAX_CPU_ISA"
    check = check_probes(result, {}, {}, "again")
    assert (check.status, check.mend) == ("warning", "again")


PROGRAM = """
import json, os, sys
from pathlib import Path
from twofold.embedding import Runtime
from twofold.workflows.doctor import diagnose
bundle = Path(sys.argv[1])
print(json.dumps(diagnose(Runtime(bundle.parent / "cache"), os.environ, bundle, import_seconds=60).as_json()))
"""


def test_faults_planted_in_a_process_are_named_by_it(bundle: Path, tmp_path: Path) -> None:
    """A broken package, limited instructions, the arithmetic of an old processor, and reporting by another program."""
    broken = tmp_path / "site" / "matplotlib"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libfreetype.so.6: no such file')", encoding="utf-8")
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys, types\nfor name in ('openvino_telemetry', 'openvino_telemetry.main'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['openvino_telemetry'].Telemetry = lambda *_, **__: types.SimpleNamespace("
        "start_session=print, send_event=print, end_session=print, force_shutdown=print)\n",
        encoding="utf-8",
    )
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Nehalem", "OMP_NUM_THREADS": "1"}
    paths = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    copy = shutil.copytree(bundle, tmp_path / "drawn.twofold")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(copy)],
        capture_output=True,
        text=True,
        env={**os.environ, **limits, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout.splitlines()[-1])["checks"]}
    assert "matplotlib" in checks["extra figures"]["text"]
    assert "libfreetype.so.6" in checks["extra figures"]["text"]
    assert checks["extra figures"]["mend"].startswith("pip uninstall -y matplotlib && pip install ")
    assert checks["processor"]["mend"] == "unset ONEDNN_MAX_CPU_ISA"
    assert checks["telemetry"]["status"] == "fault"
    if "int8" in fast_dtypes():
        assert checks["networks"]["mend"] == checks["probe images"]["mend"] == "unset ONEDNN_MAX_CPU_ISA"
        assert checks["arithmetic"]["mend"] == "unset OPENBLAS_CORETYPE"


def test_the_text_has_a_line_for_each_check_and_aligned_columns() -> None:
    checks = (Check("memory", "ok", "8 GB"), Check("cache", "fault", "It is full.", "rm x"))
    assert doctor_text(Diagnosis(checks)).splitlines() == [
        "ok     memory  8 GB",
        "fault  cache   It is full.",
        "               -> rm x",
        "",
        "1 fault.",
    ]
    assert not Diagnosis(checks).healthy


def test_without_a_bundle_the_installation_and_the_computer_are_checked(tmp_path: Path) -> None:
    names = [check.name for check in diagnose(Runtime(tmp_path), {}, import_seconds=0.0).checks]
    assert names[0] == "processor"
    assert {"networks", "memory", "packages"} <= set(names)
    assert "bundle" not in names
