"""Model files: what is written comes back, and whatever else comes is refused in one line."""

import io
import json
import struct
import zipfile
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from velatura.core.errors import OutputError, WeightsError
from velatura.networks import InstanceNorm, ModelRecord, Network, fill_network, read_model, write_model


class Small(Network):
    """A network of two styles, with a counter as batch normalisation has one."""

    styles = "many"
    num_styles = 2

    def __init__(self, channels=4):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.norm = InstanceNorm(channels)
        self.register_buffer("seen", torch.tensor(7))

    @property
    def encoder_sha256(self):
        return "ef" * 32

    def stylize(self, content, style, *, alpha):
        return self.norm(self.first(content))[:, :3]


RECORD = ModelRecord(
    config={"name": "small", "channels": 4},
    style_names=("waves", "mosaic"),
    style_sha256=("ab" * 32, "cd" * 32),
    encoder_sha256="ef" * 32,
    training={"steps": 12, "loss": [1.5, 0.25], "note": "Ü"},
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def file(network, tmp_path):
    write_model(tmp_path / "small.safetensors", network, RECORD)
    return tmp_path / "small.safetensors"


def repacked(file, change):
    """The file with its header's table changed."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    change(table)
    text = json.dumps(table).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def refusal(file):
    with pytest.raises(WeightsError) as caught:
        read_model(file)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message


def test_what_is_written_comes_back(network, file):
    tensors, record = read_model(file)
    assert record == RECORD
    assert tensors.keys() == network.state_dict().keys()
    for key, tensor in network.state_dict().items():
        assert_close(tensors[key], tensor, rtol=0, atol=0)
    other = Small()
    fill_network(other, tensors)
    picture = torch.rand(1, 3, 9, 7)
    style = network.choose([0.5, 0.5])
    assert_close(other(picture, style), network(picture, style), rtol=0, atol=0)


def test_half_the_bits_round_to_three_digits_and_come_back_wide(network, file, tmp_path):
    write_model(tmp_path / "half.safetensors", network, RECORD, dtype="float16")
    tensors, record = read_model(tmp_path / "half.safetensors")
    assert record == RECORD
    assert tensors["first.weight"].dtype == torch.float32
    assert tensors["seen"].item() == 7
    assert_close(tensors["first.weight"], network.first.weight.detach(), rtol=2**-11, atol=1e-6)
    assert (tmp_path / "half.safetensors").stat().st_size < file.stat().st_size


def test_the_same_model_gives_the_same_bytes(network, file, tmp_path):
    write_model(tmp_path / "again.safetensors", network, RECORD)
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_a_weight_that_is_not_finite_is_not_written(network, file):
    before = file.read_bytes()
    with torch.no_grad():
        network.first.bias[1] = float("nan")
    with pytest.raises(WeightsError, match=r"tensor 'first\.bias' holds a number that float32 cannot"):
        write_model(file, network, RECORD)
    assert file.read_bytes() == before


def test_the_encoder_is_named_by_the_network(network, file):
    write_model(file, network, replace(RECORD, encoder_sha256=None))
    assert read_model(file)[1] == RECORD
    with pytest.raises(ValueError, match="another encoder"):
        write_model(file, network, replace(RECORD, encoder_sha256="00"))


def test_a_folder_that_cannot_be_written_to_is_said(network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        write_model(tmp_path / "file" / "small.safetensors", network, RECORD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {}}, "must have the network's name"),
        ({"style_names": ("waves", "waves")}, "stands twice"),
        ({"style_names": ("waves", "a\nb")}, "cannot be the name of a style"),
        ({"style_names": ("waves",)}, "1 styles have 2 hashes"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(RECORD, **change)


def test_no_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    assert "it is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_a_truncated_file(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    assert "is it cut short" in refusal(file)


def test_a_file_with_more_at_its_end(file):
    file.write_bytes(file.read_bytes() + b"more")
    assert "expected a model that 'velatura train' wrote" in refusal(file)


def test_weights_of_a_backbone(tmp_path):
    file = tmp_path / "vgg.safetensors"
    save_file({"features.0.weight": torch.rand(4, 3, 3, 3), "features.0.bias": torch.rand(4)}, file)
    assert "not the weights of a backbone (torchvision); give those to --weights" in refusal(file)


def test_other_safetensors(tmp_path):
    file = tmp_path / "other.safetensors"
    save_file({"lm_head": torch.rand(4)}, file)
    assert "its header says nothing of one" in refusal(file)
    save_file({"canvas": torch.rand(4)}, file, {"velatura.checkpoint": "{}"})
    assert "the checkpoint of a run" in refusal(file)


def test_a_newer_format_says_to_update(file):
    repacked(
        file, lambda table: table["__metadata__"].update({"velatura.model": "2", "velatura.record": "?"})
    )
    assert "reads up to format 1: update Velatura" in refusal(file)


@pytest.mark.parametrize("version", ["0", "-1", "one", "", "²"])
def test_a_format_that_is_no_version(file, version):
    repacked(file, lambda table: table["__metadata__"].update({"velatura.model": version}))
    assert "which is no version" in refusal(file)


def test_a_pickle_is_not_opened(tmp_path):
    opened = tmp_path / "opened"

    class Hostile:
        def __reduce__(self):
            return (open, (str(opened), "w"))

    for zipped in (True, False):
        file = tmp_path / "model.safetensors"
        torch.save({"x": Hostile()}, file, _use_new_zipfile_serialization=zipped)
        assert "a file that PyTorch pickled; it was not opened" in refusal(file)
    assert not opened.exists()


def test_a_header_whose_length_looks_like_a_pickle_is_read(network, tmp_path):
    """A length such as 0x1280 makes the file begin with 0x80, the protocol's mark."""
    path, note = tmp_path / "small.safetensors", 0
    while True:
        record = replace(RECORD, training={"note": "n" * note})
        write_model(path, network, record)
        (length,) = struct.unpack("<Q", path.read_bytes()[:8])
        if length % 256 == 0x80:
            break
        note += 8
    assert path.read_bytes()[:1] == b"\x80"
    assert read_model(path)[1] == record


def test_an_archive_that_is_no_pickle_is_refused_alike(tmp_path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("a", "b")
    (tmp_path / "a.zip").write_bytes(memory.getvalue())
    assert "it was not opened" in refusal(tmp_path / "a.zip")


def test_a_header_that_would_be_huge(file):
    file.write_bytes(struct.pack("<Q", 2**60) + file.read_bytes()[8:])
    assert "its header would be" in refusal(file)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_weights_that_are_not_finite(file, number):
    content = bytearray(file.read_bytes())
    data = 8 + int.from_bytes(content[:8], "little")
    content[data : data + 4] = struct.pack("<f", number)
    file.write_bytes(content)
    assert "tensor 'first.bias' holds a NaN or an infinity" in refusal(file)


def test_numbers_of_another_kind(file, tmp_path):
    save_file({"a": torch.rand(4).double()}, file, {"velatura.model": "1", "velatura.record": _text(file)})
    assert "holds F64; expected F16 or F32" in refusal(file)


def _text(file):
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]["velatura.record"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"config": {"name": 1}, "style_names": 1, "style_sha256": [], "encoder_sha256": 0, "training": {}}',
        '{"config": {}, "style_names": [], "style_sha256": [], "encoder_sha256": null, "training": {}}',
    ],
)
def test_a_record_that_cannot_be_read(file, text):
    repacked(file, lambda table: table["__metadata__"].update({"velatura.record": text}))
    assert "its record cannot be read" in refusal(file)


def test_tensors_of_another_network(network, file):
    tensors, _ = read_model(file)
    with pytest.raises(WeightsError, match=r"first\.weight has shape \(4, 3, 3, 3\), not \(5, 3, 3, 3\)"):
        fill_network(Small(5), tensors)
    with pytest.raises(WeightsError, match=r"it lacks first\.bias"):
        fill_network(network, {key: value for key, value in tensors.items() if key != "first.bias"})
    with pytest.raises(WeightsError, match=r"extra has no place in it"):
        fill_network(network, {**tensors, "extra": torch.zeros(1)})
