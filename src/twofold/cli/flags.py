"""Option records -> command-line flags: an option is described in `twofold.core.options` and nowhere else."""

import ast
import inspect
import re
import shlex
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer


def flags(command: Callable[..., int]) -> Callable[..., None]:
    """The command with every parameter that is an option record replaced by one flag for each of its fields.

    The number that the command returns becomes the exit code.
    """
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @wraps(command)
    def expanded(**given: Any) -> None:
        for name, record in records.items():
            given[name] = record(**{field.name: given.pop(field.name) for field in fields(record)})
        raise typer.Exit(command(**given))

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        record = records.get(parameter.name)
        given_by_name = parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += _fields(record) if record else [given_by_name]
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def _fields(record: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(record)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if field.default is MISSING else field.default,
            annotation=Annotated[
                hints[field.name], typer.Option(*field.metadata["flags"], help=field.metadata["help"])
            ],
        )
        for field in fields(record)
    ]


_PARAMETER = re.compile(r"`(\w+)(?:=([^`]*))?`")


def with_flags(text: str) -> str:
    """A message of the library as the command line says it: parameters in backticks become flags.

    >>> with_flags("`batch_size` must be at least 2; continue with `resume=True` or `cache=False` or `dtype='f32'`.")
    '--batch-size must be at least 2; continue with --resume or --no-cache or --dtype f32.'
    >>> with_flags("Choose two, as in `classes=('cats', 'my dogs')`.")
    "Choose two, as in --classes cats 'my dogs'."
    """
    return _PARAMETER.sub(lambda match: _flag(match[1], match[2]), text)


def _flag(name: str, value: str | None) -> str:
    flag = name.replace("_", "-")
    if value in (None, "True", "False"):
        return f"--no-{flag}" if value == "False" else f"--{flag}"
    plain = ast.literal_eval(value)
    return f"--{flag} {shlex.join(map(str, plain if isinstance(plain, tuple) else (plain,)))}"
