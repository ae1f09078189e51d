"""What a training starts from: weights at random, or a trained model, which may be given one style more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError
from velatura.core.rng import generator
from velatura.engine.train import Training
from velatura.jobs.models import load_model
from velatura.jobs.schema import build
from velatura.jobs.sources import Sources
from velatura.networks import ModelRecord, Network, networks
from velatura.networks.cin import CinNetwork

__all__ = ["Start", "start_of"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """The network that learns, and what its model file will say of it.

    Args:
        network: On the CPU; what asks for no gradient is not trained.
        record: Its config and all of its styles.
        sha256: Hash of the model that it starts from; None for weights at random.
    """

    network: Network
    record: ModelRecord
    sha256: str | None = None


def start_of(config: Training, sources: Sources, model: str | None) -> Start:
    """The network before the first step.

    Args:
        config: What the training is made of.
        sources: Its pictures.
        model: The model to start from, by name, file or folder; its styles stay as they are, and a
            network of many learns one more.

    Raises:
        ConfigError: The model is of another network; it is to learn several styles more, or one that it
            knows.
        WeightsError: The model is missing or broken.
    """
    if model is not None:
        return _continued(config, sources, model)
    network = config.network.build(
        num_styles=max(1, len(sources.own)), rng=generator(config.seed, "network weights")
    )
    record = ModelRecord(
        config=to_mapping(config.network), style_names=sources.own_names, style_sha256=sources.own_sha256
    )
    return Start(network=network, record=record)


def _continued(config: Training, sources: Sources, model: str) -> Start:
    begun = load_model(model)
    network, record = begun.network.train().requires_grad_(True), begun.record
    if build(networks[record.config["name"]], _without_name(record.config)) != config.network:
        raise ConfigError(
            f"{model} is a {record.config['name']} network of other settings than the training's; "
            "leave the settings of the network out"
        )
    names, hashes = sources.own_names, sources.own_sha256
    if network.styles == "many":
        names, hashes = _with_one_more(network, record, sources, model)
    return Start(
        network=network,
        record=ModelRecord(config=record.config, style_names=names, style_sha256=hashes),
        sha256=begun.sha256,
    )


def _without_name(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "name"}


def _with_one_more(
    network: Network, record: ModelRecord, sources: Sources, model: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Adds a row, which alone will be trained (Dumoulin et al. 2017, section 3.2)."""
    if not isinstance(network, CinNetwork):
        raise ConfigError(f"a {record.config['name']} network cannot be given one style more")
    if len(sources.own) != 1:
        raise ConfigError(
            f"{model} learns one style more at a time, and {len(sources.own)} paintings were given"
        )
    (name,), (sha256,) = sources.own_names, sources.own_sha256
    if name in record.style_names:
        raise ConfigError(f"{model} has a style {name!r} already; rename the painting's file")
    if sha256 in record.style_sha256:
        known = record.style_names[record.style_sha256.index(sha256)]
        raise ConfigError(f"{model} knows this painting already, as {known!r}")
    network.train_only_style(network.add_style())
    return (*record.style_names, name), (*record.style_sha256, sha256)
