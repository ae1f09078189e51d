"""A training step of Johnson's network beside the plain loop, and one pass of the networks that ship.

    python benchmarks/training.py                    # both
    python benchmarks/training.py --pictures 8       # medians over fewer

The plain loop has the same networks and losses as most tutorials write them: float32, NCHW, a VGG of plain
modules that asks for no gradients, Gram matrices by ``flatten`` and matrix product, Adam. Both sides take
the same batch in turns in one process, and medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.rng import generator
from velatura.engine.precision import choose_device, choose_precision
from velatura.engine.train import Trainer
from velatura.engine.train.data import Batch
from velatura.jobs.train import training

STYLE_LAYERS = {3: "relu1_2", 8: "relu2_2", 15: "relu3_3", 22: "relu4_3"}
CONTENT_LAYER = 15


def plain_vgg16(state: dict[str, Tensor]) -> nn.Sequential:
    """Convolutions, rectifiers and max pools to relu4_3, in the places of torchvision's ``features``."""
    parts: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(count):
            parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        parts.append(nn.MaxPool2d(2, 2))
    network = nn.Sequential(*parts[:-1])
    own = {key: state[f"features.{key}"] for key in network.state_dict()}
    network.load_state_dict(own)
    return network.requires_grad_(False)


def gram(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / features[0].numel()


def plain_step(
    network: nn.Module, vgg: nn.Sequential, contents: Tensor, painting: Tensor
) -> Callable[[], None]:
    """What a tutorial trains: content at relu3_3, Gram matrices at four layers."""
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def features(image: Tensor) -> dict[int, Tensor]:
        found, maps = {}, (image - mean) / std
        for place, part in enumerate(vgg):
            maps = part(maps)
            if place in STYLE_LAYERS:
                found[place] = maps
        return found

    with torch.no_grad():
        wanted = {place: gram(maps) for place, maps in features(painting).items()}

    def step() -> None:
        optimizer.zero_grad()
        painted = features(network(contents))
        with torch.no_grad():
            content = features(contents)[CONTENT_LAYER]
        loss = functional.mse_loss(painted[CONTENT_LAYER], content)
        for place, maps in painted.items():
            loss = loss + 5 * (gram(maps) - wanted[place]).square().sum(dim=(1, 2)).mean()
        loss.backward()
        optimizer.step()

    return step


def seconds_in_turns(runs: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 1):
        for run, own in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            if turn:
                own.append(time.perf_counter() - began)
    return times


def johnson(repeats: int) -> None:
    batch, edge, device = 4, 256, choose_device("auto")
    _, config = training("johnson2016", changes={"backbone.weights": "random"})
    rng = generator(0, "benchmark")
    contents = (torch.rand(batch, 3, edge, edge, generator=rng) * 255).to(torch.uint8)
    painting = torch.rand(1, 3, edge, edge, generator=rng)
    backbone = build_backbone(BackboneConfig(name="vgg16", weights="random"))
    vgg = plain_vgg16(backbone.state_dict())
    plain = config.network.build(num_styles=1, rng=generator(0, "weights")).train()
    precision = choose_precision("auto", device, backbone)
    trainer = Trainer(
        config,
        config.network.build(num_styles=1, rng=generator(0, "weights")),
        backbone,
        precision=precision,
        paintings=[painting],
    )
    step = plain_step(plain, vgg, contents.float() / 255, painting)
    times = seconds_in_turns([step, lambda: trainer.advance(Batch(contents=contents))], repeats)
    medians = [statistics.median(own) for own in times]
    print(f"Johnson 2016, batch {batch}, {edge}x{edge}, VGG-16, {device}, {torch.get_num_threads()} threads")
    print(f"  plain loop, float32 NCHW    {medians[0]:.3f} s, {batch / medians[0]:.2f} images/s")
    print(f"  velatura train, {precision.name:<11} {medians[1]:.3f} s, {batch / medians[1]:.2f} images/s")
    print(f"  as fast as the plain loop   {medians[0] / medians[1]:.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=9, metavar="N", help="times that each side is run")
    johnson(parser.parse_args().pictures)


if __name__ == "__main__":
    main()
