"""Trainings end to end: from folders of pictures to a model file."""

import json
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from velatura.core.errors import ConfigError, ImageError, OutputError, WeightsError
from velatura.core.files import sha256_file
from velatura.core.rng import generator
from velatura.imaging import Picture, read_picture
from velatura.jobs.schema import build
from velatura.jobs.train import TrainJob, run_train, training
from velatura.networks import fill_network, networks, read_model

SMALL = {
    "backbone.name": "vgg19-slim",
    "backbone.weights": "random",
    "terms.style.layers": {"relu1_1": 1, "relu2_1": 1},
    "terms.content.layers": {"relu2_1": 1},
    "crop": 16,
    "framing": "crop",
    "short_edge": 20,
    "batch": 2,
    "steps": 2,
    "precision": "float32",
}
NETWORKS = {
    "johnson": {"network.width": 2, "network.norm": "instance", "style_size": 24},
    "cin": {"network.width": 2, "style_size": 24},
    "texture-net": {"network.scales": 2, "network.channels": 2, "style_size": 24},
    "adain": {
        "network.layer": "relu2_1",
        "network.backbone.name": "vgg19-slim",
    },
}


@pytest.fixture
def school(tmp_path):
    """Photographs in two folders, and four paintings."""
    rng = np.random.default_rng(0)
    for kind, names in (("contents", ("a", "deep/b", "deep/c", "d")), ("styles", ("p", "q", "r", "s"))):
        for name in names:
            path = tmp_path / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Picture.of(rng.random((28, 33, 3), np.float32)).save(path)
    return tmp_path


@pytest.fixture
def job(school):
    def make(name="johnson", *, styles=("styles/p.png",), contents="contents", output="run", **others):
        changes = {**SMALL, **NETWORKS[name], **others.pop("changes", {})}
        start = others.get("start")
        if start is not None:
            changes = {key: value for key, value in changes.items() if not key.startswith("network")}
        preset, config = training(name, changes=changes, start=start)
        return TrainJob(
            preset=preset,
            training=config,
            contents=str(school / contents),
            styles=tuple(str(school / style) for style in styles),
            output=str(school / output),
            **{"workers": 0, "device": "cpu", "threads": 1, **others},
        )

    return make


def load(path):
    """The network of a model file, in evaluation."""
    tensors, record = read_model(path)
    config = build(networks[record.config["name"]], {k: v for k, v in record.config.items() if k != "name"})
    network = config.build(num_styles=max(1, len(record.style_names)), rng=generator(0, "any"))
    fill_network(network, tensors)
    return network.eval(), record


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "styles", "names"),
    [
        ("johnson", ("styles/p.png",), ("p",)),
        ("texture-net", ("styles/p.png",), ("p",)),
        ("cin", ("styles",), ("p", "q", "r", "s")),
        ("cin", ("styles/q.png", "styles/p.png"), ("q", "p")),
        ("adain", ("styles",), ()),
    ],
)
def test_a_training_writes_a_model_that_stylises(job, school, name, styles, names):
    reports = []
    trained = run_train(job(name, styles=styles), on_report=reports.append)
    assert not trained.interrupted
    assert (trained.path, trained.notes) == (school / "run" / "model.safetensors", ())
    network, record = load(trained.path)
    assert record.style_names == names
    assert record.style_sha256 == tuple(sha256_file(school / "styles" / f"{style}.png") for style in names)
    assert record.training["preset"] == job(name, styles=styles, output="other").preset
    assert (record.training["step"], record.training["steps"]) == (2, 2)
    content = torch.rand(1, 3, 19, 23)
    with torch.no_grad():
        style = {
            "one": lambda: None,
            "many": lambda: network.choose([1.0] + [0.0] * (len(names) - 1)),
            "any": lambda: network.encode(torch.rand(1, 3, 20, 20)),
        }[network.styles]()
        assert network(content, style).shape == content.shape
    assert {path.name for path in (school / "run").iterdir()} == {
        "checkpoint.safetensors",
        "log.jsonl",
        "model.safetensors",
        "tensorboard",
        "validation",
    }
    assert {path.name for path in (school / "run" / "validation").iterdir()} == {
        "step-000000.png",
        "step-000002.png",
    }
    assert read_picture(school / "run" / "validation" / "step-000002.png").height > 16
    assert [(line["step"], line["held_out"]) for line in lines(school / "run")] == [
        (report.step, report.held_out) for report in reports
    ]


def test_the_averaged_weights_are_what_is_kept(job, school):
    path = run_train(job(changes={"average": 0.9})).path
    held = load_file(school / "run" / "checkpoint.safetensors")
    averaged = {
        key.removeprefix("averaged."): value for key, value in held.items() if key.startswith("averaged.")
    }
    model = load_file(path)
    assert averaged.keys() == model.keys()
    assert all(torch.equal(model[key], averaged[key]) for key in model)
    assert not all(torch.equal(model[key], held[f"network.{key}"]) for key in model)


