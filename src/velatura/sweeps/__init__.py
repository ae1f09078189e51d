"""Sweeps that ship: each repeats one published experiment with its document's own settings.

A sweep is a YAML file in this folder, as :mod:`velatura.jobs.sweep` reads it. Its reduced form runs
offline, on pictures and networks that ship, in minutes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from velatura.core.errors import unknown_name

__all__ = ["sweep_file", "sweep_names", "sweep_title"]


@cache
def sweep_names() -> tuple[str, ...]:
    """Every sweep that ships, in alphabetical order."""
    entries = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in entries if name.endswith(".yaml")))


def sweep_file(name: str) -> Path:
    """The file of a sweep that ships.

    Raises:
        ConfigError: There is none of that name; the message names the nearest.
    """
    if name not in sweep_names():
        raise unknown_name("sweep", name, sweep_names())
    return Path(str(files(__name__).joinpath(f"{name}.yaml")))


def sweep_title(name: str) -> str:
    """What a sweep that ships is about: its first line, read without what reads the rest.

    Raises:
        ConfigError: There is none of that name; the message names the nearest.
    """
    with sweep_file(name).open(encoding="utf-8") as file:
        return file.readline().partition(":")[2].strip(' "\n')
