"""Checks of a bundle: its files, the versions it was trained with, and the logits of its probe images on this computer."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twofold.bundle.storage import Bundle, altered_files, load_bundle, read_command
from twofold.core.errors import BackboneError, BundleError
from twofold.embedding import Runtime, probe_images
from twofold.embedding.embed import embed
from twofold.embedding.probes import TOLERANCE
from twofold.workflows.diagnosis import Check
from twofold.workflows.installation import installed_version

_SECONDS: Final = 0.3  # for probe images; those that are left then are not computed
_DECISIVE: Final = ("openvino", "pillow")  # the libraries that logits depend on


def check_bundle(path: Path, runtime: Runtime, environment: Mapping[str, str]) -> list[Check]:
    """All checks of the bundle at `path`; where it cannot be loaded, that alone."""
    again = retrain_command(read_command(path), path)
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        return [Check("bundle", "fault", str(error), again)]
    versions = bundle.record.get("versions", {})
    return [
        check_files(path, altered_files(bundle), again),
        check_versions(versions, {name: installed_version(name) for name in versions}),
        check_probes(read_probes(bundle, runtime), versions, environment, again),
    ]


def retrain_command(words: Sequence[str], path: Path) -> str:
    """The command that trained the bundle, made to replace it; advice where it is not recorded.

    Each word is quoted, because anybody may have written bundle.json.
    """
    if list(words[:2]) != ["twofold", "train"]:
        return f"restore {path} from a backup, or train it again"
    replaces = any(word.lstrip("-") == "force" for word in words)
    return shlex.join(words) + ("" if replaces else " `force`")


def check_files(path: Path, altered: Mapping[str, str], again: str) -> Check:
    """Whether all files of the bundle are as they were written; `altered` has what is wrong by name."""
    if not altered:
        return Check("bundle", "ok", f"{path}: all files are as they were written")
    text = f"{path}: {', '.join(f'{name} {fault}' for name, fault in altered.items())}."
    return Check("bundle", "warning" if set(altered) == {"README.md"} else "fault", text, again)


def check_versions(trained: Mapping[str, Any], installed: Mapping[str, str | None]) -> Check:
    """Whether the libraries that logits depend on are those of the training."""
    other = {
        name: f"{name} {installed[name]}, trained with {trained[name]}"
        for name in _DECISIVE
        if trained.get(name) and installed.get(name) not in (None, trained[name])
    }
    if not other:
        return Check("versions", "ok", ", ".join(f"{name} {trained[name]}" for name in _DECISIVE if name in trained))
    exact = " ".join(shlex.quote(f"{name}=={trained[name]}") for name in other)
    return Check("versions", "warning", f"{'; '.join(other.values())}.", f"pip install {exact}")


@dataclass(frozen=True, slots=True, eq=False)
class ProbeResult:
    """How the network computes the probe images: the `dtype` of the bundle, whether it is computed in `exact` float32, and the
    differences of logits (n,) in standard deviations. `fault` says why the network cannot be run.
    """

    dtype: str
    exact: bool = False
    differences: NDArray[np.float64] | None = None
    fault: str = ""


def read_probes(bundle: Bundle, runtime: Runtime) -> ProbeResult:
    """The probe images embedded now: neither features nor verdicts of earlier runs are used."""
    model = bundle.model
    engine, expected, dtype = model.engine(runtime), model.probe_logits, model.backbone.dtype
    features: list[NDArray[np.float32] | None] = []
    try:
        engine.start()
        end = perf_counter() + _SECONDS
        with closing(embed(probe_images(), engine)) as rows:
            for row in rows:
                features.append(row.features)
                if perf_counter() > end:
                    break
        usable = [model.backbone.preprocessing.pool(each) for each in features if each is not None]
        if expected is None or len(usable) < len(features):
            return ProbeResult(dtype, engine.exact)
        differences = model.logits(np.stack(usable)) - expected[: len(usable)]
    except BackboneError as error:
        return ProbeResult(dtype, fault=str(error))
    return ProbeResult(dtype, engine.exact, np.abs(differences) / max(float(np.std(expected)), 1e-9))


def check_probes(result: ProbeResult, versions: Mapping[str, Any], environment: Mapping[str, str], again: str) -> Check:
    """Whether the probe images give the logits that they gave when the model was trained, and in which dtype."""
    name, dtype = "probe images", result.dtype
    exact = " ".join(shlex.quote(f"{each}=={versions[each]}") for each in _DECISIVE if each in versions)
    install = f"pip install {exact}" if exact else again
    if result.fault:
        return Check(name, "fault", result.fault, install)
    if result.differences is None:
        return Check(name, "ok", f"{dtype}; the bundle has no logits to compare with")
    median = float(np.median(result.differences))
    agreement = f"their logits differ by {median:.3f} standard deviations from the training's"
    if median > TOLERANCE:
        return Check(name, "fault", f"{agreement}, {TOLERANCE} at most is rounding.", install)
    if result.exact and dtype != "f32":
        limit = next((each for each in environment if each.endswith("MAX_CPU_ISA")), None)
        text = f"{dtype} would give other logits here, so float32 is used: the same predictions, in twice the time."
        return Check(name, "warning", text, f"unset {limit}" if limit else again)
    return Check(name, "ok", f"{dtype}, as trained: {agreement}")