def test_it_goes_on_to_the_bit_and_its_log_too(job, school):
    every = {"report_every": 1, "validate_every": 2}
    run_train(job("cin", styles=("styles",), output="whole", changes={"steps": 4}, **every))
    asked = []
    trained = run_train(
        job("cin", styles=("styles",), changes={"steps": 4}, **every),
        cancelled=lambda: bool(len(asked) >= 3 or asked.append(None)),
    )
    assert trained.interrupted
    assert load(trained.path)[1].training["step"] == 3
    # A line that a killed run wrote after its last checkpoint.
    with (school / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "held_out": false}\n{"step"')
    run_train(job("cin", styles=("styles",), changes={"steps": 4}, resume=True, **every))
    whole, parts = (load_file(school / name / "checkpoint.safetensors") for name in ("whole", "run"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    terms = [
        {(line["step"], line["held_out"]): line["terms"] for line in lines(school / name)}
        for name in ("whole", "run")
    ]
    assert terms[0] == terms[1]
    assert len(lines(school / "run")) == 7


def test_a_run_may_be_made_longer(job, school):
    run_train(job())
    run_train(job(changes={"steps": 3}, resume=True))
    assert load(school / "run" / "model.safetensors")[1].training["step"] == 3


def test_a_run_is_not_written_over(job):
    run_train(job())
    with pytest.raises(ConfigError, match=r"holds a run already .*go on with it by --resume"):
        run_train(job())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lr": 0.5}, "training.lr"),
        ({"network.width": 3, "batch": 1}, "training.network.width, training.batch"),
    ],
)
def test_a_resume_with_other_settings_names_them(job, changes, named):
    run_train(job())
    with pytest.raises(ConfigError, match=f"it is of a run with another {named};"):
        run_train(job(changes=changes, resume=True))


def test_a_resume_with_other_pictures_names_them(job):
    run_train(job())
    with pytest.raises(ConfigError, match=r"a run with another styles\.names_sha256;"):
        run_train(job(styles=("styles/q.png",), resume=True))


def test_a_resume_without_a_run(job):
    with pytest.raises(ConfigError, match=r"cannot resume: .* holds no checkpoint\.safetensors"):
        run_train(job(resume=True))


def test_a_broken_checkpoint(job, school):
    run_train(job())
    path = school / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="is not a whole checkpoint"):
        run_train(job(resume=True))


def test_broken_pictures_are_counted_and_named_and_text_is_left_alone(job, school):
    (school / "contents" / "broken.png").write_bytes(b"no picture at all")
    (school / "contents" / "notes.txt").write_text("not for learning")
    trained = run_train(job(changes={"steps": 4}, report_every=1))
    (note,) = trained.notes
    assert note.startswith("1 pictures could not be read: broken.png: cannot read ")
    named = [line["unreadable"] for line in lines(school / "run") if "unreadable" in line]
    assert len(named) == 1
    assert named[0][0].startswith("broken.png: ")


def test_a_tar_is_as_good_as_a_folder(job, school):
    with tarfile.open(school / "all.tar", "w") as tar:
        tar.add(school / "contents", arcname="")
    one = run_train(job(output="one")).path
    other = run_train(job(output="other", contents="all.tar")).path
    first, second = load_file(one), load_file(other)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_one_photograph_is_enough(job, school):
    run_train(job(contents="contents/a.png"))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"contents": "empty"}, "empty holds no picture to learn from"),
        ({"contents": "nowhere"}, "cannot read pictures from .*nowhere: No such file or directory"),
        ({"contents": "notes.txt"}, "no tar that can be read in any order"),
        ({"contents": "packed.tar.gz"}, "unpack a compressed tar"),
        ({"styles": ("empty",)}, "no picture to take a style from"),
        ({"styles": ("styles",)}, "a johnson network learns one style, and 4 paintings were given"),
    ],
)
def test_pictures_that_cannot_be_learnt_from(job, school, others, message):
    (school / "empty").mkdir()
    (school / "empty" / "notes.txt").write_text("x")
    (school / "notes.txt").write_text("x")
    with tarfile.open(school / "packed.tar.gz", "w:gz") as tar:
        tar.add(school / "contents", arcname="")
    with pytest.raises(ConfigError, match=message):
        run_train(job(**others))
    assert not (school / "run").exists()


def test_two_styles_of_one_name(job, school):
    with pytest.raises(ConfigError, match="two styles would be called p, after their files"):
        run_train(job("cin", styles=("styles/p.png", "styles/p.png")))


def test_a_style_of_one_pixel(job, school):
    Picture.of(np.zeros((1, 1, 3), np.float32)).save(school / "styles" / "dot.png")
    run_train(job(styles=("styles/dot.png",)))


