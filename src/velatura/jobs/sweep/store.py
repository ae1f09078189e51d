"""The folder of a sweep: what it is of, and what each finished cell came to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from velatura._version import __version__
from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path, check_writable
from velatura.jobs.sweep.grid import Axis
from velatura.jobs.sweep.pairs import Source
from velatura.jobs.sweep.spec import Sweep

__all__ = ["MANIFEST", "Measured", "Store", "write_json"]

MANIFEST = "sweep.json"
"""The file that makes a folder a sweep's."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one cell came to.

    Args:
        key: The cell's.
        labels: Its value's name on each axis.
        content: Name of its photograph.
        style: Name of its painting.
        seed: Its seed.
        values: Metric to value; NaN where it is not defined.
        loss: The last of the run; NaN of a method without steps.
        steps: How many were taken.
        seconds: What it took, judging included.
        notes: What the user should know.
        error: Why there is no picture; None: there is.
    """

    key: str
    labels: Mapping[str, str]
    content: str
    style: str
    seed: int
    values: Mapping[str, float] = field(default_factory=dict)
    loss: float = math.nan
    steps: int = 0
    seconds: float = math.nan
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def pair(self) -> str:
        """``photo+painting``."""
        return f"{self.content}+{self.style}"


class Store:
    """A folder of results.

    Args:
        folder: Where; it is made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, sweep: Sweep, *, objective: str | None = None) -> None:
        """Makes the folder this sweep's.

        Args:
            sweep: What its results are of.
            objective: Of a search; None: the whole grid.

        Raises:
            ConfigError: It holds another sweep's results, or something else.
            OutputError: It cannot be written to.
        """
        manifest = self.folder / MANIFEST
        check_writable(manifest)
        identity = _identity(sweep, objective)
        if manifest.exists():
            self._check_identity(manifest, identity)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise ConfigError(f"{self.folder} holds other files and no sweep; name a new folder")
        about = {
            "title": sweep.title,
            "source": sweep.source,
            "notes": list(sweep.notes),
            "command": list(sweep.command),
            "axes": {axis.name: list(axis.labels) for axis in sweep.axes},
            "metrics": {
                name: {"unit": one.metric.unit, "direction": one.metric.direction}
                for name, one in sweep.evaluation.metrics.items()
            },
        }
        write_json(manifest, {**about, "velatura": __version__, "identity": identity})

    def _check_identity(self, manifest: Path, identity: Mapping[str, Any]) -> None:
        try:
            before = json.loads(manifest.read_text(encoding="utf-8"))["identity"]
            changed = [name for name, value in identity.items() if before[name] != value]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{manifest} is no sweep's ({error}); name another folder") from None
        # Of a sweep that was refused before its first cell nothing would be lost.
        if changed and any((self.folder / "cells").glob("*")):
            raise ConfigError(
                f"{self.folder} holds the results of another sweep: {', '.join(changed)} differ; "
                "name another folder"
            )

    def cell(self, key: str) -> Path:
        """The folder of a cell."""
        return self.folder / "cells" / key

    def measured(self, key: str) -> Measured | None:
        """What a cell came to; None if it is not finished, or cannot be read."""
        try:
            entry = json.loads((self.cell(key) / "cell.json").read_text(encoding="utf-8"))
            entry["values"] = {name: _number(value) for name, value in entry["values"].items()}
            entry |= {name: _number(entry[name]) for name in ("loss", "seconds")}
            found = Measured(**{**entry, "notes": tuple(entry["notes"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        is_whole = found.key == key and (found.error is not None or self.picture(key).exists())
        return found if is_whole else None

    def picture(self, key: str) -> Path:
        """The picture of a cell."""
        return self.cell(key) / "picture.png"

    def losses(self, key: str) -> dict[str, list[float]]:
        """The loss of every step under ``loss``, and its weighted terms under their names."""
        try:
            found = json.loads((self.cell(key) / "losses.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {name: [_number(value) for value in values] for name, values in found.items()}

    def write_losses(self, key: str, history: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the loss and the terms of every step."""
        terms = history[0]["terms"] if history else ()
        curves = {"loss": [entry["loss"] for entry in history]}
        curves |= {name: [entry["terms"][name] for entry in history] for name in terms if name != "loss"}
        write_json(self.cell(key) / "losses.json", curves)

    def write(self, measured: Measured) -> None:
        """Keeps what a cell came to: from then on it is finished, or has failed."""
        write_json(self.cell(measured.key) / "cell.json", asdict(measured))


def _identity(sweep: Sweep, objective: str | None) -> dict[str, Any]:
    """What makes two sweeps the same, as plain values that JSON keeps."""
    reference = sweep.reference
    identity = {
        "base": dict(sweep.settings),
        "axes": [_axis(axis) for axis in sweep.axes],
        "combine": sweep.combination,
        "pairs": [[_source(pair.content), _source(pair.style)] for pair in sweep.pairs],
        "seeds": list(sweep.seeds),
        "metrics": to_mapping(sweep.evaluation),
        "reference": None
        if reference is None
        else {
            "made by": None if reference.how is None else to_mapping(reference.how),
            "folder": None if reference.folder is None else str(reference.folder),
        },
        "objective": objective,
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _axis(axis: Axis) -> dict[str, Any]:
    return {"name": axis.name, "labels": axis.labels, "settings": [dict(one) for one in axis.settings]}


def _source(source: Source) -> str:
    return source.name if source.path is None else str(source.path)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def write_json(path: Path, content: Any) -> None:
    """Writes JSON, whole or not at all; null stands for a number that is not finite."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(_without_nan(content), indent=1, allow_nan=False) + "\n", "utf-8")


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
