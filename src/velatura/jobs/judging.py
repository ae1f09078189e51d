"""Judging pictures in memory: which metrics, which networks, and one pass for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from velatura.backbones import Backbone, BackboneConfig, backbones, build_backbone
from velatura.core.config import PartOf, Setting
from velatura.core.errors import ConfigError, WeightsError, unknown_name
from velatura.imaging import Picture
from velatura.jobs.schema import assign, build
from velatura.metrics import FeatureMetric, Metric, View, metrics
from velatura.ops.resize import fit, resize, same_aspect

__all__ = ["Evaluation", "Evaluator", "Judged", "Networks", "evaluation", "network_named", "without_absent"]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One metric and the network whose features it compares."""

    metric: Annotated[Metric, PartOf(metrics), Setting("What is measured")]
    judge: Annotated[
        BackboneConfig | None, Setting("Network whose features it compares; none for a metric of pixels")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How pictures are judged, wherever they come from."""

    metrics: Annotated[Mapping[str, Judged], Setting("What is measured, by name")]
    size: Annotated[
        int,
        Ge(1),
        Setting("Longer edge that features are compared at, at most; pixels as they are", unit="pixels"),
    ] = 512


class Networks(dict[BackboneConfig, Backbone]):
    """Networks that judge, each built when it is first asked for."""

    def __missing__(self, config: BackboneConfig) -> Backbone:
        self[config] = build_backbone(config)
        return self[config]


def network_named(text: str) -> BackboneConfig:
    """``vgg19``, or ``vgg19:WEIGHTS`` with weights by name or file, as a config."""
    name, colon, weights = text.partition(":")
    return BackboneConfig(name=name, weights=weights) if colon else BackboneConfig(name=name)


def evaluation(
    names: Iterable[str] | None = None,
    *,
    judge: BackboneConfig | None = None,
    judges: Mapping[str, BackboneConfig] | None = None,
    changes: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Evaluation:
    """Settings from the names of metrics.

    Args:
        names: Of metrics; None: all there are.
        judge: Network that judges, unless a metric has its own; None: the one that ships.
        judges: Metric to a network of its own.
        changes: Settings of metrics by dotted path, such as ``{"cfsd.size": 512}``.
        settings: Other fields of :class:`Evaluation`.

    Raises:
        ConfigError: An unknown name or none, a network for a metric of pixels, or a value of the wrong type
            or out of range.
    """
    chosen = list(dict.fromkeys(metrics if names is None else names))
    for name in chosen:
        metrics[name]  # An unknown one is answered before all else.
    if not chosen:
        raise ConfigError(f"no metric is named; name one of {', '.join(metrics)}")
    judges = judges or {}
    for name in (*judges, *(path.partition(".")[0] for path in changes or {})):
        if name not in chosen:
            raise unknown_name("metric of this evaluation", name, chosen)
    for config in (*judges.values(), *([] if judge is None else [judge])):
        backbones[config.name]
    entries: dict[str, Any] = {name: {"metric": {"name": name}} for name in chosen}
    paths = {f"metrics.{_inside(path)}": value for path, value in (changes or {}).items()}
    how = build(
        Evaluation, {"metrics": assign(Evaluation, {"metrics": entries}, paths)["metrics"], **settings}
    )
    if judge is not None and not any(isinstance(one.metric, FeatureMetric) for one in how.metrics.values()):
        raise ConfigError(f"{', '.join(chosen)}: no network is asked for these metrics; leave it out")
    default = judge or BackboneConfig()
    assigned = {
        name: Judged(metric=judged.metric, judge=_judge_of(judged.metric, default, judges.get(name)))
        for name, judged in how.metrics.items()
    }
    return Evaluation(metrics=assigned, size=how.size)


def _inside(path: str) -> str:
    name, dot, rest = path.partition(".")
    if not dot or rest.partition(".")[0] == "name":
        raise ConfigError(f"expected METRIC.SETTING=VALUE, such as cfsd.size=512, not {path!r}")
    return f"{name}.metric.{rest}"


def _judge_of(metric: Metric, judge: BackboneConfig, own: BackboneConfig | None) -> BackboneConfig | None:
    if isinstance(metric, FeatureMetric):
        return own or judge
    if own is not None:
        raise ConfigError(f"metric {metric.name!r} compares pixels and asks no network; leave its judge out")
    return None


def without_absent(how: Evaluation, networks: Networks) -> tuple[Evaluation, tuple[str, ...]]:
    """The metrics that can be had here, and a line for each that cannot.

    Args:
        how: Settings of which some may need a package that is not installed, or layers that the
            weights lack.
        networks: Where networks are built and kept.

    Raises:
        ConfigError: None is left, or a judge cannot be built.
    """
    kept, notes = {}, []
    for name, judged in how.metrics.items():
        try:
            _layers_read(judged, networks)
        except (ConfigError, WeightsError) as error:
            notes.append(f"left out {name}: {error}")
        else:
            kept[name] = judged
    if not kept:
        raise ConfigError("no metric can be had: " + "; ".join(notes))
    return Evaluation(metrics=kept, size=how.size), tuple(notes)


def _layers_read(judged: Judged, networks: Networks) -> tuple[str, ...]:
    """The layers that a metric reads, checked to be there, as is the package that it needs."""
    metric = judged.metric
    if metric.needs is not None and find_spec(metric.needs) is None:
        raise ConfigError(f"metric {metric.name!r} needs {metric.needs}: pip install 'velatura[eval]'")
    if judged.judge is None:
        return ()
    network = networks[judged.judge]
    try:
        return network.check_layers(metric.reads((*network.layers, *network.missing)))
    except (ConfigError, WeightsError) as error:
        raise type(error)(
            f"metric {metric.name!r}: {error}; its layers are set by --set '{metric.name}.layers=[...]'"
        ) from None


class Evaluator:
    """One way of judging, ready for pictures.

    Features of a photograph or painting that comes again in the next call are kept.

    Args:
        how: Settings, from :func:`evaluation`.
        networks: Where networks are built and kept; None: in a place of its own.

    Raises:
        ConfigError: A package is not installed, or a network has no such layer.
        WeightsError: Weights are missing or broken, or end below a layer.
    """

    def __init__(self, how: Evaluation, networks: Networks | None = None) -> None:
        self.how, self.networks = how, Networks() if networks is None else networks
        self.layers = {name: _layers_read(judged, self.networks) for name, judged in how.metrics.items()}
        self._kept: dict[tuple[Any, ...], View] = {}
        self._pictures: tuple[Picture, ...] = ()

    def __call__(
        self, output: Picture, content: Picture, style: Picture, *, reference: Picture | None = None
    ) -> dict[str, float]:
        """Every metric of one output.

        Args:
            output: The picture to judge; its size decides.
            content: The photograph, brought to the output's size.
            style: The painting; its longer edge is brought to the output's. Transparent parts are
                taken as white.
            reference: What pixels are compared with in the place of the photograph.

        Returns:
            Metric to value; NaN where a metric is not defined for these pictures.

        Raises:
            ConfigError: A picture is too small, or has other proportions than the output.
        """
        if reference is not None and not any(one.metric.takes_reference for one in self.how.metrics.values()):
            raise ConfigError("none of these metrics compares with a reference; leave it out")
        compared = content if reference is None else reference
        for picture, what in ((content, "photograph"), (compared, "reference")):
            _check_aspect(output, picture, what)
        self._forget_all_but(content, style, compared)
        values = {}
        with torch.inference_mode():
            for name, judged in self.how.metrics.items():
                beside = compared if judged.metric.takes_reference else content
                views = [self._view(name, picture, output, style) for picture in (output, beside, style)]
                values[name] = judged.metric(*views)
        return values

    def _forget_all_but(self, *pictures: Picture) -> None:
        # Pictures are held with their views: an identity is only then nobody else's.
        self._pictures, before = pictures, self._pictures
        alive = {id(picture) for picture in pictures} & {id(picture) for picture in before}
        self._kept = {key: view for key, view in self._kept.items() if key[0] in alive}

    def _view(self, name: str, picture: Picture, output: Picture, style: Picture) -> View:
        """``picture`` as the metric ``name`` is to see it."""
        judged = self.how.metrics[name]
        edge = judged.metric.long_edge(self.how.size)
        own = max(output.height, output.width)
        size = (output.height, output.width) if edge is None else _fit(output, min(edge, own))
        if picture is style:
            size = _fit(style, max(size))
        key = (id(picture), picture is style, size, edge, judged.judge)
        if key not in self._kept:
            flat = picture.over() if picture is style else picture
            pixels = resize(flat.pixels[None], size).clamp(0, 1)
            self._kept[key] = View(pixels=pixels, features=self._features(pixels, edge, judged.judge))
        seen = self._kept[key]
        return View(pixels=seen.pixels, features={layer: seen.features[layer] for layer in self.layers[name]})

    def _features(self, pixels: Tensor, edge: int | None, judge: BackboneConfig | None) -> dict[str, Tensor]:
        """Every layer that some metric reads of one network at one size, in one pass."""
        if judge is None:
            return {}
        layers = {
            layer
            for name, judged in self.how.metrics.items()
            if judged.judge == judge and judged.metric.long_edge(self.how.size) == edge
            for layer in self.layers[name]
        }
        features: dict[str, Tensor] = self.networks[judge](pixels, layers)
        return features


def _fit(picture: Picture, long_edge: int) -> tuple[int, int]:
    return fit(picture.height, picture.width, long_edge)


def _check_aspect(output: Picture, picture: Picture, what: str) -> None:
    if not same_aspect((output.height, output.width), (picture.height, picture.width)):
        raise ConfigError(
            f"the output is {output.width}x{output.height} and the {what} {picture.width}x{picture.height}: "
            "they cannot be compared position by position; crop one to the other's proportions"
        )
