"""Cells of a sweep: one picture each, named by everything that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from velatura._version import __version__
from velatura.backbones import BackboneConfig
from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.files import sha256_file
from velatura.engine.method import Optimization
from velatura.imaging import write_picture
from velatura.imaging.samples import draw_sample
from velatura.jobs.judging import Evaluation
from velatura.jobs.models import find_model, load_model
from velatura.jobs.pictures import pictures_in
from velatura.jobs.stylize import Stylization
from velatura.jobs.sweep.grid import Point
from velatura.jobs.sweep.pairs import Pair, Source
from velatura.jobs.sweep.spec import Sweep
from velatura.weights import resolve

__all__ = ["Cell", "Planner", "draws_at_random"]

_SAMPLE_SIZES = (16, 4096)
_FREE = ("device", "threads")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture to make and to judge.

    Args:
        key: Hash of everything that the result depends on, in hexadecimal.
        point: Its place in the grid.
        pair: The names of its pictures.
        seed: Its seed.
        how: Its settings.
        content: The photograph's file.
        style: The painting's file.
        reference: File that pixels are compared with; None: the photograph, or what is made.
    """

    key: str
    point: Point
    pair: Pair
    seed: int
    how: Stylization
    content: Path
    style: Path
    reference: Path | None = None

    def __str__(self) -> str:
        """``strength=2, photo+painting, seed 0``."""
        return f"{self.point}, {self.pair.name}, seed {self.seed}"


class Planner:
    """Turns points of a sweep into cells.

    Args:
        sweep: What is varied.
        folder: The results'; samples are drawn into it.
    """

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self.sweep, self.folder = sweep, folder
        self._judged_by = _judging(sweep.evaluation)
        self._hash_of = cache(sha256_file)
        # What does not change from point to point is found once: there may be very many of them.
        self._file = cache(self._source_file)
        self._reference_of = cache(self._reference)
        self._sample_size = min(max(_long_edge(sweep), _SAMPLE_SIZES[0]), _SAMPLE_SIZES[1])
        self._versions = {"velatura": __version__, "torch": version("torch")}

    def cells(self, points: Iterable[Point]) -> Iterator[Cell]:
        """The cells of some points: with every pair and, where something is drawn, every seed.

        Raises:
            ConfigError: Settings are wrong, or a pair has no reference.
            WeightsError: A network's weights are not here.
        """
        for point in points:
            how = self.sweep.stylization(point)
            try:
                network = _networks(how)
            except (ConfigError, WeightsError) as error:
                raise type(error)(
                    f"{point}: {error}; or choose another network by --reduced or --set"
                ) from None
            # Another seed of what draws nothing is the same picture, and no second measurement.
            seeds = self.sweep.seeds if draws_at_random(how) else self.sweep.seeds[:1]
            for pair in self.sweep.pairs:
                for seed in seeds:
                    yield self._cell(point, pair, replace(how, seed=seed), network)

    def _cell(self, point: Point, pair: Pair, how: Stylization, network: Mapping[str, Any]) -> Cell:
        content, style = (self._file(source) for source in (pair.content, pair.style))
        reference, compared_with = self._reference_of(pair)
        depends_on = {
            "stylization": {name: value for name, value in to_mapping(how).items() if name not in _FREE},
            "network": network,
            "pictures": [self._hash_of(content), self._hash_of(style)],
            "judging": self._judged_by,
            "reference": compared_with,
            "versions": self._versions,
        }
        text = json.dumps(depends_on, sort_keys=True)
        return Cell(
            key=hashlib.sha256(text.encode()).hexdigest()[:24],
            point=point,
            pair=pair,
            seed=how.seed,
            how=how,
            content=content,
            style=style,
            reference=reference,
        )

    def sources(self) -> dict[str, tuple[Path, Path]]:
        """Photograph and painting of each pair, by its name."""
        return {pair.name: (self._file(pair.content), self._file(pair.style)) for pair in self.sweep.pairs}

    def _reference(self, pair: Pair) -> tuple[Path | None, Any]:
        """The file that a pair is compared with, if there is one, and what names it or how it is made."""
        file = _reference_file(self.sweep, pair)
        if file is not None:
            return file, self._hash_of(file)
        how = None if self.sweep.reference is None else self.sweep.reference.how
        return None, None if how is None else {"stylization": to_mapping(how), "network": _networks(how)}

    def _source_file(self, source: Source) -> Path:
        """The picture's file; a sample is drawn into one."""
        if source.path is not None:
            return source.path
        path = self.folder / "pictures" / f"{source.name}-{self._sample_size}.png"
        if not path.exists():
            write_picture(draw_sample(source.name, size=self._sample_size), path)
        return path


def draws_at_random(how: Stylization) -> bool:
    """Whether another seed gives another picture."""
    method = how.method
    if isinstance(method, Optimization):
        return method.initialization.is_random or method.backbone.weights == "random"
    return _network_draws(method.model)


def _long_edge(sweep: Sweep) -> int:
    """Longer edge of the largest picture that the base or an axis asks for."""
    sizes = [
        value for axis in sweep.axes for one in axis.settings for key, value in one.items() if key == "size"
    ]
    size = sweep.settings.get("size")
    sizes += [size] if isinstance(size, int) else []
    return max((size for size in sizes if isinstance(size, int)), default=512)


def _reference_file(sweep: Sweep, pair: Pair) -> Path | None:
    """The picture of a folder that is called as the pair is or, where there is one painting, as its photo."""
    if sweep.reference is None or sweep.reference.folder is None:
        return None
    folder = sweep.reference.folder
    try:
        files = pictures_in(folder)
    except OSError as error:
        raise ConfigError(f"cannot look into folder {folder}: {error.strerror}") from error
    has_one = len({one.style for one in sweep.pairs}) == 1
    names = [pair.name, *([pair.content.name] if has_one else [])]
    found = [file for file in files if file.stem in names]
    if len(found) != 1:
        wanted = " or ".join(map(repr, names))
        raise ConfigError(f"expected one picture called {wanted} in {folder}, and there are {len(found)}")
    return found[0]


def _networks(how: Stylization) -> dict[str, Any]:
    """Which weights a method looks through."""
    method = how.method
    if isinstance(method, Optimization):
        return {"backbone": _weights_of(method.backbone)}
    return {"model": _file_hash(find_model(method.model))}


def _judging(how: Evaluation) -> dict[str, Any]:
    judges = {one.judge for one in how.metrics.values() if one.judge is not None}
    weights = sorted(f"{judge.name}: {_judge_weights(judge, how)}" for judge in judges)
    return {"evaluation": to_mapping(how), "judges": weights}


def _judge_weights(judge: BackboneConfig, how: Evaluation) -> str:
    try:
        return _weights_of(judge)
    except (ConfigError, WeightsError) as error:
        names = ", ".join(name for name, one in how.metrics.items() if one.judge == judge)
        raise type(error)(f"metric {names}: its judge cannot be had: {error}") from None


def _weights_of(config: BackboneConfig) -> str:
    """The hash of a network's weights, or ``random``."""
    if config.weights == "random":
        return "random"
    return _file_hash(resolve(config.name if config.weights == "native" else config.weights))


@cache
def _network_draws(model: str) -> bool:
    return load_model(model).network.rng is not None


@cache
def _file_hash(path: Path) -> str:
    return sha256_file(path)
