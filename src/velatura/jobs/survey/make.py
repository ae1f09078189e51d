"""The job of making a survey: folders of pictures in, one page out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Interval, Len

from velatura.core.config import Setting
from velatura.core.errors import ConfigError
from velatura.core.files import atomic_path, check_writable
from velatura.imaging import Picture, read_picture
from velatura.jobs.pictures import namesake, pictures_in
from velatura.jobs.standalone import Embedded, embedded
from velatura.jobs.survey.definition import Definition, Origin
from velatura.jobs.survey.page import Comparison, page
from velatura.ops.resize import same_aspect

__all__ = ["MadeSurvey", "SurveyJob", "run_make_survey"]

_LARGE_MIB = 20
# Beside the two pictures, photograph and painting are small; enlarged, they fill a phone.
_CONTEXT_EDGE = 640


@dataclass(frozen=True, kw_only=True)
class SurveyJob:
    """Folders in, a page out."""

    folders: Annotated[tuple[str, ...], Len(2), Setting("One folder of pictures for each method")]
    output: Annotated[str, Setting("The page, an HTML file")]
    content: Annotated[
        str | None, Setting("Photographs to show beside: a file, or a folder of namesakes")
    ] = None
    style: Annotated[str | None, Setting("Paintings to show beside: a file, or a folder of namesakes")] = None
    question: Annotated[str, Len(1), Setting("What is asked of every pair")] = (
        "Which picture do you like better?"
    )
    title: Annotated[str, Len(1), Setting("Heading of the page")] = "Two pictures, one choice"
    checks: Annotated[int, Ge(0), Setting("Times that a rater is told what to choose, to see who reads")] = 2
    repeat: Annotated[int, Ge(0), Setting("Pairs that a rater sees a second time, sides changed")] = 0
    seed: Annotated[int, Ge(0), Setting("Seed of the raters' orders and sides")] = 0
    size: Annotated[
        int, Interval(ge=64, le=4096), Setting("Longer edge of the embedded pictures, at most", unit="pixels")
    ] = 768
    quality: Annotated[int, Interval(ge=1, le=100), Setting("WebP quality of the embedded pictures")] = 90


@dataclass(frozen=True, kw_only=True)
class MadeSurvey:
    """What was made.

    Args:
        definition: The survey.
        num_trials: What each rater is shown, repeats and checks among it.
        mib: Size of the page.
        notes: What the user should know, one line each.
    """

    definition: Definition
    num_trials: int
    mib: float
    notes: tuple[str, ...]


def run_make_survey(
    job: SurveyJob,
    *,
    on_item: Callable[[int, int, str], None] = lambda number, total, name: None,  # noqa: ARG005
) -> MadeSurvey:
    """Pairs, embeds, writes.

    Pictures of one item are brought to the size of the smallest, so that sharpness does not tell
    them apart, and lose whatever else their files said.

    Args:
        job: What to ask of which pictures.
        on_item: Told of each item before its pictures are read: its number from 1, how many there
            are, its name.

    Raises:
        ConfigError: There is nothing to compare, names are ambiguous, or there are more repeats or
            checks than pairs to show.
        ImageError: A picture cannot be read.
        OutputError: The page cannot be written.
    """
    if Path(job.output).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"expected a page such as survey.html, not {job.output!r}")
    check_writable(job.output)
    methods = _method_names(job.folders)
    notes: list[str] = []
    items = _paired([_by_name(folder) for folder in job.folders], methods, notes)
    contexts = [_context(job, files) for files in items.values()]
    comparisons: list[Comparison] = []
    origins: dict[str, Origin] = {}
    for number, (name, files) in enumerate(items.items()):
        on_item(number + 1, len(items), name)
        made = _embedded_alike(job, name, files, notes)
        origins |= {one.id: Origin(method=method, item=number) for method, one in enumerate(made)}
        comparisons += _comparisons(job, name, made, contexts[number], methods, notes)
    comparisons.sort(key=lambda comparison: comparison.ids)
    definition = _definition(job, methods, list(items), origins, comparisons)
    text = page(definition, comparisons)
    with atomic_path(job.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    mib = len(text.encode()) / 2**20
    if mib > _LARGE_MIB:
        notes.append(f"the page has {mib:.0f} MiB, a lot to send; --size or --quality make it smaller")
    num_trials = len(comparisons) + job.repeat + job.checks
    return MadeSurvey(
        definition=definition, num_trials=num_trials, mib=mib, notes=tuple(dict.fromkeys(notes))
    )


def _definition(
    job: SurveyJob,
    methods: Sequence[str],
    items: Sequence[str],
    origins: Mapping[str, Origin],
    comparisons: Sequence[Comparison],
) -> Definition:
    if not comparisons:
        raise ConfigError("every pair shows the same picture twice; there is nothing to compare")
    pairs = tuple(comparison.ids for comparison in comparisons)
    if job.repeat > len(pairs):
        raise ConfigError(f"there are {len(pairs)} pairs; --repeat can be at most that, not {job.repeat}")
    if job.checks > len(pairs) + job.repeat:
        most = len(pairs) + job.repeat
        raise ConfigError(f"a rater sees {most} pairs; --checks can be at most that, not {job.checks}")
    shown = {picture for pair in pairs for picture in pair}
    return Definition(
        title=job.title,
        question=job.question,
        methods=tuple(methods),
        items=tuple(items),
        pictures={picture: origin for picture, origin in origins.items() if picture in shown},
        pairs=pairs,
        seed=job.seed,
        repeat=job.repeat,
        checks=job.checks,
    )


def _method_names(folders: Sequence[str]) -> list[str]:
    """The folders' own names where these differ, else their paths."""
    if len({os.path.realpath(folder) for folder in folders}) < len(folders):
        raise ConfigError(f"expected different folders, got one twice: {', '.join(folders)}")
    names = [Path(os.path.realpath(folder)).name for folder in folders]
    return names if len(set(names)) == len(names) else list(folders)


