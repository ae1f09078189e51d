import csv
import json
from dataclasses import replace

import pytest
from PIL import Image

from velatura.core.errors import Cancelled, ConfigError, WeightsError
from velatura.imaging import read_picture
from velatura.jobs.dream import dreaming
from velatura.jobs.grid import GridJob, network_weights, run_grid
from velatura.jobs.reconstruct import reconstruction

RUN = {"size": 32, "precision": "float32", "device": "cpu", "threads": 1}


@pytest.fixture
def grid(photo, tmp_path):
    def make(kind="content", layers=("relu1_1", "relu1_1+relu2_1"), networks=None, **changes):
        if kind == "deepdream":
            how = dreaming(layers[0], changes={"octaves": 1, "steps": 2, **changes}, **RUN)
        else:
            how = reconstruction(kind, layers[0], changes={"pyramid.steps": [3], **changes}, **RUN)
        return GridJob(
            kind=kind,
            image=str(photo),
            output=str(tmp_path / "grid"),
            layers=layers,
            networks=networks or {"standard": "native", "random": "random"},
            how=how,
        )

    return make


def test_every_picture_the_sheet_and_the_losses_are_written(grid, photo, tmp_path):
    result = run_grid(grid())
    folder = tmp_path / "grid"
    pictures = {
        f"{layer}-{network}.png"
        for layer in ("relu1_1", "relu1_1+relu2_1")
        for network in ("standard", "random")
    }
    assert {path.name for path in folder.iterdir()} == pictures | {
        "grid.png",
        "losses.csv",
        "losses.json",
        "losses.png",
    }
    assert set(result.files) == set(folder.iterdir())
    assert not result.interrupted
    with (folder / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    losses = [entry["loss"] for entry in result.results["relu1_1", "random"].history]
    assert [
        float(row["loss"]) for row in rows if (row["layer"], row["network"]) == ("relu1_1", "random")
    ] == losses
    content = json.loads((folder / "losses.json").read_text())
    assert [(cell["layer"], cell["network"]) for cell in content["cells"]] == list(result.results)
    assert content["cells"][1]["losses"] == losses
    assert content["cells"][1]["weights"]["source"] == "random weights"
    with Image.open(folder / "relu1_1-random.png") as one:
        record = json.loads(one.text["velatura"])
    assert record["stylization"]["method"]["backbone"]["weights"] == "random"
    assert record["cell"] == {"layer": "relu1_1", "network": "random"}
    assert {name: record["job"][name] for name in ("kind", "layers", "networks")} == {
        "kind": "content",
        "layers": ["relu1_1", "relu1_1+relu2_1"],
        "networks": {"standard": "native", "random": "random"},
    }
    assert (record["job"]["image"], record["job"]["output"]) == (str(photo), str(folder))


def test_the_sheet_shows_the_pictures_that_lie_beside_it(grid, tmp_path):
    run_grid(grid(layers=("relu1_1",)))
    sheet = read_picture(tmp_path / "grid" / "grid.png").to_pil()
    own = read_picture(tmp_path / "grid" / "relu1_1-standard.png").to_pil()
    places = [
        (left, top)
        for left in range(sheet.width - own.width)
        for top in range(sheet.height - own.height)
        if sheet.getpixel((left, top)) == own.getpixel((0, 0))
        and sheet.crop((left, top, left + own.width, top + own.height)).tobytes() == own.tobytes()
    ]
    assert len(places) == 1


def test_a_grid_of_dreams(grid, tmp_path):
    result = run_grid(grid("deepdream", layers=("relu1_1", "relu2_1")))
    assert len(result.results) == 4
    assert (tmp_path / "grid" / "grid.png").exists()


def test_cut_short_what_there_is_is_written(grid, tmp_path):
    asked = []
    result = run_grid(grid(), cancelled=lambda: asked.append(None) or len(asked) > 6)
    assert result.interrupted
    assert 0 < len(result.results) < 4
    assert (tmp_path / "grid" / "grid.png").exists()
    assert len(list((tmp_path / "grid").glob("relu*.png"))) == len(result.results)
    with pytest.raises(Cancelled):
        run_grid(replace(grid(), output=str(tmp_path / "other")), cancelled=lambda: True)


@pytest.mark.parametrize("kind", ["content", "deepdream"])
def test_what_is_finished_is_not_made_again(grid, tmp_path, kind):
    layers = ("relu1_1", "relu2_1")
    asked = []
    first = run_grid(grid(kind, layers), cancelled=lambda: asked.append(None) or len(asked) > 6)
    whole = sum(not result.interrupted for result in first.results.values())
    assert whole >= 1
    rest = run_grid(grid(kind, layers))
    assert (rest.made, rest.interrupted) == (4 - whole, False)
    again = run_grid(grid(kind, layers))
    assert (again.made, list(again.results)) == (0, list(rest.results))
    before = {path.name: path.read_bytes() for path in (tmp_path / "grid").iterdir()}
    (tmp_path / "grid").rename(tmp_path / "earlier")
    assert run_grid(grid(kind, layers)).made == 4
    assert {path.name: path.read_bytes() for path in (tmp_path / "grid").iterdir()} == before


def test_other_settings_or_pixels_are_made(grid, photo, tmp_path):
    assert run_grid(grid(layers=("relu1_1",))).made == 2
    assert run_grid(grid(layers=("relu1_1",), **{"pyramid.steps": [2]})).made == 2
    assert (
        run_grid(grid(layers=("relu1_1",), networks={"random": "random"}, **{"pyramid.steps": [2]})).made == 0
    )
    Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photo)
    assert run_grid(grid(layers=("relu1_1",), **{"pyramid.steps": [2]})).made == 2
    broken = tmp_path / "grid" / "relu1_1-random.png"
    broken.write_bytes(broken.read_bytes()[:200])
    assert run_grid(grid(layers=("relu1_1",), **{"pyramid.steps": [2]})).made == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ("relu1_1", "relu1_9")}, "unknown layer 'relu1_9'; did you mean"),
        ({"layers": ("relu1_1", "relu2_1+")}, "expected a layer, or different ones"),
        (
            {"kind": "deepdream", "layers": ("relu1_1", "relu5_1"), "octaves": 9},
            "is too small: layer 'relu5_1'",
        ),
        ({"networks": {"a": "vgg91"}}, "unknown weights 'vgg91'"),
    ],
)
def test_what_is_wrong_with_the_last_picture_is_found_before_the_first(grid, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        run_grid(grid(**options))
    assert not list(tmp_path.glob("grid/*.png"))


def test_weights_that_end_below_a_layer_are_found_before_the_first(grid, tmp_path, data_dir):
    weights = str(data_dir / "weights" / "resnet18_bnfolded_to_layer3.safetensors")
    job = grid(
        layers=("conv1", "layer4"),
        networks={"random": "random", "standard": weights},
        **{"backbone.name": "resnet18"},
    )
    with pytest.raises(WeightsError, match="layer 'layer4' is not in resnet18_bnfolded"):
        run_grid(job)
    assert not list(tmp_path.glob("grid/*.png"))


def test_a_file_in_the_place_of_the_folder(grid, tmp_path):
    (tmp_path / "grid").write_text("mine")
    with pytest.raises(ConfigError, match="is a file; a grid needs a folder"):
        run_grid(grid())


def test_the_picture_itself_is_never_written_over(grid, photo, tmp_path):
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "relu1_1-standard.png").hardlink_to(photo)
    before = photo.read_bytes()
    with pytest.raises(ConfigError, match=r"relu1_1-standard\.png"):
        run_grid(grid())
    assert photo.read_bytes() == before
    assert read_picture(photo).width == 48


def test_networks_by_name():
    named = network_weights(["random", "standard", "robust=nets/r50.pt", "nets/mine.safetensors", "vgg19"])
    assert named == {
        "random": "random",
        "standard": "native",
        "robust": "nets/r50.pt",
        "mine": "nets/mine.safetensors",
        "vgg19": "vgg19",
    }
    assert network_weights(["standard=resnet18"]) == {"standard": "resnet18"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["random", "random"], "two networks are called 'random'; name one of them"),
        (["a/net.pt", "b/net.pt"], "two networks are called 'net'"),
        ([""], "expected a network such as random"),
        (["robust="], "expected a network such as random"),
    ],
)
def test_networks_without_a_name_of_their_own(names, message):
    with pytest.raises(ConfigError, match=message):
        network_weights(names)
