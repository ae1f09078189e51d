import json

import pytest
import torch
from PIL import Image

from velatura.backbones import BackboneConfig, build_backbone
from velatura.core.config import to_mapping
from velatura.core.errors import Cancelled, ConfigError, WeightsError
from velatura.imaging import Picture, read_picture
from velatura.jobs.dream import DreamJob, dream_picture, dreaming
from velatura.jobs.reconstruct import ReconstructJob, at_layer, reconstruct_picture, reconstruction
from velatura.jobs.saving import Saving
from velatura.jobs.schema import build
from velatura.jobs.stylize import stylization
from velatura.runners import run


def how(kind="content", layer="relu2_1", *, steps=20, changes=None, **settings):
    return reconstruction(
        kind,
        layer,
        changes={"pyramid.steps": [steps], **(changes or {})},
        **{"size": 32, "precision": "float32", "device": "cpu", "threads": 1, **settings},
    )


@pytest.fixture
def image(photo):
    return read_picture(photo)


def features(pixels, layer="relu2_1"):
    backbone = build_backbone(BackboneConfig())
    return backbone(pixels[None], [layer])[layer]


def test_the_objective_is_one_term_of_the_kind_at_the_layer_and_no_other():
    content, style = how("content").method.terms, how("style", "relu1_1 + relu3_1").method.terms
    assert {name: (term.of, dict(term.layers)) for name, term in content.items()} == {
        "content": ("content", {"relu2_1": 1.0})
    }
    assert {name: (term.of, dict(term.layers)) for name, term in style.items()} == {
        "style": ("style", {"relu1_1": 0.5, "relu3_1": 0.5})
    }


def test_the_features_of_a_content_reconstruction_are_those_of_the_picture(image):
    result = reconstruct_picture(image, how(steps=40))
    original = torch.nn.functional.interpolate(
        image.pixels[None], (24, 32), mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 1)[0]
    wanted, got = features(original), features(result.picture.pixels)
    assert float((got - wanted).square().sum() / wanted.square().sum()) < 0.05
    assert result.history[-1]["loss"] < 0.1 * result.history[0]["loss"]
    assert list(result.history[0]["terms"]) == ["content"]
    # It came from noise: what the layer does not see is still there.
    assert not torch.allclose(result.picture.pixels, original, atol=0.05)


def test_a_style_reconstruction_has_the_statistics_and_not_the_places(image):
    result = reconstruct_picture(image, how("style", "relu1_1", steps=40))
    assert result.history[-1]["loss"] < 0.01 * result.history[0]["loss"]
    # The picture is a red ramp to the right: its reconstruction is none.
    columns = result.picture.pixels[0].mean(dim=0)
    ramp = torch.linspace(-1, 1, columns.numel())
    own = image.pixels[0].mean(dim=0)
    assert float(torch.corrcoef(torch.stack([columns, ramp]))[0, 1]) < 0.7
    assert float(torch.corrcoef(torch.stack([own, torch.linspace(-1, 1, own.numel())]))[0, 1]) > 0.95


def test_the_seed_decides_the_noise(image):
    first, again, other = (reconstruct_picture(image, how(steps=2, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first.picture.pixels, again.picture.pixels)
    assert not torch.equal(first.picture.pixels, other.picture.pixels)


def test_random_weights_reconstruct_too(image):
    result = reconstruct_picture(image, how(layer="relu1_1", changes={"backbone.weights": "random"}))
    assert result.history[-1]["loss"] < 0.1 * result.history[0]["loss"]
    assert result.record["weights"]["source"] == "random weights"


def test_the_alpha_of_the_picture_does_not_return(image):
    clear = Picture(image.pixels, alpha=torch.zeros(1, image.height, image.width))
    assert reconstruct_picture(clear, how(steps=1)).picture.alpha is None


@pytest.mark.parametrize("preset", ["gatys2015-reconstruction", "fast"])
def test_any_preset_with_a_term_of_the_kind_will_do(image, preset):
    changes = {"backbone.name": "vgg19-slim", "initialization.name": "uniform"}
    result = reconstruct_picture(image, how("style", "relu1_1", preset=preset, changes=changes, steps=3))
    assert {entry["step"] for entry in result.history} == {1, 2, 3}


def test_terms_of_nothing_stay():
    changes = {
        "terms.smooth": {"loss": "total_variation", "of": "nothing", "layers": {"image": 1}, "weight": 2}
    }
    assert set(how(changes=changes).method.terms) == {"content", "smooth"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "relu2_1+"}, "expected a layer, or different ones with \\+ between them"),
        ({"layer": "relu2_1+relu2_1"}, "expected a layer, or different ones"),
        ({"changes": {"initialization.name": "content"}}, "'content' is the picture itself, .* gaussian"),
        ({"preset": "fast"}, "'recolored' is the picture itself"),
        ({"preset": "reconstructon"}, "did you mean 'reconstruction'"),
        ({"changes": {"terms.content.weight": 0}}, "preset 'reconstruction' has no term of the content"),
        ({"changes": {"backbone.name": "vgg91"}}, "unknown backbone 'vgg91'"),
    ],
)
def test_a_wrong_request_is_refused_before_any_picture_is_read(options, message):
    with pytest.raises(ConfigError, match=message):
        how(**options)


