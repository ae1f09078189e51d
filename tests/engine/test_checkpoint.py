"""Checkpoints: written whole, read back to the bit, and refused in one line."""

import resource

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.testing import assert_close

from velatura.core.errors import ConfigError, OutputError
from velatura.engine.checkpoint import read_checkpoint, read_tensors, write_checkpoint, write_tensors

RUN = {"seed": 1, "size": (12, 16), "method": {"lr": 0.1, "name": "adam"}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "run.safetensors"


def test_tensors_and_record_come_back_to_the_bit(path):
    tensors = {
        "canvas": torch.rand(1, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_(),
        "scalars": torch.tensor([1 / 3, torch.inf], dtype=torch.float64),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    record = {"step": 3, "history": [{"loss": 0.1 + 0.2}]}
    write_checkpoint(path, tensors, record, of=RUN)
    found, found_record = read_checkpoint(path, of=RUN)
    assert found_record == record
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert_close(found[name], tensor.detach(), rtol=0, atol=0)


def test_the_last_one_written_counts(path):
    for step in range(3):
        write_checkpoint(path, {"canvas": torch.full((2,), float(step))}, {"step": step}, of=RUN)
    assert read_checkpoint(path, of=RUN)[1] == {"step": 2}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_others_may_read_what_they_may_read_of_any_new_file(path):
    write_tensors(path, {"canvas": torch.zeros(3)}, {})
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_a_full_disk_is_said_and_leaves_the_last_one(path):
    write_tensors(path, {"canvas": torch.zeros(3)}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            OutputError,
            match=r"cannot write '.*run.safetensors': the file would be larger than is allowed here",
        ):
            write_tensors(path, {"canvas": torch.ones(1000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert_close(read_tensors(path)[0], {"canvas": torch.zeros(3)})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"size": (12, 17)}, "size"),
        ({"method": {"lr": 0.2, "name": "adam"}}, "method.lr"),
        ({"method": {"history": 10, "name": "lbfgs"}}, "method.history, method.name, method.lr"),
        ({"method": "adam"}, "method"),
        ({"blend": [1.0], "seed": 3}, "seed, blend"),
    ],
)
def test_another_run_is_named_by_what_differs(path, changes, named):
    write_checkpoint(path, {}, {}, of=RUN)
    with pytest.raises(ConfigError, match=f"it is of a run with another {named}; give the settings"):
        read_checkpoint(path, of={**RUN, **changes})


def test_what_only_the_checkpoint_says_differs_too(path):
    write_checkpoint(path, {}, {}, of={**RUN, "strength": 2.0})
    with pytest.raises(ConfigError, match="another strength"):
        read_checkpoint(path, of=RUN)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}trailing"])
def test_a_broken_file_is_refused(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot resume: .*run\.safetensors is not a whole checkpoint \("):
        read_checkpoint(path, of=RUN)


def test_a_file_cut_short_is_refused(path):
    write_checkpoint(path, {"canvas": torch.rand(100)}, {}, of=RUN)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="is not a whole checkpoint"):
        read_checkpoint(path, of=RUN)


def test_a_missing_file_is_refused(path):
    with pytest.raises(ConfigError, match=r"cannot resume: there is no checkpoint .*run\.safetensors"):
        read_checkpoint(path, of=RUN)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a whole checkpoint"):
        read_checkpoint(tmp_path, of=RUN)


@pytest.mark.parametrize("metadata", [None, {"step": "4"}])
def test_other_safetensors_are_refused(tmp_path, metadata):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata)
    with pytest.raises(ConfigError, match=r"weights\.safetensors is no checkpoint of a stylization"):
        read_checkpoint(path, of=RUN)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last(path):
    write_tensors(path, {"canvas": torch.zeros(3)}, {})
    with pytest.raises(OutputError, match="cannot write"):
        write_tensors(path / "below", {"canvas": torch.ones(3)}, {})
    assert_close(read_tensors(path)[0], {"canvas": torch.zeros(3)})


def test_a_full_disk_is_said_as_for_other_files(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("velatura.engine.checkpoint.save_file", full)
    with pytest.raises(OutputError, match=r"run.safetensors': the disk is full$"):
        write_tensors(tmp_path / "run.safetensors", {}, {})
