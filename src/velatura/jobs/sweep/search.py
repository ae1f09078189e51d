"""A search in the place of a grid: points where the earlier ones promise something, by Optuna.

Nothing of the search itself is kept. The sampler is seeded and asked for the same number of points at a time
whatever runs them, so that a search that is begun again asks for the same points, finds their cells
finished, and goes on.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Annotated, Any

from annotated_types import Ge

from velatura.core.config import Setting
from velatura.core.errors import ConfigError, unknown_name
from velatura.core.progress import never
from velatura.jobs.processes import usual_processes
from velatura.jobs.sweep.grid import Axis, Point, short
from velatura.jobs.sweep.run import OnCell, Sweeper, SweepJob, SweepProgress, SweepResult, check_count
from velatura.jobs.sweep.spec import Sweep
from velatura.jobs.sweep.store import Measured, write_json
from velatura.metrics import Metric

__all__ = ["SEARCH_FILE", "SearchJob", "run_search"]

SEARCH_FILE = "search.json"
"""What a search came to, the best point first."""

_AT_A_TIME = 4
_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class SearchJob:
    """A sweep whose axes are searched."""

    job: Annotated[SweepJob, Setting("The sweep, its folder, its processes")]
    trials: Annotated[int, Setting("Points to try, 1 at least")]
    objective: Annotated[str, Setting("Metric of the sweep that is to be best on average")]
    seed: Annotated[int, Ge(0), Setting("Seed of the search")] = 0


def run_search(
    search: SearchJob,
    *,
    on_cell: OnCell = lambda progress: None,  # noqa: ARG005
    cancelled: Callable[[], bool] = never,
) -> SweepResult:
    """Tries points of the sweep's axes, and writes what they show, the best first.

    An axis that is a log range is searched between its ends, any other among its values.

    Args:
        search: What to do.
        on_cell: Told of every cell that was made.
        cancelled: Asked several times a second, and before every step.

    Raises:
        ConfigError: No such metric, no point to try, axes that are paired, Optuna is not installed, or as
            for a sweep.
        WeightsError: As for a sweep.
        OutputError: As for a sweep.
    """
    sweep = search.job.sweep
    metric = _objective(sweep, search.objective)
    _check(search)
    study = _study(search)
    reports = _Reports(search, on_cell)
    sweeper = Sweeper(search.job, objective=search.objective, on_cell=reports, cancelled=cancelled)
    tried: list[tuple[Point, float]] = []
    asked: list[Point] = []
    measured: list[Measured] = []
    while len(tried) < search.trials and not cancelled():
        trials = [study.ask() for _ in range(_AT_A_TIME)]
        points = [_suggested(sweep.axes, trial) for trial in trials]
        # The last ones may be more than were asked for: the sampler is told of the same number all the same.
        wanted = points[: search.trials - len(tried)]
        asked += wanted
        distinct = _distinct(wanted)
        reports.begin(before=len(tried), wanted=len(wanted), distinct=len(distinct))
        cells = sweeper.measure(distinct)
        measured += cells
        if sweeper.interrupted:
            break
        for trial, point in zip(trials, wanted, strict=False):
            mean = _mean(search.objective, cells, point)
            tried.append((point, mean))
            _tell(study, trial, _turned(metric, mean))
    # It may have been cancelled between two lots of points, where no cell was in work.
    sweeper.interrupted = len(tried) < search.trials
    return _result(search, sweeper, metric, tried, asked, measured)


def _objective(sweep: Sweep, name: str) -> Metric:
    if name not in sweep.evaluation.metrics:
        raise unknown_name("metric of this sweep", name, sweep.evaluation.metrics)
    return sweep.evaluation.metrics[name].metric


def _check(search: SearchJob) -> None:
    sweep = search.job.sweep
    if search.trials < 1:
        raise ConfigError(
            f"a search tries 1 point at least, not {search.trials}; give --search a larger number"
        )
    if find_spec("optuna") is None:
        raise ConfigError("a search needs optuna: pip install 'velatura[train]'")
    if sweep.combination == "paired":
        raise ConfigError(
            "a search tries axes freely, and those of this sweep are paired; leave 'combine' out"
        )
    check_count(search.trials * len(sweep.pairs) * len(sweep.seeds), many=search.job.many)


def _study(search: SearchJob) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=2 * _AT_A_TIME)
    return optuna.create_study(sampler=sampler, direction="minimize")


def _suggested(axes: Sequence[Axis], trial: Any) -> Point:
    labels: dict[str, str] = {}
    settings: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    indices = []
    for axis in axes:
        if axis.is_continuous and axis.numbers is not None:
            low, high = min(axis.numbers), max(axis.numbers)
            # Few digits: the label is the value.
            value = float(f"{trial.suggest_float(axis.name, low, high, log=True):.{_DIGITS}g}")
            labels[axis.name], numbers[axis.name] = short(value), value
            settings |= dict.fromkeys(axis.fields, value)
            indices.append(-1)
        else:
            index = axis.labels.index(trial.suggest_categorical(axis.name, list(axis.labels)))
            labels[axis.name] = axis.labels[index]
            settings |= axis.settings[index]
            if axis.numbers is not None:
                numbers[axis.name] = axis.numbers[index]
            indices.append(index)
    return Point(labels=labels, settings=settings, indices=tuple(indices), numbers=numbers)


def _distinct(points: Sequence[Point]) -> list[Point]:
    return list({tuple(point.labels.values()): point for point in points}.values())


def _mean(name: str, cells: Sequence[Measured], point: Point) -> float:
    """The mean of a metric over the point's cells; NaN if one of them has none."""
    values = [cell.values.get(name, math.nan) for cell in cells if cell.labels == point.labels]
    return statistics.fmean(values) if values else math.nan


