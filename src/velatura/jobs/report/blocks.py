"""The pieces that sections of the page are made of."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from velatura.jobs.report.chart import Chart, Curve
from velatura.jobs.report.commands import Again
from velatura.jobs.report.files import dig, number, spread
from velatura.jobs.report.markup import Markup, element, joined
from velatura.jobs.standalone import script_json

__all__ = [
    "SIGNS",
    "again",
    "chart",
    "details",
    "facts",
    "gallery",
    "leaves",
    "listing",
    "markdown",
    "metrics",
    "notes",
    "pairs",
    "raw",
    "short",
    "table",
]

SIGNS = {"lower": "↓", "higher": "↑", "one": "→1"}
"""Which values of a metric are better: low ones, high ones, or those near 1."""

_IN_WORDS = {"lower": "lower is better", "higher": "higher is better", "one": "best near 1"}
_ROWS_OF_CHART = 12


def short(value: Any) -> str:
    """A value for people: ``0.0125``, ``relu1_1 = 1, relu2_1 = 0.5``, ``yes``, ``–`` for nothing."""
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{key} = {short(item)}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(map(short, value))
    return str(value)


def facts(items: Iterable[tuple[str, Any]]) -> Markup:
    """The few things to know at a glance, as words in a row; those without a value are left out."""
    pieces = [
        element("div", element("dt", name), element("dd", short(value)))
        for name, value in items
        if value not in (None, "")
    ]
    return element("dl", *pieces, class_="facts")


def pairs(items: Iterable[tuple[str, Any]]) -> Markup:
    """A table of two columns: names and values, which may be long."""
    rows = (
        element("tr", element("th", name, scope="row"), element("td", short(value))) for name, value in items
    )
    return element("table", element("tbody", *rows), class_="pairs")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, sortable: bool = False) -> Markup:
    """A table that scrolls by itself where it finds no room; columns of numbers stand right."""
    lines = [list(row) for row in rows]
    kinds = [
        "number" if place > 0 and lines and all(_is_number(line[place]) for line in lines) else None
        for place in range(len(header))
    ]
    head = (element("th", name, scope="col", class_=kind) for name, kind in zip(header, kinds, strict=True))
    body = (
        element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(line, kinds, strict=True)))
        for line in lines
    )
    whole = element(
        "table", element("thead", element("tr", *head)), element("tbody", *body), data_sortable=sortable
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label="Table")


def _is_number(cell: str) -> bool:
    if isinstance(cell, Markup):
        return False
    try:
        float(cell)
    except ValueError:
        return cell == "–"
    return True


def markdown(lines: Sequence[str]) -> Markup:
    """Tables, lists and paragraphs of plain Markdown, without its headings."""
    parts: list[Markup] = []
    for is_table, group in itertools.groupby(lines, key=lambda line: line.startswith("|")):
        if is_table:
            header, *rows = (_cells(line) for line in group if not re.fullmatch(r"[|:\- ]+", line))
            parts.append(table(header, (row for row in rows if len(row) == len(header))))
        else:
            parts += [
                element("p", _words(line.removeprefix("- ")), class_="small")
                for line in group
                if line.strip() and not line.startswith("#")
            ]
    return joined(*parts)


def _cells(line: str) -> list[str]:
    return [_words(cell.replace("\\|", "|").strip()) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _words(text: str) -> str:
    return re.sub(r"\*\*|`", "", text)


def details(summary: str, *content: str) -> Markup:
    """Something that is folded away until asked for."""
    return element("details", element("summary", summary), *content)


def notes(lines: Iterable[str]) -> Markup:
    """What is missing or odd; nothing where nothing is."""
    items = [element("li", line) for line in dict.fromkeys(lines)]
    return element("ul", *items, class_="notes") if items else Markup()


def listing(path: str, value: Any) -> Markup:
    """Nested settings as a flat table of dotted paths."""
    return pairs(leaves(path, value))


def leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Dotted paths with their values, in order."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(f"{path}.{key}" if path else str(key), item)
    else:
        yield path, value


def gallery(figures: Sequence[Markup | None], *, compare: tuple[int, int] | None = None) -> Markup:
    """Pictures side by side, two of which can be laid over each other.

    Args:
        figures: Of an album; those that are None are left out.
        compare: Positions of the two that the page compares at first; None: there is nothing to compare.
    """
    present = [place for place, figure in enumerate(figures) if figure is not None]
    first = None
    if compare is not None and all(place in present for place in compare) and compare[0] != compare[1]:
        first = " ".join(str(present.index(place)) for place in compare)
    shown = [figure for figure in figures if figure is not None]
    return element("div", *shown, class_="pictures", data_compare=first) if shown else Markup()


def chart(drawn: Chart | None) -> Markup:
    """Curves, which the script draws, and some of their values as a table."""
    if drawn is None:
        return Markup()
    data = element("script", Markup(script_json(drawn.as_json())), type="application/json")
    # One table for the curves that share their steps.
    kinds: dict[tuple[float, ...], list[Curve]] = {}
    for curve in drawn.curves:
        kinds.setdefault(tuple(step for step, _ in curve.points), []).append(curve)
    tables = []
    for curves in kinds.values():
        places = spread(range(len(curves[0].points)), _ROWS_OF_CHART)
        rows = (
            [
                short(int(curves[0].points[place][0])),
                *(short(number(curve.points[place][1])) for curve in curves),
            ]
            for place in places
        )
        names = (f"{curve.name}, held out" if curve.is_held_out else curve.name for curve in curves)
        tables.append(table(["step", *names], rows))
    return element(
        "figure",
        element("figcaption", drawn.title),
        data,
        details("Some of the values as a table", *tables),
        class_="chart",
    )


def metrics(values: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Markup:
    """What evaluations say of a picture, a line a metric."""
    parts = []
    for row, evaluation in values:
        lines = []
        for name, value in row.items():
            about = dig(evaluation, "metrics", name) or {}
            judge = dig(about, "judge", "weights")
            words = [
                _IN_WORDS.get(str(dig(about, "direction"))),
                dig(about, "unit"),
                None if judge is None else f"judged by {judge}",
            ]
            said = " · ".join(str(word) for word in words if word)
            lines.append([joined(element("b", name), element("small", said)), short(number(value))])
        parts.append(table(["metric", "value"], lines))
    return joined(*parts)


def command(text: str | None) -> Markup:
    """A command to copy; nothing where there is none."""
    if text is None:
        return Markup()
    code = element("pre", element("code", text), tabindex="0")
    button = element("button", "Copy", type="button", class_="copy", hidden=True)
    return element("div", code, button, class_="command")


def again(how: Again) -> Markup:
    """The command that makes it again, and what it sets otherwise than the preset."""
    parts = [command(how.command), notes(how.notes)]
    if how.changes:
        rows = [
            [element("code", change.path), short(change.value), short(change.preset)]
            for change in how.changes
        ]
        parts.append(element("h3", "What differs from the preset"))
        parts.append(table(["setting", "here", "preset"], rows))
    elif how.command is not None:
        parts.append(element("p", "Every setting is the preset’s.", class_="small"))
    return joined(*parts)


def raw(record: Mapping[str, Any]) -> Markup:
    """The whole record, as it is."""
    return element("pre", element("code", json.dumps(record, indent=1, ensure_ascii=False)), tabindex="0")
