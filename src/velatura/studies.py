"""The Python door to long work: trainings, sweeps, surveys, reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from velatura.core.errors import ConfigError
from velatura.core.progress import never
from velatura.engine.train import Report
from velatura.jobs.report.make import Made, ReportJob, run_report
from velatura.jobs.schema import build
from velatura.jobs.survey.analyse import Analysis, AnalysisJob, run_analysis
from velatura.jobs.survey.answers import answers_files
from velatura.jobs.survey.make import MadeSurvey, SurveyJob, run_make_survey
from velatura.jobs.sweep import (
    SearchJob,
    SweepJob,
    SweepProgress,
    SweepResult,
    load_sweep,
    run_search,
    run_sweep,
)
from velatura.jobs.train import Trained, TrainJob, run_train, training

__all__ = ["analyse_survey", "make_survey", "report", "sweep", "train"]


def sweep(
    spec: str | Path | Mapping[str, Any],
    output: str | Path,
    *,
    reduced: bool = False,
    settings: Mapping[str, Any] | None = None,
    content: str | Path | None = None,
    style: str | Path | None = None,
    search: int | None = None,
    objective: str | None = None,
    jobs: int | None = 1,
    many: bool = False,
    on_cell: Callable[[SweepProgress], None] = lambda progress: None,  # noqa: ARG005
    cancelled: Callable[[], bool] = never,
) -> SweepResult:
    """Varies settings of a job, and lays the results side by side.

    .. code-block:: python

        result = velatura.sweep("saric2020-style-weight", "weights", reduced=True)
        for cell in result.measured:
            print(cell.labels, cell.pair, cell.values)

    Args:
        spec: A YAML file, the name of a sweep that ships, or the same as a mapping.
        output: Folder of the results; a sweep goes on in its own, and makes no cell twice.
        reduced: Take its reduced form: small, few steps, with networks at hand.
        settings: Laid over the base by dotted field, such as ``{"size": 256}``.
        content: Photographs in the place of its own: a file, a folder, a glob, or a sample's name.
        style: Likewise paintings.
        search: Try so many points of the axes, chosen by Optuna, in the place of the grid.
        objective: Metric that a search makes best on average.
        jobs: Processes, one thread each; None: one a core. More than one begin by importing the script
            that asks, which needs its ``if __name__ == "__main__":``.
        many: Run even 10,000 cells or more.
        on_cell: Told of every cell that was made.
        cancelled: Asked several times a second, and before every step.

    Returns:
        Every cell with its metrics, and the files of the table, the sheet and the plots.

    Raises:
        ConfigError: The sweep is wrong somewhere, with the line where it has one; or the folder is
            another's. Found before anything runs.
        WeightsError: A network or a judge is not here. Found before anything runs.
        OutputError: The folder cannot be written to.
    """
    found = load_sweep(
        spec,
        reduced=reduced,
        changes=settings,
        contents=None if content is None else os.fspath(content),
        styles=None if style is None else os.fspath(style),
    )
    job = build(SweepJob, {"sweep": found, "folder": os.fspath(output), "jobs": jobs, "many": many})
    if (search is None) != (objective is None):
        raise ConfigError("search and objective go together; give both or neither")
    if search is None:
        return run_sweep(job, on_cell=on_cell, cancelled=cancelled)
    searching = build(SearchJob, {"job": job, "trials": search, "objective": objective})
    return run_search(searching, on_cell=on_cell, cancelled=cancelled)


def make_survey(
    folders: Sequence[str | Path],
    output: str | Path,
    *,
    content: str | Path | None = None,
    style: str | Path | None = None,
    **options: Any,
) -> MadeSurvey:
    """Makes a page that asks people, blind, which of two pictures is better.

    .. code-block:: python

        velatura.make_survey(["ours", "theirs"], "survey.html")

    Args:
        folders: One folder of pictures for each method; names pair them.
        output: The page, an HTML file.
        content: Photographs to show beside: a file, or a folder of namesakes.
        style: Likewise paintings.
        **options: ``question``, ``title``, ``checks``, ``repeat``, ``seed``, ``size``, ``quality``: the
            fields of :class:`velatura.jobs.survey.make.SurveyJob`.

    Returns:
        The survey and how many choices it asks for.

    Raises:
        ConfigError: There is nothing to compare, names are ambiguous, or an option is out of range.
        ImageError: A picture cannot be read.
        OutputError: The page cannot be written.
    """
    beside = {"content": content, "style": style}
    given = {name: os.fspath(value) for name, value in beside.items() if value is not None}
    files = {"folders": tuple(os.fspath(folder) for folder in folders), "output": os.fspath(output)}
    return run_make_survey(build(SurveyJob, {**files, **given, **options}))


def analyse_survey(answers: str | Path | Sequence[str | Path], **options: Any) -> Analysis:
    """Counts the answers to a survey: votes, Wilson intervals, exact tests, Bradley-Terry strengths.

    .. code-block:: python

        share = velatura.analyse_survey("answers").overall.duels[0].share

    Args:
        answers: Files that the page saved, one a rater, or folders of them.
        **options: ``bootstrap``, ``seed``: the fields of :class:`velatura.jobs.survey.analyse.AnalysisJob`.

    Raises:
        ConfigError: An answers file was edited, is of another survey, or of a rater that is there
            already; or nobody passed the checks.
    """
    several = [answers] if isinstance(answers, str | Path) else answers
    files = tuple(str(file) for one in several for file in answers_files(one))
    return run_analysis(build(AnalysisJob, {"answers": files, **options}))


def report(source: str | Path, output: str | Path | None = None, **options: Any) -> Made:
    """Makes one page of what runs, reconstructions, a training or a sweep left behind.

    .. code-block:: python

        velatura.report("weights", "weights.html")

    Args:
        source: A folder, a record of a run, or a picture that carries one.
        output: The page, an HTML file; None: ``report.html`` beside the source.
        **options: ``title``, ``size``, ``quality``: the fields of
            :class:`velatura.jobs.report.make.ReportJob`.

    Returns:
        Where the page is and what is in it.

    Raises:
        ConfigError: There is nothing to report on, or an option is out of range.
        OutputError: The page cannot be written.
    """
    files = {"source": os.fspath(source), "output": None if output is None else os.fspath(output)}
    return run_report(build(ReportJob, {**files, **options}))


def train(
    name: str,
    contents: str | Path,
    styles: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    start: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    on_report: Callable[[Report], None] = lambda _: None,
    cancelled: Callable[[], bool] = never,
    **options: Any,
) -> Trained:
    """Trains a network that stylises in one pass.

    .. code-block:: python

        velatura.train("johnson", "photos/", "painting.jpg", "run/", settings={"steps": 2000})
        velatura.stylize("photo.jpg", model="run/").save("out.png")

    Args:
        name: A training preset, or a network, which stands for its paper's.
        contents: Photographs to learn from: a folder, with all in it, or a tar.
        styles: A painting, or several: files, folders or tars.
        output: Folder for model, checkpoint, log and validation pictures.
        start: Model to start from, by name or file; None: a new network.
        settings: Changes to the preset by dotted path, such as ``{"batch": 8, "network.width": 16}``.
        on_report: Told now and then where the training stands.
        cancelled: Asked before every step; the run is saved.
        **options: ``resume``, ``workers``, ``threads``, ``device``, ``report_every``, ``validate_every``,
            ``save_every``: the fields of :class:`velatura.jobs.train.TrainJob`.

    Returns:
        Where the model is, and what the user should know.

    Raises:
        ConfigError: Pictures or settings that do not fit; a run in the folder that is not to be resumed.
        ImageError: A painting of a network's own styles cannot be read.
        OutputError: Nothing can be written to the folder.
        WeightsError: The backbone's weights, or the model to start from, are missing or broken.
        VelaturaError: Loss or gradient is not finite; the batch was saved.
    """
    named = None if start is None else str(start)
    preset, config = training(name, changes=settings, start=named)
    paths = (styles,) if isinstance(styles, str | Path) else styles
    job = build(
        TrainJob,
        {
            "preset": preset,
            "training": config,
            "contents": str(contents),
            "styles": tuple(str(path) for path in paths),
            "output": str(output),
            "start": named,
            **options,
        },
    )
    return run_train(job, on_report=on_report, cancelled=cancelled)
