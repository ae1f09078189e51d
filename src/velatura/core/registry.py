"""Registries: how a part is found by its name.

A parts folder owns one registry. A part registers itself with a decorator; its module is
imported on the first look-up, so that naming a part costs nothing until it is used. Another
package adds parts through an entry point in the group named like the folder, such as
``velatura.losses``: the entry point names a module, and importing that module registers them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from velatura.core.errors import VelaturaError, unknown_name

__all__ = ["Registry"]

P = TypeVar("P")


def _is_redefined(known: object, part: object) -> bool:
    """Whether a cell or a script that is being written defines what it defined before."""
    places = {(getattr(one, "__module__", ""), getattr(one, "__qualname__", "")) for one in (known, part)}
    return len(places) == 1 and places.pop()[0] == "__main__"


class Registry(Generic[P]):
    """Parts of one kind under their names.

    Args:
        kind: What the parts are, in the singular, for messages: ``"loss"``.
        home: Dotted name of the module or package whose import (with every module in it)
            registers the parts that ship with Velatura.
    """

    def __init__(self, kind: str, *, home: str) -> None:
        self.kind = kind
        self._home = home
        self._parts: dict[str, P] = {}
        self._is_loaded = False

    def register(self, name: str) -> Callable[[P], P]:
        """Decorator that files a part under ``name``.

        In a script or a notebook, a part takes the place of its own earlier definition: a cell may be run
        again.

        Raises:
            ValueError: The name is taken.
        """

        def file(part: P) -> P:
            if name in self._parts and not _is_redefined(self._parts[name], part):
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._parts[name] = part
            if isinstance(part, type):
                part.name = name  # type: ignore[attr-defined]
            return part

        return file

    def _load(self) -> None:
        if self._is_loaded:
            return
        home = importlib.import_module(self._home)
        for module in pkgutil.iter_modules(getattr(home, "__path__", ())):
            importlib.import_module(f"{self._home}.{module.name}")
        for point in entry_points(group=f"velatura.{self._home.rpartition('.')[2]}"):
            try:
                point.load()
            except Exception as error:
                raise VelaturaError(
                    f"the {self.kind} plug-in {point.name!r} ({point.value}) cannot be imported: {error}; "
                    "mend or uninstall it"
                ) from error
        # Last: a second thread that came earlier waits for the same imports, and a failure is repeated.
        self._is_loaded = True

    def __getitem__(self, name: str) -> P:
        """The part called ``name``.

        Raises:
            ConfigError: There is none; the message names the nearest.
            VelaturaError: A plug-in cannot be imported.
        """
        self._load()
        # Configs are checked here: what came from a file may be no string, nor hashable.
        if not isinstance(name, str) or name not in self._parts:
            raise unknown_name(self.kind, str(name), self._parts)
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._parts))

    def __len__(self) -> int:
        self._load()
        return len(self._parts)
