"""A trained network as a graph that other programs run, checked against what it is here."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.core.errors import ConfigError, VelaturaError
from velatura.core.files import atomic_path, check_writable
from velatura.jobs.models import Model
from velatura.networks import Network, Style

__all__ = ["CHECKED_SIZES", "TOLERANCE", "Exported", "export_onnx"]

CHECKED_SIZES: Final = ((96, 128), (101, 77), (250, 333))
"""Heights and widths that the graph is checked at: both edges a multiple of every stride, neither, mixed."""

TOLERANCE: Final = 1e-4
"""Of the pixel range [0, 1]: what the graph's picture may differ by anywhere."""

_NEEDED: Final = ("onnx", "onnxscript", "onnxruntime")
_TRACED = (101, 77)
_TRACED_STYLE = (91, 83)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Args:
        path: The file.
        inputs: Name of each input, and what it is.
        largest_difference: From the network here, at the sizes that were checked, of the range [0, 1].
    """

    path: Path
    inputs: dict[str, str]
    largest_difference: float


class _Pixels(nn.Module):
    """The network as a function of pictures alone, whose result is a picture too.

    A network for any style takes the painting itself: its encoder is part of the graph.
    """

    def __init__(self, network: Network, alpha: float) -> None:
        super().__init__()
        self.network, self.alpha = network, alpha

    def forward(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        network = self.network
        known: Style | None = None
        if network.styles == "many":
            assert style is not None
            known = {"weights": style}
        elif network.styles == "any":
            assert style is not None
            known = network.encode(style)
        picture: Tensor = network(content, known, alpha=self.alpha)
        return picture.clamp(0, 1)


def export_onnx(model: Model, path: Path, *, alpha: float = 1.0) -> Exported:
    """Writes a network as ONNX: pictures ``(1, 3, H, W)`` in [0, 1] of any size in and out.

    The input ``content`` is the photograph. A network of many styles has a second one, ``style``, the weight
    of each style, ``(1, N)``; one for any style has there the painting, ``(1, 3, h, w)``. The result is
    ``stylization``. Before the file takes its name it is run by onnxruntime at three sizes and compared.

    Args:
        model: What to write, on the CPU.
        path: The file.
        alpha: How much of the style; it becomes part of the graph.

    Raises:
        ConfigError: A package is missing, or the network cannot be a graph.
        OutputError: The file cannot be written.
        VelaturaError: The graph is not the network: it is not written.
    """
    _check_packages()
    if model.network.rng is not None:
        raise ConfigError(
            f"{model.path.name} draws noise, which a graph cannot draw as it does; train one without "
            "(noise_channels=0)"
        )
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must be from 0 to 1, not {alpha:g}")
    check_writable(path)
    pixels = _Pixels(model.network, alpha).eval()
    program = _traced(pixels)
    with atomic_path(path) as temporary:
        with _silenced():
            program.save(str(temporary))
        difference = _largest_difference(pixels, temporary)
        if not difference <= TOLERANCE:
            raise VelaturaError(
                f"the graph is not written: its picture differs from the network's by {difference:.2g}, more "
                f"than {TOLERANCE:g}; please report this, with the versions of torch and onnxscript"
            )
    return Exported(path=path, inputs=_inputs(model), largest_difference=difference)


def _inputs(model: Model) -> dict[str, str]:
    inputs = {"content": "the photograph, (1, 3, H, W) in [0, 1]"}
    if model.styles == "many":
        inputs["style"] = f"weights of {', '.join(model.style_names)}, (1, {len(model.style_names)}), sum 1"
    elif model.styles == "any":
        inputs["style"] = "the painting, (1, 3, h, w) in [0, 1]"
    return inputs


def _check_packages() -> None:
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"export needs the package {name}, which is not installed: pip install 'velatura[export]'"
            ) from error


def _traced(pixels: _Pixels) -> Any:
    """The graph, free in height and width."""
    arguments = _arguments(pixels.network, _TRACED, _TRACED_STYLE)
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    try:
        with _silenced():
            return torch.onnx.export(
                pixels,
                arguments,
                dynamo=True,
                input_names=["content", "style"][: len(arguments)],
                output_names=["stylization"],
                dynamic_shapes=tuple(free if argument.ndim == 4 else None for argument in arguments),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[-1][:200]
        raise ConfigError(
            f"a {type(pixels.network).__name__} cannot be written as a graph by torch {torch.__version__}: "
            f"{reason}"
        ) from error


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """The exporter prints its progress, and warns of what it does itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _arguments(network: Network, size: tuple[int, int], style_size: tuple[int, int]) -> tuple[Tensor, ...]:
    """A photograph, and what the network takes for a style, both drawn."""
    rng = torch.Generator().manual_seed(sum(size))
    content = _drawn(size, rng)
    if network.styles == "one":
        return (content,)
    if network.styles == "any":
        return content, _drawn(style_size, rng)
    weights = torch.rand((1, network.num_styles), generator=rng)
    return content, weights / weights.sum()


def _drawn(size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Clouds with a little grain, ``(1, 3, H, W)``: noise alone is no picture that anybody has."""
    coarse = torch.rand((1, 3, 9, 9), generator=rng)
    clouds = functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    return (clouds + 0.1 * torch.rand((1, 3, *size), generator=rng)).clamp(0, 1)


@torch.no_grad()
def _largest_difference(pixels: _Pixels, path: Path) -> float:
    """Between the network and the graph, at every size; not a number where the graph fails or its does."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    differences = []
    # By its bytes: the name ends like no graph that onnxruntime knows.
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for size in CHECKED_SIZES:
        arguments = _arguments(pixels.network, size, (size[1], size[0]))
        here = pixels(*arguments)
        try:
            (there,) = session.run(
                None, {name: value.numpy() for name, value in zip(names, arguments, strict=True)}
            )
        except Exception as error:  # Its errors have no class in common.
            raise VelaturaError(
                f"the graph is not written: onnxruntime cannot run it at {size[1]}x{size[0]} pixels: "
                f"{str(error).splitlines()[0][:200]}"
            ) from error
        if there.shape != tuple(here.shape):
            raise VelaturaError(
                f"the graph is not written: at {size[1]}x{size[0]} pixels its picture has the shape "
                f"{tuple(there.shape)}"
            )
        differences.append((torch.from_numpy(there) - here).abs().max())
    return float(torch.stack(differences).max())
