"""Trained networks by name, by file, or by the folder that they were trained in."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from velatura.core.errors import ConfigError, VelaturaError, WeightsError, unknown_name
from velatura.core.files import sha256_file
from velatura.core.rng import generator
from velatura.jobs.schema import build
from velatura.networks import ModelRecord, Network, NetworkConfig, fill_network, networks, read_model
from velatura.networks.base import StyleCount
from velatura.weights.catalogue import catalogue
from velatura.weights.places import find, kept_names

__all__ = ["MODEL_FILE", "SHIPPED", "Model", "find_model", "load_model", "model_names"]

SHIPPED: Final = ("adain-slim", "cin-samples")
"""Names of the networks that come with Velatura."""

MODEL_FILE: Final = "model.safetensors"
"""What a run's trained network is called in its folder."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A trained network, ready to be used.

    Args:
        network: In evaluation, on the CPU, its weights frozen.
        record: What its file says of it.
        path: The file.
        sha256: Hash of the file.
    """

    network: Network
    record: ModelRecord
    path: Path
    sha256: str

    @property
    def styles(self) -> StyleCount:
        """How many styles it knows: one, many, or any."""
        return self.network.styles

    @property
    def style_names(self) -> tuple[str, ...]:
        """Names of its own styles; none where it takes any."""
        return self.record.style_names

    def weights_of(self, names: tuple[str, ...], blend: tuple[float, ...]) -> list[float]:
        """The weight of each of its own styles, in their order, from those of some.

        Args:
            names: Of its styles; each may come once.
            blend: A weight for each.

        Raises:
            ConfigError: It has no style of such a name, or one is named twice.
        """
        for name in names:
            if name not in self.style_names:
                raise unknown_name(f"style of {self.path.name}", name, self.style_names)
        if len(set(names)) < len(names):
            raise ConfigError(f"a style is named twice in {', '.join(names)}; give it one weight")
        weights = dict(zip(names, blend, strict=True))
        return [weights.get(name, 0.0) for name in self.style_names]


def load_model(name_or_path: str | os.PathLike[str]) -> Model:
    """Reads a model and builds its network.

    Args:
        name_or_path: The name of one that ships (``adain-slim``, ``cin-samples``) or lies in the folder that
            ``VELATURA_WEIGHTS`` names; a file; or the folder of a run.

    Raises:
        ConfigError: No model has this name.
        WeightsError: The file is missing, broken, no model, or of a network that is not known here.
    """
    path = find_model(name_or_path)
    tensors, record = read_model(path)
    try:
        network = _build(record)
        fill_network(network, tensors)
        _check_encoder(network, record)
    except (WeightsError, ConfigError, ValueError) as error:
        raise WeightsError(f"model {path}: {error}") from error
    network.eval().requires_grad_(False)
    return Model(network=network, record=record, path=path, sha256=sha256_file(path))


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a model.

    Raises:
        ConfigError: No model has this name.
        WeightsError: There is no such file, or the folder holds no model.
    """
    text = os.fspath(name_or_path)
    is_path = not isinstance(name_or_path, str) or any(sign in text for sign in (os.sep, "/", "."))
    if not is_path:
        found = find(text)
        if found is not None:
            return found.path
    path = Path(text)
    if os.path.isdir(text):  # noqa: PTH112 - Path.is_dir raises where a name is too long
        if not (path / MODEL_FILE).is_file():
            raise WeightsError(f"folder {path} holds no {MODEL_FILE}; expected the folder of a training run")
        return path / MODEL_FILE
    if is_path or os.path.exists(text):  # noqa: PTH110 - likewise
        return path
    if text in SHIPPED:
        raise WeightsError(
            f"{text} ships with Velatura, but {text}.safetensors is not in it; install it again"
        )
    raise unknown_name("model", text, model_names())


def model_names() -> tuple[str, ...]:
    """Every name that a model can be had by, in alphabetical order."""
    return tuple(sorted({*SHIPPED, *_kept()}))


def _kept() -> Iterator[str]:
    """Names of the files of the weights' folders that are models."""
    for name in kept_names():
        found = find(name)
        if found is not None and name not in catalogue():
            try:
                read_model(found.path)
            except VelaturaError:
                continue
            yield name


def _build(record: ModelRecord) -> Network:
    settings: Mapping[str, Any] = {key: value for key, value in record.config.items() if key != "name"}
    config: NetworkConfig = build(networks[record.config["name"]], settings)
    count = len(record.style_names)
    if config.styles == "any" and count:
        raise WeightsError(f"it names {count} styles, and its network takes any")
    if config.styles == "many" and not count:
        raise WeightsError("it names no styles, and its network has its own")
    if config.styles == "one" and count > 1:
        raise WeightsError(f"it names {count} styles, and its network has one")
    return config.build(num_styles=max(1, count), rng=generator(0, "model"))


def _check_encoder(network: Network, record: ModelRecord) -> None:
    """Refuses an encoder other than the one that the network was trained on."""
    own = network.encoder_sha256
    if record.encoder_sha256 != own:
        raise WeightsError(
            f"it was trained on an encoder with the hash {(record.encoder_sha256 or 'none')[:12]}, and the "
            f"one here has {(own or 'none')[:12]}: take the encoder's weights that it was trained on"
        )
