"""``velatura stylize`` for one photograph."""

import json
import re
import subprocess
import sys
from functools import partial

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from velatura.imaging import Picture, read_at_most, read_picture


def text_chunk(path):
    with Image.open(path) as image:
        return json.loads(image.text["velatura"])


def test_the_path_goes_to_standard_output_and_the_rest_to_standard_error(stylize, tmp_path):
    answer = stylize()
    assert answer.status == 0
    assert answer.out == f"{tmp_path / 'out.png'}\n"
    lines = answer.err.splitlines()
    assert re.fullmatch(r"scale 1/1 40x32, step 1/2, loss [\d.e+-]+", lines[0])
    assert re.fullmatch(r"scale 1/1 40x32, step 2/2, loss [\d.e+-]+, about 0 s left", lines[1])
    assert re.fullmatch(r"40x32 pixels, \d+\.\d s", lines[2])
    assert len(lines) == 3
    assert read_picture(tmp_path / "out.png").width == 40


def test_quiet_prints_no_progress(stylize, tmp_path):
    answer = stylize("--quiet")
    assert (answer.status, answer.out, answer.err) == (0, f"{tmp_path / 'out.png'}\n", "")


def test_notes_are_lines_on_standard_error(stylize, tmp_path):
    clear = Picture(torch.rand(3, 32, 40), alpha=torch.zeros(1, 32, 40))
    clear.save(tmp_path / "clear.png")
    answer = stylize("-q", content=tmp_path / "clear.png", output=tmp_path / "out.jpg")
    assert answer.err == "velatura: laid over white: JPEG has no alpha\n"


@pytest.mark.parametrize(("slash", "exists"), [("", True), ("/", True), ("/", False)])
def test_into_a_folder_a_picture_goes_under_its_own_name(stylize, tmp_path, slash, exists):
    if exists:
        (tmp_path / "done").mkdir()
    answer = stylize("-q", output=f"{tmp_path}/done{slash}")
    assert answer.out == f"{tmp_path}/done/photo.png\n"
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["photo.png"]


def test_a_format_that_is_not_written_becomes_png_in_a_folder(stylize, photo, tmp_path):
    with Image.open(photo) as image:
        image.save(tmp_path / "photo.bmp")
    (tmp_path / "done").mkdir()
    assert stylize("-q", content=tmp_path / "photo.bmp", output=tmp_path / "done").status == 0
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["photo.png"]


def test_missing_folders_are_made(stylize, tmp_path):
    assert stylize("-q", output=tmp_path / "a" / "b" / "out.png").status == 0
    assert (tmp_path / "a" / "b" / "out.png").is_file()


