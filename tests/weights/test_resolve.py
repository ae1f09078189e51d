import errno
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save

from velatura.core.errors import ConfigError, WeightsError
from velatura.weights import load_weights, resolve
from velatura.weights.catalogue import catalogue
from velatura.weights.places import cache_folder, find, kept_names


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("VELATURA_OFFLINE", "1")


def touched(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"weights")
    return folder / name


def test_a_path_is_itself(tmp_path):
    file = touched(tmp_path, "net.pth")
    assert resolve(file) == file
    assert resolve(str(file)) == file
    assert resolve(tmp_path / touched(tmp_path, "bare")) == tmp_path / "bare"


@pytest.mark.parametrize("text", ["vgg19.pth", "vgg19.safetensors", "./vgg19", "nets/vgg19"])
def test_what_looks_like_a_path_is_no_name(text):
    with pytest.raises(WeightsError, match=f"no weights file {Path(text)}$"):
        resolve(text)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_named_like_no_weights_is_one_s_own(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    touched(tmp_path, "mine") if kind == "file" else (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigError, match=r"^no weights are named 'mine'; for that file, say \./mine$"):
        resolve("mine")


def test_a_folder_is_no_weights_file(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*; it is a folder"):
        resolve(tmp_path)


def test_the_cache_holds_slim_and_published_files(tmp_path):
    published = touched(cache_folder(), "vgg19-dcbb9e9d.pth")
    assert resolve("vgg19") == published
    slim = touched(cache_folder(), "vgg19.safetensors")
    assert resolve("vgg19") == slim


def test_older_published_files_serve_too():
    older = touched(cache_folder(), "vgg11-bbd30ac9.pth")
    assert resolve("vgg11") == older


def test_pytorchs_own_downloads_are_used_where_they_are(tmp_path, monkeypatch):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    file = touched(hub, "resnet50-0676ba61.pth")
    touched(hub, "resnet18.safetensors")
    assert find("resnet50").place == "torch hub"
    assert resolve("resnet50") == file
    assert find("resnet18") is None
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    touched(tmp_path / "xdg" / "torch" / "hub" / "checkpoints", "vgg16-397923af.pth")
    assert find("vgg16").place == "torch hub"


def test_the_given_folder_comes_before_the_cache(tmp_path, monkeypatch):
    touched(cache_folder(), "vgg19.safetensors")
    monkeypatch.setenv("VELATURA_WEIGHTS", str(tmp_path / "nets"))
    file = touched(tmp_path / "nets", "vgg19-dcbb9e9d.pth")
    assert resolve("vgg19") == file
    assert find("vgg19").place == "given"


def test_a_given_folder_that_is_none_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("VELATURA_WEIGHTS", str(tmp_path / "absent"))
    with pytest.raises(
        WeightsError, match=r"VELATURA_WEIGHTS names .*absent, which is no folder; correct or unset it"
    ):
        resolve("vgg19")


def test_a_folder_that_may_not_be_read_is_named(monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(WeightsError, match=r"cannot look for weights in .*: Permission denied"):
        resolve("vgg19")
    with pytest.raises(WeightsError, match=r"cannot read weights nets/vgg19: Permission denied"):
        resolve("nets/vgg19")


def test_imported_weights_have_a_name_too():
    file = touched(cache_folder(), "my-net.safetensors")
    touched(cache_folder(), "vgg19.safetensors")
    touched(cache_folder(), ".vgg16.safetensors")
    assert resolve("my-net") == file
    assert kept_names() == ("my-net",)


def test_an_unknown_name_is_answered_with_the_nearest():
    touched(cache_folder(), "my-net.safetensors")
    with pytest.raises(ConfigError, match=r"unknown weights 'my-ned'; did you mean 'my-net'"):
        resolve("my-ned")


def test_a_file_that_is_not_here_says_where_to_get_it(tmp_path):
    complaint = (
        r"weights vgg19 are not here \(VELATURA_OFFLINE is set\); "
        r"put vgg19-dcbb9e9d.pth \(SHA-256 dcbb9e9d..., "
        rf"from https://download.pytorch.org/models/vgg19-dcbb9e9d.pth\) into {cache_folder()}"
    )
    with pytest.raises(WeightsError, match=complaint) as raised:
        resolve("vgg19")
    assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match=r"not here \(run 'velatura weights fetch vgg19'\)"):
        resolve("vgg19", fetch=False)


def test_what_ships_is_in_the_package():
    shipped = Path(sys.modules["velatura.weights"].__file__).with_name("vgg19-slim.safetensors")
    if shipped.exists():
        assert resolve("vgg19-slim") == shipped
        assert find("vgg19-slim").place == "shipped"
        assert load_weights(shipped).licence == catalogue()["vgg19-slim"].licence
    else:
        with pytest.raises(
            WeightsError, match=r"vgg19-slim ships with Velatura, but vgg19-slim.safetensors is not in it"
        ):
            resolve("vgg19-slim")


def test_what_is_not_here_is_fetched_once(server, published, monkeypatch):
    monkeypatch.delenv("VELATURA_OFFLINE")
    monkeypatch.setenv("VELATURA_MIRROR", server.base)
    server.put("vgg11.safetensors", save(dict(published("vgg11"))))
    path = resolve("vgg11")
    assert load_weights(path).architecture.names == ("vgg11",)
    server.asked.clear()
    assert resolve("vgg11") == path
    assert server.asked == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"VELATURA_CACHE": "/data/cache"}, "/data/cache/weights"),
        ({"VELATURA_CACHE": "~/cache"}, "/home/somebody/cache/weights"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/velatura/weights"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/somebody/.cache/velatura/weights"),
        ({}, "/home/somebody/.cache/velatura/weights"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is the platform's")
def test_the_cache_folder(environment, expected, monkeypatch):
    for variable in ("VELATURA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert str(cache_folder()) == expected


def test_finding_imports_no_torch():
    code = "import sys, velatura.weights as w; w.resolve(sys.executable + ''); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
