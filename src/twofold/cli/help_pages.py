"""Help pages: options in panels, one line each where possible, readable at 80 columns."""

import shutil
import textwrap
from typing import Any, Final, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

_MAX_WIDTH: Final = 100
_ORDER: Final = (
    "Arguments",
    "Data",
    "Output",
    "Service",
    "Comparison",
    "Decision",
    "Network",
    "Fine-tuning and training from scratch",
    "Runtime",
)
_INDENT: Final = 24  # columns before the help text of an option
_TYPES: Final = {"int": "N", "float": "X", "str": "TEXT", "Path": "PATH", "bool": ""}


class Command(TyperCommand):
    """A command with a help page of its own."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints usage, description, arguments, and the options panel by panel."""
        panels: dict[str, list[str]] = {name: [] for name in _ORDER}
        for parameter in self.get_params(ctx):
            name = getattr(parameter, "rich_help_panel", None)
            panel = name or ("Output" if _is_option(parameter) else "Arguments")
            panels.setdefault(panel, []).append(_entry(*_describe(parameter)))
        _print_page(ctx, self.help or "", panels)


class Group(TyperGroup):
    """The program with a help page of its own."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints usage, description, options, and a line for each command."""
        commands = [(name, self.commands[name].get_short_help_str(200)) for name in self.list_commands(ctx)]
        options = [_entry(*_describe(parameter)) for parameter in self.get_params(ctx)]
        panels = {"Commands": [_entry(*command, indent=12) for command in commands], "Options": options}
        _print_page(ctx, self.help or "", panels)


def metavar(hint: Any) -> str:
    """The value of an option with this type, as help pages show it; nothing for a switch.

    >>> [metavar(hint) for hint in (int | None, tuple[float, float, float] | None, Literal["loss", "none"], bool)]
    ['N', 'X X X', 'loss|none', '']
    >>> metavar(float | Literal["auto"] | None)
    'X|auto'
    """
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if _is_union(hint) else [hint]
    if len(kinds) > 1:
        return "|".join(map(metavar, kinds))
    (kind,) = kinds
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    if get_origin(kind) is tuple:
        return " ".join(metavar(item) for item in get_args(kind) if item is not ...)
    return _TYPES.get(getattr(kind, "__name__", ""), "TEXT")


def _is_union(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _describe(parameter: Any) -> tuple[str, str]:
    """The names of a parameter with its value, and its help text with the default."""
    if not _is_option(parameter):
        return str(parameter.metavar or parameter.name.upper()), parameter.help or ""
    names = [*sorted(parameter.opts, key=len), *parameter.secondary_opts]
    value = "" if parameter.is_flag else parameter.metavar or "TEXT"
    default = parameter.default
    if parameter.required:
        ending = " Required."
    elif parameter.secondary_opts:
        ending = f" [{(parameter.opts if default else parameter.secondary_opts)[0]}]"
    elif default in (None, ()) or isinstance(default, bool) or callable(default):
        ending = ""
    else:
        ending = f" [{default:g}]" if isinstance(default, float) else f" [{default}]"
    text = (parameter.help or "") + ending
    return ", ".join(names) + (f" {value}" if value else ""), text


def _entry(name: str, text: str, indent: int = _INDENT) -> str:
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    lines = textwrap.wrap(text, width - indent, break_on_hyphens=False) or [""]
    first = f"  {name}"
    if len(first) > indent - 2:
        return "\n".join([first, *(" " * indent + line for line in lines)])
    return "\n".join([f"{first:{indent}}{lines[0]}".rstrip(), *(" " * indent + line for line in lines[1:])])


def _print_page(context: Any, description: str, panels: dict[str, list[str]]) -> None:
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    usage = " ".join(context.command.collect_usage_pieces(context))
    usage = usage.replace("{", "").replace("}", "").replace("…...", "…").replace("DATA...", "DATA")
    paragraphs = [textwrap.fill(" ".join(paragraph.split()), width) for paragraph in description.split("\n\n")]
    blocks = [f"Usage: {context.command_path} {usage}", *paragraphs]
    blocks += [f"{name}:\n" + "\n".join(entries) for name, entries in panels.items() if entries]
    typer.echo("\n\n".join(blocks))
