"""Metrics of a sweep as they are written: names, with judges and settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velatura.backbones import BackboneConfig
from velatura.core.config import annotations_of
from velatura.core.errors import ConfigError
from velatura.jobs.judging import Evaluation, evaluation, network_named
from velatura.jobs.sweep.reading import Document
from velatura.metrics import metrics

__all__ = ["USUAL_METRICS", "parse_evaluation"]

USUAL_METRICS = ("style-gram", "content-features")
"""What a sweep measures where it does not say."""


def parse_evaluation(document: Document) -> Evaluation:
    """How outputs are judged.

    .. code-block:: yaml

        metrics: [style-gram, rmse]           # names
        judge: vgg19:weights/file.pth         # the network that judges; unset: the one that ships

        metrics:                              # or names with settings
          style-gram: {judge: vgg19, size: 256}
          rmse:

    Raises:
        ConfigError: A name is unknown or a setting is wrong; with the line.
    """
    value = document.value(("metrics",))
    names = list(USUAL_METRICS) if value is None else list(value) if isinstance(value, list | dict) else None
    if not names or not all(isinstance(name, str) for name in names):
        raise document.error(("metrics",), f"expected names of metrics, such as [style-gram], not {value!r}")
    for number, name in enumerate(names):
        try:
            metrics[name]
        except ConfigError as error:
            at = ("metrics", name) if isinstance(value, Mapping) else ("metrics", number)
            raise document.error(at, error) from None
    judges: dict[str, BackboneConfig] = {}
    changes: dict[str, Any] = {}
    for name in names if isinstance(value, Mapping) else ():
        settings = document.table(("metrics", name), ["judge", *annotations_of(metrics[name])], "setting")
        if "judge" in settings:
            judges[name] = _network(document, ("metrics", name, "judge"), settings.pop("judge"))
        changes |= {f"{name}.{field}": setting for field, setting in settings.items()}
    judge = document.value(("judge",))
    try:
        return evaluation(
            names,
            judge=None if judge is None else _network(document, ("judge",), judge),
            judges=judges,
            changes=changes,
        )
    except ConfigError as error:
        raise document.error(("metrics",), error) from None


def _network(document: Document, at: tuple[str, ...], text: Any) -> BackboneConfig:
    if not isinstance(text, str):
        raise document.error(at, f"expected a network such as vgg19 or vgg19:FILE, not {text!r}")
    return network_named(text)