def test_a_run_imports_no_compiler_and_no_extra(photo, painting, tmp_path):
    """torch's compiler takes two seconds to import, and whatever makes one of torch.optim's does it."""
    words = ["stylize", str(photo), str(painting), "-o", str(tmp_path / "out.png"), "--steps", "2", "-q"]
    script = (
        "import sys\n"
        "from velatura.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "print(sorted({'torch._dynamo', 'sympy', 'rich', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(tmp_path / "out.png"), "[]"]


def test_options_reach_the_job(stylize, painting, tmp_path):
    words = [
        *("--preset", "gatys2016", "--backbone", "vgg19-slim", "--pooling", "max", "--size", "48"),
        *("--strength", "2", "--seed", "5", "--optimizer", "adamw", "--init", "grey", "--device", "cpu"),
        *("--precision", "float32", "--threads", "1", "--set", "optimizer.lr=0.02", "--set"),
        *("terms.content.weight=0.5", "--set", "pyramid.smallest=32", "--record", tmp_path / "run.json"),
    ]
    assert stylize("-q", *words, steps="2,1").status == 0
    how = json.loads((tmp_path / "run.json").read_text())["job"]["stylization"]
    assert {key: value for key, value in how.items() if key != "method"} == {
        "preset": "gatys2016",
        "size": 48,
        "working_size": 512,
        "upsample": False,
        "smooth": False,
        "strength": 2.0,
        "blend": None,
        "color": {"name": "style"},
        "seed": 5,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
    }
    method = how["method"]
    assert (method["backbone"]["name"], method["backbone"]["pooling"]) == ("vgg19-slim", "max")
    assert (method["optimizer"]["name"], method["optimizer"]["lr"]) == ("adamw", 0.02)
    assert method["initialization"]["name"] == "grey"
    assert method["pyramid"]["steps"] == [2, 1]
    assert method["terms"]["content"]["weight"] == 0.5
    assert text_chunk(tmp_path / "out.png")["job"]["stylization"] == how


def test_several_paintings_are_blended(velatura, photo, painting, tmp_path):
    words = ["stylize", photo, painting, photo, "-o", tmp_path / "out.png", "--steps", 1, "-q"]
    assert velatura(*words, "--blend", "0.7,0.3").status == 0
    assert text_chunk(tmp_path / "out.png")["job"]["stylization"]["blend"] == [0.7, 0.3]


def test_a_run_starts_from_a_picture(stylize, painting, tmp_path):
    start = tmp_path / "start.png"
    Picture.of(torch.rand(3, 32, 40)).save(start)
    assert stylize("-q", "--start", start, "--set", "detail=0", steps=0).status == 0
    assert torch.equal(read_picture(tmp_path / "out.png").pixels, read_picture(start).pixels)


def test_enlarging(stylize, tmp_path):
    assert stylize("-q", "--upsample").status == 0
    assert read_picture(tmp_path / "out.png").width == 40


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--size", 0], "size: input should be greater than or equal to 1, not 0"),
        (
            ["--size", 100_000],
            "a size of 100000 makes 100000x80000 pixels, more than the limit of 110 megapixels",
        ),
        (["--size", 10**30], "a size of 1"),
        (["--size", 8, "--upsample"], "upsample enlarges to the photo's own size: it cannot go with a size"),
        (["--strength", "nan"], "strength: input should be a finite number, not nan"),
        (["--strength", "-1"], "strength: input should be greater than or equal to 0, not -1.0"),
        (["--seed", "-1"], "seed: input should be greater than or equal to 0, not -1"),
        (["--threads", 0], "threads: input should be greater than or equal to 1, not 0"),
        (["--threads", 100_000], "threads: input should be less than or equal to 1024, not 100000"),
        (["--blend", "0.5,0.5"], "blend has 2 weights for 1 style picture; give one for each"),
        (["--blend", "0"], "blend weights are all zero; at least one must be above 0"),
        (["--blend", "-1"], "blend.0: input should be greater than or equal to 0, not -1.0"),
        (["--blend", "a"], "--blend: expected numbers with commas between them, not 'a'"),
        (["--blend", ""], "--blend: expected numbers with commas between them, not ''"),
        (["--steps", "1,x"], "--steps: expected numbers with commas between them, not '1,x'"),
        (["--steps", "1.5"], "pyramid.steps.0: input should be a valid integer"),
        (["--steps", "-1"], "pyramid.steps.0: input should be greater than or equal to 0, not -1.0"),
        (["--preset", "fats"], "unknown preset 'fats'; did you mean 'fast'?"),
        (["--backbone", "vgg91"], "unknown backbone 'vgg91'; did you mean 'vgg19"),
        (["--optimizer", "adamm"], "unknown optimizer 'adamm'; did you mean 'adam"),
        (["--init", "gray"], "unknown initialization 'gray'; did you mean 'grey'?"),
        (["--pooling", "mean"], "backbone.pooling: input should be 'native', 'max', 'average' or 'l2', not"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--precision", "half"], "precision: input should be 'auto', 'float32' or 'bfloat16', not 'half'"),
        (["--icc", "adobe"], "icc: input should be 'srgb' or 'keep', not 'adobe'"),
        (["--bits", 12], "bits: input should be 8 or 16, not 12"),
        (["--quality", 90], "quality has no meaning for .png, which loses nothing; leave it out"),
        (["--quality", 101], "quality: input should be less than or equal to 100, not 101"),
        (["--save-pattern", "{step}.png"], "save_pattern has no effect where save_every is unset; leave"),
        (["--save-every", 0], "save_every: input should be greater than 0, not 0"),
        (["--checkpoint-every", 5], "checkpoint_every has no effect where checkpoint is unset; leave"),
        (["--set", "optimizer.lr"], "expected KEY=VALUE, such as optimizer.lr=0.05, not 'optimizer.lr'"),
        (["--set", "optimizer.lrr=1"], "optimizer: unknown setting 'lrr'; did you mean 'lr'?"),
        (
            ["--set", "backbone.pooling=averge"],
            "backbone.pooling: input should be 'native', 'max', 'average'",
        ),
        (["--set", "terms.styl.weight=2"], "terms has no 'styl' yet; did you mean 'style'?"),
        (["--set", "style_scale=1000"], "style_scale: input should be less than or equal to 16, not 1000"),
        (["--set", "optimizer.lr=nan"], "optimizer.lr: input should be a finite number, not nan"),
        (["--set", "mask=a.png"], "unknown setting 'mask'"),
        (["--set", "terms.style.layers.relu9_1=1"], "unknown layer 'relu9_1'; did you mean 'relu"),
        (
            ["--optimizer", "adamw", "--set", "optimizer.name=lbfgs"],
            "optimizer.name is set twice, by --set and by an option of its own; leave one out",
        ),
        (["--set", "pyramid.steps=[1]"], "pyramid.steps is set twice, by --set and by an option of its own"),
        (["--start", "a.png", "--init", "grey"], "--start needs the initialisation 'picture', not 'grey'"),
        (["--start", "none.png"], "cannot read 'none.png': there is no such file"),
        (["--init", "picture"], "initialization 'picture' needs a picture"),
        (["--resume", "none.safetensors"], "cannot resume: there is no checkpoint none.safetensors"),
        (["--weights", "none.pth"], "no weights file none.pth"),
        (["--masks", "a.png"], "No such option: --masks"),
    ],
)
def test_what_cannot_be_done_is_one_line(stylize_refused, tmp_path, words, line):
    assert stylize_refused(*words).startswith(line)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("photo.png", "{}/photo.png is read by this job and will not be overwritten; choose another name"),
        ("painting.png", "{}/painting.png is read by this job and will not be overwritten"),
        ("out", "'{}/out' has no extension to name a format; known: "),
        ("out.gif", "unknown picture format '.gif'; did you mean '.tif'?"),
        (
            "photo.png/out.png",
            "cannot write '{}/photo.png/out.png': a part of the path is a file",
        ),
        ("x" * 300 + ".png", "cannot write "),
        ("/proc/out.png", "cannot write '/proc/out.png': no file can be made in that folder"),
        ("/dev/null", "cannot write '/dev/null': it is no ordinary file; name a file"),
    ],
)
def test_an_output_that_cannot_be_is_one_line(stylize_refused, tmp_path, output, line):
    assert stylize_refused(output=tmp_path / output).startswith(line.replace("{}", str(tmp_path)))


