"""What this machine does: whole commands, and steps beside a plain loop in the same run.

Times of a shared machine drift; ratios of two things measured in turns hold.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import VGG, BackboneConfig, build_backbone
from velatura.core.errors import VelaturaError
from velatura.core.rng import generator
from velatura.engine.descent import Descent
from velatura.engine.method import Optimization
from velatura.engine.objective import Objective, Term
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.precision import Precision, choose_device, choose_precision, laid_out
from velatura.engine.pyramid import Scale
from velatura.jobs.stylize import stylization
from velatura.losses import losses

__all__ = ["Figure", "figures"]

_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measurement.

    Args:
        what: What was measured.
        value: The figure.
        unit: Its unit; ``x`` for a ratio.
        beside: What it is a ratio to, or was measured with.
    """

    what: str
    value: float
    unit: str
    beside: str = ""


def figures(*, size: int, repeats: int) -> Iterator[Figure]:
    """Every measurement, one after the other; some take half a minute.

    Args:
        size: Edge of the square picture whose steps are measured, and longer edge of the picture
            that the whole command makes, in pixels.
        repeats: Times that each step is measured; the median counts.
    """
    # First, while this process is small: a child's peak memory counts what its parent had when it began.
    yield from _command_figures(size)
    device = choose_device("auto")
    rate = matrix_rate(device)
    yield Figure(what="matrix product 2048^3, float32", value=rate / 1e9, unit="GFLOP/s", beside=str(device))
    yield from _step_figures("vgg19", size, repeats, device, rate)
    yield from _step_figures("vgg19-slim", size, repeats, device, rate)
    yield from _engine_figures(size, repeats, device, rate)


def matrix_rate(device: torch.device, *, edge: int = 2048, repeats: int = 5) -> float:
    """Floating point operations a second of a float32 matrix product: the practical ceiling."""
    matrix = torch.rand(edge, edge, device=device)
    seconds = median_seconds([lambda: matrix @ matrix], repeats, device)[0]
    return 2 * edge**3 / seconds


