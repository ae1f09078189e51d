"""A whole distillation, small: it learns, is saved, and goes on."""

import dataclasses
import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.engine.distill import DistillationConfig, Teacher, Teachers, distill
from velatura.engine.distill.loop import _lr, _Memory, _Remembered, _Training

CONFIG = DistillationConfig(
    widths=(4, 5, 6, 7, 8), steps=6, cooldown=2, warmup=0, batch=2, remembered=20, crop=32, lr=3e-3
)


def _training(teachers, crops, config=CONFIG):
    return _Training(config, teachers, crops["contents"], crops["styles"], crops["held_out"])


@pytest.fixture(scope="module")
def starts():
    """The least-squares start of each seed, found once."""
    return {}


@pytest.fixture
def started(teachers, crops, starts):
    """Makes a training that has taken so many steps."""

    def make(config=CONFIG, *, steps=0):
        training = _training(teachers, crops, config)
        if config.seed not in starts:
            training.start()
            starts[config.seed] = {name: v.clone() for name, v in training.student.state_dict().items()}
        for network in (training.student, training.averaged):
            network.load_state_dict(starts[config.seed])
        for _ in range(steps):
            training.advance()
        return training

    return make


def _distill(teachers, crops, path, config=CONFIG, **options):
    lessons = []
    student = distill(config, teachers, **crops, checkpoint=path, on_lesson=lessons.append, **options)
    return student, lessons


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.25),  # rises over four steps
        (2, 0.75),
        (3, 1.0),
        (59, 1.0),
        (60, 1.0),  # falls over the last forty
        (80, 0.505),  # half way down
        (90, 0.01 + 0.99 * (1 - math.cos(math.pi / 4)) / 2),
        (100, 0.01),
        (120, 0.01),
    ],
)
def test_the_step_size_rises_stays_and_falls(step, expected):
    config = DistillationConfig(steps=100, warmup=4, cooldown=40, lr=2.0)
    assert _lr(config, step) == pytest.approx(2 * expected)


def test_no_rise_and_no_fall():
    config = DistillationConfig(steps=10, warmup=0, cooldown=0, lr=2.0)
    assert [_lr(config, step) for step in range(10)] == 10 * [2.0]


def test_the_memory_is_filled_and_then_replaced():
    memory, rng = _Memory(3), torch.Generator().manual_seed(0)
    crops = [_Remembered(torch.full((1,), float(i)), {}, (0, 0)) for i in range(10)]
    for crop in crops[:3]:
        memory.add(crop, rng)
    assert memory.crops == crops[:3]
    for crop in crops[3:]:
        memory.add(crop, rng)
    assert len(memory.crops) == 3
    assert crops[9] in memory.crops
    assert len(memory.draw(8, rng)) == 8


def test_held_out_error_falls(teachers, crops, tmp_path):
    config = dataclasses.replace(CONFIG, batch=4)
    path = tmp_path / "run.safetensors"
    _, lessons = _distill(teachers, crops, path, config, log_every=2, validate_every=3)
    held_out = [lesson for lesson in lessons if lesson.held_out]
    assert [lesson.step for lesson in held_out] == [0, 3, 6, 6]
    assert [lesson.step for lesson in lessons if not lesson.held_out] == [2, 4, 6]
    first, last = (sum(held_out[i].errors.values()) for i in (0, -1))
    assert last < 0.98 * first
    assert list(held_out[0].errors) == list(teachers.layers)


def test_the_same_seed_gives_the_same_student(teachers, crops):
    def weights(seed):
        training = _training(teachers, crops, dataclasses.replace(CONFIG, seed=seed))
        training.start()
        training.advance()
        return dict(training.student.state_dict())

    one = weights(1)
    assert_close(weights(1), one, rtol=0, atol=0)
    assert not torch.equal(one["encoder.features.0.weight"], weights(2)["encoder.features.0.weight"])


def test_held_out_pictures_are_never_learnt_from(teachers, crops, folders, monkeypatch):
    from velatura.engine.distill import diet

    read, plain = [], diet.read_picture
    monkeypatch.setattr(diet, "read_picture", lambda path: (read.append(path), plain(path))[1])
    training = _training(teachers, crops)
    training.start()
    for _ in range(4):
        training.advance()
    assert set(read) == {*folders["contents"], *folders["styles"]}
    read.clear()
    remembered = list(training.memory.crops)
    weights = {name: value.clone() for name, value in training.student.state_dict().items()}
    training.validate()
    assert set(read) == set(folders["held_out"])
    assert training.memory.crops == remembered
    assert_close(dict(training.student.state_dict()), weights, rtol=0, atol=0)


def test_validation_does_not_depend_on_the_moment(started):
    training = started()
    before = training.validate()
    training.memory.crops.clear()
    assert training.validate() == before


def test_the_averaged_student_is_validated(started):
    training = started()
    before = training.validate()
    torch.nn.init.zeros_(training.student.heads["relu2_1"].weight)
    assert training.validate() == before
    torch.nn.init.zeros_(training.averaged.heads["relu2_1"].weight)
    after = training.validate()
    assert after["relu2_1"] > 2 * before["relu2_1"]
    assert after["relu3_1"] == before["relu3_1"]


