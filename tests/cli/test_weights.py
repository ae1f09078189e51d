import pytest
import torch
from safetensors.torch import save, save_file
from typer.testing import CliRunner

from velatura.cli.weights import app
from velatura.core.errors import ConfigError, WeightsError
from velatura.weights.places import cache_folder

# torchvision's numbers of the convolutions of VGG-11, here of two channels each.
VGG11_CONVS = (0, 3, 6, 8, 11, 13, 16, 18)


@pytest.fixture(autouse=True)
def clean_home(tmp_path, monkeypatch):
    for variable in ("VELATURA_WEIGHTS", "VELATURA_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VELATURA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VELATURA_OFFLINE", "1")


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def state():
    torch.manual_seed(0)
    state, before = {}, 3
    for index in VGG11_CONVS:
        state |= {
            f"features.{index}.weight": torch.rand(2, before, 3, 3),
            f"features.{index}.bias": torch.rand(2),
        }
        before = 2
    return state


@pytest.fixture
def file(state, tmp_path):
    save_file(state, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_list_shows_every_name_with_size_licence_and_state(run):
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "FETCH", "MiB", "KEPT", "MiB", "LICENCE", "STATE"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows["vgg19"] == ["76.4", "76.4", "BSD-3-Clause", "not", "here"]
    assert rows["vgg19-caffe"] == ["548.1", "76.4", "CC-BY-4.0", "not", "here"]
    assert "vgg19-slim" in rows


def test_import_says_what_it_recognised(run, file):
    result = run("import", file, "--as", "my-net", "--preprocessing", "caffe")
    assert result.exit_code == 0
    said = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert {key: value.strip() for key, value in said.items()} == {
        "source": "net.safetensors, torchvision",
        "network": "vgg11",
        "widths": "2 2 2 2 2 2 2 2",
        "deepest layer": "relu5_2",
        "preprocessing": "caffe (by --preprocessing)",
        "padding": "zeros",
        "pooling": "max",
        "licence": "not stated",
        "taken off": "nothing",
        "left out": "nothing",
        "kept as": str(cache_folder() / "my-net.safetensors"),
    }


def test_import_says_what_was_taken_off_the_names(run, state, tmp_path):
    save_file({f"module.model.{key}": tensor for key, tensor in state.items()}, tmp_path / "net.safetensors")
    result = run("import", tmp_path / "net.safetensors", "--as", "my-net", "--preprocessing", "caffe")
    assert "\ntaken off      module., model.\n" in result.stdout


def test_an_imported_file_is_listed_and_has_a_path(run, file):
    run("import", file, "--as", "my-net", "--preprocessing", "caffe")
    (line,) = [line for line in run("list").stdout.splitlines() if line.startswith("my-net")]
    assert line.endswith("cached")
    assert run("path", "my-net").stdout.strip() == str(cache_folder() / "my-net.safetensors")


def test_a_truncated_network_is_said_to_be_one(run, state, tmp_path):
    beginning = {key: tensor for key, tensor in state.items() if int(key.split(".")[1]) < 10}
    save_file(beginning, tmp_path / "net.safetensors", metadata={"input": "RGB 0-1, ImageNet mean/std"})
    result = run("import", tmp_path / "net.safetensors", "--as", "short")
    assert "vgg11, not all of it" in result.stdout
    assert "relu3_2" in result.stdout


@pytest.mark.parametrize(
    ("words", "error", "complaint"),
    [
        (
            ["--as", "my-net"],
            WeightsError,
            "does not say what input it was trained on; give --preprocessing one of torchvision, caffe",
        ),
        (["--as", "my-net", "--preprocessing", "cafe"], ConfigError, "did you mean 'caffe'"),
        (
            ["--as", "vgg16", "--preprocessing", "torchvision"],
            WeightsError,
            "is a vgg11, and 'vgg16' names a vgg16",
        ),
        (["--as", "a/b", "--preprocessing", "caffe"], ConfigError, "cannot name weights"),
    ],
)
def test_import_refuses_with_one_line(run, file, words, error, complaint):
    result = run("import", file, *words)
    assert isinstance(result.exception, error)
    assert complaint in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not cache_folder().exists()


def test_import_names_the_tensors_without_a_place(run, tmp_path):
    save_file({"decoder.weight": torch.ones(1)}, tmp_path / "net.safetensors")
    result = run("import", tmp_path / "net.safetensors", "--as", "my-net")
    assert "tensors without a place" in str(result.exception)
    assert "'decoder.weight'" in str(result.exception)


def test_path_does_not_fetch(run):
    result = run("path", "vgg19")
    assert isinstance(result.exception, WeightsError)
    assert "run 'velatura weights fetch vgg19'" in str(result.exception)


def test_fetch_says_where_what_is_here_lies(run, file):
    run("import", file, "--as", "vgg11", "--preprocessing", "torchvision")
    result = run("fetch", "vgg11")
    assert result.stdout.strip() == str(cache_folder() / "vgg11.safetensors")
    assert result.stderr == ""


def test_fetch_of_an_unknown_name_names_the_nearest(run):
    result = run("fetch", "vgg91")
    assert isinstance(result.exception, ConfigError)
    assert "did you mean 'vgg19'" in str(result.exception)


@pytest.fixture
def published(state, monkeypatch):
    """A stand-in for the network: what fetch reports on its way."""

    def fetch(entry, *, folder=None, on_progress=None, on_note=None):
        (folder or cache_folder()).mkdir(parents=True, exist_ok=True)
        path = (folder or cache_folder()) / entry.slim_file
        if on_note is not None:
            on_note("fetching vgg11 from somewhere")
        for done in (0, 1, 5 * 2**20, 5 * 2**20 + 1, 10 * 2**20):
            if on_progress is not None:
                on_progress(done, 10 * 2**20)
        path.write_bytes(save(state))
        return path

    monkeypatch.setattr("velatura.weights.fetch.fetch", fetch)


def test_fetch_prints_the_path_and_reports_on_standard_error(run, published, tmp_path):
    result = run("fetch", "vgg11", "--folder", tmp_path / "nets")
    assert result.stdout.strip() == str(tmp_path / "nets" / "vgg11.safetensors")
    assert result.stderr.splitlines() == [
        "fetching vgg11 from somewhere",
        "vgg11: 0.0 of 10.0 MiB",
        "vgg11: 5.0 of 10.0 MiB",
        "vgg11: 10.0 of 10.0 MiB",
    ]


def test_quiet_fetch_prints_nothing_but_the_path(run, published):
    result = run("fetch", "vgg11", "--quiet")
    assert result.stdout.strip() == str(cache_folder() / "vgg11.safetensors")
    assert result.stderr == ""


def test_a_terminal_gets_a_bar(run, published, monkeypatch):
    monkeypatch.setattr("velatura.cli.weights._on_terminal", lambda: True)
    result = run("fetch", "vgg11")
    assert "10.0M/10.0M" in result.stderr
    assert result.stderr.endswith("\n")
