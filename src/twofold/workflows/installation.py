"""The installed packages: versions against what twofold requires, and a trial import of those of the extras."""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from twofold.workflows.diagnosis import Check

_MODULES: Final = {"pillow": "PIL", "scikit-learn": "sklearn"}  # others are named like their packages
_GROUPS: Final = ("all", "dev", "docs")  # extras that are made of others, or are for work on twofold
_SLOW: Final = frozenset(
    {"torch", "lightning", "onnxscript", "transformers", "optuna", "ray", "tensorflow", "coremltools", "onnx2coreml"}
)  # seconds each: looked for only
_REQUIREMENT: Final = re.compile(r"([\w.-]+)\s*(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;.*extra == ['\"]([\w-]+)['\"].*)?")
_CLAUSE: Final = re.compile(r"(>=|<)\s*([\d.]+)")
_PROGRAM: Final = """
import importlib, json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a package prints is no answer
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        fault = ""
    except BaseException as error:
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
    print(json.dumps([name, fault]), file=out, flush=True)
"""


@dataclass(frozen=True, slots=True)
class PackageRequirement:
    """A package that twofold needs, for an `extra` of it or, with "", always; `versions` is such as ">=1.26,<3"."""

    package: str
    versions: str
    extra: str

    @property
    def module(self) -> str:
        """The name that it is imported by."""
        return _MODULES.get(self.package, self.package.replace("-", "_"))


@dataclass(frozen=True, slots=True)
class Package:
    """A requirement, the installed version, None where it is missing, and why it cannot be imported; "" where it can."""

    requirement: PackageRequirement
    version: str | None
    fault: str = ""

    @property
    def outdated(self) -> bool:
        """Whether the version is not one of those required."""
        return self.version is not None and not satisfies(self.version, self.requirement.versions)


def read_requirements(lines: Iterable[str] | None = None) -> list[PackageRequirement]:
    """The requirements in the metadata of twofold, without those of groups of extras."""
    matches = (_REQUIREMENT.fullmatch(line) for line in (requires("twofold") or () if lines is None else lines))
    requirements = [
        PackageRequirement(match[1].lower(), match[2], match[3] or "") for match in matches if match is not None
    ]
    return [requirement for requirement in requirements if requirement.extra not in _GROUPS]


def read_packages(requirements: Iterable[PackageRequirement], faults: Mapping[str, str]) -> list[Package]:
    """The packages of the requirements; `faults` are those of trial imports, by module."""
    return [
        Package(requirement, installed_version(requirement.package), _fault(requirement, faults))
        for requirement in requirements
    ]


def installed_version(package: str) -> str | None:
    """The version of an installed package; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _fault(requirement: PackageRequirement, faults: Mapping[str, str]) -> str:
    module = requirement.module
    try:
        missing = module not in sys.modules and find_spec(module) is None
    except (ImportError, ValueError) as error:
        return str(error)
    return f"There is no module {module}" if missing else faults.get(module, "")


def satisfies(installed: str, versions: str) -> bool:
    """Whether a version is one of those.

    >>> satisfies("2026.4.1", ">=2026.0"), satisfies("0.2.0", "<0.2,>=0.1"), satisfies("13.0.0", ">=12.0")
    (True, False, True)
    """
    number = _numbers(installed)
    for sign, text in _CLAUSE.findall(versions):
        bound = _numbers(text)
        if (number < bound) if sign == ">=" else (number >= bound):
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at the end.

    >>> _numbers("2.13.0+cpu"), _numbers("3.0rc1")
    ((2, 13), (3,))
    """
    match = re.match(r"\d+(?:\.\d+)*", text)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class TrialImports:
    """Imports of the extras' packages in a process of their own, beside other work; a broken package may end its process."""

    def __init__(self, requirements: Iterable[PackageRequirement], seconds: float) -> None:
        installed = [each for each in requirements if each.extra and installed_version(each.package) is not None]
        modules = dict.fromkeys(each.module for each in installed if each.package not in _SLOW)
        self._modules = [module for module in modules if _exists(module)]
        self._end = perf_counter() + seconds
        command = [sys.executable, "-P", "-c", _PROGRAM, *self._modules]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def faults(self) -> dict[str, str]:
        """Why modules cannot be imported, "" for those that can. Modules for which there was no time are not in it."""
        try:
            text, _ = self._process.communicate(timeout=max(0.0, self._end - perf_counter()))
            crashed = self._process.returncode != 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            text, _ = self._process.communicate()
            crashed = False
        faults = {module: str(fault) for module, fault in map(json.loads, text.splitlines())}
        if crashed and len(faults) < len(self._modules):
            faults[self._modules[len(faults)]] = "its import ends the process"
        return faults


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def check_packages(packages: Sequence[Package]) -> list[Check]:
    """The check of the packages that twofold always needs, one for each extra that is installed, and one line for the others.

    An extra of which packages are missing is no fault: those that are there may have come with something else.
    """
    extras = dict.fromkeys(package.requirement.extra for package in packages if package.requirement.extra)
    groups = {extra: [each for each in packages if each.requirement.extra == extra] for extra in extras}
    missing = {
        extra: [each.requirement.package for each in group if not each.version] for extra, group in groups.items()
    }
    absent = {extra: names for extra, names in missing.items() if names}
    base = [package for package in packages if not package.requirement.extra]
    checks = [
        _check_group(
            "packages",
            f"twofold {version('twofold')} and the {len(base)} packages it needs, Python {platform.python_version()}",
            base,
        )
    ]
    checks += [
        _check_group(f"extra {extra}", _names(group), group) for extra, group in groups.items() if extra not in absent
    ]
    if absent:
        text = ", ".join(f"{extra} ({', '.join(names)})" for extra, names in absent.items())
        checks.append(Check("extras", "ok", f"not installed: {text}", f"pip install '.[{','.join(absent)}]'"))
    return checks


def _check_group(name: str, names: str, packages: Sequence[Package]) -> Check:
    """The check of packages that are needed together."""
    missing = [each for each in packages if each.version is None]
    outdated = [each for each in packages if each.outdated]
    broken = [each for each in packages if each.fault and each.version is not None]
    texts = [f"{each.requirement.package} is missing" for each in missing]
    texts += [f"{each.requirement.package} {each.version} is not {each.requirement.versions}" for each in outdated]
    texts += [f"{each.requirement.package} is broken ({each.fault.rstrip('.')})" for each in broken]
    if not texts:
        return Check(name, "ok", names)
    install = " ".join(
        f"'{each.requirement.package}{each.requirement.versions}'" for each in (*missing, *outdated, *broken)
    )
    remove = f"pip uninstall -y {' '.join(each.requirement.package for each in broken)} && " if broken else ""
    return Check(name, "fault", f"{', '.join(texts)}.", f"{remove}pip install {install}")


def _names(packages: Sequence[Package]) -> str:
    return ", ".join(f"{each.requirement.package} {each.version}" for each in packages)
