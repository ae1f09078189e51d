"""Pictures at print size: tiles beside the whole, memory and time by size, and seams.

    python benchmarks/print_size.py step --size 1536 --tile 832      # a step in tiles beside one of the whole
    python benchmarks/print_size.py sizes 512 1024 2048 4096 8192    # peak memory and time of a step
    python benchmarks/print_size.py run --size 4096 --tile 1216      # a whole run of a preset: peak, seams
    python benchmarks/print_size.py seams result.png --tile 1216     # seams of a picture that was painted

Every row of ``sizes``, and ``run``, has a process of its own, so that its peak memory is its own (the most
that was resident, libraries and pictures included). The pictures are the samples unless ``--content`` and
``--style`` name others.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from velatura.backbones import build_backbone
from velatura.core.memory import keep_freed_memory
from velatura.engine.method import Optimization
from velatura.engine.objective import Objective
from velatura.engine.optimization import OptimizationStylizer
from velatura.engine.parts import picture_tiles
from velatura.engine.precision import choose_device, choose_precision
from velatura.engine.pyramid import Pyramid
from velatura.engine.tiled import TiledObjective
from velatura.imaging import Picture, read_picture
from velatura.imaging.samples import draw_sample
from velatura.jobs.stylize import stylization, stylize_pictures
from velatura.ops.resize import fit, resize

NEAR = 12
"""Lines on each side of a border that it is compared with: those of the grid that tiles could meet on. The
pooling of a network leaves steps along them too, in tiles or not."""


def pictures(options: argparse.Namespace, edge: int) -> tuple[Tensor, Tensor]:
    """Photograph and painting at a long edge, ``(3, H, W)``."""
    if options.content and options.style:
        read = (read_picture(options.content).pixels, read_picture(options.style).pixels)
    else:
        read = (draw_sample("old-town", size=640).pixels, draw_sample("flowing-strokes", size=640).pixels)
    content, style = (
        resize(one[None], fit(one.shape[1], one.shape[2], edge)).clamp_(0, 1)[0] for one in read
    )
    return content, style


def peak_mib() -> float:
    """The most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def stylizer_of(options: argparse.Namespace, *, tile: int | None, steps: int) -> OptimizationStylizer:
    """One scale of the preset."""
    changes: dict[str, Any] = {"pyramid.smallest": 0, "pyramid.steps": [steps], **settings_of(options)}
    if tile is not None:
        changes |= {"tile": tile, "tile_statistics": options.statistics}
    how = stylization(options.preset, changes=changes)
    assert isinstance(how.method, Optimization)
    device = choose_device("auto")
    backbone = build_backbone(how.method.backbone).to(device)
    return OptimizationStylizer(
        how.method, backbone, precision=choose_precision("float32", device, backbone), seed=0
    )


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    return {key: json.loads(value) for key, _, value in (text.partition("=") for text in options.set)}


