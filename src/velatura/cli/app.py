"""The root command: finds the subcommand, imports only that, and turns errors into exit statuses.

Exit status: 0 done; 1 failed while running; 2 the request was wrong; 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from velatura._version import __version__
from velatura.cli.help import App
from velatura.core.errors import Cancelled, ConfigError, ImageError, OutputError, VelaturaError, WeightsError
from velatura.core.memory import importing, keep_freed_memory

__all__ = ["main"]

# Command to its module, its panel in the help, and its line there. A module is imported only when
# its command is called, so that the help needs no torch.
_COMMANDS = {
    "stylize": ("velatura.cli.stylize", "Pictures", "Give a photograph the style of a painting."),
    "apply": ("velatura.cli.apply", "Pictures", "Stylise photographs with a trained network."),
    "texture": ("velatura.cli.texture", "Pictures", "Make a texture of a painting, without a photograph."),
    "evaluate": ("velatura.cli.evaluate", "Pictures", "Judge pictures beside photograph and painting."),
    "reconstruct": ("velatura.cli.reconstruct", "Pictures", "Show what a layer knows of a picture."),
    "sweep": ("velatura.cli.sweep", "Pictures", "Vary settings, and lay the results side by side."),
    "survey": ("velatura.cli.survey", "Pictures", "Ask people which of two pictures is better."),
    "report": ("velatura.cli.report", "Pictures", "Make one page of a run, a training or a sweep."),
    "samples": ("velatura.cli.samples", "Pictures", "Draw the sample photographs and paintings."),
    "train": ("velatura.cli.train", "Networks", "Train a network that stylises in one pass."),
    "distill": ("velatura.cli.distill", "Networks", "Train the narrow backbone that Velatura ships."),
    "export": ("velatura.cli.export", "Networks", "Write a trained network for other programs."),
    "weights": ("velatura.cli.weights", "Networks", "List, fetch, import and find weights."),
    "presets": ("velatura.cli.presets", "What there is", "List presets, and show one with its sources."),
    "backbones": ("velatura.cli.parts", "What there is", "List backbones, or the layers of one."),
    "losses": ("velatura.cli.parts", "What there is", "List losses with their settings."),
    "metrics": ("velatura.cli.parts", "What there is", "List metrics with units, sources and settings."),
    "networks": ("velatura.cli.parts", "What there is", "List networks of one pass with their settings."),
    "optimizers": ("velatura.cli.parts", "What there is", "List optimisers with their settings."),
    "initializations": ("velatura.cli.parts", "What there is", "List initialisations with their settings."),
    "colors": ("velatura.cli.parts", "What there is", "List colour modes with their settings."),
    "bench": ("velatura.cli.bench", "This machine", "Measure this machine, as ratios to a plain loop."),
}

_REQUEST_IS_WRONG = (ConfigError, ImageError, OutputError, WeightsError)
# Typer takes click's errors from click or from a copy of its own, as its version goes.
_UsageError: Any = typer.BadParameter.__base__


def _version(value: bool) -> None:
    if value:
        typer.echo(f"velatura {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    """Neural style transfer: a photograph in the style of a painting, offline, in seconds.

    Start with: velatura stylize PHOTO PAINTING -o OUT.png
    """


def _build(requested: str | None) -> App:
    """The whole command tree, with only the requested command filled in."""
    app = App(callback=_root)
    for name, (module, panel, line) in _COMMANDS.items():
        if name == requested:
            with importing():
                importlib.import_module(module).register(app, name, panel=panel)
        else:
            app.command(name, help=line, rich_help_panel=panel)(_unfilled)
    return app


def _unfilled() -> NoReturn:
    raise AssertionError("only the requested command runs")


def _run(words: list[str], *, debug: bool) -> int:
    requested = next((word for word in words if not word.startswith("-")), None)
    try:
        command = get_command(_build(requested))
        status = command.main(args=words, prog_name="velatura", standalone_mode=False)
    except _UsageError as error:
        command_path = "velatura" if requested not in _COMMANDS else f"velatura {requested}"
        where = error.ctx.command_path if error.ctx else command_path
        return _complain(f"{error.format_message().rstrip('.')} (see {where} --help)", 2, debug=debug)
    except _REQUEST_IS_WRONG as error:
        return _complain(error, 2, debug=debug)
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", 130, debug=debug)
    except VelaturaError as error:
        return _complain(error, 1, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last door: a user gets one line, not a traceback
        reason = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        return _complain(reason, 1, debug=debug)
    return status if isinstance(status, int) else 0


def _complain(error: object, status: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"velatura: {' '.join(str(error).split())}", err=True)
    return status


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits.

    Args:
        arguments: Words after ``velatura``; the process's own when not given.
    """
    # Read when torch is first imported. By default a thread that waits for its fellows spins; with one
    # other busy process on the machine that made a step 16 times as slow (2 cores, 128 pixels).
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    keep_freed_memory()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    status = _run([word for word in words if word != "--debug"], debug=debug)
    if arguments is None:
        # Python looks for garbage once more before it ends: 0.2 s, for what ends with the process.
        gc.freeze()
    sys.exit(status)
