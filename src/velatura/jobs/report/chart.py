"""Curves for the page's chart, thinned to what a screen can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from velatura.jobs.report.files import dig, number

__all__ = ["Chart", "Curve", "chart_of_cells", "chart_of_history", "chart_of_training"]

_MOST_POINTS = 600

Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a chart.

    Args:
        name: In the legend.
        points: Place on the axis and value, in order; None where the value was not finite.
        is_held_out: Drawn with dashes and dots, in the colour of the curve of the same name.
    """

    name: str
    points: Points
    is_held_out: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves over steps.

    Args:
        title: What is drawn.
        curves: At least one.
        marks: Places on the axis where something changes, with what begins there.
    """

    title: str
    curves: tuple[Curve, ...]
    marks: tuple[tuple[float, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What the page's script draws from."""
        return {
            "title": self.title,
            "marks": self.marks,
            "curves": [
                {
                    "name": curve.name,
                    "held": curve.is_held_out,
                    "points": [(x, None if y is None else float(f"{y:.6g}")) for x, y in curve.points],
                }
                for curve in self.curves
            ],
        }


def chart_of_history(
    history: Sequence[Mapping[str, Any]], *, what: Literal["loss", "activation"] = "loss"
) -> Chart | None:
    """The loss and its weighted terms over all steps of a run; None where no value is finite.

    Args:
        history: Entries with ``scale``, ``size``, ``loss`` and ``terms``, one a step.
        what: What the loss is: that of a dream is the activation, which grows.
    """
    kept = _thinned([number(entry.get("loss")) for entry in history])
    names = dict.fromkeys(name for entry in history for name in dig(entry, "terms") or {})
    curves = [
        Curve(
            name=what if name == "loss" else name,
            points=[(place + 1, number(_value(history[place], name))) for place in kept],
        )
        for name in ("loss", *names)
    ]
    title = f"{what.capitalize()}{' and its weighted terms' * bool(names)} over the steps"
    return _chart(title, curves, marks=tuple(_scales(history)))


def chart_of_training(lines: Sequence[Mapping[str, Any]]) -> Chart | None:
    """The loss and its terms while learning, and on held-out pictures.

    Args:
        lines: Of ``log.jsonl``.
    """
    curves = []
    for is_held_out in (False, True):
        part = [line for line in lines if bool(line.get("held_out")) is is_held_out]
        kept = _thinned([number(line.get("loss")) for line in part])
        names = dict.fromkeys(name for line in part for name in dig(line, "terms") or {})
        for name in ("loss", *names):
            points = [(float(part[place]["step"]), number(_value(part[place], name))) for place in kept]
            curves.append(Curve(name=name, points=points, is_held_out=is_held_out))
    return _chart("Loss and its weighted terms while learning, and on held-out pictures (dashed)", curves)


def chart_of_cells(losses: Sequence[tuple[str, Sequence[Any]]], *, what: str = "loss") -> Chart | None:
    """The loss of each cell of a sweep over its steps, or a term of it.

    Args:
        losses: What tells the cell apart, and its loss at every step.
        what: The name of the term; ``loss``: their sum.
    """
    curves = []
    for name, values in losses:
        finite = [number(value) for value in values]
        curves.append(Curve(name=name, points=[(place + 1, finite[place]) for place in _thinned(finite)]))
    named = "Losses" if what == "loss" else f"The weighted term {what}"
    return _chart(
        f"{named} of one photograph and painting; of different settings they may not compare", curves
    )


def _value(entry: Mapping[str, Any], name: str) -> Any:
    return entry.get("loss") if name == "loss" else dig(entry, "terms", name)


def _chart(title: str, curves: Iterable[Curve], marks: tuple[tuple[float, str], ...] = ()) -> Chart | None:
    drawn = tuple(curve for curve in curves if any(y is not None for _, y in curve.points))
    return Chart(title=title, curves=drawn, marks=marks) if drawn else None


def _scales(history: Sequence[Mapping[str, Any]]) -> Iterable[tuple[float, str]]:
    """Where each scale begins, and its size; none where there is one only."""
    begins = [
        place
        for place, entry in enumerate(history)
        if place == 0 or entry.get("scale") != history[place - 1].get("scale")
    ]
    if len(begins) < 2:
        return
    for place in begins:
        size = history[place].get("size")
        match size:
            case [height, width]:
                yield place + 1, f"{width}×{height}"
            case _:
                yield place + 1, ""


def _thinned(values: Sequence[float | None]) -> list[int]:
    """Places to draw: of each stretch the first, the lowest and the highest, so that no spike is lost."""
    if len(values) <= _MOST_POINTS:
        return [*range(len(values))]
    stretches = _MOST_POINTS // 3
    kept = {len(values) - 1}
    for number_of_it in range(stretches):
        begin = len(values) * number_of_it // stretches
        places = range(begin, len(values) * (number_of_it + 1) // stretches)
        kept.add(begin)
        # A loss that was not finite leaves a gap: it must stay one.
        kept.update(place for place in places if values[place] is None)
        finite = [(value, place) for place in places if (value := values[place]) is not None]
        kept.update(place for _, place in ((min(finite), max(finite)) if finite else ()))
    return sorted(kept)