def test_layers_that_are_not_there_and_pictures_that_are_too_small(image, data_dir):
    with pytest.raises(ConfigError, match=r"unknown layer 'relu2_9'; did you mean 'relu2_2'"):
        reconstruct_picture(image, how(layer="relu2_9"))
    with pytest.raises(ConfigError, match=r"a canvas of 5x4 pixels is too small: .* needs"):
        reconstruct_picture(image, how(layer="relu5_1", size=5))
    truncated = str(data_dir / "weights" / "resnet18_bnfolded_to_layer3.safetensors")
    changes = {"backbone.name": "resnet18", "backbone.weights": truncated}
    with pytest.raises(WeightsError, match=r"layer 'layer4' is not in resnet18_bnfolded"):
        reconstruct_picture(image, how(layer="layer4", changes=changes))


def test_cancelled_before_the_first_step(image):
    with pytest.raises(Cancelled):
        reconstruct_picture(image, how(), cancelled=lambda: True)


def test_a_job_writes_picture_record_losses_and_plot_and_comes_back_from_json(photo, tmp_path):
    saving = Saving(
        record=str(tmp_path / "record.json"),
        history=str(tmp_path / "losses.csv"),
        plot=str(tmp_path / "losses.png"),
    )
    job = ReconstructJob(
        image=str(photo), output=str(tmp_path / "out.png"), stylization=how(steps=3), saving=saving
    )
    result = run(build(ReconstructJob, json.loads(json.dumps(to_mapping(job)))))
    assert read_picture(tmp_path / "out.png").width == 32
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    assert lines[0] == "scale,step,height,width,loss,content"
    assert [float(line.split(",")[4]) for line in lines[1:]] == [entry["loss"] for entry in result.history]
    assert json.loads((tmp_path / "record.json").read_text())["job"] == to_mapping(job)
    with Image.open(tmp_path / "losses.png") as plot:
        assert plot.width > 400


def test_a_reconstruction_goes_on_from_its_checkpoint(photo, tmp_path, image):
    whole = reconstruct_picture(image, how(steps=6))
    asked = []
    saving = Saving(checkpoint=str(tmp_path / "run.safetensors"))
    job = ReconstructJob(
        image=str(photo), output=str(tmp_path / "out.png"), stylization=how(steps=6), saving=saving
    )
    cut = run(job, cancelled=lambda: asked.append(None) or len(asked) > 4)
    assert cut.interrupted
    assert (tmp_path / "out.png").exists()
    on = Saving(resume=str(tmp_path / "run.safetensors"))
    rest = run(ReconstructJob(image=job.image, output=job.output, stylization=job.stylization, saving=on))
    assert torch.equal(rest.picture.pixels, whole.picture.pixels)


def test_at_another_layer_everything_else_stays():
    one = how("style", "relu1_1")
    other = at_layer(one, "relu3_1")
    assert at_layer(other, "relu1_1") == one
    assert isinstance(one, type(stylization()))


def test_a_dream_of_a_picture(photo, image, tmp_path):
    dream = dreaming(
        "relu3_1", changes={"octaves": 2, "steps": 4, "jitter": 2}, size=40, precision="float32", threads=1
    )
    result = dream_picture(image, dream)
    assert (result.picture.width, result.picture.height) == (40, 30)
    assert result.history[3]["loss"] > result.history[0]["loss"]
    assert result.record["dreaming"]["dream"]["layer"] == "relu3_1"
    job = DreamJob(
        image=str(photo),
        output=str(tmp_path / "out.png"),
        dreaming=dream,
        saving=Saving(plot=str(tmp_path / "plot.png"), history=str(tmp_path / "losses.json")),
    )
    again = run(build(DreamJob, json.loads(json.dumps(to_mapping(job)))))
    assert torch.equal(again.picture.pixels, result.picture.pixels)
    assert len(json.loads((tmp_path / "losses.json").read_text())) == 8


def test_a_dream_has_no_checkpoints(tmp_path):
    with pytest.raises(ConfigError, match="checkpoint is of an optimisation"):
        DreamJob(image="a", output="b", dreaming=dreaming("relu1_1"), saving=Saving(checkpoint="c"))