def test_a_style_that_is_broken(job, school):
    (school / "styles" / "p.png").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"cannot read .*p\.png"):
        run_train(job())


def test_a_folder_that_is_a_file(job, school):
    (school / "run").write_text("x")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        run_train(job())


def test_without_tensorboard_it_says_so(job, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trained = run_train(job())
    assert trained.notes == ("nothing was written for TensorBoard: pip install 'velatura[train]' brings it",)


def test_one_style_more(job, school):
    """Dumoulin et al. 2017: only the new row learns; what the others give stays equal to the bit."""
    model = run_train(job("cin", styles=("styles/p.png", "styles/q.png"))).path
    path = run_train(job("cin", styles=("styles/r.png",), output="more", start=str(model))).path
    before, after = load_file(model), load_file(path)
    assert after.keys() - before.keys() == {"rows.2"}
    assert all(torch.equal(before[key], after[key]) for key in before)
    first_row = load(model)[0].add_style()
    assert first_row == 2
    fresh = load(model)[0]
    fresh.add_style()
    assert not torch.equal(after["rows.2"], fresh.rows[2])
    record = load(path)[1]
    assert record.style_names == ("p", "q", "r")
    assert record.style_sha256[2] == sha256_file(school / "styles" / "r.png")
    assert record.training["start"] == sha256_file(model)


def test_one_style_more_goes_on_to_the_bit(job, school):
    model = str(run_train(job("cin", styles=("styles/p.png",))).path)
    more = {"styles": ("styles/r.png",), "start": model}
    run_train(job("cin", output="whole", changes={"steps": 3}, **more))
    run_train(job("cin", output="parts", changes={"steps": 2}, **more))
    run_train(job("cin", output="parts", changes={"steps": 3}, resume=True, **more))
    whole, parts = (load_file(school / name / "checkpoint.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize(
    ("styles", "message"),
    [
        (("styles/r.png", "styles/s.png"), "learns one style more at a time, and 2 paintings were given"),
        (("styles/p.png",), "has a style 'p' already"),
        (("again.png",), "knows this painting already, as 'p'"),
    ],
)
def test_a_style_that_cannot_be_added(job, school, styles, message):
    (school / "again.png").write_bytes((school / "styles" / "p.png").read_bytes())
    model = run_train(job("cin", styles=("styles/p.png",))).path
    with pytest.raises(ConfigError, match=message):
        run_train(job("cin", styles=styles, output="more", start=str(model)))


def test_a_network_of_one_style_starts_from_another(job, school):
    model = run_train(job(changes={"steps": 1})).path
    config = job(styles=("styles/q.png",), output="more", start=str(model), changes={"lr": 1e-9})
    path = run_train(config).path
    assert load(path)[1].style_names == ("q",)
    before, after = load_file(model), load_file(path)
    weights = [key for key in before if key.endswith("conv.weight")]
    assert all(torch.allclose(before[key], after[key], atol=1e-6) for key in weights)


def test_a_start_of_another_network(job, school):
    model = str(run_train(job()).path)
    with pytest.raises(ConfigError, match="is a johnson network, and the preset trains cin"):
        training("cin", start=model)
    with pytest.raises(ConfigError, match=r"network\.width is decided by the model to start from"):
        training("johnson", start=model, changes={"network.width": 4})
    with pytest.raises(WeightsError, match="cannot read model"):
        training("johnson", start=str(school / "nothing.safetensors"))


def test_the_weights_of_a_paper_s_network_are_asked_for(job):
    with pytest.raises(WeightsError, match="weights vgg16-caffe are not here"):
        run_train(job(changes={"backbone.name": "vgg16", "backbone.weights": "vgg16-caffe"}))


def test_two_processes_follow_one(job, school):
    """Half of each batch in each of two processes: the same losses as the whole in one."""
    run_train(job("cin", styles=("styles",), output="one", changes={"steps": 4, "batch": 4}, report_every=1))
    changes = {**SMALL, **NETWORKS["cin"], "batch": 4, "steps": 4}
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={_toml(value)}")]
    words = ["train", "cin", "--content", school / "contents", "--styles", school / "styles"]
    others = ["-o", school / "two", "--workers", 0, "--threads", 1, "--report-every", 1, "--device", "cpu"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "velatura", *map(str, [*words, *others, *settings])),
        ],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{school / 'two' / 'model.safetensors'}\n"
    one, two = lines(school / "one"), lines(school / "two")
    assert len(one) == len(two) == 6
    for whole, halves in zip(one, two, strict=True):
        assert whole["step"] == halves["step"]
        for name, value in whole["terms"].items():
            assert halves["terms"][name] == pytest.approx(value, rel=1e-4)
    assert one[1]["terms"] != one[2]["terms"]


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {item}" for key, item in value.items()) + "}"
    return value
