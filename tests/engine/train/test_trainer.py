"""One step of a training, and what it is judged by."""

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import BackboneConfig
from velatura.core.errors import ConfigError
from velatura.engine.objective import Objective, Term
from velatura.engine.train import Processes, Trainer
from velatura.engine.train.data import Batch
from velatura.engine.train.objective import TrainingObjective
from velatura.engine.train.schedules import StepDecay
from velatura.jobs.stylize import stylization
from velatura.losses import losses
from velatura.networks import networks

KINDS = ("one", "many", "any")


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_batch_is_the_mean_over_its_pictures(school, kind):
    """Against the objective of one picture at a time, aimed at its own photograph and painting."""
    trainer, batches, _, _ = school(kind)
    batch = batches[0]
    with torch.no_grad():
        terms = trainer.terms(trainer.network, batch)
    alone = Objective(trainer.objective.backbone, trainer.config.terms)
    expected = dict.fromkeys(terms, 0.0)
    contents = trainer.pixels(batch.contents)
    for index in range(2):
        content = contents[index : index + 1]
        if kind == "any":
            painting = trainer.pixels(batch.styles[index : index + 1])
            style = trainer.network.encode(painting)
        else:
            chosen = int(batch.chosen[index]) if kind == "many" else 0
            painting = trainer.paintings[chosen]
            weights = [float(at == chosen) for at in range(3)]
            style = trainer.network.choose(weights) if kind == "many" else None
        alone.aim(content, [painting], [1.0])
        with torch.no_grad():
            for name, value in alone(trainer.network(content, style)).items():
                expected[name] += float(value) / 2
    for name, value in terms.items():
        assert float(value) == pytest.approx(expected[name], rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learnt_lowers_the_loss(school, kind):
    trainer, batches, _, _ = school(kind, lr=0.01, average=0.9)
    batch = batches[0]
    course = [sum(trainer.advance(batch).terms.values()) for _ in range(40)]
    assert min(course[-3:]) < 0.8 * course[0]
    assert trainer.step == 40


def test_adam_and_schedule_by_hand(school):
    """The first step of Adam moves every weight by the step size, against the sign of its gradient."""
    trainer, batches, _, _ = school(lr=0.01, average=0.0, schedule=StepDecay(by=0.5, after=1, every=1))
    before = [weight.detach().clone() for weight in trainer.learning]
    assert trainer.lr == 0.01
    trainer.advance(batches[0])
    assert trainer.lr == 0.005
    for old, weight in zip(before, trainer.learning, strict=True):
        moved = weight.grad.abs() > 1e-5
        assert_close((weight - old)[moved], -0.01 * weight.grad.sign()[moved], rtol=2e-3, atol=1e-6)


def test_the_averaged_weights_by_hand(school):
    trainer, batches, _, _ = school(average=0.9)
    mean = [weight.detach().clone() for weight in trainer.learning]
    for step in range(3):
        trainer.advance(batches[step])
        decay = min(0.9, (step + 1) / (step + 11))
        mean = [decay * m + (1 - decay) * w.detach() for m, w in zip(mean, trainer.learning, strict=True)]
    for expected, weight in zip(mean, trainer.averaged.parameters(), strict=True):
        assert_close(weight, expected)


def test_without_an_average_the_network_itself_is_kept(school):
    trainer = school(average=0.0)[0]
    assert trainer.averaged is trainer.network
    assert not any(key.startswith("averaged") for key in trainer.state())


def test_a_long_gradient_is_cut(school):
    trainer, batches, _, _ = school(gradient_clip=1e-4)
    trainer.advance(batches[0])
    norm = torch.stack([weight.grad.square().sum() for weight in trainer.learning]).sum().sqrt()
    assert float(norm) == pytest.approx(1e-4, rel=1e-3)


def test_normalized_gradients_have_their_weight_as_l1_norm(backbone):
    """Ulyanov et al. 2016: whatever a loss is scaled by, each layer pulls as its weight says."""
    layers = {"relu1_1": 2.0, "relu2_1": 0.5}
    term = Term(loss=losses["gram"](), of="style", layers=layers, weight=3.0)
    objective = TrainingObjective(backbone, {"style": term}, normalize_gradients=True)
    pictures = torch.rand(2, 3, 16, 16)
    objective.know_styles([torch.rand(1, 3, 20, 24)])
    objective.aim_at(objective.features(pictures, of=()))
    features = {layer: maps.detach() for layer, maps in objective.features(pictures).items()}
    read = {layer: features[layer].requires_grad_() for layer in layers}

    def passing(_image, _layers, *, visit):
        return {layer: visit(layer, maps) for layer, maps in read.items()}

    objective.backbone.forward = passing
    try:
        sum(objective(pictures).values()).backward()
    finally:
        del objective.backbone.forward
    for layer, weight in layers.items():
        assert float(read[layer].grad.abs().sum()) == pytest.approx(3.0 * weight, rel=1e-3)


def test_transfer_targets_are_the_features_that_the_decoder_is_given(school):
    transfer = Term(loss=losses["content"](), of="transfer", layers={"relu2_1": 1.0})
    trainer, batches, _, _ = school("any", terms={"content": transfer})
    batch = batches[0]
    with torch.no_grad():
        terms = trainer.terms(trainer.network, batch)
        contents, paintings = trainer.pixels(batch.contents), trainer.pixels(batch.styles)
        style = trainer.network.encode(paintings)
        wanted = trainer.network.transferred(contents, style)["relu2_1"]
        got = trainer.objective.backbone(trainer.network(contents, style), ["relu2_1"])["relu2_1"]
    assert float(terms["content"]) == pytest.approx(float((got - wanted).square().mean()), rel=1e-4)


def test_an_encoder_that_is_the_loss_network_looks_at_each_picture_once(school):
    network = networks["adain"](layer="relu2_1", backbone=BackboneConfig(weights="random"))
    trainer, batches, _, _ = school("any", network=network)
    assert trainer.network.encoder.config == trainer.config.backbone
    looked = []
    encode = trainer.network.encoder.backbone.register_forward_hook(lambda *_: looked.append("encoder"))
    compare = trainer.objective.backbone.register_forward_hook(lambda *_: looked.append("objective"))
    trainer.advance(batches[0])
    encode.remove()
    compare.remove()
    # Photographs, paintings, stylizations.
    assert looked == ["objective"] * 3


@pytest.mark.parametrize("kind", ["one", "many"])
def test_transfer_needs_a_network_that_has_it(school, kind):
    transfer = Term(loss=losses["content"](), of="transfer", layers={"relu2_1": 1.0})
    with pytest.raises(ConfigError, match="computes no features that its picture is to have"):
        school(kind, terms={"content": transfer})


def test_transfer_of_another_layer_is_refused(school):
    transfer = Term(loss=losses["content"](), of="transfer", layers={"relu3_1": 1.0})
    trainer, batches, _, _ = school("any", terms={"content": transfer})
    with pytest.raises(ConfigError, match=r"features of relu2_1, and none of relu3_1"):
        trainer.advance(batches[0])


def test_an_optimisation_has_no_transfer():
    with pytest.raises(ConfigError, match="which only a network in training has"):
        stylization(changes={"terms.content.of": "transfer"})


def test_paintings_of_several_sizes_have_no_positions(school):
    content = Term(loss=losses["content"](), of="style", layers={"relu2_1": 1.0})
    with pytest.raises(ConfigError, match="compares with paintings position by position"):
        school("many", terms={"style": content})


def test_a_batch_that_cannot_be_shared_out(school):
    with pytest.raises(ConfigError, match="a batch of 2 cannot be shared out evenly among 3 processes"):
        school(processes=Processes(0, 3))


def test_a_crop_larger_than_the_pictures(school):
    with pytest.raises(ConfigError, match="a crop of 16 pixels does not fit into pictures whose shorter"):
        school(short_edge=15)


def test_nothing_is_learnt_from_what_is_not_finite(school):
    trainer, batches, _, _ = school(average=0.9)
    trainer.advance(batches[0])
    before = {key: value.clone() for key, value in trainer.state().items()}
    trainer.objective.terms = {
        name: Term(loss=term.loss, of=term.of, layers=term.layers, weight=float("inf"))
        for name, term in trainer.objective.terms.items()
    }
    lesson = trainer.advance(batches[1])
    assert not lesson.is_finite
    assert not lesson.own_is_finite
    assert trainer.step == 1
    after = trainer.state()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_bytes_become_pixels(school):
    trainer = school()[0]
    squares = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 3, 2, 3)
    assert_close(trainer.pixels(squares), torch.tensor([0, 0.2, 1]).expand(1, 3, 2, 3))


def test_noise_of_a_step_follows_from_seed_and_step(school):
    """A network that draws goes on to the bit: its generator is seeded anew for each step."""
    network = networks["texture-net"](task="stylization", scales=2, channels=2, padding="reflect")
    one, batches, _, _ = school(network=network)
    other = school(network=network)[0]
    other.network.rng.manual_seed(99)
    torch.rand(3)
    batch = batches[0]
    assert isinstance(batch, Batch)
    assert isinstance(one, Trainer)
    assert one.advance(batch).terms == other.advance(batch).terms
