"""Judging in memory: which network is asked for what, at which size, and how often."""

import math

import pytest
import torch

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.config import to_mapping
from velatura.core.errors import ConfigError, WeightsError
from velatura.imaging import Picture
from velatura.jobs import judging
from velatura.jobs.judging import Evaluation, Evaluator, Networks, evaluation, network_named, without_absent
from velatura.jobs.schema import build
from velatura.metrics import metrics

RANDOM = BackboneConfig(name="vgg11", weights="random")
RESNET = BackboneConfig(name="resnet18", weights="random")
FEATURES = ("style-gram", "cfsd", "sifid")


def _picture(seed, size=(48, 64), name=""):
    return Picture(torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)), name=name)


OUTPUT, CONTENT, STYLE = _picture(1), _picture(2), _picture(3, (60, 50))


class Watched:
    """A network that remembers what it was shown."""

    def __init__(self, config):
        self.network, self.calls = build_backbone(config), []
        self.layers, self.missing = self.network.layers, self.network.missing
        self.check_layers = self.network.check_layers

    def __call__(self, image, layers):
        self.calls.append((tuple(image.shape[2:]), frozenset(layers)))
        return self.network(image, layers)


@pytest.fixture
def watched():
    networks = Networks()
    networks[RANDOM], networks[RESNET] = Watched(RANDOM), Watched(RESNET)
    return networks


def test_one_pass_through_a_network_serves_every_metric_of_a_size(watched):
    how = evaluation(["style-gram", "style-moments", "sifid", "cfsd", "rmse"], judge=RANDOM, size=32)
    values = Evaluator(how, watched)(OUTPUT, CONTENT, STYLE)
    assert list(values) == ["style-gram", "style-moments", "sifid", "cfsd", "rmse"]
    calls = watched[RANDOM].calls
    style_and_sifid = frozenset(["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"])
    # cfsd has a size of its own, which is none of the evaluation's where it is larger.
    assert [layers for _, layers in calls] == [style_and_sifid | {"relu3_1"}] * 3
    # The output and the photograph at the output's aspect, the painting at its own.
    assert [size for size, _ in calls] == [(24, 32), (24, 32), (32, 27)]


def test_photograph_and_painting_that_come_again_are_not_looked_at_again(watched):
    judge = Evaluator(evaluation(["style-gram"], judge=RANDOM, size=32), watched)
    judge(OUTPUT, CONTENT, STYLE)
    judge(_picture(5), CONTENT, STYLE)
    assert len(watched[RANDOM].calls) == 4
    judge(_picture(6), _picture(7), STYLE)
    assert len(watched[RANDOM].calls) == 6


def test_what_is_kept_changes_no_value():
    judge = Evaluator(evaluation(FEATURES, judge=RANDOM, size=32))
    outputs = [_picture(seed, size) for seed, size in ((5, (48, 64)), (6, (24, 32)), (5, (48, 64)))]
    values = [judge(output, CONTENT, STYLE) for output in outputs]
    assert values[0] == values[2] == Evaluator(judge.how)(outputs[0], CONTENT, STYLE)
    assert values[1] == Evaluator(judge.how)(outputs[1], CONTENT, STYLE)


def test_two_networks_judge_in_one_run(watched):
    how = evaluation(["style-gram", "cfsd"], judge=RESNET, judges={"cfsd": RANDOM}, size=64)
    values = Evaluator(how, watched)(OUTPUT, CONTENT, STYLE)
    assert {layers for _, layers in watched[RANDOM].calls} == {frozenset(["relu3_1"])}
    assert {layers for _, layers in watched[RESNET].calls} == {
        frozenset(["conv1", "layer1", "layer2", "layer3"])
    }
    alone = {
        **Evaluator(evaluation(["style-gram"], judge=RESNET, size=64))(OUTPUT, CONTENT, STYLE),
        **Evaluator(evaluation(["cfsd"], judge=RANDOM, size=64))(OUTPUT, CONTENT, STYLE),
    }
    assert values == alone


