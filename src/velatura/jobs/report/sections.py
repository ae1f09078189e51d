"""The sections of the page: one for each run, training and sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from velatura.imaging import Picture
from velatura.jobs.report import blocks
from velatura.jobs.report.album import Album
from velatura.jobs.report.chart import chart_of_cells, chart_of_history, chart_of_training
from velatura.jobs.report.commands import picture_again, train_again
from velatura.jobs.report.files import dig, method_of, number, settings_of
from velatura.jobs.report.looks import looked_at
from velatura.jobs.report.markup import Markup, element, joined
from velatura.jobs.report.runs import Run, inputs_of
from velatura.jobs.report.sweep import Sweep
from velatura.jobs.report.training import TrainingRun
from velatura.presets import load_preset, preset_names

__all__ = ["overview", "run_section", "sweep_section", "training_section"]


def overview(runs: Sequence[Run], album: Album) -> Markup:
    """All runs of a folder in a table, each line leading to its section."""
    judged = dict.fromkeys(
        (name, blocks.SIGNS.get(str(dig(evaluation, "metrics", name, "direction")), ""))
        for run in runs
        for values, evaluation in run.values[:1]
        for name in values
    )
    rows = []
    for place, run in enumerate(runs):
        link = element("a", run.name, href=f"#run-{place + 1}")
        small = None if run.picture is None else album.thumbnail(run.picture)
        values = run.values[0][0] if run.values else {}
        rows.append(
            [
                joined(small or "", link),
                blocks.short(_changes(run)),
                _loss(run),
                *(blocks.short(number(values.get(name))) for name, _ in judged),
            ]
        )
    are_dreams = all(_measured(run) == "activation" for run in runs)
    last = "last activation" if are_dreams else "last loss"
    header = ["run", "settings", last, *(f"{name} {sign}".strip() for name, sign in judged)]
    num_pictures = sum(run.picture is not None for run in runs)
    compare = element("div", data_compare=f"0 {num_pictures - 1}", data_of_all=True)
    return element(
        "section",
        element("h2", "All runs"),
        blocks.table(header, rows, sortable=True),
        joined(element("h3", "Their results"), compare) if num_pictures > 1 else "",
        class_="overview",
    )


def _changes(run: Run) -> str:
    how, look = settings_of(run.record), looked_at(run.record)
    told = [("preset", how.get("preset")), ("size", how.get("size")), ("seed", how.get("seed"))]
    if look is not None:
        told += [("layer", look.layer), ("network", look.network)]
    if how.get("strength") != 1:
        told.append(("strength", how.get("strength")))
    return ", ".join(f"{name} {blocks.short(value)}" for name, value in told if value not in (None, 0))


def _loss(run: Run) -> str:
    return blocks.short(number(run.history[-1].get("loss"))) if run.history else "–"


def _measured(run: Run) -> Literal["loss", "activation"]:
    """What its steps change: a dream has no loss, but an activation that grows."""
    look = looked_at(run.record)
    return "activation" if look is not None and look.kind == "deepdream" else "loss"


def run_section(run: Run, album: Album, *, place: int | None = None) -> Markup:
    """One run: pictures, losses, metrics, command, settings, provenance.

    Args:
        run: The run.
        album: Where pictures are embedded.
        place: Its number, for a heading of its own; None where it is the only one.
    """
    how, method = settings_of(run.record), method_of(run.record)
    how_again = picture_again(run.record)
    look = looked_at(run.record)
    what = _measured(run)
    missing = list(run.notes)
    figures: list[Markup | None] = [None]
    size = ""
    if run.picture is not None:
        figures[0] = album.figure(run.picture, "Result", note=run.name, result=run.name)
    inputs = list(inputs_of(run))
    for caption, found in inputs:
        if isinstance(found, Picture):
            figures.append(album.figure(found, caption, note=found.name))
        else:
            figures.append(None)
            missing.append(f"{caption}: {found}")
    figures += [album.figure(path, f"Step {step}") for step, path in run.on_the_way]
    if run.history:
        last = run.history[-1].get("size")
        size = f"{last[1]} × {last[0]}" if isinstance(last, list) and len(last) == 2 else ""
    known = [
        ("preset", how.get("preset")),
        ("layer", None if look is None else look.layer),
        ("network", dig(method, "model") if look is None else look.network),
        ("backbone", dig(method, "backbone", "name")),
        ("optimiser", dig(method, "optimizer", "name")),
        ("size", size or how.get("size")),
        ("strength", how.get("strength")),
        ("steps", len(run.history) or None),
        ("seed", how.get("seed")),
        (f"last {what}", number(run.history[-1].get("loss")) if run.history else None),
    ]
    judged = blocks.metrics(run.values)
    drawn = chart_of_history(run.history, what=what)
    return element(
        "section",
        element("h2", run.name) if place is not None else "",
        blocks.facts(known),
        blocks.gallery(figures, compare=_compared(figures)),
        blocks.notes(missing),
        _titled("Activation" if what == "activation" else "Losses", blocks.chart(drawn)),
        _titled("Metrics", judged),
        _titled("Make it again", blocks.again(how_again)),
        _settings(how),
        _provenance(run.record),
        id=None if place is None else f"run-{place}",
    )


def _compared(figures: Sequence[Markup | None]) -> tuple[int, int] | None:
    """The photograph and the result; where there is no photograph, what was there before the result."""
    if len(figures) > 1 and figures[1] is not None:
        return (1, 0)
    others = [place for place, figure in enumerate(figures) if place > 0 and figure is not None]
    return (others[0], 0) if others else None


def _titled(title: str, content: Markup) -> Markup:
    return joined(element("h3", title), content) if content else Markup()


def _settings(how: Mapping[str, Any]) -> Markup:
    """Every setting, with its source where it is the preset's."""
    name = str(how.get("preset"))
    preset = load_preset(name) if name in preset_names() else None
    rows = []
    for path, value in blocks.leaves("", how):
        inside = path.removeprefix("method.").removeprefix("dream.")
        own = dig(preset.settings, *inside.split(".")) if preset is not None else None
        source = preset.source_of(f"{preset.kind}.{inside}") if preset is not None and own == value else ""
        rows.append([element("code", path), blocks.short(value), source])
    return blocks.details(
        "All settings, with the preset’s sources", blocks.table(["setting", "value", "source"], rows)
    )


