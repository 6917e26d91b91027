"""Messages for Typer's errors: one sentence, the nearest option, and the help page."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

import typer

from twofold.core.hints import nearest

_PLAIN: Final = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)")


def explain(error: typer.TyperException) -> str:
    """The message for wrong usage of a command, one or two sentences."""
    context: Any = getattr(error, "ctx", None)
    sentence = _sentence(error, context)
    sentence = sentence if sentence.endswith((".", "?")) else f"{sentence}."
    return sentence if context is None else f"{sentence} See '{context.command_path} --help'."


def _sentence(error: typer.TyperException, context: Any) -> str:
    option, parameter, cause = (getattr(error, name, None) for name in ("option_name", "param", "__cause__"))
    if hasattr(error, "possibilities"):
        flags = [] if context is None else _flags(context)
        close = nearest_flag(str(option), flags)
        return f"There is no option {option}" + (f" (did you mean '{close}'?)" if close else "")
    if parameter is not None and cause is not None and hasattr(cause, "errors"):
        return _wrong_value(_name(parameter), cause.errors()[0])
    return _PLAIN.sub(r"Unknown argument: \1", error.format_message())


def _wrong_value(name: str, fault: dict[str, Any]) -> str:
    """The message for an illegal value, from pydantic's error record: type, message and input."""
    value, message = fault.get("input"), str(fault.get("msg", "")).removeprefix("Value error, ")
    kind = re.match(r"(int|float|bool)_", str(fault.get("type", "")))
    if kind:
        words = {"int": "an integer", "float": "a number", "bool": "true or false"}
        return f"{name} must be {words[kind[1]]}, got {value!r}"
    choices = re.findall(r"'([^']*)'", message.partition("is not one of")[2])
    if choices:
        return f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}{nearest(str(value), choices)}"
    return f"{name}: {message}"


def _name(parameter: Any) -> str:
    return str(max(parameter.opts, key=len)) if parameter.opts[0].startswith("-") else str(parameter.metavar)


def _flags(context: Any) -> list[str]:
    parameters = context.command.get_params(context)
    return [
        flag
        for parameter in parameters
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("--")
    ]


def nearest_flag(name: str, flags: Sequence[str]) -> str | None:
    """The most similar flag to a mistyped or abbreviated name; None where none is similar.

    >>> flags = ["--learning-rate", "--label-pattern", "--filter", "--epochs", "--no-cache"]
    >>> [nearest_flag(name, flags) for name in ("--lr", "--learn", "--epoch", "--learning_rate", "--nocache", "--xyz")]
    ['--learning-rate', '--learning-rate', '--epochs', '--learning-rate', '--no-cache', None]
    """
    word = name.lstrip("-").replace("_", "-").casefold()
    initials = [flag for flag in flags if word == "".join(part[0] for part in flag[2:].split("-"))]
    prefix_matches = [flag for flag in flags if flag[2:].startswith(word)]
    close_matches = get_close_matches(f"--{word}", flags, n=1)
    return next(iter((*(initials if len(word) > 1 else []), *prefix_matches, *close_matches)), None)
