import errno
import json

import pytest
import torch
from safetensors import safe_open
from torch.testing import assert_close

from velatura.core.errors import WeightsError
from velatura.weights import Weights, load_weights, write_slim
from velatura.weights.slim import tensors_sha256


@pytest.fixture
def weights():
    torch.manual_seed(0)
    state = {
        "preprocess.weight": torch.rand(3, 3, 1, 1),
        "preprocess.bias": torch.rand(3),
        "features.0.weight": torch.rand(4, 3, 3, 3),
        "features.0.bias": torch.rand(4),
    }
    return Weights(
        state=state,
        preprocessing="inner",
        padding="replicate",
        pooling="average",
        source="net.pth",
        licence="MIT",
    )


def test_what_is_written_reads_back_without_being_told_anything(weights, tmp_path):
    file = tmp_path / "net.safetensors"
    write_slim(weights, file, metadata={"velatura.source_url": "https://example.org/net.pth"})
    again = load_weights(file)
    assert (again.preprocessing, again.padding, again.pooling) == ("inner", "replicate", "average")
    assert again.licence == "MIT"
    assert again.metadata["velatura.source_url"] == "https://example.org/net.pth"
    assert again.state.keys() == weights.state.keys()
    for key, tensor in again.state.items():
        assert_close(tensor, weights.state[key], rtol=0, atol=0)


def test_the_safetensors_library_reads_it(weights, tmp_path):
    write_slim(weights, tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="np") as file:
        assert set(file.keys()) == set(weights.state)
        assert file.metadata()["velatura.format"] == "1"
        assert_close(torch.from_numpy(file.get_tensor("features.0.bias")), weights.state["features.0.bias"])


def test_half_precision_halves_the_file_and_rounds(weights, tmp_path):
    write_slim(weights, tmp_path / "half.safetensors", dtype="float16")
    write_slim(weights, tmp_path / "full.safetensors")
    half, full = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("half", "full"))
    assert len(full) - len(half) == pytest.approx(sum(2 * t.numel() for t in weights.state.values()), abs=16)
    again = load_weights(tmp_path / "half.safetensors")
    assert_close(again.state["features.0.weight"], weights.state["features.0.weight"], rtol=2**-11, atol=0)


def test_a_number_too_large_for_half_precision_is_named(weights, tmp_path):
    weights.state["features.0.bias"][2] = 1e6
    with pytest.raises(WeightsError, match=r"tensor 'features.0.bias' holds a number that float16 cannot"):
        write_slim(weights, tmp_path / "half.safetensors", dtype="float16")
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_same_weights_give_the_same_bytes(weights, tmp_path):
    extra = {f"key{index}": str(index) for index in range(20)}
    write_slim(weights, tmp_path / "a.safetensors", metadata=extra)
    backwards = dict(reversed(weights.state.items()))
    turned = Weights(
        state=backwards,
        preprocessing="inner",
        padding="replicate",
        pooling="average",
        source="x",
        licence="MIT",
    )
    write_slim(turned, tmp_path / "b.safetensors", metadata=dict(reversed(extra.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_tensors_that_are_views_are_written_as_they_look(weights, tmp_path):
    turned = weights.state["features.0.weight"].transpose(2, 3)
    weights.state["features.0.weight"] = turned
    write_slim(weights, tmp_path / "net.safetensors")
    assert_close(load_weights(tmp_path / "net.safetensors").state["features.0.weight"], turned)


def test_the_header_says_nothing_but_what_was_given(weights, tmp_path):
    write_slim(weights, tmp_path / "net.safetensors", metadata={"note": "n"})
    content = (tmp_path / "net.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"] == {
        "note": "n",
        "velatura.format": "1",
        "velatura.licence": "MIT",
        "velatura.padding": "replicate",
        "velatura.pooling": "average",
        "velatura.preprocessing": "inner",
    }


def test_metadata_cannot_contradict_the_weights(weights, tmp_path):
    with pytest.raises(ValueError, match=r"velatura\.padding.* follow from the weights themselves"):
        write_slim(weights, tmp_path / "net.safetensors", metadata={"velatura.padding": "zeros"})


def test_a_full_disk_leaves_nothing_behind(weights, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("velatura.weights.slim._bytes", full)
    with pytest.raises(WeightsError, match=r"cannot write '.*net\.safetensors': the disk is full"):
        write_slim(weights, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_hash_of_tensors_does_not_depend_on_their_order(weights):
    assert tensors_sha256(weights.state) == tensors_sha256(dict(reversed(weights.state.items())))
    other = dict(weights.state) | {"features.0.bias": weights.state["features.0.bias"] + 1}
    assert tensors_sha256(weights.state) != tensors_sha256(other)


def test_the_hash_of_a_worked_example():
    # hashlib.sha256(b"a [2]\n" + struct.pack("<2f", 1, 2)).hexdigest()
    expected = "31fe0bf7"
    assert tensors_sha256({"a": torch.tensor([1.0, 2.0])})[:8] == expected
