"""The checked record of a bundle: every value that a decision depends on has its type, is finite and in its range.

Reading any bytes gives a record or a ValueError with the reason. The checksum detects damage; it does not prove who wrote the
record.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from twofold.core.options import CropMode, FeatureSet, Filter
from twofold.data import Preprocessing
from twofold.decision import Calibration, Head, PolicyRecord, Rule
from twofold.embedding import PROBES
from twofold.networks import Dtype

FORMAT: Final = 4  # raised whenever older bundles can no longer be used
MAX_BYTES: Final = 32_000_000  # a head of 4,096 weights takes 100,000
_MAX_SIDE: Final = 4096
_MAX_NAME: Final = 100_000  # characters: class names come from tables of labels
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FILE_NAME: Final = re.compile(r"[\w-][\w.-]*")
_LARGEST: Final = float(np.finfo(np.float32).max)

T = TypeVar("T")
Block = Mapping[str, Any]


class AnotherFormatError(ValueError):
    """The record has a format that is not supported; `version` is its number."""

    def __init__(self, version: int) -> None:
        super().__init__(f"its format is {version}")
        self.version = version


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The checked record. `classes` are (negative, positive); `files` maps file names to SHA-256; `plain` is the JSON."""

    classes: tuple[str, str]
    name: str
    features: FeatureSet
    dtype: Dtype
    preprocessing: Preprocessing
    head: Head
    calibration: Calibration
    rule: Rule
    probes: NDArray[np.float64] | None
    files: Mapping[str, str]
    content: dict[str, Any]


def read_record(data: bytes) -> Record:
    """The record in the bytes of bundle.json. Raises ValueError where it is illegal, AnotherFormatError for another format."""
    content = _parse(data)
    version = _integer(_at(content, "format"), 0, 1_000_000)
    if version != FORMAT:
        raise AnotherFormatError(version)
    if _at(content, "sha256") != _checksum_of(content):
        raise ValueError("it is damaged, or was altered after it was written")
    network = _block(content, "backbone")
    return Record(
        classes=_classes(_at(content, "classes"), _at(content, "positive")),
        name=_text(_at(network, "name")),
        features=_one_of(_at(network, "features"), get_args(FeatureSet)),
        dtype=_one_of(_at(network, "dtype"), get_args(Dtype)),
        preprocessing=_preprocessing(_block(network, "preprocessing")),
        head=_head(_block(content, "head")),
        calibration=_calibration(_block(content, "calibration")),
        rule=_rule(_block(content, "rule")),
        probes=_probes(_at(content, "probes")),
        files=_files(_block(content, "files")),
        content=content,
    )


