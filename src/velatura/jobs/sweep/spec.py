"""What a sweep varies, on which pictures, and how it is judged: from a YAML file to a checked value."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velatura.core.config import annotations_of
from velatura.core.errors import ConfigError, WeightsError, unknown_name
from velatura.engine.method import Optimization
from velatura.engine.one_pass import OnePass
from velatura.jobs.judging import Evaluation
from velatura.jobs.stylize import Stylization, stylization
from velatura.jobs.sweep.axes import parse_axes
from velatura.jobs.sweep.grid import Axis, Combination, Point, count_points, grid_points
from velatura.jobs.sweep.judges import parse_evaluation
from velatura.jobs.sweep.pairs import Pair, Reference, parse_pairs, parse_reference
from velatura.jobs.sweep.reading import At, Document

__all__ = ["LOSS", "Published", "Sweep", "parse_sweep"]

_FIELDS = (
    *("title", "source", "note", "base", "axes", "combine", "pairs", "seeds"),
    *("metrics", "judge", "reference", "published", "reduced"),
)
LOSS = "loss"
"""What the last loss of a run is called among published values."""
_REDUCED = ("size", "steps", "settings", "axes", "pairs", "seeds", "note")
_OWN = frozenset(annotations_of(Stylization)) - {"method", "working_size", "seed"}
"""Settings that stand beside the method's: size, strength, precision and their like."""
_KNOWN = _OWN | {"color"} | annotations_of(Optimization).keys() | annotations_of(OnePass).keys()
"""What a dotted field of the base may begin with."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Values that a document has for one place of the grid.

    Args:
        where: Position on axes by their names; points that agree with it are meant.
        values: Metric, or ``loss``, to value.
        source: Where they stand.
    """

    where: Mapping[str, int]
    values: Mapping[str, float]
    source: str


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A base job and what is varied around it.

    Args:
        title: One line on what it shows.
        source: The document whose experiment it is.
        notes: What departs from that, a line each.
        settings: The base: ``preset``, fields of a stylization, dotted fields of its method.
        axes: What is varied.
        combination: How values of different axes meet.
        pairs: Photographs and paintings.
        seeds: Of each point.
        evaluation: How outputs are judged.
        reference: What pixels are compared with in the place of the photograph.
        published: The document's own values.
        document: The file that it was read from, for messages.
        origins: Where in it each setting stands; None: not in it.
        command: Words that run it, but for the folder; none: it is not from a file.
    """

    title: str
    source: str = ""
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any]
    axes: tuple[Axis, ...]
    combination: Combination = "crossed"
    pairs: tuple[Pair, ...]
    seeds: tuple[int, ...] = (0,)
    evaluation: Evaluation
    reference: Reference | None = None
    published: tuple[Published, ...] = ()
    document: Document
    origins: Mapping[str, At | None] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def num_points(self) -> int:
        """How many settings are compared."""
        return count_points(self.axes, self.combination)

    @property
    def num_cells(self) -> int:
        """How many pictures are made at most: points, times pairs, times seeds."""
        return self.num_points * len(self.pairs) * len(self.seeds)

    def points(self) -> Iterator[Point]:
        """Every point of the grid."""
        return grid_points(self.axes, self.combination)

    def stylization(self, point: Point) -> Stylization:
        """The settings of a point, in one thread and with the first seed.

        Raises:
            ConfigError: The settings are wrong; the message has the line of the one to blame.
            WeightsError: A trained network is not here.
        """
        settings = {**self.settings, **point.settings}
        try:
            return _stylization(settings)
        except ConfigError as error:
            at = self._to_blame(settings)
            raise self._error(at, point, error) from None

    def _error(self, at: At | None, point: Point, error: ConfigError) -> ConfigError:
        if at is None:
            return ConfigError(f"{point}: {error}")
        # Where the axis itself is wrong, every point is, and the first one would only distract.
        return self.document.error(self._deepest(at, str(error)), error)

    def _deepest(self, at: At, message: str) -> At:
        """The innermost field below ``at`` that a message is about, by the names in it."""
        named = set(re.findall(r"\w+", message))
        below = [place for place in self.document.lines if place[: len(at)] == at]
        told = [place for place in below if named.issuperset(map(str, place[len(at) :]))]
        return max(told, key=len, default=at)

    def _to_blame(self, settings: Mapping[str, Any]) -> At | None:
        """Where the one setting stands without which all is well."""
        for path in (name for name in settings if name != "preset"):
            try:
                _stylization({name: value for name, value in settings.items() if name != path})
            except (ConfigError, WeightsError):
                continue
            return self.origins.get(path)
        return self.origins.get("preset", ("base",))

    def published_at(self, point: Point) -> tuple[Published, ...]:
        """The document's values for a point."""
        place = dict(zip((axis.name for axis in self.axes), point.indices, strict=True))
        return tuple(one for one in self.published if one.where.items() <= place.items())


