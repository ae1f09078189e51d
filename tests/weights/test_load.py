import contextlib
import io
import os
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.testing import assert_close

from velatura.core.errors import WeightsError
from velatura.core.files import sha256_file
from velatura.weights import load_weights
from velatura.weights.catalogue import CatalogueEntry


def conv(width=2, before=3, **more):
    return {
        "features.0.weight": torch.ones(width, before, 3, 3, **more),
        "features.0.bias": torch.zeros(width),
    }


def vgg_file(tmp_path, state=None, **metadata):
    file = tmp_path / "net.safetensors"
    save_file(
        conv() if state is None else state, file, metadata={"input": "RGB 0-1, ImageNet mean/std", **metadata}
    )
    return file


OFFICIAL = ["vgg11", "vgg19", "vgg16_bn", "resnet18", "resnet50", "squeezenet1_1"]


@pytest.mark.parametrize("name", OFFICIAL)
@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])
def test_a_published_state_dict_comes_out_as_it_was(published, kept, tmp_path, name, legacy):
    state = published(name)
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    weights = load_weights(tmp_path / "net.pth", preprocessing="torchvision")
    assert weights.state.keys() == kept(state).keys()
    for key, tensor in weights.state.items():
        assert_close(tensor, state[key], rtol=0, atol=0)
    assert weights.architecture.names == (name,)
    assert (weights.preprocessing, weights.padding, weights.pooling) == ("torchvision", "zeros", "max")
    assert weights.source == "net.pth"
    assert weights.path == tmp_path / "net.pth"
    assert weights.sha256 == sha256_file(tmp_path / "net.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_checkpoint_gives_its_state_dict(published, kept, tmp_path, wrapper):
    state = published("vgg11")
    torch.save({wrapper: state, "epoch": 3}, tmp_path / "net.pth")
    weights = load_weights(tmp_path / "net.pth", preprocessing="torchvision")
    assert weights.state.keys() == kept(state).keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    weights = load_weights(vgg_file(tmp_path, {key: value.to(dtype) for key, value in conv().items()}))
    assert weights.state["features.0.weight"].dtype == torch.float32
    assert_close(weights.state["features.0.weight"], torch.ones(2, 3, 3, 3))


def test_tensors_are_copies_of_the_file(tmp_path):
    file = vgg_file(tmp_path)
    weights = load_weights(file)
    with file.open("r+b") as content:
        content.seek(-8, os.SEEK_END)
        content.write(b"\xff" * 8)
    assert_close(weights.state["features.0.weight"], torch.ones(2, 3, 3, 3))


def test_metadata_decide_how_the_network_is_used(tmp_path):
    weights = load_weights(
        vgg_file(
            tmp_path,
            input="BGR, 0-255, minus (103.939, 116.779, 123.68)",
            padding="reflect",
            pooling="average",
            licence="CC BY 4.0",
        )
    )
    assert (weights.preprocessing, weights.padding, weights.pooling) == ("caffe", "reflect", "average")
    assert weights.licence == "CC BY 4.0"
    assert weights.metadata["padding"] == "reflect"


def test_heads_stand_beside_the_state(tmp_path):
    state = {"conv11.weight": torch.ones(2, 3, 3, 3), "conv11.bias": torch.zeros(2)}
    state |= {"conv0.weight": torch.eye(3)[:, :, None, None], "conv0.bias": torch.zeros(3)}
    state |= {"conv11_aux.weight": torch.full((4, 2, 1, 1), 5.0), "conv11_aux.bias": torch.ones(4)}
    save_file(state, tmp_path / "small.safetensors")
    weights = load_weights(tmp_path / "small.safetensors")
    weight, bias = weights.heads["relu1_1"]
    assert_close(weight, state["conv11_aux.weight"])
    assert_close(bias, torch.ones(4))
    assert weights.state.keys() == {
        "features.0.weight",
        "features.0.bias",
        "preprocess.weight",
        "preprocess.bias",
    }
    assert weights.preprocessing == "inner"
    assert weights.convention_from == "its own input convolution"


def test_a_normaliser_becomes_the_input_convolution(tmp_path):
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.5])
    state = {f"module.model.{key}": value for key, value in conv().items()}
    state |= {
        "module.normalizer.new_mean": mean[:, None, None],
        "module.normalizer.new_std": std[:, None, None],
    }
    torch.save({"model": state}, tmp_path / "robust.pt")
    weights = load_weights(tmp_path / "robust.pt")
    image = torch.rand(1, 3, 2, 2)
    seen = torch.nn.functional.conv2d(
        image, weights.state["preprocess.weight"], weights.state["preprocess.bias"]
    )
    assert_close(seen, (image - mean[:, None, None]) / std[:, None, None])
    assert weights.preprocessing == "inner"
    assert weights.convention_from == "its own normaliser"


