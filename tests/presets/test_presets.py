"""Presets are data: that they build, that each value has a source, and the published numbers."""

import pytest

from velatura.core.errors import ConfigError
from velatura.engine.deepdream import DeepDream
from velatura.engine.method import Optimization
from velatura.engine.one_pass import OnePass
from velatura.engine.train import Training
from velatura.jobs.models import SHIPPED
from velatura.jobs.schema import build
from velatura.jobs.stylize import stylization
from velatura.presets import Preset, load_preset, preset_names

SIZES = {
    "guillaumin2017": 720,
    "guillaumin2017-notebook": 720,
    "guillaumin2017-reconstruction": 224,
    "reconstruction": 256,
    "saric2020-reconstruction": 256,
    "smooth-reconstruction": 256,
}


def test_the_presets_are_these():
    methods = (
        "bisht2023",
        "fast",
        "gatys2015-reconstruction",
        "gatys2016",
        "guillaumin2017",
        "guillaumin2017-notebook",
        "guillaumin2017-reconstruction",
        "li2018",
        "reconstruction",
        "refined",
        "saric2020",
        "saric2020-reconstruction",
        "smooth-reconstruction",
    )
    papers = ("dumoulin2017", "huang2017", "johnson2016", "ulyanov2016", "ulyanov2017")
    trainings = ("adain-slim", "cin-samples", *papers)
    assert preset_names("method") == methods
    assert preset_names("training") == trainings
    assert preset_names("network") == ("instant",)
    textures = ("gatys2015-texture", "texture")
    assert preset_names("dream") == ("mordvintsev2015",)
    assert preset_names("texture") == textures
    others = (*textures, "instant", "mordvintsev2015")
    assert preset_names() == tuple(sorted((*methods, *trainings, *others)))


@pytest.mark.parametrize("name", preset_names("method"))
def test_every_method_builds(name):
    preset = load_preset(name)
    method = build(Optimization, preset.method)
    assert {term.of for term in method.terms.values()} >= {"content", "style"}
    size = SIZES.get(name, 512)
    assert preset.size == size
    assert next(preset.rows())[:2] == ("size", size)


@pytest.mark.parametrize(("name", "size"), [("texture", 512), ("gatys2015-texture", 256)])
def test_every_texture_builds_without_a_photograph(name, size):
    preset = load_preset(name)
    method = build(Optimization, preset.texture)
    assert {term.of for term in method.terms.values()} <= {"style", "nothing"}
    assert preset.size == size


def test_refined_is_fast_from_another_start_at_one_scale():
    fast, refined = (load_preset(name).method for name in ("fast", "refined"))
    assert {key for key in fast if fast[key] != refined[key]} == {"initialization", "pyramid"}
    assert fast.keys() == refined.keys()


def test_the_texture_of_the_paper_has_its_layers_and_its_numbers():
    method = build(Optimization, load_preset("gatys2015-texture").texture)
    (style,) = method.terms.values()
    assert dict(style.layers) == dict.fromkeys(("relu1_1", "pool1", "pool2", "pool3", "pool4"), 1e9)
    assert (method.backbone.name, method.backbone.pooling) == ("vgg19", "average")
    assert (method.optimizer.name, method.optimizer.history) == ("lbfgs", 20)
    assert (method.pyramid.smallest, method.pyramid.steps) == (0, (2000,))
    with pytest.raises(
        ConfigError, match="makes a texture, without a photograph: use it with 'velatura texture"
    ):
        stylization("gatys2015-texture")


@pytest.mark.parametrize("name", preset_names("training"))
def test_every_training_builds(name):
    preset = load_preset(name)
    training = build(Training, preset.training)
    assert {term.of for term in training.terms.values()} & {"content", "transfer"}
    assert "style" in {term.of for term in training.terms.values()}
    assert preset.size is None


@pytest.mark.parametrize("name", preset_names("network"))
def test_every_network_builds(name):
    preset = load_preset(name)
    assert build(OnePass, preset.network).model in SHIPPED
    assert preset.size >= 512


def test_the_dream_builds_with_the_notebooks_numbers():
    dream = build(DeepDream, {**load_preset("mordvintsev2015").dream, "layer": "relu4_2"})
    assert dream == DeepDream(layer="relu4_2")
    assert (dream.steps, dream.step_size * 255) == (10, pytest.approx(1.5))
    with pytest.raises(ConfigError, match="dreams of a picture: use it with 'velatura reconstruct deepdream"):
        stylization("mordvintsev2015")


@pytest.mark.parametrize("name", preset_names("training"))
def test_a_training_is_no_method(name):
    with pytest.raises(ConfigError, match=f"trains a network: train it with 'velatura train {name} ...'"):
        stylization(name)


def test_a_method_is_no_training():
    with pytest.raises(ConfigError, match=r"^preset 'fast' optimises a picture: .* --preset fast'$"):
        _ = load_preset("fast").training