def median_seconds(runs: list[Callable[[], object]], repeats: int, device: torch.device) -> list[float]:
    """The median time of each, measured in turns after one run of each that does not count."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 1):
        for run, own in zip(runs, times, strict=True):
            _wait(device)
            began = time.perf_counter()
            run()
            _wait(device)
            if turn:
                own.append(time.perf_counter() - began)
    return [statistics.median(own) for own in times]


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _step_figures(name: str, size: int, repeats: int, device: torch.device, rate: float) -> Iterator[Figure]:
    """One Gram step to relu5_1, ours beside the plain loop."""
    backbone = build_backbone(BackboneConfig(name=name, weights="random", pooling="max")).to(device)
    assert isinstance(backbone, VGG)
    picture = torch.rand((1, 3, size, size), generator=generator(0, "bench")).to(device)
    plain = plain_step(backbone, picture)
    operations = 2 * convolution_operations(backbone, size)  # forward, and back to the picture
    ours = {}
    for wanted in ("float32", "auto"):
        precision = choose_precision(wanted, device, backbone)
        if wanted == "float32" or precision.dtype != torch.float32:
            ours[precision] = our_step(backbone, picture, precision)
    seconds = median_seconds([plain, *ours.values()], repeats, device)
    what = f"{name} step to relu5_1, {size}x{size}"
    yield Figure(what=f"{what}, plain loop, float32 NCHW", value=seconds[0], unit="s")
    for precision, own in zip(ours, seconds[1:], strict=True):
        kind = str(precision.dtype).removeprefix("torch.")
        yield Figure(what=f"{what}, Velatura, {kind}", value=own, unit="s")
        yield Figure(what="  as fast as the plain loop", value=seconds[0] / own, unit="x")
        yield _of_the_ceiling(operations, own, rate)


def _engine_figures(size: int, repeats: int, device: torch.device, rate: float) -> Iterator[Figure]:
    """One step of the engine with everything that the default preset has, at its last scale."""
    descent, stylizer = default_descent(size, device)
    backbone, deepest = stylizer.backbone, stylizer.objective.layers[-1]
    assert isinstance(backbone, VGG)
    seconds = median_seconds([descent.step], repeats, device)[0]
    operations = 2 * convolution_operations(backbone, size, deepest=deepest)
    what = f"engine step, default preset, {size}x{size}, {stylizer.precision.name}"
    yield Figure(what=what, value=seconds, unit="s")
    yield _of_the_ceiling(operations, seconds, rate)


def _of_the_ceiling(operations: float, seconds: float, rate: float) -> Figure:
    # More than 1 where Winograd's convolution does with fewer operations than are counted.
    return Figure(
        what="  of the practical ceiling",
        value=operations / seconds / rate,
        unit="x",
        beside="direct convolutions at the rate of a matrix product",
    )


def default_descent(size: int, device: torch.device) -> tuple[Descent, OptimizationStylizer]:
    """A descent of the default preset at a square picture of ``size`` pixels, and what it is part of."""
    method = stylization().method
    assert isinstance(method, Optimization)
    backbone = build_backbone(method.backbone).to(device)
    precision = choose_precision("auto", device, backbone)
    stylizer = OptimizationStylizer(method, backbone, precision=precision)
    photo, painting = torch.rand((2, 3, size, size), generator=generator(0, "bench"))
    content = stylizer.aim(photo, [painting], [1.0], Scale(size=(size, size), steps=1))
    descent = Descent(
        content,
        stylizer.objective,
        method.optimizer,
        iterates=method.iterates,
        precision=precision,
    )
    return descent, stylizer


def our_step(backbone: VGG, picture: Tensor, precision: Precision) -> Callable[[], object]:
    """Loss and gradient of five Gram matrices, as the engine computes them."""
    style = Term(loss=losses["gram"](), of="style", layers=dict.fromkeys(_LAYERS, 1.0))
    canvas = picture.clone(memory_format=precision.memory_format).requires_grad_()

    def step() -> object:
        laid_out(backbone, precision.memory_format)
        with precision.autocast(picture.device):
            terms = objective(canvas)
        canvas.grad = None
        torch.autograd.backward(terms["style"])
        return canvas.grad

    objective = Objective(laid_out(backbone, precision.memory_format), {"style": style})
    with precision.autocast(picture.device):
        objective.aim(picture, [picture.flip(-1)], [1.0])
    return step


def plain_step(backbone: VGG, picture: Tensor) -> Callable[[], object]:
    """The same as most tutorials write it: a list of modules, NCHW, float32, frozen weights."""
    modules: list[nn.Module] = []
    for name, module in zip(backbone.names, backbone.features, strict=True):
        if isinstance(module, nn.Conv2d):
            copy = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1)
            copy.load_state_dict({key: value.contiguous() for key, value in module.state_dict().items()})
            modules.append(copy.to(picture.device).requires_grad_(False))
        elif name.startswith("relu"):
            modules.append(nn.ReLU())
        else:
            modules.append(nn.MaxPool2d(2))
    names = backbone.names[: backbone.names.index(_LAYERS[-1]) + 1]
    canvas = picture.contiguous().clone().requires_grad_()

    def grams(image: Tensor) -> list[Tensor]:
        features, found = image, []
        for name, module in zip(names, modules, strict=False):
            features = module(features)
            if name in _LAYERS:
                flat = features.flatten(2)
                found.append(flat @ flat.transpose(1, 2) / features[0].numel())
        return found

    with torch.no_grad():
        targets = grams(picture.flip(-1))

    def step() -> object:
        canvas.grad = None
        pairs = zip(grams(canvas), targets, strict=True)
        torch.autograd.backward(
            torch.stack([functional.mse_loss(gram, target) for gram, target in pairs]).sum()
        )
        return canvas.grad

    return step


def convolution_operations(backbone: VGG, size: int, *, deepest: str = _LAYERS[-1]) -> float:
    """Floating point operations of one forward pass to ``deepest``, direct convolutions only."""
    total = 0.0
    for name, module in zip(backbone.names, backbone.features, strict=True):
        if isinstance(module, nn.Conv2d):
            positions = (size // backbone.shapes[name].stride) ** 2
            total += 2 * positions * module.weight.numel()
        if name == deepest:
            break
    return total


def _command_figures(size: int) -> Iterator[Figure]:
    """Whole commands, from start to file, each in a process of its own."""
    seconds, _ = _command("--help")
    yield Figure(what="velatura --help", value=seconds, unit="s")
    with tempfile.TemporaryDirectory() as folder:
        from velatura.imaging.samples import write_samples

        photo, painting = (
            str(next(path for path in write_samples(Path(folder), size=max(size, 64)) if path.stem == name))
            for name in ("mountain-lake", "flowing-strokes")
        )
        seconds, mebibytes = _command(
            "stylize", photo, painting, "-o", str(Path(folder) / "out.png"), "--size", str(size), "--quiet"
        )
    yield Figure(what=f"velatura stylize, preset fast, {size} pixels", value=seconds, unit="s")
    yield Figure(what="  peak memory", value=mebibytes, unit="MiB")


def _command(*words: str) -> tuple[float, float]:
    """Wall time, and the peak memory of the largest process so far, of one command."""
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "velatura", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise VelaturaError(f"velatura {words[0]} failed: {done.stderr.strip()}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)
