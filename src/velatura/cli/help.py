"""Help as plain text, in sections: the same on a terminal, in a pipe and in a screen reader.

Typer's own help draws boxes with rich, whose import alone takes longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["App"]

F = TypeVar("F", bound=Callable[..., Any])

_WIDTH = 100
_NAMES_WIDTH = 34


class App(typer.Typer):
    """Commands whose help is plain; without a command, a group shows its help.

    Args:
        options: Those of :class:`typer.Typer`.
    """

    def __init__(self, **options: Any) -> None:
        options = {"cls": _Group, "no_args_is_help": True, "context_settings": {}, **options}
        options["context_settings"] = {"max_content_width": _WIDTH, **options["context_settings"]}
        super().__init__(add_completion=False, rich_markup_mode=None, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """As :meth:`typer.Typer.command`."""
        return super().command(name, **{"cls": _Command, **options})


class _Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_help(self, ctx, formatter)


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        wants_help = not args and self.no_args_is_help
        return super().parse_args(ctx, ["--help"] if wants_help else args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_help(self, ctx, formatter)
        commands: list[Any] = [self.commands[name] for name in self.list_commands(ctx)]
        rows = [
            (command.rich_help_panel or "Commands", command.name, _first_line(command.help))
            for command in commands
        ]
        _write_sections(formatter, rows)


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Usage, what it does, then the parameters under their headings; ``--help`` comes last."""
    params = command.get_params(ctx)
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option" and not param.hidden]
    usage = ["[OPTIONS]", *map(_argument, arguments)]
    if isinstance(command, TyperGroup):
        usage.append("COMMAND [ARGS]...")
    formatter.write_usage(ctx.command_path, " ".join(usage))
    command.format_help_text(ctx, formatter)
    rows = [("Arguments", _argument(param), param.help or "") for param in arguments]
    options.sort(key=lambda param: "--help" in param.opts)
    rows += [(param.rich_help_panel or "Options", _option(param), _help(param)) for param in options]
    _write_sections(formatter, rows)


def _write_sections(formatter: Any, rows: Iterable[tuple[str, str, str]]) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for section, name, text in rows:
        sections.setdefault(section, []).append((name, text))
    for section, entries in sections.items():
        with formatter.section(typer.style(section, bold=True)):
            formatter.write_dl(entries, col_max=_NAMES_WIDTH)


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    name = name if param.required else f"[{name}]"
    return name if param.nargs == 1 else f"{name}..."


def _option(param: Any) -> str:
    """``-o, --output FILE``: the short name first, room for it where there is none."""
    names = sorted(param.opts, key=lambda name: name.startswith("--"))
    room = "" if not names[0].startswith("--") else "    "
    value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
    return f"{room}{', '.join(names)}{value}"


def _help(param: Any) -> str:
    if param.required:
        return f"{param.help}  [required]"
    shows_default = not param.is_flag and param.show_default and param.default is not None
    return f"{param.help}  [default: {param.default}]" if shows_default else param.help or ""


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