def _stylization(settings: Mapping[str, Any]) -> Stylization:
    for path in settings:
        if path.partition(".")[0] not in _KNOWN:
            raise unknown_name("setting", path, _KNOWN)
    own = {name: value for name, value in settings.items() if name in _OWN and name != "preset"}
    changes = {path: value for path, value in settings.items() if path not in _OWN}
    # float32 unless told otherwise: what 'auto' takes depends on the machine.
    usual = {"threads": 1, "precision": "float32"}
    return stylization(settings.get("preset", "fast"), changes=changes, **{**usual, **own})


def parse_sweep(
    document: Document,
    *,
    folder: Path,
    reduced: bool = False,
    changes: Mapping[str, Any] | None = None,
    contents: str | None = None,
    styles: str | None = None,
    reference: str | None = None,
) -> Sweep:
    """A sweep from what a file says.

    Args:
        document: The file.
        folder: What paths in it are relative to.
        reduced: Take its reduced form.
        changes: Settings laid over the base, whatever the form.
        contents: File, folder, glob or sample in the place of the file's photographs.
        styles: Likewise for its paintings.
        reference: Folder of pictures in the place of its reference.

    Raises:
        ConfigError: A field is unknown or wrong, or the grid is empty; with the line, where it stands in
            the file.
    """
    document.table((), _FIELDS)
    smaller = document.table(("reduced",), _REDUCED)
    if reduced and not smaller:
        raise ConfigError(f"{document.name} has no reduced form (a field 'reduced'); leave --reduced out")
    axes = parse_axes(document, ("axes",))
    published = tuple(_published(document, axes))
    if reduced and "axes" in smaller:
        axes = _with_reduced(document, axes, published)
    settings, origins = _settings(document, reduced=reduced, changes=changes or {})
    _check_clashes(document, axes, changes or {})
    evaluation = parse_evaluation(document)
    for one in published:
        for name in one.values.keys() - evaluation.metrics.keys() - {LOSS}:
            known = [*evaluation.metrics, LOSS]
            raise document.error(("published",), unknown_name("metric of this sweep", name, known))
    place: At = ("reduced", "pairs") if reduced and "pairs" in smaller else ("pairs",)
    seeds: At = ("reduced", "seeds") if reduced and "seeds" in smaller else ("seeds",)
    sweep = Sweep(
        title=str(document.value(("title",)) or Path(document.name).stem),
        source=str(document.value(("source",)) or ""),
        notes=(
            *_notes(document, reduced=reduced, changes=changes or {}),
            *_by_hand({"photographs": contents, "paintings": styles, "reference": reference}),
        ),
        settings=settings,
        axes=axes,
        combination=_combination(document),
        pairs=parse_pairs(document, place, folder=folder, contents=contents, styles=styles),
        seeds=_seeds(document, seeds),
        evaluation=evaluation,
        reference=parse_reference(document, folder=folder)
        if reference is None
        else _reference_given(reference),
        published=published,
        document=document,
        origins={**origins, **{path: ("axes", axis.name) for axis in axes for path in axis.fields}},
        command=(
            *("velatura", "sweep", document.name),
            *(["--reduced"] if reduced else []),
            *(
                word
                for path, value in (changes or {}).items()
                for word in ("--set", f"{path}={_word(value)}")
            ),
            *(
                word
                for name, where in (("content", contents), ("style", styles), ("reference", reference))
                if where is not None
                for word in (f"--{name}", where)
            ),
        )
        if document.lines
        else (),
    )
    return _checked(sweep)


def _checked(sweep: Sweep) -> Sweep:
    """The sweep, unless its axes cannot be combined or its reference is of no use."""
    document = sweep.document
    try:
        count_points(sweep.axes, sweep.combination)
    except ConfigError as error:
        raise document.error(("combine",), error) from None
    takes = [one.metric.takes_reference for one in sweep.evaluation.metrics.values()]
    if sweep.reference is not None and not any(takes):
        raise document.error(
            ("reference",), "none of these metrics compares with a reference; leave it out, or add rmse"
        )
    return sweep


