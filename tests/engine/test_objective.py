"""The objective: named terms, weighted as written, of one pass through the backbone."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import Backbone, LayerShape, Preprocessing
from velatura.core.errors import ConfigError, VelaturaError
from velatura.engine.objective import Objective, Term
from velatura.losses import losses
from velatura.losses.content import Content
from velatura.losses.gram import Gram
from velatura.losses.moments import Moments
from velatura.losses.total_variation import TotalVariation
from velatura.losses.wasserstein import Wasserstein


class PixelBackbone(Backbone):
    """``double`` is twice the picture, ``sum`` the sum of its channels: all can be done by hand."""

    shapes: ClassVar = {
        "double": LayerShape(channels=3, stride=1, receptive_field=1, smallest_input=1),
        "sum": LayerShape(channels=1, stride=1, receptive_field=1, smallest_input=1),
    }

    def __init__(self):
        super().__init__(preprocessing=Preprocessing(torch.eye(3), torch.zeros(3)), source="a test")
        self.passes = 0

    def _maps(self, inputs, wanted):
        self.passes += 1
        yield "double", 2 * inputs
        yield "sum", 2 * inputs.sum(1, keepdim=True)


PHOTO = torch.zeros(1, 3, 1, 2)
PAINTING = torch.full((1, 3, 1, 1), 0.5)  # its sum is 3
CANVAS = torch.tensor([[0.5, 0.0], [0.0, 0.0], [0.0, 0.25]]).reshape(1, 3, 1, 2)


def _content(**settings):
    return Term(loss=Content(reduction="sum"), of="content", **settings)


def _gram(**settings):
    return Term(loss=Gram(scale="none", reduction="sum"), of="style", **settings)


def _variation(**settings):
    return Term(loss=TotalVariation(form="l2", reduction="sum"), of="nothing", **settings)


def _aimed(terms, *, backbone=None, styles=(PAINTING,), blend=(1.0,)):
    objective = Objective(backbone or PixelBackbone(), terms)
    objective.aim(PHOTO, styles, blend)
    return objective


def test_terms_are_named_and_weighted_as_written():
    objective = _aimed(
        {
            "where": _content(weight=2.0, layers={"double": 0.5, "sum": 3.0}),
            "how": _gram(weight=0.1, layers={"sum": 2.0}),
            "smooth": _variation(weight=4.0, layers={"image": 1.0}),
        }
    )
    found = objective(CANVAS)
    # where: 2 (0.5 (1 + 0.25) + 3 (1 + 0.25)); how: 0.1 * 2 ((1 + 0.25) - 9)^2; smooth: 4 (0.25 + 0.0625)
    expected = {"where": 8.75, "how": 12.0125, "smooth": 1.25}
    assert {name: pytest.approx(float(value)) for name, value in found.items()} == expected
    assert list(found) == list(expected)


def test_one_pass_serves_every_term():
    backbone = PixelBackbone()
    objective = _aimed(
        {"a": _content(layers={"double": 1, "sum": 1}), "b": _gram(layers={"double": 1, "sum": 1})},
        backbone=backbone,
    )
    backbone.passes = 0
    objective(CANVAS)
    assert backbone.passes == 1


def test_what_has_no_weight_is_left_out():
    backbone = PixelBackbone()
    objective = _aimed(
        {
            "where": _content(layers={"double": 1.0, "sum": 0.0}),
            "how": _gram(weight=0.0, layers={"unheard_of": 1.0}),
        },
        backbone=backbone,
    )
    assert objective.layers == ("double",)
    assert set(objective(CANVAS)) == {"where"}
    assert objective.targets.keys() == {"where"}
    assert objective.targets["where"].keys() == {"double"}


def test_the_image_alone_needs_no_backbone():
    backbone = PixelBackbone()
    objective = _aimed({"smooth": _variation(layers={"image": 1.0})}, backbone=backbone)
    assert float(objective(CANVAS)["smooth"]) == 0.3125
    assert backbone.passes == 0


@pytest.mark.parametrize("loss", [Gram(scale="hw"), Moments()], ids=["gram", "moments"])
def test_a_blend_is_the_statistics_of_the_mixture(loss):
    """Three columns of one painting beside seven of another are a painting blended 0.3 to 0.7."""
    one, other = torch.rand(1, 3, 4, 3), torch.rand(1, 3, 4, 7)
    terms = {"style": Term(loss=loss, of="style", layers={"double": 1.0, "sum": 0.5})}
    blended = _aimed(terms, styles=[one, other], blend=[0.3, 0.7])
    mixture = _aimed(terms, styles=[torch.cat([one, other], dim=3)])
    canvas = torch.rand(1, 3, 5, 5)
    assert_close(blended(canvas), mixture(canvas))
    assert float(blended(canvas)["style"]) != pytest.approx(
        float(_aimed(terms, styles=[one])(canvas)["style"])
    )


@pytest.mark.parametrize("name", losses)
def test_every_loss_reaches_the_canvas(name, backbone):
    """A Gram matrix cut off from the graph leaves the canvas as it is: the classic mistake."""
    batch = 2 if losses[name].compares_batch else 1
    of = "nothing" if name == "total_variation" or batch == 2 else "style"
    of = "content" if name in ("content", "self_similarity", "edges", "laplacian") else of
    layer = "image" if name in ("total_variation", "edges", "laplacian") else "relu2_1"
    objective = Objective(backbone, {name: Term(loss=losses[name](), of=of, layers={layer: 1.0})})
    objective.aim(torch.rand(batch, 3, 32, 24), [torch.rand(1, 3, 16, 16)], [1.0])
    canvas = torch.rand(batch, 3, 32, 24, requires_grad=True)
    objective(canvas)[name].backward()
    assert canvas.grad.isfinite().all()
    assert (canvas.grad.abs().amax(dim=(0, 1)) > 0).float().mean() > 0.9


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_is_that_of_the_terms_one_by_one(backbone, memory_format):
    """Losses look at the features on their way up; here each gets features of a pass of its own."""
    layers = ("relu1_1", "relu1_2", "pool1", "relu2_1")
    terms = {
        "style": Term(loss=Wasserstein(), of="style", weight=0.7, layers=dict.fromkeys(layers, 2.0)),
        "where": Term(loss=Content(), of="content", layers={"conv2_1": 1.0, "relu1_2": 3.0}),
        "more": Term(loss=Moments(), of="style", layers={"relu1_2": 0.5, "image": 0.1}),
    }
    generator = torch.Generator().manual_seed(0)
    photo, painting, canvas = torch.rand((3, 1, 3, 32, 24), generator=generator)
    objective = Objective(backbone, terms)
    objective.aim(photo, [painting], [1.0])
    canvas = canvas.contiguous(memory_format=memory_format).requires_grad_()
    together = objective(canvas)
    (ours,) = torch.autograd.grad(sum(together.values()), canvas)
    theirs = torch.zeros_like(canvas)
    for name, term in terms.items():
        total = 0.0
        for layer, weight in term.layers.items():
            features = canvas if layer == "image" else backbone(canvas, [layer])[layer]
            value = term.weight * weight * term.loss.forward(features, objective.targets[name][layer]).sum()
            theirs += torch.autograd.grad(value, canvas)[0]
            total += value.item()
        assert together[name].item() == pytest.approx(total, rel=1e-5)
    assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@dataclass(frozen=True, kw_only=True)
class Detached(Gram):
    name = "detached"

    def forward(self, features, target, mask=None):
        return super().forward(features.data, target, mask)


def test_a_loss_cut_off_from_the_canvas_is_refused():
    terms = {
        "where": _content(layers={"double": 1}),
        "how": Term(loss=Detached(), of="style", layers={"sum": 1}),
    }
    objective = _aimed(terms)
    with pytest.raises(VelaturaError, match=r"term 'how' has no gradient: its loss 'detached' detaches"):
        objective(CANVAS.clone().requires_grad_())
    with torch.no_grad():
        assert objective(CANVAS)["how"] > 0


def test_targets_carry_no_graph():
    objective = Objective(PixelBackbone(), {"where": _content(layers={"double": 1})})
    objective.aim(PHOTO.clone().requires_grad_(), [], [])
    assert not objective.targets["where"]["double"]["features"].requires_grad


def test_no_layer_above_the_deepest_one_used_is_computed(backbone):
    computed = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: computed.append(name))
        for name, module in zip(backbone.names, backbone.features, strict=True)
    ]
    objective = Objective(
        backbone, {"style": Term(loss=Gram(), of="style", layers={"relu2_1": 1, "relu1_1": 1})}
    )
    objective.aim(torch.rand(1, 3, 16, 16), [torch.rand(1, 3, 16, 16)], [1.0])
    objective(torch.rand(1, 3, 16, 16))
    for hook in hooks:
        hook.remove()
    # Rectifications are no modules' calls.
    assert set(computed) == {"conv1_1", "conv1_2", "pool1", "conv2_1"}


def test_a_misspelt_layer_is_answered_with_the_nearest(backbone):
    with pytest.raises(ConfigError, match="unknown layer 'relu2_11'; did you mean 'relu2_1'"):
        Objective(backbone, {"style": Term(loss=Gram(), of="style", layers={"relu2_11": 1})})


@pytest.mark.parametrize("layers", [{}, {"sum": 0.0}])
def test_a_term_without_a_layer_is_refused(layers):
    with pytest.raises(ConfigError, match="term 'how' has a weight but no layer; name one or set its weight"):
        Objective(PixelBackbone(), {"how": _gram(layers=layers)})


@pytest.mark.parametrize(
    ("terms", "named"), [({}, "none at all"), ({"how": _gram(weight=0.0, layers={"sum": 1})}, "how")]
)
def test_an_objective_of_nothing_is_refused(terms, named):
    with pytest.raises(ConfigError, match=rf"no term of the objective has a weight \(of: {named}\)"):
        Objective(PixelBackbone(), terms)


def test_a_loss_that_compares_needs_a_picture():
    with pytest.raises(ConfigError, match="term 'how' at layer 'sum': loss 'gram' needs a picture: set 'of'"):
        _aimed({"how": Term(loss=Gram(), of="nothing", layers={"sum": 1})})


def test_positions_of_a_painting_of_another_size_do_not_compare():
    objective = _aimed({"where": Term(loss=Content(), of="style", layers={"double": 1})})
    with pytest.raises(
        ConfigError, match=r"term 'where' at layer 'double': the target's features is \(1, 3, 1, 1"
    ):
        objective(CANVAS)


def test_positions_of_paintings_of_two_sizes_do_not_blend():
    terms = {"where": Term(loss=Content(), of="style", layers={"double": 1})}
    with pytest.raises(ConfigError, match="loss 'content' cannot blend pictures of different sizes"):
        _aimed(terms, styles=[PAINTING, CANVAS], blend=[0.5, 0.5])


def test_a_silent_layer_is_named():
    terms = {"how": Term(loss=Moments(), of="style", layers={"sum": 1})}
    with pytest.raises(
        ConfigError, match="term 'how' at layer 'sum': an error relative to a target of zeros"
    ):
        _aimed(terms, styles=[PHOTO])


def test_a_style_term_needs_a_painting():
    with pytest.raises(ConfigError, match="term 'how' at layer 'sum': expected one weight for each target"):
        _aimed({"how": _gram(layers={"sum": 1})}, styles=[], blend=[1.0])
