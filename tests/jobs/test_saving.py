import json
import math
import os

import pytest
from PIL import Image

from velatura.core.errors import ConfigError, OutputError
from velatura.imaging import read_picture
from velatura.jobs import saving as saving_module
from velatura.jobs.result import Result
from velatura.jobs.saving import Saving, Writer
from velatura.jobs.schema import build
from velatura.runners import run

# Settings that say something only together


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"save_pattern": "{step}.png"}, "^save_pattern has no effect where save_every is unset; leave"),
        ({"checkpoint_every": 5.0}, "^checkpoint_every has no effect where checkpoint is unset; leave"),
        ({"save_every": 1, "save_pattern": "all.png"}, r"^save_pattern must have \{step\} in it"),
        (
            {"save_every": 1, "save_pattern": "{stp}.png"},
            r"takes \{step\}, \{scale\} and \{name\} only",
        ),
        ({"save_every": 1, "save_pattern": "{}{step}.png"}, r"takes \{step\}, \{scale\} and \{name\} only"),
        ({"save_every": 1, "save_pattern": "{step.x}.png"}, r"takes \{step\}, \{scale\} and \{name\} only"),
        ({"save_every": 1, "save_pattern": "{step:q}.png"}, r"takes \{step\}, \{scale\} and \{name\} only"),
        ({"save_every": 1, "save_pattern": "{step.png"}, r"takes \{step\}, \{scale\} and \{name\} only"),
    ],
)
def test_an_option_that_would_do_nothing_is_an_error(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        build(Saving, settings)


@pytest.mark.parametrize("output", ["out.png", "out.tif", "out.TIFF"])
def test_quality_is_for_formats_that_lose_something(job, output):
    with pytest.raises(ConfigError, match=r"^quality has no meaning for \.\w+, which loses nothing"):
        run(job(output=output, saving={"quality": 90}))


def test_quality_is_for_the_pictures_that_can_use_it(job, tmp_path):
    """Small pictures on the way to one that loses nothing, and the other way round."""
    sizes = {}
    for quality in (5, 95):
        pattern = str(tmp_path / f"{quality} {{step}}.jpg")
        run(job(saving={"save_every": 1, "save_pattern": pattern, "quality": quality}))
        sizes[quality] = (tmp_path / f"{quality} 1.jpg").stat().st_size
    assert sizes[5] < sizes[95]
    pattern = str(tmp_path / "{step}.png")
    run(job(output="out.jpg", saving={"save_every": 1, "save_pattern": pattern, "quality": 5}))
    assert (tmp_path / "1.png").exists()


def test_quality_and_bits_reach_the_file(job, tmp_path):
    run(job(output="good.jpg", saving={"quality": 100}))
    run(job(output="small.jpg", saving={"quality": 5}))
    assert (tmp_path / "small.jpg").stat().st_size < (
        tmp_path / "good.jpg"
    ).stat().st_size / 1.3  # The settings that both carry weigh the same.
    run(job(output="deep.png", saving={"bits": 16}))
    assert (tmp_path / "deep.png").read_bytes()[24] == 16  # bit depth, PNG (third edition) 11.2.1


def test_sixteen_bits_are_for_formats_that_hold_them(job, tmp_path):
    with pytest.raises(ConfigError, match="JPEG holds no 16 bits a channel"):
        run(job(output="out.jpg", saving={"bits": 16}))


# What is written beside the picture


def test_history_and_plot_are_written(job, tmp_path):
    saving = {"history": str(tmp_path / "sub" / "losses.json"), "plot": str(tmp_path / "losses.png")}
    result = run(job(saving=saving))
    assert json.loads((tmp_path / "sub" / "losses.json").read_text()) == result.history
    with Image.open(tmp_path / "losses.png") as plot:
        assert plot.size == (960, 540)


def test_a_loss_that_was_not_finite_is_null_in_the_history(job, tmp_path):
    result = run(job())
    entry = {**result.history[0], "loss": math.inf, "terms": {"style": math.nan, "content": 1.0}}
    broken = Result(picture=result.picture, history=[entry], interrupted=False, record=result.record)
    saving = Saving(history=str(tmp_path / "losses.json"))
    Writer(saving, output=tmp_path / "again.png", inputs=[]).write(broken, {})
    (written,) = json.loads((tmp_path / "losses.json").read_text(), parse_constant=pytest.fail)
    assert (written["loss"], written["terms"]) == (None, {"style": None, "content": 1.0})
    assert written["size"] == [36, 48]


# Pictures on the way


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.stem not in ("photo", "painting"))


def test_pictures_on_the_way_are_numbered_beside_the_output(job, tmp_path):
    run(job(changes={"pyramid.steps": [5]}, saving={"save_every": 2}))
    assert names(tmp_path) == ["out-00002.png", "out-00004.png", "out.png"]
    assert read_picture(tmp_path / "out-00002.png").width == 48


