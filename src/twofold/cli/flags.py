"""Option records -> command-line flags: an option is described in `twofold.core.options` and nowhere else."""

import ast
import inspect
import re
import shlex
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from twofold.cli.help_pages import metavar
from twofold.core import options

COMMAND_PARAMETERS: Final = (
    "against",
    "always_answer",
    "browser",
    "classes",
    "data",
    "decisions",
    "engine",
    "every",
    "features_from",
    "figures",
    "force",
    "json",
    "out",
    "port",
    "positive",
    "quick",
    "quiet",
    "require",
    "resume",
    "save_features",
    "sha256",
    "state",
    "test",
    "thumbnails",
    "undo",
    "write",
)
"""Options of commands that are in no record and that messages name."""

_NAMES: Final = {"size": ("--size", "--image-size")}
"""The flags of options that have more than one."""


def flags(command: Callable[..., int]) -> Callable[..., None]:
    """The command with every parameter that is an option record replaced by one flag for each of its fields.

    The number that the command returns becomes the exit code. Each record names the
    panel of the help page for its flags.
    """
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @wraps(command)
    def expanded(**arguments: Any) -> None:
        for name, record in records.items():
            arguments[name] = record(**{field.name: arguments.pop(field.name) for field in fields(record)})
        raise typer.Exit(command(**arguments))

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        record = records.get(parameter.name)
        annotation = _with_metavar(hints[parameter.name])
        keyword = parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += _parameters(record) if record else [keyword]
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def _with_metavar(hint: Any) -> Any:
    """The annotation of a parameter. An option without a metavar gets one from its type."""
    kind, *details = get_args(hint) or (hint,)
    option = copy(details[0]) if details and isinstance(details[0], OptionInfo) else None
    if option is None:
        return hint
    option.metavar = option.metavar or metavar(kind) or None
    return Annotated[kind, option]


def _parameters(record: Any) -> list[inspect.Parameter]:
    hints, panel = get_type_hints(record), getattr(record, "PANEL", None)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if field.default is MISSING else field.default,
            annotation=Annotated[
                _for_typer(hints[field.name]),
                typer.Option(
                    *_NAMES.get(field.name, ()),
                    help=field.metadata["help"],
                    metavar=metavar(hints[field.name]) or None,
                    rich_help_panel=panel,
                    parser=_number_or_word if _is_number_or_word(hints[field.name]) else None,
                ),
            ],
        )
        for field in fields(record)
    ]


def _is_number_or_word(hint: Any) -> bool:
    return float in get_args(hint) and any(get_origin(kind) is Literal for kind in get_args(hint))


def _number_or_word(text: str) -> float | str:
    """A number where the text is one. The record refuses illegal words."""
    try:
        return float(text)
    except ValueError:
        return text


def _for_typer(hint: Any) -> Any:
    """The type of an option as Typer knows it: a list for an option that may be repeated."""
    if _is_number_or_word(hint):
        return float | None
    arguments = get_args(hint)
    return list[arguments[0]] if arguments and arguments[-1] is ... else hint  # type: ignore[valid-type]


def with_flags(text: str) -> str:
    """The message of the library for the command line: options in backticks become flags.

    Other words in backticks stay as they are.

    >>> with_flags("`batch_size` must be at least 2; continue with `resume=True` or `cache=False` or `dtype='f32'`.")
    '--batch-size must be at least 2; continue with --resume or --no-cache or --dtype f32.'
    >>> with_flags("Choose with `classes=('cat', 'big dog')`, not with `classes_`.")
    "Choose with --classes cat 'big dog', not with `classes_`."
    """
    return _PARAMETER.sub(lambda match: _as_flag(match[0], match[1], match[2]), text)


_PARAMETER: Final = re.compile(r"`(\w+)(?:=([^`]*))?`")


def _as_flag(text: str, name: str, value: str | None) -> str:
    flag = _FLAGS.get(name)
    if flag is None:
        return text
    if value in (None, "True"):
        return flag
    return f"--no-{flag[2:]}" if value == "False" else f"{flag} {_quote(str(value))}"


def _quote(value: str) -> str:
    """The Python literal as shell arguments. Text that is no literal is unchanged."""
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return " ".join(shlex.quote(str(item)) for item in (literal if isinstance(literal, tuple) else (literal,)))


def _flag_of(field: "Field[Any]") -> str:
    names = _NAMES.get(field.name, ())
    return names[0] if names else f"--{field.name.replace('_', '-')}"


def _record_flags() -> dict[str, str]:
    records = [record for record in vars(options).values() if is_dataclass(record)]
    documented_fields = [field for record in records for field in fields(record) if "help" in field.metadata]
    return {field.name: _flag_of(field) for field in documented_fields}


_FLAGS: Final = {name: f"--{name.replace('_', '-')}" for name in COMMAND_PARAMETERS} | _record_flags()
