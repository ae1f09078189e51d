"""The Python door: any form of picture in, a result out, and a small public namespace."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import velatura
from velatura.core.errors import Cancelled, ConfigError, ImageError

PHOTO = (torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(1)) * 255).round().byte()
PAINTING = (torch.rand(3, 36, 36, generator=torch.Generator().manual_seed(2)) * 255).round().byte()
OTHER = (torch.rand(3, 40, 32, generator=torch.Generator().manual_seed(3)).square() * 255).round().byte()


def _as_array(pixels):
    return pixels.permute(1, 2, 0).contiguous().numpy()


def _as_path(pixels, folder):
    path = folder / f"{int(pixels.sum())}.png"
    Image.fromarray(_as_array(pixels)).save(path)
    return path


FORMS = {
    "path": _as_path,
    "string": lambda pixels, folder: str(_as_path(pixels, folder)),
    "pil": lambda pixels, folder: Image.fromarray(_as_array(pixels)),
    "array": lambda pixels, folder: _as_array(pixels),
    "float array": lambda pixels, folder: _as_array(pixels).astype(np.float32) / 255,
    "tensor": lambda pixels, folder: pixels.float() / 255,
    "picture": lambda pixels, folder: velatura.load_image(_as_path(pixels, folder)),
}


def _stylize(content, style, **options):
    settings = {"pyramid.steps": [2], "pyramid.smallest": 0, **options.pop("settings", {})}
    options = {"size": 32, "precision": "float32", "threads": 1, **options}
    return velatura.stylize(content, style, settings=settings, **options)


def _tensor(pixels):
    return pixels.float() / 255


@pytest.fixture(scope="module")
def expected():
    return _stylize(_tensor(PHOTO), _tensor(PAINTING))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_picture_gives_the_same_pixels(form, tmp_path, expected):
    content, style = FORMS[form](PHOTO, tmp_path), FORMS[form](PAINTING, tmp_path)
    result = _stylize(content, style)
    assert_close(result.picture.pixels, expected.picture.pixels, rtol=0, atol=1e-4)


def test_the_result_is_a_picture_with_its_history_and_record(expected):
    assert (expected.picture.width, expected.picture.height) == (32, 24)
    assert len(expected.history) == 2
    assert not expected.interrupted
    assert expected.record["stylization"]["preset"] == "fast"
    assert expected.record["stylization"]["method"]["pyramid"]["steps"] == [2]
    assert json.loads(json.dumps(expected.record)) == expected.record


def test_saved_and_loaded(expected, tmp_path):
    path = tmp_path / "new" / "out.png"
    expected.save(path)
    loaded = velatura.load_image(path)
    assert_close(loaded.pixels, expected.picture.pixels, rtol=0, atol=0.5 / 255 + 1e-6)
    assert json.loads(Image.open(path).text["velatura"]) == expected.record
    velatura.save_image(loaded, tmp_path / "again.tif", bits=16)
    assert_close(velatura.load_image(tmp_path / "again.tif").pixels, loaded.pixels, rtol=0, atol=1e-4)


def test_several_styles_with_a_blend(expected):
    def blended(blend):
        return _stylize(_tensor(PHOTO), [_tensor(PAINTING), _tensor(OTHER)], blend=blend).picture.pixels

    assert_close(blended([1, 0]), expected.picture.pixels)
    assert_close(blended([0, 3]), _stylize(_tensor(PHOTO), _tensor(OTHER)).picture.pixels)
    assert_close(blended(None), blended([0.5, 0.5]))
    assert not torch.allclose(blended(None), expected.picture.pixels, atol=1e-3)


def test_a_blend_of_the_wrong_length():
    with pytest.raises(ConfigError, match="blend has 1 weight for 2 style pictures; give one for each"):
        _stylize(_tensor(PHOTO), (_tensor(PAINTING), _tensor(OTHER)), blend=[1.0])


def test_strength_of_nothing_is_the_photo():
    photo = _tensor(PHOTO)
    result = _stylize(photo, _tensor(PAINTING), size=40, strength=0)
    assert_close(result.picture.pixels, photo, rtol=0, atol=1e-4)


def test_the_size_is_the_photos_own_unless_asked_for():
    result = _stylize(_tensor(PHOTO), _tensor(PAINTING), size=None)
    assert (result.picture.width, result.picture.height) == (40, 30)
    result = _stylize(_tensor(PHOTO), _tensor(PAINTING), size=64)
    assert (result.picture.width, result.picture.height) == (64, 48)


def test_the_seed_decides_where_there_is_noise():
    def painted(seed):
        settings = {"initialization.name": "uniform"}
        return _stylize(_tensor(PHOTO), _tensor(PAINTING), seed=seed, settings=settings).picture.pixels

    assert_close(painted(1), painted(1), rtol=0, atol=0)
    assert not torch.equal(painted(1), painted(2))


def test_a_picture_to_start_from(expected):
    start = torch.zeros(3, 30, 40)
    result = _stylize(_tensor(PHOTO), _tensor(PAINTING), start=start, settings={"pyramid.steps": [0]})
    assert_close(result.picture.pixels, torch.zeros(3, 24, 32))
    assert result.record["stylization"]["method"]["initialization"]["name"] == "picture"


def test_interrupted_and_resumed(tmp_path):
    path, reports = tmp_path / "run.safetensors", []
    options = {"settings": {"pyramid.steps": [4]}, "seed": 3}
    whole = _stylize(_tensor(PHOTO), _tensor(PAINTING), **options)
    broken_off = _stylize(
        _tensor(PHOTO),
        _tensor(PAINTING),
        checkpoint=path,
        on_progress=reports.append,
        cancelled=lambda: len(reports) == 2,
        **options,
    )
    assert broken_off.interrupted
    assert len(broken_off.history) == 2
    resumed = _stylize(_tensor(PHOTO), _tensor(PAINTING), resume=str(path), **options)
    assert_close(resumed.picture.pixels, whole.picture.pixels, rtol=0, atol=0)
    with pytest.raises(ConfigError, match="of a run with another seed; give the settings"):
        _stylize(_tensor(PHOTO), _tensor(PAINTING), resume=path, **{**options, "seed": 4})
    with pytest.raises(ConfigError, match=r"of a run with another picture\.styles"):
        _stylize(_tensor(PHOTO), _tensor(OTHER), resume=path, **options)


def test_cancelled_before_it_began():
    with pytest.raises(Cancelled, match="interrupted before the first step"):
        _stylize(_tensor(PHOTO), _tensor(PAINTING), cancelled=lambda: True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "fats"}, "unknown preset 'fats'; did you mean 'fast'"),
        ({"settings": {"optimiser.lr": 1}}, "unknown setting 'optimiser'; did you mean 'optimizer'"),
        ({"settings": {"optimizer.name": 5}}, "unknown optimizer '5'"),
        ({"strenght": 2}, "unknown setting 'strenght'; did you mean 'strength'"),
        ({"tile": 400}, r"^tile is a setting of the method, .*; give it as settings=\{'tile': 400\}$"),
        ({"style_scale": 2.0}, r"give it as settings=\{'style_scale': 2.0\}$"),
        ({"optimizer.lr": 0.1}, r"give it as settings=\{'optimizer.lr': 0.1\}$"),
        ({"size": 0}, "size: .*greater than or equal to 1"),
        ({"device": "cpu:"}, "unknown device 'cpu:'"),
        ({"size": 15}, "a canvas of 15x11 pixels is too small"),
    ],
)
def test_a_wrong_request_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        _stylize(_tensor(PHOTO), _tensor(PAINTING), **options)


def test_keywords_of_the_method_in_the_other_calls():
    painting = _tensor(PAINTING)
    with pytest.raises(ConfigError, match=r"give it as settings=\{'tile': 400\}"):
        velatura.texture(painting, tile=400)
    with pytest.raises(ConfigError, match=r"give it as settings=\{'octaves': 3\}"):
        velatura.reconstruct("deepdream", painting, layer="relu4_1", octaves=3)
    with pytest.raises(ConfigError, match=r"give it as settings=\{'tile': 400\}"):
        velatura.reconstruct("content", painting, layer="relu4_1", tile=400)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for content in (tmp_path / "text.png", tmp_path / "missing.png", torch.rand(5, 8, 8), np.zeros(7)):
        with pytest.raises(ImageError):
            _stylize(content, _tensor(PAINTING))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_picture_is_judged_alike(form, tmp_path):
    content, style = FORMS[form](PHOTO, tmp_path), FORMS[form](PAINTING, tmp_path)
    names = ["style-gram", "cfsd", "rmse"]
    values = velatura.evaluate(content, content, style, metrics=names)
    assert list(values) == names
    assert values == pytest.approx({"style-gram": 1, "cfsd": 0, "rmse": 0}, abs=1e-6)


def test_judged_with_settings_a_judge_for_one_and_a_reference():
    pictures = [_tensor(pixels) for pixels in (PHOTO.flip(2), PHOTO, PAINTING)]
    options = {"judge": "resnet18:random", "judges": {"cfsd": "vgg11:random"}, "size": 32}
    values = velatura.evaluate(
        *pictures,
        metrics=["sifid", "cfsd", "rmse"],
        settings={"cfsd.layers": ["relu1_1"]},
        reference=PHOTO.flip(2),
        **options,
    )
    assert values["rmse"] == 0
    alone = velatura.evaluate(*pictures, metrics=["sifid"], judge="resnet18:random", size=32)
    assert values["sifid"] == alone["sifid"]
    with pytest.raises(ConfigError, match="unknown metric 'cfds'; did you mean 'cfsd'"):
        velatura.evaluate(*pictures, metrics=["cfds"])


def test_judged_by_all_that_can_be_had():
    values = velatura.evaluate(_tensor(PHOTO), _tensor(PHOTO), _tensor(PAINTING))
    assert {"style-gram", "cfsd", "rmse", "edge-similarity"} <= set(values)


def test_a_network_is_trained_and_applied(tmp_path):
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        pixels = torch.rand(3, 30, 40, generator=torch.Generator().manual_seed(seed))
        velatura.save_image(pixels, tmp_path / "photos" / f"{seed}.png")
    painting = _as_path(PAINTING, tmp_path)
    settings = {
        "network.width": 2,
        "backbone.name": "vgg19-slim",
        "terms.style.layers": {"relu1_1": 1},
        "terms.content.layers": {"relu1_1": 1},
        "crop": 16,
        "batch": 2,
        "steps": 2,
    }
    reports = []
    trained = velatura.train(
        "johnson",
        tmp_path / "photos",
        painting,
        tmp_path / "run",
        settings=settings,
        on_report=reports.append,
        report_every=1,
        workers=0,
        threads=1,
    )
    assert [report.step for report in reports if not report.held_out] == [1, 2]
    assert not trained.interrupted
    assert velatura.apply(trained.path, _tensor(PHOTO)).picture.pixels.shape == (3, 30, 40)
    with pytest.raises(ConfigError, match=r"'worker'.*did you mean 'workers'"):
        velatura.train("johnson", tmp_path / "photos", [painting], tmp_path / "other", worker=2)


def test_the_public_namespace_is_exactly_what_is_listed():
    assert dir(velatura) == sorted(velatura.__all__)
    everything = {}
    exec("from velatura import *", everything)
    del everything["__builtins__"]
    assert set(everything) == set(velatura.__all__)
    assert set(velatura.__all__) == {
        "Cancelled",
        "ConfigError",
        "ImageError",
        "OutputError",
        "Picture",
        "Region",
        "VelaturaError",
        "WeightsError",
        "__version__",
        "analyse_survey",
        "apply",
        "backbones",
        "colors",
        "evaluate",
        "initializations",
        "load_image",
        "load_model",
        "losses",
        "make_survey",
        "metrics",
        "networks",
        "optimizers",
        "reconstruct",
        "report",
        "save_image",
        "stylize",
        "sweep",
        "texture",
        "train",
    }


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("backbones", "vgg19-slim"),
        ("colors", "luminance"),
        ("initializations", "grey"),
        ("losses", "gram"),
        ("metrics", "cfsd"),
        ("networks", "johnson"),
        ("optimizers", "adam"),
    ],
)
def test_the_registries_are_where_the_parts_are(kind, part):
    """The module each time: importing it sets the attribute, so that it could be nothing else for long."""
    for _ in range(2):
        module = getattr(velatura, kind)
        assert module is sys.modules[f"velatura.{kind}"]
        assert part in getattr(module, kind)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'velatura' has no attribute 'stylise'"):
        _ = velatura.stylise


def test_the_import_itself_needs_neither_torch_nor_numpy():
    program = (
        "import sys, velatura; dir(velatura); velatura.ConfigError; velatura.__version__; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "velatura" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "safetensors", "pydantic", "typer", "rich", "tqdm"}


def test_a_trained_network_by_name_and_loaded(models):
    content = _tensor(PHOTO)
    by_name = velatura.stylize(content, "mosaic", model="cin")
    model = velatura.load_model("cin")
    assert model.style_names == ("waves", "mosaic", "hatching")
    loaded = velatura.stylize(content, ["mosaic"], model=model)
    assert torch.equal(by_name.picture.pixels, loaded.picture.pixels)
    with pytest.raises(
        ConfigError, match=r"has styles of its own .*; name one of them in the place of Tensor"
    ):
        velatura.stylize(content, _tensor(PAINTING), model=model)
    with pytest.raises(ConfigError, match="the preset 'fast' needs a style picture"):
        velatura.stylize(content)


def test_apply_keeps_the_size_of_the_photograph(models):
    wide = torch.rand(3, 10, 1100)
    assert velatura.apply("johnson", wide).picture.width == 1100
    assert velatura.stylize(wide, model="johnson").picture.width == 1024
    one = velatura.apply("adain-slim", _tensor(PHOTO), _tensor(PAINTING), alpha=0.5, size=32)
    other = velatura.stylize(_tensor(PHOTO), _tensor(PAINTING), preset="instant", strength=0.5, size=32)
    assert torch.equal(one.picture.pixels, other.picture.pixels)


@pytest.mark.parametrize("kind", ["content", "style", "deepdream"])
def test_reconstructed_from_any_form_of_picture(kind):
    settings = {"steps": 1, "octaves": 1} if kind == "deepdream" else {"pyramid.steps": [2]}
    options = {"layer": "relu1_1", "settings": settings, "size": 32, "precision": "float32", "threads": 1}
    first, again = (
        velatura.reconstruct(kind, image, **options) for image in (_as_array(PHOTO), _tensor(PHOTO))
    )
    assert (first.picture.width, first.picture.height) == (32, 24)
    assert_close(first.picture.pixels, again.picture.pixels, rtol=0, atol=1e-4)
    random = velatura.reconstruct(kind, _tensor(PHOTO), weights="random", backbone="vgg19-slim", **options)
    assert not torch.equal(random.picture.pixels, first.picture.pixels)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("contnt", {}, "unknown reconstruction 'contnt'; did you mean 'content'"),
        ("deepdream", {"preset": "fast"}, "preset 'fast' optimises a picture"),
        ("content", {"settings": {"optimizer.lrr": 1}}, "did you mean 'lr'"),
    ],
)
def test_a_wrong_reconstruction_is_refused(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        velatura.reconstruct(kind, _tensor(PHOTO), layer="relu1_1", **options)