def _by_name(folder: str) -> dict[str, Path]:
    try:
        files = pictures_in(Path(folder))
    except OSError as error:
        raise ConfigError(
            f"cannot look into folder {folder}: {(error.strerror or 'it cannot be read').lower()}"
        ) from error
    if not files:
        raise ConfigError(f"folder {folder} holds no picture")
    named: dict[str, Path] = {}
    for file in files:
        if file.stem in named:
            raise ConfigError(f"{named[file.stem]} and {file} have one name; which is meant cannot be told")
        named[file.stem] = file
    return named


def _paired(
    named: Sequence[Mapping[str, Path]], methods: Sequence[str], notes: list[str]
) -> dict[str, list[Path]]:
    """Files by name, one of each method, where every method has one."""
    names = sorted(set().union(*named))
    items = {
        name: [files[name] for files in named] for name in names if all(name in files for files in named)
    }
    for name in names:
        if name not in items:
            without = [method for method, files in zip(methods, named, strict=True) if name not in files]
            notes.append(f"left out: {name!r} is not in {', '.join(without)}")
    if not items:
        raise ConfigError(
            f"no picture has the same name in all of {', '.join(methods)}; pictures are paired by name"
        )
    return items


def _context(job: SurveyJob, files: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Photograph and painting of one item, as far as they are to be shown."""
    content = None if job.content is None else namesake(files[0], _source(job.content), "photograph", part=0)
    style = None if job.style is None else namesake(files[0], _source(job.style), "painting", part=1)
    return content, style


def _source(text: str) -> Path | list[Path]:
    return list(_by_name(text).values()) if os.path.isdir(text) else Path(text)  # noqa: PTH112 - too long a name


def _embedded_alike(job: SurveyJob, item: str, files: Sequence[Path], notes: list[str]) -> list[Embedded]:
    pictures = [_read(file, notes) for file in files]
    edge = min(job.size, *(max(picture.width, picture.height) for picture in pictures))
    sizes = [(picture.height, picture.width) for picture in pictures]
    if not all(same_aspect(sizes[0], size) for size in sizes):
        notes.append(f"{item!r}: the pictures differ in shape, which raters will see")
    return [embedded(picture, edge=edge, quality=job.quality, salt=item) for picture in pictures]


def _read(file: Path, notes: list[str]) -> Picture:
    picture = read_picture(file)
    notes += [f"{file}: {note}" for note in picture.notes]
    return picture


def _comparisons(
    job: SurveyJob,
    item: str,
    made: Sequence[Embedded],
    context: tuple[Path | None, Path | None],
    methods: Sequence[str],
    notes: list[str],
) -> list[Comparison]:
    """Each two methods' pictures of one item, unless they are the same."""
    content, style = (
        None if file is None else embedded(_read(file, notes), edge=_CONTEXT_EDGE, quality=job.quality)
        for file in context
    )
    found = []
    for (one, ours), (other, theirs) in itertools.combinations(zip(made, methods, strict=True), 2):
        if one.id == other.id:
            notes.append(f"left out: {item!r} is the same picture in {ours} and {theirs}")
            continue
        # By their hashes: neither the order in the page nor that of the pairs tells the method.
        first, second = sorted((one, other), key=lambda picture: picture.id)
        found.append(Comparison(first=first, second=second, content=content, style=style))
    return found
