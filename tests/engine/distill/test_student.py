"""Teachers as one, and a student that starts from what they know."""

import pytest
import torch
from torch.testing import assert_close

from velatura.backbones import LayerShape
from velatura.core.errors import ConfigError
from velatura.engine.distill import Student, Teacher, Teachers
from velatura.engine.distill.loop import _Remembered, _thin, relative_errors

LAYERS = ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
CHANNELS = {"relu1_1": 5, "relu1_2": 5, "relu2_1": 6, "relu2_2": 6, "relu3_1": 8}
WIDTHS = (4, 5, 6, 7, 8)


def _remembered(teachers, count=4):
    """Crops with their labels, as a training remembers them."""
    crops = []
    for number in range(count):
        image, offset = torch.rand(1, 3, 32, 32), (number % 2, number // 2 % 2)
        labels = {layer: _thin(maps, layer, offset) for layer, maps in teachers.label(image).items()}
        crops.append(_Remembered(image, labels, offset))
    return crops


def test_each_layer_has_the_teacher_that_teaches_it(teachers, networks):
    image = torch.rand(1, 3, 32, 32)
    raw = teachers.raw(image, LAYERS)
    assert teachers.layers == tuple(raw) == LAYERS
    assert teachers.channels == CHANNELS
    assert_close(raw["relu2_1"], networks[0](image, ["relu2_1"])["relu2_1"])
    assert_close(raw["relu2_2"], networks[1](image, ["relu2_2"])["relu2_2"])
    assert_close(teachers.raw(image, ["conv2_2"])["conv2_2"].relu(), raw["relu2_2"])


def test_every_channel_counts_the_same(networks):
    sample = torch.rand(3, 3, 32, 32)
    teachers = Teachers([Teacher(networks[0], ("relu1_1", "relu1_2"))], sample)
    for maps in teachers.label(sample).values():
        rms = maps.square().mean((0, 2, 3)).sqrt()
        # Silent channels are not blown up: theirs is divided by a tenth of the mean.
        assert_close(rms, torch.ones_like(rms).where(rms > 0.999, rms))
        assert (rms > 0.999).sum() >= 3


def test_a_channel_that_is_silent_on_the_sample_is_not_blown_up(networks):
    teachers = Teachers([Teacher(networks[0], ("relu1_1",))], torch.zeros(1, 3, 16, 16))
    scale = teachers.scales["relu1_1"]
    assert scale.min() >= 0.0999 * networks[0](torch.zeros(1, 3, 16, 16), ["relu1_1"])["relu1_1"].mean()


def test_a_layer_has_one_teacher(networks):
    with pytest.raises(ValueError, match="two teachers teach the same layer"):
        Teachers([Teacher(networks[0], LAYERS), Teacher(networks[1], LAYERS[-1:])], torch.rand(1, 3, 16, 16))


def test_a_student_has_the_papers_layers_and_a_head_at_each():
    student = Student(WIDTHS, CHANNELS)
    found = student.features(torch.rand(1, 3, 32, 32))
    assert {layer: maps.shape[1] for layer, maps in found.items()} == dict(
        zip(LAYERS, (4, 4, 5, 5, 6), strict=True)
    )
    assert student.encoder.layers[-1] == "relu3_1"
    assert isinstance(student.encoder.shapes["relu3_1"], LayerShape)
    for layer, maps in found.items():
        assert student.heads[layer](maps).shape[1] == CHANNELS[layer]


@pytest.mark.parametrize("layers", [("relu1_1", "relu2_1"), ("relu1_2",), ("relu1_2", "relu1_1")])
def test_a_student_is_taught_every_layer(layers):
    with pytest.raises(ValueError, match=f"expected every layer, relu1_1.*, not {', '.join(layers)}"):
        Student(WIDTHS, {layer: CHANNELS[layer] for layer in layers})


def test_the_start_is_far_better_than_random(teachers):
    crops, batches = _remembered(teachers), [torch.rand(4, 3, 32, 32) for _ in range(3)]
    random, fitted = Student(WIDTHS, CHANNELS), Student(WIDTHS, CHANNELS)
    fitted.start_from(teachers, batches)
    with torch.no_grad():
        before, after = relative_errors(random, crops), relative_errors(fitted, crops)
    assert list(after) == list(LAYERS)
    for layer in LAYERS:
        assert after[layer] < 0.8 * before[layer]
    assert sum(after.values()) < 0.5 * sum(before.values())
    assert after["relu1_1"] < 0.2


def test_a_student_of_its_teachers_width_and_pooling_follows_exactly(networks):
    """With as many channels, the regression finds every kernel of the first block."""
    layers = ("relu1_1", "relu1_2")
    teachers = Teachers([Teacher(networks[0], layers)], torch.rand(4, 3, 32, 32))
    student = Student((5, 5, 5, 5, 5), teachers.channels)
    student.start_from(teachers, [torch.rand(4, 3, 32, 32) for _ in range(3)])
    with torch.no_grad():
        errors = relative_errors(student, _remembered(teachers))
    assert max(errors.values()) < 1e-5


def test_a_student_wider_than_its_teacher_is_refused(teachers):
    student = Student((6, 6, 6, 6, 6), CHANNELS)
    with pytest.raises(ConfigError, match="a student of 6 channels cannot follow a teacher of 5"):
        student.start_from(teachers, [torch.rand(2, 3, 32, 32)])


def test_the_relative_error_by_hand():
    """Heads of zeros predict nothing: the error is the labels' mean square over itself and a tenth."""
    student = Student(WIDTHS, {"relu1_1": 2})
    torch.nn.init.zeros_(student.heads["relu1_1"].weight)
    torch.nn.init.zeros_(student.heads["relu1_1"].bias)
    images = torch.rand(2, 1, 3, 8, 8)
    labels = [torch.full((1, 2, 4, 4), 1.0), torch.full((1, 2, 4, 4), 3.0)]
    crops = [_Remembered(images[i], {"relu1_1": labels[i]}, (0, 1)) for i in range(2)]
    expected = (1 / 1.1 + 9 / 9.1) / 2
    assert float(relative_errors(student, crops)["relu1_1"].detach()) == pytest.approx(expected)


def test_a_perfect_student_makes_no_error():
    student = Student(WIDTHS, CHANNELS)
    crops = []
    with torch.no_grad():
        for offset in ((0, 0), (0, 1), (1, 0), (1, 1)):
            image = torch.rand(1, 3, 32, 32)
            found = {layer: student.heads[layer](maps) for layer, maps in student.features(image).items()}
            labels = {layer: _thin(maps, layer, offset) for layer, maps in found.items()}
            crops.append(_Remembered(image, labels, offset))
        assert {layer: maps.shape[-1] for layer, maps in crops[0].labels.items()} == {
            "relu1_1": 16,
            "relu1_2": 16,
            "relu2_1": 8,
            "relu2_2": 8,
            "relu3_1": 8,
        }
        assert max(relative_errors(student, crops).values()) < 1e-10
