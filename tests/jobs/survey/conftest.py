"""Surveys without pictures, folders with pictures, and raters who answer as they are told."""

import json

import numpy as np
import pytest

from velatura.imaging import Picture
from velatura.jobs.survey.answers import FORMAT, digest_of
from velatura.jobs.survey.definition import Definition, Origin
from velatura.jobs.survey.plan import plan


@pytest.fixture
def define():
    """Makes the definition of a survey of some methods and items."""

    def make(*, methods=("ours", "theirs"), items=("lake", "town", "still", "tree"), **settings):
        pictures = {
            f"{100 * item + method:016x}": Origin(method=method, item=item)
            for item in range(len(items))
            for method in range(len(methods))
        }
        pairs = tuple(
            (one, other)
            for one in pictures
            for other in pictures
            if one < other and pictures[one].item == pictures[other].item
        )
        settings = {"seed": 0, "repeat": 0, "checks": 0, "title": "T", "question": "Which?", **settings}
        return Definition(methods=methods, items=items, pictures=pictures, pairs=pairs, **settings)

    return make


def answers_of(definition, rater, prefers, *, attentive=True, ms=1500):
    """What the page would save of a rater: ``prefers(item, methods)`` names the method, or its picture."""
    answers = []
    for trial in plan(definition, rater):
        if trial.kind == "check":
            other = "left" if trial.asked == "right" else "right"
            choice = trial.asked if attentive else other
        else:
            left, right = definition.origins((trial.left, trial.right))
            chosen = prefers(left.item, {left.method, right.method})
            choice = "left" if left.method == chosen else "right"
        answers.append(
            {
                "kind": trial.kind,
                "left": trial.left,
                "right": trial.right,
                "asked": trial.asked,
                "choice": choice,
                "ms": ms,
            }
        )
    checks = [answer for answer in answers if answer["kind"] == "check"]
    content = {
        "format": FORMAT,
        "survey": definition.id,
        "sealed": definition.seal(),
        "rater": rater,
        "finished": "2026-11-25T10:00:00.000Z",
        "answers": answers,
        "checks": {
            "shown": len(checks),
            "passed": sum(check["choice"] == check["asked"] for check in checks),
        },
    }
    return {**content, "digest": digest_of(content)}


@pytest.fixture
def save(tmp_path):
    """Saves a rater's answers, changed where asked, and gives the path."""

    def write(definition, number, prefers=lambda item, methods: 0, *, edit=None, sign=False, **how):
        content = answers_of(definition, f"{number:016x}", prefers, **how)
        if edit is not None:
            edit(content)
        if sign:
            content["digest"] = digest_of(content)
        path = tmp_path / f"answers-{number}.json"
        path.write_text(json.dumps(content, indent=1))
        return str(path)

    return write


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of pictures of grain: names to size, or to a size and a seed."""

    def make(name, pictures):
        (tmp_path / name).mkdir(parents=True)
        for number, (file, size) in enumerate(pictures.items()):
            *size, seed = size if len(size) == 3 else (*size, hash_of(name) + number)
            pixels = np.random.default_rng(seed).random((*size, 3), np.float32)
            Picture.of(pixels).save(tmp_path / name / file)
        return str(tmp_path / name)

    return make


def hash_of(name):
    return sum(map(ord, name))