def _turned(metric: Metric, mean: float) -> float:
    """What a search makes small: less is better, whatever the metric."""
    return {"lower": mean, "higher": -mean, "one": abs(mean - 1)}[metric.direction]


def _tell(study: Any, trial: Any, value: float) -> None:
    from optuna.trial import TrialState

    if math.isfinite(value):
        study.tell(trial, value)
    else:
        study.tell(trial, state=TrialState.FAIL)


class _Reports:
    """Reports of a few points at a time as reports of the whole search.

    Args:
        search: The search.
        on_cell: Told of every cell, and of how far the search is.
    """

    def __init__(self, search: SearchJob, on_cell: OnCell) -> None:
        self._on_cell, self._trials = on_cell, search.trials
        self._jobs = search.job.jobs or usual_processes()
        self._before = self._wanted = self._distinct = 0
        self._made, self._failed, self._spent = 0, 0, 0.0

    def begin(self, *, before: int, wanted: int, distinct: int) -> None:
        """Says which points the next reports are of.

        Args:
            before: Points that were tried before.
            wanted: Points at hand.
            distinct: How many of them are made, as each is made once.
        """
        self._before, self._wanted, self._distinct = before, wanted, distinct

    def __call__(self, progress: SweepProgress) -> None:
        self._made += 1
        self._failed += progress.error is not None
        self._spent += progress.seconds if math.isfinite(progress.seconds) else 0
        of_a_point = progress.total / self._distinct
        points = self._before + self._wanted * progress.done / progress.total
        done, total = round(points * of_a_point), round(self._trials * of_a_point)
        left = self._spent / self._made * (total - done) / self._jobs
        self._on_cell(replace(progress, done=done, total=total, failed=self._failed, seconds_left=left))


def _result(
    search: SearchJob,
    sweeper: Sweeper,
    metric: Metric,
    tried: Sequence[tuple[Point, float]],
    asked: Sequence[Point],
    measured: Sequence[Measured],
) -> SweepResult:
    best_first = sorted(tried, key=lambda one: (math.isnan(one[1]), _turned(metric, one[1])))
    ranked = [point for point, _ in best_first]
    found = [one.labels for one in measured]
    # Of a point where the search was interrupted there may be cells and no value.
    points = [point for point in _distinct([*ranked, *asked]) if point.labels in found]
    cells = list({(one.key, one.pair, tuple(one.labels.values())): one for one in measured}.values())
    # Notes of the table say what was searched; the order of its rows says what was best.
    note = (
        f"A search of {len(tried)} points for the best {search.objective} ({metric.direction}), best first."
    )
    sweep = replace(sweeper.sweep, notes=(*sweeper.sweep.notes, note))
    axes = tuple(_searched(axis, points) for axis in sweep.axes)
    sweep = replace(sweep, axes=axes, combination="paired")
    files, notes = sweeper.write_outputs(sweep, points, cells)
    path = sweeper.store.folder / SEARCH_FILE
    write_json(path, [{"value": mean, "settings": dict(point.settings)} for point, mean in best_first])
    return SweepResult(
        measured=tuple(cells),
        made=sweeper.made,
        interrupted=sweeper.interrupted,
        files={"search": path, **files},
        notes=notes,
    )


def _searched(axis: Axis, points: Sequence[Point]) -> Axis:
    """The axis with the values that were tried, for plots."""
    if not axis.is_continuous:
        return axis
    numbers = sorted({point.numbers[axis.name] for point in points if axis.name in point.numbers})
    if not numbers:
        return axis
    return replace(
        axis,
        numbers=tuple(numbers),
        labels=tuple(map(short, numbers)),
        settings=tuple(dict.fromkeys(axis.fields, number) for number in numbers),
    )
