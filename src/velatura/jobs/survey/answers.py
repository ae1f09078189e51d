"""Answers as the page exports them: read, and refused where they are not what the page can have made."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from velatura.core.errors import ConfigError
from velatura.jobs.survey.definition import Definition, unseal
from velatura.jobs.survey.plan import Kind, Side, checksum, plan

__all__ = ["FORMAT", "Answer", "Answers", "answers_files", "digest_of", "read_answers"]

FORMAT = "velatura survey answers 1"
"""What an answers file calls itself."""

_MAX_BYTES = 32 * 2**20


class _Answer(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    kind: Kind
    left: str
    right: str
    asked: Side | None
    choice: Side
    ms: Annotated[int, Ge(0)]


class _Checks(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    shown: Annotated[int, Ge(0)]
    passed: Annotated[int, Ge(0)]


class _File(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    format: Literal["velatura survey answers 1"]
    survey: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    sealed: str
    rater: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    finished: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    answers: list[_Answer]
    checks: _Checks
    digest: str


_SHAPE: TypeAdapter[_File] = TypeAdapter(_File)


@dataclass(frozen=True)
class Answer:
    """One choice.

    Args:
        kind: What it was an answer to.
        chosen: Id of the picture.
        other: Id of the other.
        side: Where the chosen one stood.
        passed: Whether a check was passed; true for what is none.
        seconds: From when both pictures were seen.
    """

    kind: Kind
    chosen: str
    other: str
    side: Side
    passed: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one rater answered.

    Args:
        source: The file.
        survey: Id of the survey.
        rater: Id of the rater.
        answers: In the order of their asking.
    """

    source: str
    survey: str
    rater: str
    answers: tuple[Answer, ...]

    @property
    def attentive(self) -> bool:
        """Whether every check was passed."""
        return all(answer.passed for answer in self.answers)


def answers_files(path: str | Path) -> list[Path]:
    """A file of answers, or every one in a folder.

    Raises:
        ConfigError: The folder holds no JSON file.
    """
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        return [Path(path)]
    files = sorted(file for file in Path(path).iterdir() if file.suffix.lower() == ".json")
    if not files:
        raise ConfigError(f"folder {path} holds no .json file")
    return files


def read_answers(paths: Sequence[Path]) -> tuple[Definition, list[Answers]]:
    """Every rater's answers to one survey.

    Args:
        paths: Files that the survey's page exported, one a rater.

    Returns:
        The survey, as the answers carry it, and the answers.

    Raises:
        ConfigError: A file cannot be read, is no answers file, was edited, or is of another survey
            than the rest; or two are of one rater. The message names the first such file.
    """
    if not paths:
        raise ConfigError("expected at least one answers file")
    refused: list[str] = []
    read: list[tuple[Definition, Answers]] = []
    for path in paths:
        try:
            read.append(_read(path))
        except ConfigError as error:
            refused.append(f"{path}: {error}")
    if not refused:
        refused = _not_together([answers for _, answers in read])
    if refused:
        more = f" (so are {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise ConfigError(f"refused: {refused[0]}{more}")
    return read[0][0], [answers for _, answers in read]


def _not_together(answers: Sequence[Answers]) -> list[str]:
    """Why files that are in order each cannot be counted together."""
    refused: list[str] = []
    of_rater: dict[str, str] = {}
    surveys = [one.survey for one in answers]
    usual = max(surveys, key=surveys.count)
    for one in answers:
        if one.survey != usual:
            where = next(other.source for other in answers if other.survey == usual)
            refused.append(f"{one.source}: it is of survey {one.survey[:12]}, {where} of {usual[:12]}")
        elif one.rater in of_rater:
            refused.append(f"{one.source}: rater {one.rater} is in {of_rater[one.rater]} already")
        of_rater.setdefault(one.rater, one.source)
    return refused


def _read(path: Path) -> tuple[Definition, Answers]:
    content, file = _shaped(_text(path))
    definition = unseal(file["sealed"], id=file["survey"])
    _check_shown(file, definition)
    if file["digest"] != digest_of(content):
        raise ConfigError("it was changed after the page wrote it; ask for the file as it was saved")
    answers = Answers(
        source=str(path),
        survey=file["survey"],
        rater=file["rater"],
        answers=tuple(map(_answer, file["answers"])),
    )
    return definition, answers


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"it cannot be read: {(error.strerror or 'unknown reason').lower()}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"it has more than {_MAX_BYTES // 2**20} MiB; no answers file does")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("it is no text; expected a file that the survey's page saved") from None


def _shaped(text: str) -> tuple[dict[str, Any], _File]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is no JSON ({error}); expected a file that the survey's page saved") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ConfigError(f"it is no answers file; expected a format of {FORMAT!r}")
    try:
        return content, _SHAPE.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        came = "" if first["type"] == "missing" else f", not {first['input']!r}"
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(f"{where}: {message}{came}") from None


def _check_shown(file: _File, definition: Definition) -> None:
    """Refuses answers to anything but what this rater was shown."""
    expected = plan(definition, file["rater"])
    if len(file["answers"]) != len(expected):
        raise ConfigError(f"it has {len(file['answers'])} answers, where the page asks {len(expected)} times")
    for number, (answer, trial) in enumerate(zip(file["answers"], expected, strict=True), start=1):
        shown = (answer["kind"], answer["left"], answer["right"], answer["asked"])
        if shown != (trial.kind, trial.left, trial.right, trial.asked):
            raise ConfigError(
                f"answer {number} is not to what rater {file['rater']} was shown there: kind, pictures or "
                "sides differ"
            )
    checks = [answer for answer in file["answers"] if answer["kind"] == "check"]
    passed = sum(answer["choice"] == answer["asked"] for answer in checks)
    if file["checks"] != {"shown": len(checks), "passed": passed}:
        raise ConfigError(
            f"it says {file['checks']['passed']} of {file['checks']['shown']} checks passed, "
            f"where its answers pass {passed} of {len(checks)}"
        )


def _answer(answer: _Answer) -> Answer:
    left = answer["choice"] == "left"
    return Answer(
        kind=answer["kind"],
        chosen=answer["left" if left else "right"],
        other=answer["right" if left else "left"],
        side=answer["choice"],
        passed=answer["kind"] != "check" or answer["choice"] == answer["asked"],
        seconds=answer["ms"] / 1000,
    )


def digest_of(content: dict[str, Any]) -> str:
    """The checksum of an answers file, over all of it but the checksum: against slips, not against fraud."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return checksum(json.dumps(rest, separators=(",", ":"), ensure_ascii=False))