@pytest.mark.parametrize("name", ["none.png", "x" * 300, "a/b/c.png", ""])
@pytest.mark.parametrize("which", ["content", "style"])
def test_an_input_that_is_not_there_is_one_line(stylize_refused, tmp_path, monkeypatch, which, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").rename(tmp_path / "here.png")
    other = {"content": "style", "style": "content"}[which]
    assert stylize_refused(**{which: name, other: tmp_path / "here.png"})


def write_vgg19(path, convs, spoil=None):
    """The first convolutions of a VGG-19 of two channels."""
    state, before = {}, 3
    for index in convs:
        state[f"features.{index}.weight"] = torch.full((2, before, 3, 3), 0.1)
        state[f"features.{index}.bias"] = torch.zeros(2)
        before = 2
    if spoil is not None:
        state["features.0.bias"][0] = spoil
    save_file(state, path, {"input": "RGB 0-1, ImageNet mean/std"})


def test_a_layer_that_the_weights_lack_is_named_with_their_file(stylize_refused, tmp_path):
    write_vgg19(tmp_path / "short.safetensors", (0, 2, 5, 7))
    line = stylize_refused("--backbone", "vgg19", "--weights", tmp_path / "short.safetensors")
    assert re.match(r"layer 'relu\d_\d' is not in short.safetensors, which ends at 'pool2'; choose", line)


def test_weights_with_a_nan_are_refused(stylize_refused, tmp_path):
    write_vgg19(tmp_path / "nan.safetensors", (0, 2), spoil=float("nan"))
    line = stylize_refused("--backbone", "vgg19", "--weights", tmp_path / "nan.safetensors")
    assert "nan.safetensors" in line
    assert "holds a NaN or an infinity" in line


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_weights_is_not_run(stylize_refused, tmp_path):
    torch.save({"features.0.weight": Payload(tmp_path / "executed")}, tmp_path / "evil.pth")
    line = stylize_refused("--backbone", "vgg19", "--weights", tmp_path / "evil.pth")
    assert "evil.pth" in line
    assert "nothing in it was run" in line
    assert not (tmp_path / "executed").exists()


def test_without_a_network_missing_weights_say_what_to_do(stylize_refused, tmp_path, monkeypatch):
    monkeypatch.delenv("VELATURA_OFFLINE", raising=False)
    monkeypatch.setenv("VELATURA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VELATURA_MIRROR", "http://127.0.0.1:9")  # the discard port: closed
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("velatura.weights.remote.BACKOFF_S", 0.001)
    line = stylize_refused("--preset", "gatys2016")
    assert "vgg19" in line
    assert "SHA-256" in line
    assert str(tmp_path / "cache") in line


@pytest.mark.data
def test_gatys_on_the_truncated_real_vgg19(stylize, stylize_refused, data_dir, tmp_path):
    weights = ("--preset", "gatys2016", "--weights", data_dir / "weights/vgg19_caffe_to_relu3_4.safetensors")
    line = stylize_refused(*weights)
    assert re.match(r"layer 'relu\d_\d' is not in vgg19_caffe_to_relu3_4.safetensors", line)
    layers = (
        *("--set", "terms.content.layers={relu3_2 = 1}"),
        *("--set", "terms.style.layers={relu1_1 = 0.3, relu2_1 = 0.3, relu3_1 = 0.4}"),
    )
    assert stylize("-q", *weights, *layers, steps=1).status == 0
    assert read_picture(tmp_path / "out.png").width == 40


def test_gatys_on_random_weights(stylize, tmp_path):
    assert stylize("-q", "--preset", "gatys2016", "--weights", "random", steps=1).status == 0
    assert read_picture(tmp_path / "out.png").width == 40


def test_a_run_goes_on_from_its_checkpoint(stylize, stylize_refused, tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    assert stylize("-q", "--checkpoint", checkpoint).status == 0
    assert stylize("-q", "--resume", checkpoint, output=tmp_path / "again.png").status == 0
    again, first = (read_picture(tmp_path / name).pixels for name in ("again.png", "out.png"))
    assert torch.equal(again, first)
    line = stylize_refused("--resume", checkpoint, "--seed", 1, output=tmp_path / "third.png")
    assert "of a run with another seed" in line


def test_tiles_leave_the_picture_as_it_is(stylize, tmp_path):
    """The preset's layers see 70 pixels around: 200 are the whole, 176 are two tiles."""
    for name, words in (("whole", ()), ("tiles", ("--tile", 176))):
        answer = stylize("-q", "--size", 200, *words, output=tmp_path / f"{name}.png", steps=1)
        assert answer.status == 0, answer.err
    whole, tiles = (read_picture(tmp_path / f"{name}.png").pixels for name in ("whole", "tiles"))
    assert whole.shape == tiles.shape == (3, 160, 200)
    assert (whole - tiles).abs().max() <= 2 / 255
    assert text_chunk(tmp_path / "tiles.png")["job"]["stylization"]["method"]["tile"] == 176


def test_a_run_goes_on_in_other_tiles(stylize, tmp_path):
    state = tmp_path / "run.safetensors"
    first = stylize("-q", "--size", 200, "--tile", 176, "--checkpoint", state, steps=1)
    assert first.status == 0, first.err
    again = stylize("-q", "--size", 200, "--tile", 192, "--resume", state, output=tmp_path / "b.png", steps=1)
    assert again.status == 0, again.err
    assert torch.equal(read_picture(tmp_path / "out.png").pixels, read_picture(tmp_path / "b.png").pixels)


def test_a_tile_that_is_all_margin_is_refused(stylize_refused):
    message = stylize_refused("--tile", 64)
    assert "a tile of 64 pixels is smaller than what the deepest layer sees; choose at least 176" in message


def test_a_size_on_paper(stylize, tmp_path):
    """2 cm at 64 pixels an inch: 50.4 pixels."""
    assert stylize("-q", "--size", "2cm", "--dpi", "64").status == 0
    picture = read_picture(tmp_path / "out.png")
    assert (picture.width, picture.height, picture.dpi) == (50, 40, 64.0)


def test_the_pixels_an_inch_of_the_photo_are_kept(stylize, photo, tmp_path):
    with Image.open(photo) as image:
        image.save(tmp_path / "dense.png", dpi=(240, 240))
    assert stylize("-q", content=tmp_path / "dense.png").status == 0
    assert read_picture(tmp_path / "out.png").dpi == 240


def test_a_photo_too_large_for_memory_is_read_in_strips(stylize, photo, tmp_path, monkeypatch):
    pytest.importorskip("pyvips")
    whole = read_picture(photo)
    monkeypatch.setattr("velatura.jobs.stylize.read_at_most", partial(read_at_most, whole_bytes=1))
    assert stylize("-q").status == 0
    assert read_picture(tmp_path / "out.png").width == whole.width