def test_features_are_compared_at_a_size_of_their_own(watched):
    how = evaluation(["style-gram", "cfsd"], judge=RANDOM, size=64, changes={"cfsd.size": 40})
    Evaluator(how, watched)(OUTPUT, CONTENT, STYLE)
    sizes = {size for size, layers in watched[RANDOM].calls if layers == {"relu3_1"}}
    assert sizes == {(30, 40), (40, 33)}


def test_a_small_output_is_not_enlarged(watched):
    Evaluator(evaluation(["cfsd"], judge=RANDOM), watched)(_picture(1, (36, 48)), CONTENT, STYLE)
    assert {size for size, _ in watched[RANDOM].calls} == {(36, 48), (48, 40)}


def test_the_photograph_is_brought_to_the_output():
    small = Picture(CONTENT.pixels[:, ::2, ::2].contiguous())
    values = Evaluator(evaluation(["rmse", "edge-similarity"]))(small, CONTENT, STYLE)
    assert 0 < values["rmse"] < 0.5
    flat = Picture(torch.full((3, 48, 64), 0.5))
    assert Evaluator(evaluation(["rmse"]))(Picture(torch.full((3, 24, 32), 0.25)), flat, STYLE) == {
        "rmse": pytest.approx(0.25)
    }


def test_what_the_untouched_photograph_and_the_painting_score():
    judge = Evaluator(evaluation(["style-gram", "cfsd", "rmse", "sifid", "high-frequency"], judge=RANDOM))
    photo = judge(CONTENT, CONTENT, STYLE)
    assert photo["style-gram"] == pytest.approx(1)
    assert photo["cfsd"] == pytest.approx(0, abs=1e-6)
    assert photo["rmse"] == 0
    painted = judge(Picture(STYLE.pixels.clone()), STYLE, STYLE)
    assert math.isnan(painted["style-gram"])
    assert painted["sifid"] == pytest.approx(0, abs=1e-4)
    assert painted["high-frequency"] == pytest.approx(1)


def test_a_reference_stands_in_for_the_photograph_of_pixels_alone():
    judge = Evaluator(evaluation(["rmse", "edge-similarity"]))
    plain, beside = judge(OUTPUT, CONTENT, STYLE), judge(OUTPUT, CONTENT, STYLE, reference=OUTPUT)
    assert beside["rmse"] == 0 < plain["rmse"]
    assert beside["edge-similarity"] == plain["edge-similarity"]
    with pytest.raises(ConfigError, match="none of these metrics compares with a reference; leave it out"):
        Evaluator(evaluation(["edge-similarity"]))(OUTPUT, CONTENT, STYLE, reference=OUTPUT)


def test_transparent_parts_of_a_painting_are_white():
    alpha = torch.zeros(1, *STYLE.pixels.shape[1:])
    clear, white = Picture(STYLE.pixels, alpha=alpha), Picture(torch.ones_like(STYLE.pixels))
    judge = Evaluator(evaluation(["color-histogram"]))
    assert judge(OUTPUT, CONTENT, clear) == judge(OUTPUT, CONTENT, white) != judge(OUTPUT, CONTENT, STYLE)


@pytest.mark.parametrize("what", ["photograph", "reference"])
def test_other_proportions_are_refused(what):
    square = _picture(4, (48, 48))
    pictures = {"content": square} if what == "photograph" else {"content": CONTENT, "reference": square}
    with pytest.raises(ConfigError, match=f"the output is 64x48 and the {what} 48x48"):
        Evaluator(evaluation(["rmse"]))(OUTPUT, pictures.pop("content"), STYLE, **pictures)


def test_an_evaluation_survives_its_mapping():
    how = evaluation(
        FEATURES, judge=RESNET, judges={"cfsd": RANDOM}, changes={"sifid.layers": ["conv1"]}, size=99
    )
    assert build(Evaluation, to_mapping(how)) == how