def step(options: argparse.Namespace) -> None:
    """Gradients of one picture, whole and in tiles, in turns."""
    content, style = pictures(options, options.size)
    by = stylizer_of(options, tile=None, steps=1)
    terms = by.objective.terms
    sides = {
        "whole": Objective(by.backbone, terms),
        "tiles": TiledObjective(by.backbone, terms, edge=options.tile, statistics=options.statistics),
    }
    canvas = by.to_device(content)
    for objective in sides.values():
        objective.aim(by.to_device(content), [by.to_device(style)], [1.0])
    # Not the photograph itself, where the content term has no gradient.
    canvas = (canvas + 0.05 * torch.randn(canvas.shape, generator=torch.Generator().manual_seed(0))).to(
        canvas
    )
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    gradients: dict[str, Tensor] = {}
    for turn in range(options.repeats + 1):
        for name, objective in sides.items():
            leaf = canvas.clone().requires_grad_()
            began, used = time.perf_counter(), time.process_time()
            torch.stack(list(objective(leaf).values())).sum().backward()  # type: ignore[no-untyped-call]
            if turn:
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - used)
            assert leaf.grad is not None
            gradients[name] = leaf.grad
    size = (content.shape[1], content.shape[2])
    count = len(picture_tiles(size, edge=options.tile, needs=sides["tiles"].needs))
    print(
        f"{size[1]}x{size[0]} pixels, {options.preset}, {count} tiles of {options.tile}, {options.statistics}"
    )
    for name, own in wall.items():
        print(
            f"  {name}  {statistics.median(own):8.3f} s a step, {statistics.median(cpu[name]):8.3f} s of CPU"
        )
    ratios = [statistics.median(own["tiles"]) / statistics.median(own["whole"]) for own in (wall, cpu)]
    print(f"  tiles / whole  {ratios[0]:.2f} by the clock, {ratios[1]:.2f} of CPU (must be at most 1.7)")
    apart = (gradients["tiles"] - gradients["whole"]).norm() / gradients["whole"].norm()
    print(f"  gradients apart by {float(apart):.1e} of their norm")


def one_size(options: argparse.Namespace) -> None:
    """Steps at one size; prints a line of JSON."""
    content, style = pictures(options, options.size)
    by = stylizer_of(options, tile=options.tile, steps=options.steps)
    size = (content.shape[1], content.shape[2])
    times = [time.perf_counter()]
    by(
        content,
        [style],
        blend=[1.0],
        size=size,
        on_progress=lambda _: times.append(time.perf_counter()),
    )
    taken = [later - earlier for earlier, later in pairwise(times[1:])]
    row = {
        "size": size,
        "s_per_step": statistics.median(taken),
        "us_per_pixel": 1e6 * statistics.median(taken) / math.prod(size),
        "peak_mib": peak_mib(),
    }
    print(json.dumps(row))


def sizes(options: argparse.Namespace) -> None:
    """A process for each size."""
    rows = {}
    print(f"{options.preset}, tiles of {options.tile}, {options.steps} steps")
    for edge in options.sizes:
        row = rows[edge] = in_own_process(
            options, "one-size", "--size", str(edge), "--steps", str(options.steps)
        )
        height, width = row["size"]
        print(
            f"  {width:5d}x{height:<5d} {row['s_per_step']:8.2f} s a step, "
            f"{row['us_per_pixel']:.3f} us a pixel, "
            f"peak {row['peak_mib']:6.0f} MiB"
        )
    if {1024, 4096} <= rows.keys():
        ratio = rows[4096]["us_per_pixel"] / rows[1024]["us_per_pixel"]
        print(f"  time per pixel at 4096 / at 1024  {ratio:.2f} (must be at most 1.3)")