def test_imagenets_normaliser_is_torchvisions_preprocessing(tmp_path):
    state = {f"module.model.{key}": value for key, value in conv().items()}
    state["module.normalizer.new_mean"] = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    state["module.normalizer.new_std"] = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.save({"model": state, "epoch": 90}, tmp_path / "robust.pt")
    weights = load_weights(tmp_path / "robust.pt")
    assert weights.preprocessing == "torchvision"
    assert weights.state.keys() == conv().keys()
    assert weights.left_out == {"epoch": ()}


def test_numbers_without_a_word_on_the_input_ask_for_one(tmp_path):
    save_file(conv(), tmp_path / "net.safetensors")
    complaint = (
        "weights net.safetensors: it does not say what input .* preprocessing= one of torchvision, caffe"
    )
    with pytest.raises(WeightsError, match=complaint):
        load_weights(tmp_path / "net.safetensors")
    assert load_weights(tmp_path / "net.safetensors", preprocessing="caffe").preprocessing == "caffe"


def test_preprocessing_is_never_mixed_up(tmp_path):
    file = vgg_file(tmp_path)
    with pytest.raises(
        WeightsError, match=r"contradicted: its metadata says torchvision, preprocessing= says caffe"
    ):
        load_weights(file, preprocessing="caffe")
    with pytest.raises(WeightsError, match="inner needs the file's own input convolution, and it has none"):
        load_weights(vgg_file(tmp_path, input="1x1 conv is part of the net"))


def fake_catalogue(monkeypatch, file, sha256, preprocessing="caffe"):
    entry = CatalogueEntry(
        name="n",
        architecture="vgg11",
        licence="L",
        preprocessing=preprocessing,
        padding="replicate",
        pooling="average",
        files={file: sha256[:8]},
    )
    monkeypatch.setattr("velatura.weights.catalogue.catalogue", lambda: {"n": entry})
    monkeypatch.setattr("velatura.weights.load.catalogue", lambda: {"n": entry})


def test_a_published_file_is_known_by_its_hash_under_any_name(tmp_path, monkeypatch):
    torch.save(conv(), tmp_path / "renamed.pth")
    fake_catalogue(monkeypatch, "n-12345678.pth", sha256_file(tmp_path / "renamed.pth"))
    weights = load_weights(tmp_path / "renamed.pth")
    assert (weights.preprocessing, weights.padding, weights.pooling) == ("caffe", "replicate", "average")
    assert weights.licence == "L"
    complaint = "the hash of the published file says caffe, preprocessing= says torchvision"
    with pytest.raises(WeightsError, match=complaint):
        load_weights(tmp_path / "renamed.pth", preprocessing="torchvision")


def test_another_content_under_a_published_name_is_refused(tmp_path):
    torch.save(conv(), tmp_path / "vgg19-dcbb9e9d.pth")
    with pytest.raises(
        WeightsError, match=r"damaged: its SHA-256 begins .* the published file's dcbb9e9d; delete it"
    ):
        load_weights(tmp_path / "vgg19-dcbb9e9d.pth", preprocessing="torchvision")