def checksum(plain: Block) -> str:
    """The SHA-256 of the record without its own checksum. It detects damage only: anyone can compute it."""
    content = {key: value for key, value in plain.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum_of(plain: Block) -> str:
    try:
        return checksum(plain)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _parse(data: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_int=_parse_int
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is damaged, or not JSON") from error
    if not isinstance(plain, dict):
        raise ValueError("it is damaged, or not the record of a bundle")
    return plain


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    block = dict(pairs)
    if len(block) < len(pairs):
        raise ValueError("it has a key twice")
    return block


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not a number")


def _parse_int(digits: str) -> int:
    if len(digits) > 400:
        raise ValueError("a number in it has too many digits")
    return int(digits)


def _at(block: Block, key: str) -> Any:
    if key not in block:
        raise ValueError(f"it lacks {key!r}")
    return block[key]


def _block(block: Block, key: str) -> Block:
    value = _at(block, key)
    if not isinstance(value, dict):
        raise ValueError(f"{key!r} is not a JSON object")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise ValueError("it has a name that is not text, or too long")
    return value


def _one_of(value: Any, legal: tuple[T, ...]) -> T:
    for choice in legal:
        if value == choice:
            return choice
    raise ValueError(f"it lacks one of {', '.join(map(str, legal))} where one is expected")


def _integer(value: Any, minimum: int, maximum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"it lacks an integer from {minimum} to {maximum} where one is expected")
    return value


def _number(value: Any, minimum: float = -_LARGEST, maximum: float = _LARGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise ValueError(f"it lacks a number from {minimum:g} to {maximum:g} where one is expected")
    return float(value)


def _classes(names: Any, positive: Any) -> tuple[str, str]:
    """(negative, positive)."""
    if not isinstance(names, list) or len(names) != 2 or names[0] == names[1]:
        raise ValueError("its classes are not two different names")
    first, second = _text(names[0]), _text(names[1])
    if positive not in (first, second):
        raise ValueError("its positive class is not one of its classes")
    return (second, first) if positive == first else (first, second)


def _preprocessing(block: Block) -> Preprocessing:
    _check_keys(block, {"size", "crop_mode", "filter", "crop_pct", "integer_range", "float_range"})
    crop_pct = _number(_at(block, "crop_pct"), 0, 1)
    if crop_pct == 0:
        raise ValueError("its crop_pct is 0")
    return Preprocessing(
        _integer(_at(block, "size"), 1, _MAX_SIDE),
        _one_of(_at(block, "crop_mode"), get_args(CropMode)),
        _one_of(_at(block, "filter"), get_args(Filter)),
        crop_pct,
        _range(_at(block, "integer_range"), integers=True),
        _range(_at(block, "float_range"), integers=False),
    )


def _range(ends: Any, *, integers: bool) -> Any:
    """Intensity range of images with more than eight bits; None where the training data had none."""
    if ends is None:
        return None
    if not isinstance(ends, list) or len(ends) != 2 or (integers and not all(type(end) is int for end in ends)):
        raise ValueError("its intensity range is not two numbers")
    low, high = (_number(end) for end in ends)
    if low >= high:
        raise ValueError("its intensity range is not ascending")
    return ends[0], ends[1]


def _head(block: Block) -> Head:
    weights = _at(block, "weights")
    if not isinstance(weights, list) or not weights:
        raise ValueError("its head has no weights")
    return Head(np.array([_number(weight) for weight in weights], np.float32), _number(_at(block, "bias")))


def _calibration(block: Block) -> Calibration:
    _check_keys(block, {"slope", "intercept", "low", "high"})
    slope, intercept = _number(_at(block, "slope")), _number(_at(block, "intercept"))
    low, high = _number(_at(block, "low"), 0, 1), _number(_at(block, "high"), 0, 1)
    if slope <= 0 or low >= high:
        raise ValueError("its calibration is not increasing: slope must be above 0, and low below high")
    return Calibration(slope, intercept, low, high)


def _rule(block: Block) -> Rule:
    _check_keys(block, {"low", "high", "gate", "prevalence", "policy"})
    low, high = _number(_at(block, "low"), 0, 1), _number(_at(block, "high"), 0, 1)
    if low != high or _at(block, "gate") is not None or _at(block, "prevalence") is not None:
        raise ValueError("its rule has more than one threshold, which is not supported")
    policy = _block(block, "policy")
    _check_keys(policy, {"name", "parameters", "evidence"})
    return Rule.at(
        high, PolicyRecord(_text(_at(policy, "name")), _block(policy, "parameters"), _block(policy, "evidence"))
    )


def _probes(logits: Any) -> NDArray[np.float64] | None:
    if logits is None:
        return None
    if not isinstance(logits, list) or len(logits) != PROBES:
        raise ValueError(f"its probes are not {PROBES} logits")
    return np.array([_number(logit) for logit in logits], np.float64)


def _files(block: Block) -> dict[str, str]:
    for name, digest in block.items():
        if not _FILE_NAME.fullmatch(name) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError("its files are not names with a SHA-256")
    return {name: str(digest) for name, digest in block.items()}


def _check_keys(block: Block, legal: set[str]) -> None:
    """Raises ValueError for an unknown key: it might change a decision."""
    if set(block) - legal:
        raise ValueError(f"it has an unknown key beside {', '.join(sorted(legal))}")
