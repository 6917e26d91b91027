"""doctor: what is wrong with the computer, with the installation or with a bundle, and what mends it, in two seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from twofold.core.third_party import summarise_error
from twofold.embedding import Runtime
from twofold.embedding.compilation import computes_int8, import_openvino
from twofold.networks import fast_dtypes
from twofold.workflows.bundle_checks import check_bundle
from twofold.workflows.computer import read_computer
from twofold.workflows.computer_checks import check_computer
from twofold.workflows.diagnosis import Check, Diagnosis
from twofold.workflows.installation import TrialImports, check_packages, read_packages, read_requirements

_IMPORT_SECONDS: Final = 1.4  # for trial imports, beside the other checks


def diagnose(
    runtime: Runtime,
    environment: Mapping[str, str],
    bundle: Path | None = None,
    *,
    import_seconds: float = _IMPORT_SECONDS,
) -> Diagnosis:
    """The checks of this computer and installation and, with `bundle`, of the bundle there. Nothing is sent or changed.

    `environment` has the variables of the process. Packages of extras are imported for at most `import_seconds`.
    """
    requirements = read_requirements()
    with TrialImports(requirements, import_seconds) as imports:
        network = check_network()
        computer = read_computer(runtime, environment)
        checks = [*check_computer(computer), network]
        if bundle is not None and network.status != "fault":
            checks += check_bundle(bundle, runtime, environment)
        packages = read_packages(requirements, imports.faults())
    return Diagnosis((*checks, *check_packages(packages)))


def check_network() -> Check:
    """Whether OpenVINO runs, and the dtype in which networks are computed here."""
    try:
        correct = computes_int8(import_openvino().Core())
    except (ImportError, OSError, RuntimeError) as error:
        text = f"OpenVINO cannot run a network: {summarise_error(error)}."
        return Check("networks", "fault", text, "pip uninstall -y openvino && pip install openvino")
    fastest = fast_dtypes()[0]
    if fastest == "int8" and not correct:
        text = "int8 gives wrong sums here, although the processor has VNNI: float32 is used, in twice the time."
        return Check("networks", "warning", text, "unset ONEDNN_MAX_CPU_ISA")
    return Check("networks", "ok", f"OpenVINO computes {fastest}")
