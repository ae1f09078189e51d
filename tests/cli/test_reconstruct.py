import signal
import subprocess
import sys

import pytest

from velatura.imaging import read_picture


@pytest.fixture
def reconstruct(velatura, photo, tmp_path):
    def call(kind, *words, output=tmp_path / "out.png"):
        return velatura("reconstruct", kind, photo, "-o", output, "--threads", 1, *words)

    return call


@pytest.fixture
def reconstruct_refused(refused, photo, tmp_path):
    def call(kind, *words, output=tmp_path / "out.png"):
        return refused("reconstruct", kind, photo, "-o", output, *words)

    return call


@pytest.mark.parametrize("kind", ["content", "style"])
def test_a_reconstruction_with_its_losses(reconstruct, tmp_path, kind):
    words = ["--layer", "relu2_1", "--steps", 2, "--history", tmp_path / "losses.csv", "--seed", 3]
    answer = reconstruct(kind, *words)
    assert (answer.status, answer.out) == (0, f"{tmp_path / 'out.png'}\n")
    assert read_picture(tmp_path / "out.png").width == 40
    assert (tmp_path / "losses.csv").read_text().splitlines()[0] == f"scale,step,height,width,loss,{kind}"


def test_a_dream(reconstruct, tmp_path):
    answer = reconstruct("deepdream", "--layer", "relu2_1", "--octaves", 2, "--steps", 1, "--jitter", 3)
    assert (answer.status, answer.out) == (0, f"{tmp_path / 'out.png'}\n")
    assert "scale 2/2 40x32, step 2/2" in answer.err
    assert read_picture(tmp_path / "out.png").width == 40


def test_layers_by_networks(reconstruct, tmp_path):
    words = ["--layers", "relu1_1, relu2_1", "--networks", "random,standard", "--steps", 2]
    answer = reconstruct("style", *words, output=tmp_path / "grid")
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0] == str(tmp_path / "grid" / "grid.png")
    assert {path.name for path in (tmp_path / "grid").glob("relu*")} == {
        "relu1_1-random.png",
        "relu1_1-standard.png",
        "relu2_1-random.png",
        "relu2_1-standard.png",
    }
    assert "3/4 random relu2_1: scale 1/1" in answer.err


def test_several_layers_of_one_network_are_a_column(reconstruct, tmp_path):
    answer = reconstruct("content", "--layers", "relu1_1,relu2_1", "--steps", 1, output=tmp_path / "grid")
    assert answer.status == 0
    assert (tmp_path / "grid" / "relu2_1-vgg19-slim.png").exists()


@pytest.mark.parametrize(
    ("kind", "words", "line"),
    [
        ("content", [], "name the layer to look at with --layer, or several with --layers, not both"),
        ("content", ["--layer", "a", "--layers", "b"], "name the layer to look at"),
        ("content", ["--layer", "relu2_9"], "unknown layer 'relu2_9'; did you mean 'relu2_2'?"),
        (
            "style",
            ["--layer", "relu1_1", "--preset", "gatys2015-reconstr"],
            "did you mean 'gatys2015-reconstruction'",
        ),
        ("style", ["--layer", "relu1_1", "--init", "content"], "start from noise"),
        ("style", ["--layers", "relu1_1,relu1_1"], "--layers names a layer twice"),
        ("style", ["--layers", "relu1_1,relu2_1"], "names a file; layers by networks need a folder"),
        ("style", ["--layer", "relu5_1", "--size", "3"], "too small: the deepest layer needs"),
        ("deepdream", ["--layer", "relu1_1", "--channel", "99"], "there is no channel 99"),
        ("deepdream", ["--layer", "relu1_1", "--normalize", "mean"], "normalize: input should be 'mean_abs'"),
        ("deepdream", ["--layer", "relu5_1", "--octaves", "12"], "the smallest of 12 octaves"),
        ("deepdream", ["--layer", "relu1_1", "--set", "jiter=2"], "did you mean 'jitter'"),
    ],
)
def test_a_wrong_request_is_one_line(reconstruct_refused, kind, words, line):
    assert line in reconstruct_refused(kind, *words)


def test_what_is_of_one_picture_does_not_go_with_a_grid(reconstruct_refused, tmp_path):
    words = ["--layers", "relu1_1", "--record", "r.json"]
    assert "--record is of one picture" in reconstruct_refused("content", *words, output=tmp_path / "grid")
    words = ["--layer", "relu1_1", "--networks", "random", "--weights", "random"]
    assert "name them all in --networks" in reconstruct_refused("content", *words, output=tmp_path / "grid")


def test_weights_that_are_not_here_name_their_page(reconstruct_refused):
    words = ["--backbone", "resnet50", "--weights", "resnet50-robust", "--layer", "conv1"]
    assert "put imagenet_l2_3_0.pt (no hash of it is published" in reconstruct_refused("content", *words)


def test_the_help_names_the_kinds(velatura):
    answer = velatura("reconstruct", "--help")
    assert answer.status == 0
    assert [kind for kind in ("content", "style", "deepdream") if kind in answer.out] == [
        "content",
        "style",
        "deepdream",
    ]
    assert "--octave-scale" in velatura("reconstruct", "deepdream", "--help").out
    assert "--networks" in velatura("reconstruct", "style", "--help").out


@pytest.mark.parametrize(
    ("kind", "words", "made"),
    [
        ("content", ["--layer", "relu1_1", "-o", "out.png"], "out.png"),
        ("deepdream", ["--layer", "relu1_1", "-o", "out.png"], "out.png"),
        ("style", ["--layers", "relu1_1,relu2_1", "-o", "grid"], "grid/grid.png"),
    ],
)
def test_ctrl_c_writes_the_best_so_far(photo, tmp_path, kind, words, made):
    process = subprocess.Popen(
        [sys.executable, "-m", "velatura", "reconstruct", kind, str(photo), *words, "--steps", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert "step 1/" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert out.splitlines()[0] == made
    assert "interrupted" in err
    assert read_picture(tmp_path / made).width >= 40