@pytest.mark.parametrize("name", preset_names())
def test_every_value_has_a_source(name):
    rows = list(load_preset(name).rows())
    assert [path for path, _, source in rows if not source.strip()] == []
    paths = [path for path, _, _ in rows]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("name", preset_names())
def test_every_source_is_of_some_value(name):
    preset = load_preset(name)
    paths = ["size", *(f"{preset.kind}.{path}" for path, _, _ in preset.rows())]
    for prefix in preset.sources:
        assert any(f"{path}.".startswith(f"{prefix}.") for path in paths), prefix


@pytest.mark.parametrize("name", preset_names())
def test_titles_are_one_line(name):
    preset = load_preset(name)
    assert preset.title
    assert preset.source
    assert "\n" not in preset.title + preset.source


def test_the_longest_prefix_names_the_source():
    preset = Preset(
        name="toy",
        title="",
        source="",
        size=1,
        kind="method",
        settings={"a": {"b": {"c": 1, "d": 2}, "bc": 3}},
        sources={"method": "all", "method.a.b": "b", "method.a.b.d": "d"},
    )
    assert list(preset.rows()) == [("size", 1, ""), ("a.b.c", 1, "b"), ("a.b.d", 2, "d"), ("a.bc", 3, "all")]


@pytest.mark.parametrize(
    ("name", "nearest"), [("fats", "fast"), ("gatys2015", "gatys2016"), ("bisht", "bisht2023")]
)
def test_an_unknown_preset_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(ConfigError, match=rf"^unknown preset '{name}'; did you mean '{nearest}'\? \(known: "):
        load_preset(name)


def test_a_preset_is_no_path():
    with pytest.raises(ConfigError, match="unknown preset"):
        load_preset("../presets/fast")


def values(name):
    return {path: value for path, value, _ in load_preset(name).rows()}


def weights(name, term):
    prefix = f"terms.{term}.layers."
    found = values(name)
    return {path.removeprefix(prefix): found[path] for path in found if path.startswith(prefix)}


def test_gatys_2016():
    found = values("gatys2016")
    assert found["backbone.name"] == "vgg19"
    assert found["backbone.pooling"] == "average"
    assert weights("gatys2016", "content") == {"relu4_2": 1}
    assert weights("gatys2016", "style") == {f"relu{block}_1": 1 / 5 for block in range(1, 6)}
    # L_content = 1/2 sum (F - P)^2; E_l = 1 / (4 N^2 M^2) sum (G - A)^2; alpha / beta = 1e-3
    assert (found["terms.content.loss.name"], found["terms.content.loss.reduction"]) == (
        "content",
        "half_sum",
    )
    assert (found["terms.style.loss.name"], found["terms.style.loss.reduction"]) == ("gram", "gatys")
    assert found["terms.content.weight"] / found["terms.style.weight"] == 1e-3
    assert found["initialization.name"] == "uniform"
    assert (found["optimizer.name"], found["optimizer.lr"], found["pyramid.steps"]) == ("lbfgs", 1, [500])
    assert found["pyramid.smallest"] == 0


def test_bisht_2023():
    found = values("bisht2023")
    assert found["backbone.name"] == "resnet18"
    assert weights("bisht2023", "content") == {"layer1": 1}
    assert weights("bisht2023", "style") == dict.fromkeys(("conv1", "layer1", "layer2", "layer3"), 1)
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1e6)
    assert found["terms.style.loss.name"] == "gram"
    assert found["initialization.name"] == "content"
    assert (found["optimizer.name"], found["pyramid.steps"]) == ("lbfgs", [1000])


def test_saric_2020():
    found = values("saric2020")
    assert found["backbone.name"] == "resnet50"
    assert weights("saric2020", "content") == {"layer3": 1}
    assert weights("saric2020", "style") == {"layer1": 1e5, "layer2": 1e4, "layer3": 1e3, "layer4": 1e2}
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1)
    # eq. 2.1: G = F F^T / n over n positions
    assert (found["terms.style.loss.name"], found["terms.style.loss.scale"]) == ("gram", "hw")
    assert found["initialization.name"] == "gaussian"
    assert (found["optimizer.name"], found["pyramid.steps"]) == ("lbfgs", [500])


def test_li_2018():
    found = values("li2018")
    assert (found["backbone.name"], found["backbone.pooling"]) == ("vgg19", "average")
    assert weights("li2018", "content") == {"conv4_2": 1}
    assert weights("li2018", "style") == dict.fromkeys(("conv1_1", "conv1_2", "conv2_1", "conv2_2"), 1)
    # C_W = 1, S_W = 1000; G = F F^T / (a b c d)
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1000)
    assert (found["terms.style.loss.name"], found["terms.style.loss.scale"]) == ("gram", "chw")
    # 15 outer steps of at most 20 iterations
    assert (found["optimizer.name"], found["pyramid.steps"]) == ("lbfgs", [15 * 20])