def test_steps_are_counted_over_all_scales(job, tmp_path):
    changes = {"pyramid.steps": [2], "pyramid.smallest": 32, "pyramid.ratio": 1.4}
    pattern = str(tmp_path / "{name} {scale} {step}.jpg")
    run(job(changes=changes, saving={"save_every": 1, "save_pattern": pattern}))
    assert names(tmp_path) == [
        "out.png",
        "photo 1 1.jpg",
        "photo 1 2.jpg",
        "photo 2 3.jpg",
        "photo 2 4.jpg",
    ]
    assert read_picture(tmp_path / "photo 1 1.jpg").width == 34


def test_braces_in_the_output_s_name_are_no_pattern(job, tmp_path):
    run(job(output="{name}{0}.png", saving={"save_every": 2}))
    assert names(tmp_path) == ["{name}{0}-00002.png", "{name}{0}.png"]


# Names


@pytest.mark.parametrize("name", ["record", "history", "plot", "checkpoint"])
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_nothing_is_written_over_an_input(job, photo, tmp_path, name, link):
    target = photo
    if link is not None:
        target = tmp_path / "link.png"
        link(photo, target)
    before = photo.read_bytes()
    with pytest.raises(ConfigError, match=rf"{target.name} is read by this job and will not be overwritten"):
        run(job(saving={name: str(target)}))
    assert photo.read_bytes() == before


def test_pictures_on_the_way_are_not_written_over_an_input(job, photo, tmp_path):
    pattern = str(tmp_path / "pho{step}.png")
    (tmp_path / "pho1.png").symlink_to(photo)
    before = photo.read_bytes()
    with pytest.raises(ConfigError, match="is an input and would be overwritten"):
        run(job(saving={"save_every": 1, "save_pattern": pattern}))
    assert photo.read_bytes() == before


def test_the_checkpoint_to_go_on_from_may_be_gone_on_in_but_not_replaced(job, tmp_path):
    checkpoint = str(tmp_path / "run.png")
    run(job(saving={"checkpoint": checkpoint}))
    for name in ("record", "history", "plot"):
        with pytest.raises(ConfigError, match=r"run.png is read by this job"):
            run(job(saving={"resume": checkpoint, name: checkpoint}))
    run(job(saving={"resume": checkpoint, "checkpoint": checkpoint}))


@pytest.mark.parametrize(
    "saving",
    [
        {"record": "out.png"},
        {"record": "a.json", "history": "./a.json"},
        {"plot": "b.png", "checkpoint": "b.png"},
    ],
)
def test_two_outputs_do_not_share_a_name(job, tmp_path, saving):
    paths = {name: str(tmp_path / path) for name, path in saving.items()}
    with pytest.raises(ConfigError, match=r"^two outputs have the same file name, .*; choose another"):
        run(job(saving=paths))


# Everything is tried before the run


@pytest.mark.parametrize(
    ("saving", "error", "complaint"),
    [
        ({"record": "{folder}"}, OutputError, "it is a folder; name a file"),
        ({"history": "/proc/losses.json"}, OutputError, "no file can be made in that folder"),
        ({"checkpoint": "{folder}/../photo.png/run"}, OutputError, "a part of the path is a file"),
        (
            {"plot": "{folder}/losses.txt"},
            ConfigError,
            "expected one of .png, ",
        ),
        (
            {"save_every": 1, "save_pattern": "{folder}/{step}.gif"},
            ConfigError,
            "picture format '.gif'",
        ),
        ({"save_every": 1, "save_pattern": "/proc/{step}.png"}, OutputError, "no file can be made"),
        ({"save_every": 1, "save_pattern": "{folder}/{step}.jpg", "bits": 16}, ConfigError, "no 16 bits"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_run(job, tmp_path, monkeypatch, saving, error, complaint):
    def fail(*args, **kwargs):
        raise AssertionError("the run began")

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr("velatura.jobs.stylize.build_backbone", fail)
    folder = str(tmp_path / "folder")
    filled = {k: v.replace("{folder}", folder) if isinstance(v, str) else v for k, v in saving.items()}
    with pytest.raises(error, match=complaint):
        run(job(saving=filled))
    assert names(tmp_path) == ["folder"]


def test_without_matplotlib_a_plot_is_refused_before_the_run(job, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.jobs.plot.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^plots need matplotlib: pip install 'velatura\[eval\]'$"):
        run(job(saving={"plot": str(tmp_path / "losses.png")}))


def test_a_full_disk_on_the_way_costs_no_picture(job, tmp_path, monkeypatch):
    def full(picture, path, **options):
        if path.name.startswith("way"):
            raise OutputError(f"cannot write '{path}': the disk is full")
        return write_picture(picture, path, **options)

    write_picture = saving_module.write_picture
    monkeypatch.setattr(saving_module, "write_picture", full)
    seen = []
    pattern = str(tmp_path / "way {step}.png")
    run(job(saving={"save_every": 1, "save_pattern": pattern}), on_progress=seen.append)
    assert (tmp_path / "out.png").exists()
    told = [progress.message for progress in seen if progress.message]
    assert len(seen) > 1
    assert len(told) == 1
    assert "way 1.png': the disk is full; the run goes on, without pictures on the way" in told[0]


def test_no_step_for_a_picture_on_the_way_is_told(job):
    note = "no picture was written on the way: no step of the run is a multiple of 1000"
    assert note in run(job(saving={"save_every": 1000})).notes
    assert note not in run(job(saving={"save_every": 1})).notes