def _settings(
    document: Document, *, reduced: bool, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, At | None]]:
    """The base with what is laid over it, and where each setting stands."""
    settings = document.table(("base",))
    origins: dict[str, At | None] = {path: ("base", path) for path in settings}
    if reduced:
        over: At = ("reduced", "settings")
        for path, value in document.table(over).items():
            settings[path], origins[path] = value, (*over, path)
        for name, path, wrap in (("size", "size", False), ("steps", "pyramid.steps", True)):
            value = document.value(("reduced", name))
            if value is not None:
                settings[path] = [value] if wrap and not isinstance(value, list) else value
                origins[path] = ("reduced", name)
    for path, value in changes.items():
        settings[path], origins[path] = value, None
    if "seed" in settings:
        at = origins["seed"] or ("base",)
        raise document.error(at, "a sweep's seeds stand in its field 'seeds', such as seeds: [0, 1, 2]")
    return settings, origins


def _check_clashes(document: Document, axes: Sequence[Axis], changes: Mapping[str, Any]) -> None:
    varied: dict[str, str] = {}
    for axis in axes:
        for path in axis.fields:
            if path in varied:
                message = f"{path} is varied by {varied[path]!r} already; leave one out"
                raise document.error(("axes", axis.name), message)
            varied[path] = axis.name
    for path in changes:
        if path in varied:
            raise ConfigError(f"--set {path}: this sweep varies it, by its axis {varied[path]!r}")


def _with_reduced(
    document: Document, axes: Sequence[Axis], published: Iterable[Published]
) -> tuple[Axis, ...]:
    """The axes, some of them with the values of the reduced form."""
    at: At = ("reduced", "axes")
    names = [axis.name for axis in axes]
    document.table(at, names, "axis")
    smaller = {axis.name: axis for axis in parse_axes(document, at)}
    with_values = {name for one in published for name in one.where}
    for axis in axes:
        if axis.name in smaller and axis.name in with_values and len(smaller[axis.name]) != len(axis):
            message = (
                f"{len(smaller[axis.name])} values stand for {len(axis)} that were published; give as many"
            )
            raise document.error((*at, axis.name), message)
    return tuple(smaller.get(axis.name, axis) for axis in axes)


def _combination(document: Document) -> Combination:
    match document.value(("combine",)):
        case None | "crossed":
            return "crossed"
        case "paired":
            return "paired"
        case other:
            raise document.error(("combine",), f"expected crossed or paired, not {other!r}")


def _seeds(document: Document, at: At) -> tuple[int, ...]:
    value = document.value(at)
    if value is None:
        return (0,)
    seeds = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    valid = isinstance(seeds, list) and all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds)
    if not valid or (isinstance(value, int) and value < 0):
        raise document.error(at, f"expected how many seeds or a list of them, each 0 or more, not {value!r}")
    if not seeds:
        raise document.error(at, "no seed is left, so that the grid is empty; give one at least")
    return tuple(dict.fromkeys(seeds))


def _published(document: Document, axes: Sequence[Axis]) -> Iterator[Published]:
    entries = document.value(("published",)) or []
    if not isinstance(entries, list):
        raise document.error(("published",), "expected a list of entries with at, values and source")
    labels = {axis.name: axis.labels for axis in axes}
    for number in range(len(entries)):
        at: At = ("published", number)
        entry = document.table(at, ("at", "values", "source"))
        if not entry.get("source"):
            raise document.error(at, "published values need their source")
        where = {}
        for name, label in document.table((*at, "at"), labels, "axis").items():
            text = label if isinstance(label, str) else f"{label:g}"
            if text not in labels[name]:
                raise document.error((*at, "at", name), unknown_name(f"value of {name}", text, labels[name]))
            where[name] = labels[name].index(text)
        values = document.table((*at, "values"))
        _check_numbers(document, (*at, "values"), values)
        yield Published(where=where, values=values, source=str(entry["source"]))


def _check_numbers(document: Document, at: At, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise document.error((*at, name), f"expected a number, not {value!r}")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _reference_given(text: str) -> Reference:
    folder = Path(text)
    if not folder.is_dir():
        raise ConfigError(f"--reference: there is no folder {folder}")
    return Reference(folder=folder.absolute())


def _by_hand(given: Mapping[str, str | None]) -> Iterator[str]:
    for what, where in given.items():
        if where is not None:
            yield f"Chosen by hand: {what} from {where}."


def _notes(document: Document, *, reduced: bool, changes: Mapping[str, Any]) -> Iterator[str]:
    places: Collection[At] = [("note",), ("reduced", "note")] if reduced else [("note",)]
    for at in places:
        note = document.value(at)
        if note is not None:
            yield " ".join(str(note).split())
    if reduced:
        parts = ((name, document.value(("reduced", name))) for name in ("size", "steps"))
        said = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
        yield f"Reduced form{f': {said}' if said else ''}; without --reduced the whole form is run."
    for path, value in changes.items():
        yield f"Set by hand: {path} = {value}."