def test_without_names_every_metric_is_meant():
    assert set(evaluation().metrics) == set(metrics)
    assert all(
        (judged.judge is None) == (not hasattr(judged.metric, "layers"))
        for judged in evaluation().metrics.values()
    )


def test_what_cannot_be_had_is_left_out_and_named(monkeypatch):
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    how = evaluation(["ssim", "rmse", "cfsd", "sifid"], judge=RANDOM, changes={"sifid.layers": ["relu9_9"]})
    kept, notes = without_absent(how, Networks())
    assert list(kept.metrics) == ["rmse", "cfsd"]
    assert len(notes) == 2
    assert notes[0] == "left out ssim: metric 'ssim' needs torchmetrics: pip install 'velatura[eval]'"
    assert notes[1].startswith("left out sifid: metric 'sifid': unknown layer 'relu9_9'")
    with pytest.raises(ConfigError, match="no metric can be had: left out ssim"):
        without_absent(evaluation(["ssim"]), Networks())


def test_a_missing_package_is_named_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"metric 'psnr' needs torchmetrics: pip install 'velatura\[eval\]'"
    ):
        Evaluator(evaluation(["psnr"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["cfds"]}, "unknown metric 'cfds'; did you mean 'cfsd'"),
        ({"names": ["rmse"], "judge": RANDOM}, "rmse: no network is asked for these metrics; leave it out"),
        ({"names": ["rmse"], "judges": {"rmse": RANDOM}}, "'rmse' compares pixels and asks no network"),
        ({"names": ["rmse"], "judges": {"cfsd": RANDOM}}, "unknown metric of this evaluation 'cfsd'"),
        (
            {"names": ["cfsd"], "judge": BackboneConfig(name="vgg91")},
            "unknown backbone 'vgg91'; did you mean",
        ),
        ({"names": ["cfsd"], "judges": {"cfsd": BackboneConfig(name="vgg91")}}, "unknown backbone 'vgg91'"),
        ({"names": ["cfsd"], "changes": {"cfsd.sise": 3}}, "unknown setting 'sise'; did you mean 'size'"),
        ({"names": ["cfsd"], "changes": {"cfsd.size": 0}}, "size: .*greater than or equal to 1"),
        ({"names": ["cfsd"], "changes": {"cfsd": 0}}, "expected METRIC.SETTING=VALUE"),
        ({"names": ["cfsd"], "changes": {"cfsd.name": "sifid"}}, "expected METRIC.SETTING=VALUE"),
        ({"names": ["cfsd"], "changes": {"sifid.size": 9}}, "unknown metric of this evaluation 'sifid'"),
        ({"names": ["cfsd"], "size": 0}, "size: .*greater than or equal to 1"),
        ({"names": []}, "no metric is named; name one of cfsd, "),
    ],
)
def test_a_wrong_request_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        evaluation(**options)


def test_a_network_by_name_and_file():
    assert network_named("vgg19") == BackboneConfig(name="vgg19")
    assert network_named("vgg19:C:/w.safetensors") == BackboneConfig(name="vgg19", weights="C:/w.safetensors")


@pytest.mark.data
def test_real_weights_judge_by_path_and_a_layer_that_they_lack_is_named(data_dir):
    weights = data_dir / "weights"
    resnet = network_named(f"resnet18:{weights / 'resnet18_bnfolded_to_layer3.safetensors'}")
    vgg = network_named(f"vgg19:{weights / 'vgg19_caffe_to_relu3_4.safetensors'}")
    judge = Evaluator(evaluation(["style-gram", "cfsd"], judge=resnet, judges={"cfsd": vgg}))
    values = judge(OUTPUT, CONTENT, STYLE)
    assert 0 < values["style-gram"] < 3
    assert 0 < values["cfsd"] < 5
    with pytest.raises(
        WeightsError,
        match=r"metric 'style-gram': layer 'relu4_1' is not in vgg19_caffe_to_relu3_4\.safetensors",
    ):
        Evaluator(evaluation(["style-gram"], judge=vgg))