@pytest.mark.parametrize(
    ("name", "steps", "start"),
    [
        ("guillaumin2017", 1000, {"initialization.name": "uniform"}),
        ("guillaumin2017-notebook", 300, {"initialization.name": "content", "initialization.noise": 0.7}),
    ],
)
def test_guillaumin_2017(name, steps, start):
    found = values(name)
    assert (found["backbone.name"], found["backbone.weights"]) == ("vgg16", "vgg16-caffe")
    assert weights(name, "style") == dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1)
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (5, 25)
    assert (found["terms.content.loss.reduction"], found["terms.style.loss.reduction"]) == ("mean", "mean")
    assert found["optimizer.name"] == "adam"
    assert found["optimizer.lr"] == pytest.approx(2.0 / 255, rel=1e-12)
    assert found["pyramid.steps"] == [steps]
    assert start.items() <= found.items()


@pytest.mark.parametrize(
    ("name", "backbone", "optimizer", "lr", "steps", "start"),
    [
        ("saric2020-reconstruction", "resnet50", "adam", 0.05, 5000, "gaussian"),
        ("guillaumin2017-reconstruction", "vgg16", "adam", 2.0 / 255, 1000, "uniform"),
        ("gatys2015-reconstruction", "vgg19", "lbfgs", 1, 500, "uniform"),
    ],
)
def test_reconstructions_of_the_papers(name, backbone, optimizer, lr, steps, start):
    found = values(name)
    assert found["backbone.name"] == backbone
    assert (found["optimizer.name"], found["pyramid.steps"]) == (optimizer, [steps])
    assert found["optimizer.lr"] == pytest.approx(lr, rel=1e-12)
    assert found["initialization.name"] == start
    assert found["pyramid.smallest"] == 0


@pytest.mark.parametrize("name", ["fast", "reconstruction"])
def test_the_default_needs_no_download(name):
    assert values(name).get("backbone.name", "vgg19-slim") == "vgg19-slim"
    assert "backbone.weights" not in values(name)


def test_johnson_2016():
    found = values("johnson2016")
    assert found["network.name"] == "johnson"
    assert (found["backbone.name"], found["backbone.weights"]) == ("vgg16", "vgg16-caffe")
    assert weights("johnson2016", "style") == dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1)
    assert weights("johnson2016", "content") == {"relu3_3": 1}
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 5)
    # 1e-6 on squared differences of pixels in [0, 255]
    assert found["terms.smoothness.weight"] == pytest.approx(1e-6 * 255**2, rel=1e-3)
    assert (found["steps"], found["batch"], found["crop"], found["lr"]) == (40_000, 4, 256, 1e-3)
    assert found["terms.style.loss.scale"] == "chw"


def test_ulyanov_2016():
    found = values("ulyanov2016")
    assert (found["network.name"], found["network.task"]) == ("texture-net", "stylization")
    assert weights("ulyanov2016", "style") == {f"relu{block}_1": 1 for block in range(1, 6)}
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (0.6, 1e3)
    assert found["normalize_gradients"] is True
    schedule = (
        found["schedule.name"],
        found["schedule.by"],
        found["schedule.after"],
        found["schedule.every"],
    )
    assert schedule == ("steps", 0.7, 1000, 200)
    assert (found["steps"], found["lr"], found["batch"]) == (2000, 0.1, 4)


def test_ulyanov_2017():
    found = values("ulyanov2017")
    assert (found["network.name"], found["network.norm"]) == ("johnson", "instance")
    assert weights("ulyanov2017", "style") == {f"relu{block}_1": 1 for block in range(1, 5)}
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1)
    assert (found["schedule.by"], found["schedule.every"]) == (0.8, 2000)
    assert (found["steps"], found["lr"], found["batch"]) == (50_000, 1e-3, 1)


def test_dumoulin_2017():
    found = values("dumoulin2017")
    assert (found["network.name"], found["backbone.name"]) == ("cin", "vgg16")
    assert found["backbone.pooling"] == "average"
    assert weights("dumoulin2017", "content") == {"relu3_3": 1}
    assert weights("dumoulin2017", "style") == dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1)
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1e-4)
    assert found["terms.style.loss.scale"] == "hw"
    assert (found["steps"], found["batch"], found["crop"], found["lr"]) == (40_000, 16, 256, 1e-3)


def test_huang_2017():
    found = values("huang2017")
    assert (found["network.name"], found["network.layer"]) == ("adain", "relu4_1")
    assert found["terms.content.of"] == "transfer"
    assert weights("huang2017", "style") == {f"relu{block}_1": 1 for block in range(1, 5)}
    assert (found["terms.content.weight"], found["terms.style.weight"]) == (1, 1e-2)
    assert (found["terms.style.loss.name"], found["terms.style.loss.reduction"]) == ("mean_std", "sum")
    assert (found["schedule.name"], found["schedule.decay"]) == ("inverse", 5e-5)
    assert (found["short_edge"], found["crop"]) == (512, 256)
    assert (found["steps"], found["batch"], found["lr"]) == (160_000, 8, 1e-4)
    assert found["backbone.weights"] == found["network.backbone.weights"]
