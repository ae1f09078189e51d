"""Where and in what numbers a run computes: device, element type, memory layout."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from velatura.backbones import Backbone
from velatura.core.errors import ConfigError
from velatura.engine.probe import bfloat16_wins

__all__ = [
    "Precision",
    "PrecisionName",
    "choose_device",
    "choose_network_precision",
    "choose_precision",
    "laid_out",
]

M = TypeVar("M", bound=nn.Module)

PrecisionName = Literal["auto", "float32", "bfloat16"]


def choose_device(name: str) -> torch.device:
    """The device to compute on.

    Args:
        name: ``auto`` takes the first there is of CUDA, XPU, MPS and CPU; or ``cpu``, ``cuda``,
            ``cuda:1``, ``mps``, ``xpu``.

    Raises:
        ConfigError: No such device, here or anywhere.
    """
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    available = [kind for kind, count in counts.items() if count]
    if name == "auto":
        return torch.device(available[0])
    match = re.fullmatch(r"([a-z]+)(?::([0-9]+))?", name)
    if match is None or match[1] not in counts:
        raise ConfigError(f"unknown device {name!r}; expected auto, {', '.join(counts)}, or cuda:N")
    kind, index = match[1], int(match[2] or 0)
    if not counts[kind]:
        raise ConfigError(f"device {name!r} is not available here; available: {', '.join(available)}")
    if index >= counts[kind]:
        raise ConfigError(f"device {name!r} is not available here; the last is {kind}:{counts[kind] - 1}")
    return torch.device(name)


@dataclass(frozen=True)
class Precision:
    """How the backbone computes; losses and pixels are always at least float32.

    Args:
        dtype: ``torch.float32``, or ``torch.bfloat16`` under autocast.
        memory_format: ``torch.channels_last`` where convolutions are faster with it.
    """

    dtype: torch.dtype
    memory_format: torch.memory_format

    @property
    def name(self) -> Literal["float32", "bfloat16"]:
        """The element type, as it is asked for."""
        return "float32" if self.dtype == torch.float32 else "bfloat16"

    @contextlib.contextmanager
    def autocast(self, device: torch.device) -> Iterator[None]:
        """Convolutions inside compute in ``dtype``, whatever the caller computes in."""
        lower = self.dtype != torch.float32
        # Where there is nothing to switch off, switching would cost at every step.
        if not lower and not torch.is_autocast_enabled(device.type):
            yield
        else:
            with torch.autocast(device.type, dtype=self.dtype if lower else None, enabled=lower):
                yield


def choose_precision(name: PrecisionName, device: torch.device, backbone: Backbone) -> Precision:
    """What to compute in.

    ``auto`` takes bfloat16 where the card has it (Ampere or newer on CUDA), and on a CPU that multiplies it
    (AVX512-BF16 or AMX) where it was measured to be faster: see :func:`velatura.engine.probe.bfloat16_wins`.
    Channels-last wins on CPUs and on CUDA, not on MPS.

    Args:
        name: ``auto``, ``float32`` or ``bfloat16``.
        device: Where the run computes.
        backbone: What computes, on ``device``. Its weights are laid out as they will be used.

    Raises:
        ConfigError: bfloat16 was asked for, and the device cannot.
    """
    layout = _layout(name, device)
    laid_out(backbone, layout)
    faster = name == "auto" and _multiplies_bfloat16(device)
    if faster and device.type == "cpu":
        faster = bfloat16_wins(backbone)
    return Precision(torch.bfloat16 if faster or name == "bfloat16" else torch.float32, layout)


def choose_network_precision(name: PrecisionName, device: torch.device) -> Precision:
    """What a network whose result is the picture computes in.

    ``auto`` is float32: the last layer gives the pixels, and bfloat16 has 8 bits for them, no more than the
    file; a gradient that is smooth in the photograph would show steps.

    Raises:
        ConfigError: bfloat16 was asked for, and the device cannot.
    """
    return Precision(torch.bfloat16 if name == "bfloat16" else torch.float32, _layout(name, device))


def _layout(name: PrecisionName, device: torch.device) -> torch.memory_format:
    if name == "bfloat16" and device.type == "mps":
        raise ConfigError("precision 'bfloat16' is not available on mps; choose float32 or auto")
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # torch 2.10 does not tell.
        able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return False


def laid_out(module: M, memory_format: torch.memory_format) -> M:
    """The module itself, its weights laid out in ``memory_format``."""
    return module.to(memory_format=memory_format)  # type: ignore[call-overload, no-any-return]