def _provenance(record: Mapping[str, Any]) -> Markup:
    return blocks.details(
        "Versions, machine and hashes",
        blocks.pairs(_origins(record)),
        blocks.details("The whole record", blocks.raw(record)),
    )


def _origins(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for group in ("versions", "machine"):
        yield from blocks.leaves("", dig(record, group) or {})
    yield "weights", dig(record, "weights", "source")
    yield "weights, SHA-256", dig(record, "weights", "sha256")
    pictures = dig(record, "pictures")
    yield "photograph, SHA-256 of its pixels", dig(pictures, "content")
    styles = dig(pictures, "styles")
    for place, digest in enumerate(styles if isinstance(styles, list) else []):
        yield f"painting {place + 1}, SHA-256 of its pixels", digest


def training_section(run: TrainingRun, album: Album) -> Markup:
    """One training: pictures on held-out photographs, losses, the network, command, settings."""
    learnt = [line for line in run.lines if not line.get("held_out")]
    held = [line for line in run.lines if line.get("held_out")]
    last: Mapping[str, Any] = learnt[-1] if learnt else {}
    record = run.model.training if run.model is not None else {}
    config = run.model.config if run.model is not None else {}
    figures = [
        album.figure(path, f"Step {step}", note="held-out photographs") for step, path in run.validations
    ]
    known = [
        ("network", config.get("name")),
        ("preset", record.get("preset")),
        ("step", _step(run, record)),
        ("seed", dig(record, "training", "seed")),
        ("numbers in the network", f"{run.num_weights:,}".replace(",", " ") if run.num_weights else None),
        ("loss", number(last.get("loss"))),
        ("loss, held out", number(held[-1].get("loss")) if held else None),
        ("images a second", number(last.get("images_per_second"))),
    ]
    return element(
        "section",
        blocks.facts(known),
        blocks.gallery(figures, compare=(0, len(figures) - 1) if len(figures) > 1 else None),
        blocks.notes(run.notes),
        _titled("Losses", blocks.chart(chart_of_training(run.lines))),
        _network(run),
        class_="training",
    )


def _step(run: TrainingRun, record: Mapping[str, Any]) -> str:
    steps = max((int(line["step"]) for line in run.lines), default=0)
    wanted = record.get("steps")
    return f"{steps} of {wanted}" if isinstance(wanted, int) and wanted != steps else str(steps)


def _network(run: TrainingRun) -> Markup:
    if run.model is None:
        return Markup()
    record = run.model.training
    origins = [
        ("written by Velatura", run.model.version),
        *blocks.leaves("", dig(record, "versions") or {}),
        *blocks.leaves("", dig(record, "machine") or {}),
        ("backbone’s weights", dig(record, "weights", "source")),
        ("backbone’s weights, SHA-256", dig(record, "weights", "sha256")),
        ("encoder’s weights, SHA-256", run.model.encoder_sha256),
        *(
            (f"style {name}, SHA-256", digest)
            for name, digest in zip(run.model.style_names, run.model.style_sha256, strict=True)
        ),
        *blocks.leaves("photographs", dig(record, "contents") or {}),
        *blocks.leaves("paintings", dig(record, "styles") or {}),
    ]
    return joined(
        _titled("Make it again", blocks.again(train_again(record, str(run.model.config["name"])))),
        blocks.details("The network", blocks.listing("", run.model.config)),
        blocks.details("All settings of the training", blocks.listing("", dig(record, "training") or {})),
        blocks.details("Versions, machine and hashes", blocks.pairs(origins)),
    )


def sweep_section(sweep: Sweep, album: Album) -> Markup:
    """One sweep: pictures of the cells, means, losses, plots, the table of all cells."""
    figures = [album.figure(path, path.stem) for path in sweep.figures]
    cells = [album.figure(path, label or path.stem) for label, path in sweep.pictures]
    alike = [place for place in range(len(cells)) if sweep.groups[place] == sweep.groups[0]]
    compare = (0, alike[-1] if len(alike) > 1 else len(cells) - 1) if len(cells) > 1 else None
    header = [f"{name} {blocks.SIGNS.get(sweep.signs[name], '')}".strip() for name in sweep.columns]
    rows = ([_cell(row[name]) for name in sweep.columns] for row in sweep.rows)
    return element(
        "section",
        *(element("p", text) for text in sweep.about),
        blocks.facts(sweep.same.items()),
        blocks.notes(sweep.notes),
        _titled("Cells", blocks.gallery(cells, compare=compare)),
        _titled("Means", blocks.markdown(sweep.means)),
        _titled("Losses", joined(*_losses_of_cells(sweep))),
        _titled("Every cell", blocks.table(header, rows, sortable=True)),
        _titled("Figures", blocks.gallery(figures)),
        _titled("The command", blocks.command(sweep.command)),
        class_="sweep",
    )


def _losses_of_cells(sweep: Sweep) -> Iterator[Markup]:
    """The losses, and folded away below them each of their terms, where there are several."""
    names = dict.fromkeys(name for _, terms in sweep.losses for name in terms)
    terms = [name for name in names if name != "loss"]
    for name in ("loss", *(terms if len(terms) > 1 else [])):
        values = [(label, found[name]) for label, found in sweep.losses if name in found]
        drawn = blocks.chart(chart_of_cells(values, what=name))
        yield drawn if name == "loss" or not drawn else blocks.details(f"The term {name}", drawn)


def _cell(text: str) -> str:
    """A value as it stands, but for digits that nobody reads."""
    try:
        return text if float(text) == int(float(text)) else f"{float(text):.4g}"
    except (ValueError, OverflowError):
        return text or "–"
