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

from twofold.core.errors import UsageError
from twofold.core.options import CropMode, FeatureSet, Filter
from twofold.data import GRIDS, Preprocessing
from twofold.decision import Calibration, Head, PolicyRecord, Rule
from twofold.decision.familiarity import Parts
from twofold.decision.promises import parse_promise
from twofold.embedding import PROBES
from twofold.networks import Dtype

FORMAT: Final = 5  # raised whenever older bundles can no longer be used
MAX_BYTES: Final = 32_000_000  # a head of 4,096 weights takes 100,000
_MAX_SIDE: Final = 4096
_MAX_NAME: Final = 100_000  # characters: class names come from tables of labels
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FILE_NAME: Final = re.compile(r"[\w-][\w.-]*")
_LARGEST: Final = float(np.finfo(np.float32).max)
_MAX_FEATURES: Final = 10_000_000
_MAX_PARTS: Final = 2

T = TypeVar("T")


class AnotherFormatError(ValueError):
    """The record has a format that is not supported; `version` is its number."""

    def __init__(self, version: int) -> None:
        super().__init__(f"its format is {version}")
        self.version = version


@dataclass(frozen=True, slots=True)
class _Block:
    """A JSON object in the record, and its path there, which messages name: "rule.policy" is the object at this key of "rule"."""

    values: dict[str, Any]
    path: str = ""

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise ValueError(f"it lacks {self.name(key)}")
        return self.values[key]

    def name(self, key: str) -> str:
        """The path of a value, in quotes."""
        return repr(f"{self.path}.{key}" if self.path else key)

    def block(self, key: str) -> "_Block":
        if not isinstance(self[key], dict):
            raise ValueError(f"{self.name(key)} must be a JSON object")
        return _Block(self[key], f"{self.path}.{key}" if self.path else key)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The checked record. `classes` are (negative, positive); `files` maps file names to SHA-256; `content` is the JSON."""

    classes: tuple[str, str]
    name: str
    features: FeatureSet
    dtype: Dtype
    preprocessing: Preprocessing
    head: Head
    calibration: Calibration
    rule: Rule
    familiarity: Parts | None  # the ranges of the features; the arrays are in model.onnx
    probes: NDArray[np.float64] | None
    files: Mapping[str, str]
    content: dict[str, Any]


def read_record(data: bytes) -> Record:
    """The record in the bytes of bundle.json. Raises ValueError where it is illegal, AnotherFormatError for another format."""
    record = _Block(_parse(data))
    version = _integer(record, "format", 0, 1_000_000)
    if version != FORMAT:
        raise AnotherFormatError(version)
    if record["sha256"] != _checksum_of(record.values):
        raise ValueError("it is damaged, or was altered after it was written")
    network, rule, familiarity = record.block("backbone"), _rule(record.block("rule")), _familiarity(record)
    if rule.gate is not None and familiarity is None:
        raise ValueError("'rule.gate' needs 'familiarity'")
    return Record(
        classes=_classes(record),
        name=_text(network, "name"),
        features=_one_of(network, "features", get_args(FeatureSet)),
        dtype=_one_of(network, "dtype", get_args(Dtype)),
        preprocessing=_preprocessing(network.block("preprocessing")),
        head=_head(record.block("head")),
        calibration=_calibration(record.block("calibration")),
        rule=rule,
        familiarity=familiarity,
        probes=_probes(record),
        files=_files(record.block("files")),
        content=record.values,
    )


def checksum(plain: Mapping[str, Any]) -> str:
    """The SHA-256 of the record without its own checksum. It detects damage only: anyone can compute it."""
    content = {key: value for key, value in plain.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum_of(plain: Mapping[str, Any]) -> str:
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


def _text(block: _Block, key: str) -> str:
    return _check_text(block[key], block.name(key))


def _check_text(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise ValueError(f"{name} must be text of at most {_MAX_NAME:,} characters")
    return value


def _one_of(block: _Block, key: str, legal: tuple[T, ...]) -> T:
    for choice in legal:
        if block[key] == choice:
            return choice
    raise ValueError(f"{block.name(key)} must be one of {', '.join(map(str, legal))}")


def _integer(block: _Block, key: str, minimum: int, maximum: int) -> int:
    value = block[key]
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"{block.name(key)} must be an integer from {minimum} to {maximum}")
    return value


def _number(block: _Block, key: str, minimum: float = -_LARGEST, maximum: float = _LARGEST) -> float:
    return _check_number(block[key], block.name(key), minimum, maximum)


def _check_number(value: Any, name: str, minimum: float = -_LARGEST, maximum: float = _LARGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        raise ValueError(f"{name} must be a number from {minimum:g} to {maximum:g}")
    return float(value)


def _numbers(block: _Block, key: str, count: int | None = None) -> list[float]:
    """The numbers of a list: this many of them, or at least one."""
    values, name = block[key], block.name(key)
    if not isinstance(values, list) or not values or count not in (None, len(values)):
        raise ValueError(f"{name} must be a list of {'numbers' if count is None else f'{count} numbers'}")
    return [_check_number(value, f"each number in {name}") for value in values]


def _fraction(block: _Block, key: str) -> float:
    """A number strictly between 0 and 1."""
    value = _number(block, key, 0, 1)
    if not 0 < value < 1:
        raise ValueError(f"{block.name(key)} must be above 0 and below 1")
    return value


def _classes(record: _Block) -> tuple[str, str]:
    """(negative, positive)."""
    names, positive = record["classes"], record["positive"]
    if not isinstance(names, list) or len(names) != 2 or names[0] == names[1]:
        raise ValueError("'classes' must be two different names")
    first, second = (_check_text(name, "each name in 'classes'") for name in names)
    if positive not in (first, second):
        raise ValueError("'positive' must be one of 'classes'")
    return (second, first) if positive == first else (first, second)


def _preprocessing(block: _Block) -> Preprocessing:
    _check_keys(block, {"size", "crop_mode", "filter", "crop_pct", "integer_range", "float_range", "views"})
    crop_pct = _number(block, "crop_pct", 0, 1)
    if crop_pct == 0:
        raise ValueError(f"{block.name('crop_pct')} must be above 0")
    return Preprocessing(
        _integer(block, "size", 1, _MAX_SIDE),
        _one_of(block, "crop_mode", get_args(CropMode)),
        _one_of(block, "filter", get_args(Filter)),
        crop_pct,
        _range(block, "integer_range", integers=True),
        _range(block, "float_range", integers=False),
        _views(block),
    )


def _views(block: _Block) -> tuple[int, ...]:
    """The grids of windows: each of those that exist, at most once."""
    views = block.values.get("views", [])
    legal = isinstance(views, list) and all(type(grid) is int and grid in GRIDS for grid in views)
    if not legal or len(set(views)) < len(views):
        raise ValueError(
            f"{block.name('views')} must be a list of different numbers among {', '.join(map(str, GRIDS))}"
        )
    return tuple(views)


def _range(block: _Block, key: str, *, integers: bool) -> Any:
    """Intensity range of images with more than eight bits; None where the training data had none."""
    if block[key] is None:
        return None
    low, high = _numbers(block, key, 2)
    ends = block[key]
    if integers and not all(type(end) is int for end in ends):
        raise ValueError(f"{block.name(key)} must be a list of 2 integers")
    if low >= high:
        raise ValueError(f"{block.name(key)} must be two numbers in ascending order")
    return ends[0], ends[1]


def _head(block: _Block) -> Head:
    return Head(np.array(_numbers(block, "weights"), np.float32), _number(block, "bias"))


def _calibration(block: _Block) -> Calibration:
    _check_keys(block, {"slope", "intercept", "low", "high", "prevalence"})
    slope, intercept = _number(block, "slope"), _number(block, "intercept")
    low, high = _number(block, "low", 0, 1), _number(block, "high", 0, 1)
    prevalence = _fraction(block, "prevalence")
    if slope <= 0:
        raise ValueError("'calibration.slope' must be above 0")
    if low >= high:
        raise ValueError("'calibration.low' must be below 'calibration.high'")
    return Calibration(slope, intercept, low, high, prevalence)


def read_rule(values: Any) -> Rule:
    """The rule in a block "rule". ValueError where it is illegal."""
    return _rule(_Block({"rule": values}).block("rule"))


def _rule(block: _Block) -> Rule:
    _check_keys(block, {"low", "high", "gate", "prevalence", "policy"})
    low, high = _number(block, "low", 0, 1), _number(block, "high", 0, 1)
    if low > high:
        raise ValueError("'rule.low' must be at most 'rule.high'")
    prevalence = None if block["prevalence"] is None else _fraction(block, "prevalence")
    return Rule(low, high, _gate(block), prevalence, _policy(block.block("policy")))


def _policy(block: _Block) -> PolicyRecord:
    """The record of a policy; the parameters are checked of those policies that an evaluation comes back to."""
    _check_keys(block, {"name", "parameters", "evidence"})
    name, parameters = _text(block, "name"), block.block("parameters")
    if name == "cost":
        for key in ("fp", "fn", "unsure"):
            if parameters[key] is not None or key != "unsure":
                _number(parameters, key, 0)
    if name == "promise":
        _check_promises(parameters)
    return PolicyRecord(name, parameters.values, block.block("evidence").values)


def _check_promises(parameters: _Block) -> None:
    promises = parameters["promise"]
    if not isinstance(promises, list) or not all(isinstance(text, str) for text in promises):
        raise ValueError(f"{parameters.name('promise')} must be a list of texts")
    for text in promises:
        try:
            parse_promise(text)
        except UsageError:
            raise ValueError(f"{parameters.name('promise')} must be a list of promises such as recall>=0.98") from None


def _gate(rule: _Block) -> dict[str, Any] | None:
    """The block "rule.gate" as it is; None where it is null."""
    if rule["gate"] is None:
        return None
    gate = rule.block("gate")
    _check_keys(gate, {"level", "false_alarms", "confidence", "groups"})
    for key in ("level", "false_alarms", "confidence"):
        _number(gate, key, 0, 1)
    _integer(gate, "groups", 1, 10**9)
    return gate.values


def _familiarity(record: _Block) -> Parts | None:
    """The ranges of the features, (start, end), which ascend; None for a model without familiarity."""
    if record["familiarity"] is None:
        return None
    block = record.block("familiarity")
    _check_keys(block, {"parts"})
    parts, name = block["parts"], block.name("parts")
    if not isinstance(parts, list) or not 0 < len(parts) <= _MAX_PARTS:
        raise ValueError(f"{name} must be a list of one or two ranges")
    ends = [end for part in parts if isinstance(part, list) and len(part) == 2 for end in part]
    legal = len(ends) == 2 * len(parts) and all(type(end) is int and 0 <= end <= _MAX_FEATURES for end in ends)
    if not legal or ends != sorted(ends) or any(start == end for start, end in parts):
        raise ValueError(f"{name} must be ranges of features, which ascend")
    return tuple((start, end) for start, end in parts)


def _probes(record: _Block) -> NDArray[np.float64] | None:
    return None if record["probes"] is None else np.array(_numbers(record, "probes", PROBES), np.float64)


def _files(block: _Block) -> dict[str, str]:
    for name, digest in block.values.items():
        if not _FILE_NAME.fullmatch(name) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError("'files' must be names of files, each with a SHA-256")
    return {name: str(digest) for name, digest in block.values.items()}


def _check_keys(block: _Block, legal: set[str]) -> None:
    """Raises ValueError for an unknown key: it might change a decision."""
    if set(block.values) - legal:
        raise ValueError(f"{block.path!r} must have no other keys than {', '.join(sorted(legal))}")
