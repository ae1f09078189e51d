"""The survey's page: template, pictures and definition in one file that asks for nothing else."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from velatura.jobs.standalone import Embedded, script_json, standalone
from velatura.jobs.survey.definition import Definition

__all__ = ["Comparison", "page"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two pictures to choose from, and what they were made of, if that is shown."""

    first: Embedded
    second: Embedded
    content: Embedded | None = None
    style: Embedded | None = None

    @property
    def ids(self) -> tuple[str, str]:
        """The two pictures' ids."""
        return self.first.id, self.second.id


def page(definition: Definition, comparisons: Sequence[Comparison]) -> str:
    """The whole page, as HTML, which can load nothing and send nothing."""
    return standalone(
        "velatura.jobs.survey",
        "survey",
        title=html.escape(definition.title),
        survey=script_json(_content(definition, comparisons)),
    )


def _content(definition: Definition, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """What the script knows: everything but the methods and the names, which are sealed."""
    pictures: dict[str, str] = {}
    pairs = []
    for comparison in comparisons:
        for one in (comparison.first, comparison.second, comparison.content, comparison.style):
            if one is not None:
                pictures[one.id] = one.uri
        pairs.append(
            {
                "pictures": comparison.ids,
                "content": comparison.content and comparison.content.id,
                "style": comparison.style and comparison.style.id,
            }
        )
    return {
        "id": definition.id,
        "sealed": definition.seal(),
        "title": definition.title,
        "question": definition.question,
        "seed": definition.seed,
        "repeat": definition.repeat,
        "checks": definition.checks,
        "pairs": pairs,
        "pictures": dict(sorted(pictures.items())),
    }