def in_own_process(options: argparse.Namespace, *command: str) -> dict[str, Any]:
    shared = ["--preset", options.preset, "--tile", str(options.tile), "--statistics", options.statistics]
    given = [
        part
        for name in ("content", "style")
        if (value := getattr(options, name))
        for part in (f"--{name}", value)
    ]
    changed = [part for text in options.set for part in ("--set", text)]
    ran = subprocess.run(
        [sys.executable, __file__, *command, *shared, *given, *changed],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    row: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return row


def run(options: argparse.Namespace) -> None:
    """A whole run, coarse to fine, then its seams; ``--top-steps`` for few steps at the last scale."""
    content, style = pictures(options, options.size)
    changes: dict[str, Any] = {
        "tile": options.tile,
        "tile_statistics": options.statistics,
        **settings_of(options),
    }
    if options.top_steps is not None:
        method = stylization(options.preset).method
        assert isinstance(method, Optimization)
        pyramid: Pyramid = method.pyramid
        count = len(pyramid.scales((content.shape[1], content.shape[2]), smallest_input=16))
        below = [*pyramid.steps, *[pyramid.steps[-1]] * count][: count - 1]
        changes["pyramid.steps"] = [*below, options.top_steps]
    how = stylization(options.preset, size=options.size, precision="float32", changes=changes)
    began = time.perf_counter()
    result = stylize_pictures(Picture(content), [Picture(style)], how)
    seconds = time.perf_counter() - began
    peak = peak_mib()
    if options.output:
        result.picture.save(options.output)
    height, width = content.shape[1:]
    print(
        f"{width}x{height} pixels, {options.preset}, tiles of {options.tile}: "
        f"{seconds:.0f} s, peak {peak:.0f} MiB"
    )
    report_seams(options, result.picture.pixels)


def seams(options: argparse.Namespace) -> None:
    """The seams of a file."""
    report_seams(options, read_picture(options.picture).pixels)


def report_seams(options: argparse.Namespace, pixels: Tensor) -> None:
    """Mean differences between neighbours across the borders of tiles, and elsewhere."""
    method = stylization(options.preset).method
    assert isinstance(method, Optimization)
    needs = TiledObjective(build_backbone(method.backbone), method.terms).needs
    found = picture_tiles((pixels.shape[1], pixels.shape[2]), edge=options.tile, needs=needs)
    borders = {
        "rows": sorted({tile.rows.own.start for tile in found} - {0}),
        "columns": sorted({tile.columns.own.start for tile in found} - {0}),
    }
    for name, axis in (("rows", 1), ("columns", 2)):
        others = 3 - axis
        each = pixels.diff(dim=axis).abs().mean(dim=(0, others))  # of one line to the next
        across = torch.tensor([number - 1 for number in borders[name]], dtype=torch.long)
        if not len(across):
            print(f"  {name}: one tile")
            continue
        # Lines as near as that show the same of the picture; which of them differ more is chance.
        near = [
            each[[line for line in lines_near(at, needs.grid, len(each)) if line not in across]]
            for at in across.tolist()
        ]
        above = [float((each[at] > lines).float().mean()) for at, lines in zip(across, near, strict=True)]
        print(
            f"  {name}: across {len(across)} borders {float(each[across].mean()):.5f}, lines of the grid "
            f"near them {float(torch.cat(near).mean()):.5f}, everywhere {float(each.mean()):.5f}; "
            f"a border is above {100 * statistics.mean(above):.0f} % of the lines near it (50 % by chance)"
        )


def lines_near(border: int, grid: int, count: int) -> list[int]:
    """Numbers of the lines of the grid around a border."""
    lines = range(border - NEAR * grid, border + NEAR * grid + 1, grid)
    return [line for line in lines if line != border and 0 <= line < count]


def main() -> None:
    keep_freed_memory()
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--preset", default="fast")
    shared.add_argument("--tile", type=int, default=1216, help="longest edge computed at once, in pixels")
    shared.add_argument("--statistics", choices=["exact", "last-step"], default="exact")
    shared.add_argument("--content", help="photograph; unset: a sample")
    shared.add_argument("--style", help="painting; unset: a sample")
    shared.add_argument(
        "--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the preset"
    )
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    for name, command in (
        ("step", step),
        ("one-size", one_size),
        ("sizes", sizes),
        ("run", run),
        ("seams", seams),
    ):
        own = commands.add_parser(name, parents=[shared], help=(command.__doc__ or "").partition("\n")[0])
        own.set_defaults(command=command)
        if name in ("step", "one-size", "run"):
            own.add_argument("--size", type=int, default=1024, help="long edge in pixels")
        if name in ("one-size", "sizes"):
            own.add_argument("--steps", type=int, default=4)
        if name == "step":
            own.add_argument("--repeats", type=int, default=3)
        if name == "sizes":
            own.add_argument("sizes", type=int, nargs="+")
        if name == "run":
            own.add_argument("--top-steps", type=int, help="steps at the last scale; unset: the preset's")
            own.add_argument("--output", help="where the picture goes")
        if name == "seams":
            own.add_argument("picture")
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
