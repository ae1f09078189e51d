"""What a training starts from: weights at random, or a trained model, which may be given one style more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, WeightsError
from velatura.core.files import sha256_file
from velatura.core.rng import generator
from velatura.engine.train import Training
from velatura.jobs.schema import build
from velatura.jobs.sources import Sources
from velatura.networks import ModelRecord, Network, NetworkConfig, fill_network, networks, read_model
from velatura.networks.cin import CinNetwork

__all__ = ["Start", "config_of", "start_of"]


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


def config_of(model: str) -> NetworkConfig:
    """The settings of a model's network.

    Raises:
        WeightsError: The file is missing, broken, no model, or of a network that is not known here.
    """
    record = read_model(model)[1]
    try:
        return _config(record)
    except ConfigError as error:
        raise WeightsError(f"model {model}: {error}") from error


def _config(record: ModelRecord) -> NetworkConfig:
    settings: Mapping[str, Any] = {key: value for key, value in record.config.items() if key != "name"}
    return build(networks[record.config["name"]], settings)


def start_of(config: Training, sources: Sources, model: str | None) -> Start:
    """The network before the first step.

    Args:
        config: What the training is made of.
        sources: Its pictures.
        model: The model to start from; its styles stay as they are, and a network of many learns one more.

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
    tensors, record = read_model(model)
    if _config(record) != config.network:
        raise ConfigError(
            f"{model} is a {record.config['name']} network of other settings than the training's; "
            "leave the settings of the network out"
        )
    network = config.network.build(
        num_styles=max(1, len(record.style_names)), rng=generator(config.seed, "network weights")
    )
    fill_network(network, tensors)
    names, hashes = sources.own_names, sources.own_sha256
    if network.styles == "many":
        names, hashes = _with_one_more(network, record, sources, model)
    return Start(
        network=network,
        record=ModelRecord(config=record.config, style_names=names, style_sha256=hashes),
        sha256=sha256_file(Path(model)),
    )


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