class Marker:
    """Pickled, it makes a file when it is read by somebody who runs what a pickle says."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["archive", "legacy", "plain"])
def test_code_in_a_pickle_is_never_run(tmp_path, kind):
    file, marker = tmp_path / "evil.pth", tmp_path / "was_run"
    content = {"features.0.weight": torch.ones(2), "features.0.bias": Marker(str(marker))}
    if kind == "plain":
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=kind == "archive")
    with pytest.raises(WeightsError, match=r"evil.pth: refused: .* nothing in it was run"):
        load_weights(file)
    assert not marker.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Conv2d(3, 2, 3), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"refused: .*holds more than tensors"):
        load_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("kind", ["archive", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_truncated_file_is_refused(published, tmp_path, kind, share):
    file = tmp_path / "net.pth"
    if kind == "safetensors":
        save_file(published("vgg11"), file)
    else:
        torch.save(published("vgg11"), file, _use_new_zipfile_serialization=kind == "archive")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"weights net\.pth: (damaged|refused)"):
        load_weights(file, preprocessing="torchvision")


@pytest.mark.parametrize(
    "content", [b"\x80\x02", b"{}", b"<!DOCTYPE html>" * 9, bytes(100), b"PK\x03\x04" + bytes(90)]
)
def test_anything_else_is_no_weights_file(tmp_path, content):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights net\.pth: (damaged|refused)"):
        load_weights(tmp_path / "net.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_named(tmp_path, value):
    state = conv()
    state["features.0.weight"][1, 2, 0, 0] = value
    with pytest.raises(WeightsError, match=r"tensor 'features.0.weight' holds a NaN or an infinity"):
        load_weights(vgg_file(tmp_path, state))


def test_a_float64_beyond_float32_is_an_infinity(tmp_path):
    state = {key: value.double() * 1e300 for key, value in conv().items()}
    with pytest.raises(WeightsError, match=r"tensor 'features.0.weight' holds a NaN or an infinity"):
        load_weights(vgg_file(tmp_path, state))


def test_whole_numbers_are_no_weights(tmp_path):
    state = {key: value.to(torch.int32) for key, value in conv().items()}
    with pytest.raises(WeightsError, match=r"tensor 'features.0..*' holds torch.int32; expected floating"):
        load_weights(vgg_file(tmp_path, state))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [([1, 2], "it holds a list"), ({"epoch": 3}, "epoch is none"), ({1: torch.ones(1)}, "a key is none")],
)
def test_a_pickle_of_something_else_is_refused(tmp_path, content, complaint):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=f"expected a dictionary of tensors; {complaint}"):
        load_weights(tmp_path / "net.pth")


def test_a_missing_file_a_folder_and_an_empty_file(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot read weights .*absent\.pth: No such file"):
        load_weights(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match=f"weights {tmp_path.name}: it is a folder; name a file"):
        load_weights(tmp_path)
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(WeightsError, match=r"weights pipe\.pth: it is no ordinary file; name a file"):
        load_weights(tmp_path / "pipe.pth")
    (tmp_path / "empty.pth").touch()
    with pytest.raises(WeightsError, match=r"weights empty\.pth: the file is empty"):
        load_weights(tmp_path / "empty.pth")


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    with (tmp_path / "huge.pth").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(WeightsError, match=r"has 3221225472 bytes, more than the 2147483648 allowed"):
        load_weights(tmp_path / "huge.pth")


def test_an_archive_that_unpacks_to_more_than_the_limit_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.weights.load.MAX_FILE_BYTES", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1_000_000))
    with pytest.raises(WeightsError, match=r"it unpacks to 1000000 bytes, more than the 10000 allowed"):
        load_weights(tmp_path / "bomb.pth")


def test_a_small_file_cannot_ask_for_a_large_tensor(tmp_path):
    huge = torch.zeros(1).expand(2**20, 3, 30, 30)
    buffer = io.BytesIO()
    torch.save(OrderedDict({"conv1.weight": huge, "conv1.bias": huge[:, 0, 0, 0]}), buffer)
    (tmp_path / "net.pth").write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError, match=r"its convolutions would take 11328815104 bytes"):
        load_weights(tmp_path / "net.pth", preprocessing="torchvision")


def test_a_file_of_a_later_version_asks_for_an_update(tmp_path):
    with pytest.raises(WeightsError, match=r"it has format '2', this version reads '1'; update Velatura"):
        load_weights(vgg_file(tmp_path, **{"velatura.format": "2"}))


def test_a_misspelled_convention_names_the_file(tmp_path):
    with pytest.raises(WeightsError, match=r"weights net\.safetensors: its metadata says pooling 'avg'"):
        load_weights(vgg_file(tmp_path, **{"velatura.pooling": "avg"}))


def test_an_archive_of_many_disks_is_refused(tmp_path):
    file = tmp_path / "net.pth"
    torch.save(conv(), file)
    content = bytearray(file.read_bytes())
    locator = content.rindex(b"PK\x06\x07")
    content[locator + 16] = 9  # of so many disks, says the end of the archive
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights net\.pth: damaged"):
        load_weights(file, preprocessing="torchvision")


@pytest.mark.parametrize("kind", ["archive", "legacy", "safetensors"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_give_weights_or_a_weights_error(tmp_path, kind, data):
    file = tmp_path / "net.pth"
    if kind == "safetensors":
        save_file(conv(), file)
    else:
        torch.save(conv(), file, _use_new_zipfile_serialization=kind == "archive")
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        # The older format has names of its own each time, and with them some bytes more or fewer.
        content[data.draw(st.integers(0, 2**16)) % len(content)] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    with contextlib.suppress(WeightsError):
        weights = load_weights(file, preprocessing="torchvision")
        assert all(bool(tensor.isfinite().all()) for tensor in weights.state.values())
