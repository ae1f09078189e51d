"""The same random numbers in every test, small random teachers, and folders of small pictures."""

import pytest
import torch
from PIL import Image

from velatura.backbones import VGG, Preprocessing
from velatura.core.vgg_layout import vgg_layers
from velatura.engine.distill import Crops, Teacher, Teachers

SHALLOW = ("relu1_1", "relu1_2", "relu2_1")
DEEP = ("relu2_2", "relu3_1")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def _teacher(widths, seed):
    """A frozen VGG-19 of few channels to relu3_1, whose random weights keep activations alive."""
    torch.manual_seed(seed)
    layout = vgg_layers("vgg19")
    names = [name for name in layout[: layout.index("relu3_1")] if name.startswith("conv")]
    network = VGG(
        layout,
        {name: widths[int(name[4]) - 1] for name in names},
        preprocessing=Preprocessing.torchvision(),
        pooling="max",
        padding="replicate",
        rescale=False,
        source="random weights",
    )
    for parameter in network.parameters():
        torch.nn.init.kaiming_normal_(parameter) if parameter.ndim > 1 else torch.nn.init.zeros_(parameter)
    network.freeze()
    return network


@pytest.fixture(scope="package")
def networks():
    return _teacher((5, 6, 7), seed=1), _teacher((4, 6, 8), seed=2)


@pytest.fixture
def teachers(networks):
    """Two teachers: five, five and six channels, then six and eight."""
    sample = torch.rand(4, 3, 32, 32)
    return Teachers([Teacher(networks[0], SHALLOW), Teacher(networks[1], DEEP)], sample)


@pytest.fixture(scope="package")
def folders(tmp_path_factory):
    """Twelve pictures of soft colours: four photographs, four paintings, four to validate on."""
    rng = torch.Generator().manual_seed(7)
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number in range(12):
        coarse = torch.rand(1, 3, 6, 7, generator=rng)
        pixels = torch.nn.functional.interpolate(coarse, (40, 48), mode="bicubic").clamp(0, 1)[0]
        paths.append(folder / f"{number:02d}.png")
        Image.fromarray((pixels.permute(1, 2, 0) * 255).byte().numpy()).save(paths[-1])
    return {"contents": paths[:4], "styles": paths[4:8], "held_out": paths[8:]}


@pytest.fixture
def crops(folders):
    """Crops of 32 pixels from each of the three folders."""
    return {name: Crops(paths, size=32) for name, paths in folders.items()}