def test_the_average_follows_the_student(started):
    training = started()
    name = "heads.relu2_1.bias"
    start = training.student.state_dict()[name].clone()
    assert_close(training.averaged.state_dict()[name], start)
    training.advance()
    first = training.student.state_dict()[name].clone()
    training.advance()
    second = training.student.state_dict()[name]
    # Decays of 1/11 and 2/12: short at first, so that the start is soon forgotten.
    expected = 2 / 12 * (1 / 11 * start + 10 / 11 * first) + 10 / 12 * second
    assert_close(training.averaged.state_dict()[name], expected)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_stylizations(started, share):
    training = started(dataclasses.replace(CONFIG, chains=share), steps=1)
    assert any(canvas is not None for canvas in training.chains.canvases) == bool(share)


def test_every_parameter_learns(started):
    training = started()
    before = {name: value.clone() for name, value in training.student.named_parameters()}
    training.advance()
    unchanged = [
        name for name, value in training.student.named_parameters() if torch.equal(value, before[name])
    ]
    assert unchanged == []


def test_a_checkpoint_holds_what_is_promised(started, teachers, tmp_path):
    path = tmp_path / "run.safetensors"
    training = started(steps=3)
    training.save(path)
    with safe_open(path, "pt") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert metadata.keys() == {"step", "config"}
    assert metadata["step"] == "3"
    assert json.loads(metadata["config"]) == json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    networks = {f"{kind}.{key}" for kind in ("student", "averaged") for key in training.student.state_dict()}
    scales = {f"scale.{layer}" for layer in teachers.layers}
    adam = {
        f"adam.{index}.{key}"
        for index in range(len(list(training.student.parameters())))
        for key in ("step", "exp_avg", "exp_avg_sq")
    }
    assert names == networks | scales | adam
    assert "student.encoder.features.0.weight" in names
    assert "averaged.heads.relu1_1.bias" in names


def test_a_restored_training_stands_where_it_was(started, teachers, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    training = started(steps=3)
    training.save(path)
    restored = _training(teachers, crops)
    restored.restore(path)
    assert restored.step == 3
    assert_close(dict(restored.student.state_dict()), dict(training.student.state_dict()), rtol=0, atol=0)
    assert_close(dict(restored.averaged.state_dict()), dict(training.averaged.state_dict()), rtol=0, atol=0)
    ours, theirs = restored.optimizer.state_dict()["state"], training.optimizer.state_dict()["state"]
    assert_close(ours, theirs, rtol=0, atol=0)
    assert restored.validate() == training.validate()


def test_a_restored_training_takes_the_same_step(started, teachers, crops, tmp_path):
    """With the same crops remembered, it goes on to the bit; they are labelled anew otherwise."""
    path = tmp_path / "run.safetensors"
    training = started(dataclasses.replace(CONFIG, chains=0.0), steps=3)
    training.save(path)
    restored = _training(teachers, crops, training.config)
    restored.restore(path)
    restored.memory.crops = list(training.memory.crops)
    training.advance()
    restored.advance()
    assert_close(dict(restored.student.state_dict()), dict(training.student.state_dict()), rtol=0, atol=0)
    assert_close(dict(restored.averaged.state_dict()), dict(training.averaged.state_dict()), rtol=0, atol=0)


def _other_teachers(networks):
    return Teachers([Teacher(networks[0], ("relu1_1", "relu1_2"))], torch.rand(2, 3, 32, 32))


def test_a_restored_training_labels_as_before(started, teachers, crops, tmp_path):
    """The channels' scales were measured on another sample; those of the checkpoint count."""
    path = tmp_path / "run.safetensors"
    started().save(path)
    image = torch.rand(1, 3, 32, 32)
    labels = teachers.label(image)
    again = Teachers(teachers.teachers, 0.3 * torch.rand(4, 3, 32, 32))
    assert not torch.equal(again.label(image)["relu2_1"], labels["relu2_1"])
    _training(again, crops).restore(path)
    assert_close(again.label(image), labels, rtol=0, atol=0)


def test_a_checkpoint_without_scales_is_taken_up(started, teachers, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    training = started(steps=1)
    training.save(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    kept = {name: value for name, value in load_file(path).items() if not name.startswith("scale.")}
    save_file(kept, path, metadata)
    before = {layer: scale.clone() for layer, scale in teachers.scales.items()}
    restored = _training(teachers, crops)
    restored.restore(path)
    assert restored.step == 1
    assert_close(teachers.scales, before, rtol=0, atol=0)
    restored.save(path)
    assert "scale.relu2_1" in load_file(path)


def test_a_run_goes_on_from_its_checkpoint(teachers, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    _distill(teachers, crops, path, cancelled=iter([False, False, True]).__next__)
    _, lessons = _distill(teachers, crops, path, log_every=1)
    assert [lesson.step for lesson in lessons if not lesson.held_out] == [3, 4, 5, 6]
    _, lessons = _distill(teachers, crops, path, log_every=1)
    assert [lesson.step for lesson in lessons] == [6, 6]


def test_other_widths_do_not_go_on(started, teachers, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    started().save(path)
    config = dataclasses.replace(CONFIG, widths=(4, 5, 6, 7, 9))
    with pytest.raises(ConfigError, match=r"trains widths \(4, 5, 6, 7, 8\), not \(4, 5, 6, 7, 9\)"):
        _distill(teachers, crops, path, config)


def test_other_teachers_do_not_go_on(started, teachers, networks, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    started().save(path)
    with pytest.raises(ConfigError, match="learns from teachers of other layers or channels; give it those"):
        _distill(_other_teachers(networks), crops, path)


def test_a_broken_checkpoint_does_not_go_on(teachers, crops, tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match=r"cannot resume: .*run\.safetensors is not a whole checkpoint"):
        _distill(teachers, crops, path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ConfigError, match=r"run\.safetensors is no checkpoint of a distillation"):
        _distill(teachers, crops, path)
