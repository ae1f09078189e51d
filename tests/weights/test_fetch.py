import dataclasses
import errno
import hashlib
import json
import multiprocessing
import struct

import pytest
import torch
from safetensors.torch import save
from torch.testing import assert_close

from velatura.core.errors import WeightsError
from velatura.weights import load_weights
from velatura.weights.catalogue import entry_named
from velatura.weights.fetch import fetch
from velatura.weights.slim import tensors_sha256

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def state(published):
    return published("vgg11")


@pytest.fixture
def whole(server, state, save_torch):
    """An entry whose published file the server has."""
    return save_torch(state, server=server)


@pytest.fixture
def ranged(server, state, save_torch):
    """An entry whose tensors the server has as safetensors, with a classifier of 400 kB, and nothing else."""
    content = save(dict(state) | {"classifier.9.weight": torch.zeros(100_000)}, metadata={"format": "pt"})
    url = server.put("net/model.safetensors", content)
    return save_torch(state, server=server, path="gone.pth", by_ranges=url)


def asked_for(server, ending):
    return [asked for path, asked in server.asked if path.endswith(ending)]


def test_a_published_file_is_kept_slim(whole, state, kept, tmp_path):
    path = fetch(whole, folder=tmp_path / "here")
    assert path == tmp_path / "here" / "vgg11.safetensors"
    weights = load_weights(path)
    assert weights.state.keys() == kept(state).keys()
    for key, tensor in weights.state.items():
        assert_close(tensor, state[key], rtol=0, atol=0)
    assert weights.licence == "BSD-3-Clause"
    assert weights.metadata["velatura.source_url"] == whole.url
    assert weights.metadata["velatura.source_sha256"].startswith(whole.sha256)
    assert weights.metadata["velatura.verified"] == "SHA-256 of the published file"


def test_nothing_is_left_beside_it(whole, ranged, tmp_path):
    for name, entry in (("whole", whole), ("ranged", ranged)):
        fetch(entry, folder=tmp_path / name)
        assert [file.name for file in (tmp_path / name).iterdir()] == ["vgg11.safetensors"]


def test_what_is_here_is_not_fetched_again(server, whole, tmp_path):
    fetch(whole, folder=tmp_path)
    server.asked.clear()
    fetch(whole, folder=tmp_path)
    assert server.asked == []


def test_the_cache_is_where_it_goes_unless_told(whole, tmp_path):
    assert fetch(whole) == tmp_path / "cache" / "weights" / "vgg11.safetensors"


def test_only_the_convolutions_are_fetched_where_ranges_are_served(server, ranged, state, kept, tmp_path):
    moved = []
    path = fetch(ranged, folder=tmp_path, on_progress=lambda done, total: moved.append((done, total)))
    weights = load_weights(path)
    assert weights.state.keys() == kept(state).keys()
    for key, tensor in weights.state.items():
        assert_close(tensor, state[key], rtol=0, atol=0)
    assert moved[-1][0] == moved[-1][1] < 10_000
    # The first byte, the header's length, the header, and one range for all convolutions.
    assert len(server.asked) == 4


def test_a_range_fetch_says_that_nobody_knows_its_hash(ranged, state, kept, tmp_path):
    metadata = load_weights(fetch(ranged, folder=tmp_path)).metadata
    assert metadata["velatura.verified"] == "no: ranges fetched over https, no hash known"
    assert metadata["velatura.tensors_sha256"] == tensors_sha256(kept(state))
    assert "velatura.source_sha256" not in metadata


def test_a_range_fetch_is_checked_where_the_hash_is_known(server, ranged, state, kept, tmp_path):
    known = dataclasses.replace(ranged, tensors_sha256=tensors_sha256(kept(state)))
    assert (
        load_weights(fetch(known, folder=tmp_path / "a")).metadata["velatura.verified"]
        == "SHA-256 of the tensors"
    )
    other = dataclasses.replace(ranged, tensors_sha256=64 * "0")
    del server.files["/gone.pth"]
    with pytest.raises(WeightsError, match=r"the SHA-256 of its tensors is [0-9a-f]{64}, expected 0000"):
        fetch(other, folder=tmp_path / "b")
    assert not list((tmp_path / "b").iterdir())


def test_a_server_that_ignores_ranges_gives_the_same(server, ranged, state, kept, tmp_path):
    server.ranges = False
    weights = load_weights(fetch(ranged, folder=tmp_path))
    assert_close(weights.state, {key: tensor.float() for key, tensor in kept(state).items()}, rtol=0, atol=0)


def test_small_neighbours_are_fetched_along_and_left_out(server, published, kept, save_torch, tmp_path):
    state = published("vgg11_bn")
    url = server.put("model.safetensors", save(dict(state)))
    entry = save_torch(state, name="vgg11_bn", by_ranges=url)
    weights = load_weights(fetch(entry, folder=tmp_path))
    assert weights.state.keys() == kept(state).keys()
    assert len(server.asked) == 4


def test_large_tensors_between_are_not_fetched(server, state, save_torch, tmp_path):
    # The library would sort the classifier to one end; another writer may put it in between.
    parts = {"features.0.bias": state["features.0.bias"], "fc.weight": torch.zeros(30_000)}
    parts |= {key: tensor for key, tensor in state.items() if "features" in key and key not in parts}
    table, position = {}, 0
    for key, tensor in parts.items():
        stop = position + 4 * tensor.numel()
        table[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [position, stop]}
        position = stop
    header = json.dumps(table).encode()
    body = b"".join(tensor.numpy().tobytes() for tensor in parts.values())
    url = server.put("model.safetensors", struct.pack("<Q", len(header)) + header + body)
    weights = load_weights(fetch(save_torch(state, by_ranges=url), folder=tmp_path))
    assert_close(weights.state["features.3.weight"], state["features.3.weight"])
    starts = [int(asked.removeprefix("bytes=").split("-")[0]) for _, asked in server.asked]
    assert len(starts) == 5
    assert starts[4] - starts[3] > 120_000


@pytest.mark.parametrize("kind", ["whole", "ranged"])
def test_a_cut_connection_is_taken_up(server, request, kind, tmp_path):
    entry = request.getfixturevalue(kind)
    server.cuts = [3, 100, 1000, 20] if kind == "ranged" else [100, 1000]
    load_weights(fetch(entry, folder=tmp_path))
    assert not server.cuts


@pytest.mark.parametrize("kind", ["whole", "ranged"])
def test_the_next_fetch_goes_on_where_one_gave_up(server, request, kind, tmp_path):
    entry = request.getfixturevalue(kind)
    before = [8, 10**6] if kind == "ranged" else []
    server.cuts = before + [700] + [0] * 20
    hidden = server.files.pop("/gone.pth", None)
    with pytest.raises(WeightsError, match="times in a row"):
        fetch(entry, folder=tmp_path)
    server.cuts.clear()
    server.asked.clear()
    if hidden:
        server.put("gone.pth", hidden)
    load_weights(fetch(entry, folder=tmp_path))
    first, last = server.asked[0][1], server.asked[-1][1]
    assert first == "bytes=0-0"
    (start, stop) = (int(end) for end in last.removeprefix("bytes=").split("-"))
    size = len(server.files[server.asked[-1][0]])
    assert start >= 700
    assert stop < size
    assert [file.name for file in tmp_path.iterdir() if "safetensors" in file.name] == ["vgg11.safetensors"]


def test_a_wrong_hash_names_both_and_leaves_nothing(server, state, save_torch, tmp_path):
    entry = save_torch(state, server=server, sha256=64 * "0")
    content = next(iter(server.files.values()))
    complaint = f"its SHA-256 begins {hashlib.sha256(content).hexdigest()[:8]}, the published file's 00000000"
    with pytest.raises(WeightsError, match=complaint):
        fetch(entry, folder=tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_a_missing_file_says_how_to_get_it_by_hand(server, whole, tmp_path):
    server.files.clear()
    complaint = (
        rf"cannot fetch vgg11: {whole.url}: the server answered 404 Not Found; "
        rf"put {whole.file} \(SHA-256 {whole.sha256}..., from {whole.url}\) into {tmp_path}, "
        "or into a folder that VELATURA_WEIGHTS names"
    )
    with pytest.raises(WeightsError, match=complaint) as raised:
        fetch(whole, folder=tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob(".*"))


def test_the_published_file_stands_in_for_a_server_of_ranges(server, ranged, tmp_path):
    del server.files["/net/model.safetensors"]
    notes = []
    metadata = load_weights(fetch(ranged, folder=tmp_path, on_note=notes.append)).metadata
    assert metadata["velatura.verified"] == "SHA-256 of the published file"
    assert [note.split(": ")[-1].split(" from ")[0] for note in notes] == [
        "fetching vgg11",
        "the server answered 404 Not Found",
        "fetching vgg11",
    ]


def hostile_headers(state):
    size = 8
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, size]}
    return {
        "an endless header": struct.pack("<Q", 2**60) + b"{}",
        "a header behind the file's end": struct.pack("<Q", 2**20) + b"{}",
        "no json": struct.pack("<Q", 8) + b"{{{{{{{{",
        "an overlap": (good, {**good, "data_offsets": [4, 12]}),
        "an end behind the file's": ({**good, "shape": [2**40], "data_offsets": [0, 2**42]},),
        "another network": (good,),
        "an error page": b"<!DOCTYPE html><title>Sorry</title>" * 9,
        "three bytes": b"abc",
    }


@pytest.mark.parametrize("kind", hostile_headers(None))
def test_a_hostile_file_is_not_followed(server, ranged, state, kind, tmp_path):
    content = hostile_headers(state)[kind]
    if isinstance(content, tuple):
        header = json.dumps(
            {f"features.{index}.bias": tensor for index, tensor in enumerate(content)}
        ).encode()
        content = struct.pack("<Q", len(header)) + header + bytes(8)
    server.put("net/model.safetensors", content)
    del server.files["/gone.pth"]
    with pytest.raises(WeightsError, match=r"cannot fetch vgg11: .*model\.safetensors: "):
        fetch(ranged, folder=tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_more_than_the_network_can_weigh_is_not_fetched(server, state, save_torch, tmp_path):
    wide = {
        **state,
        "features.18.weight": torch.zeros(400_000, 2, 3, 3),
        "features.18.bias": torch.zeros(400_000),
    }
    url = server.put("model.safetensors", save(wide))
    entry = save_torch(state, by_ranges=url)
    with pytest.raises(WeightsError, match=r"bytes, more than the .* expected at most"):
        fetch(entry, folder=tmp_path)


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ("vgg13", "expected all of a vgg11, got a vgg13 to relu5_2"),
        ("resnet18", "expected all of a vgg11, got a resnet18 to layer4"),
    ],
)
def test_another_network_under_the_name_is_refused(server, published, save_torch, other, complaint, tmp_path):
    url = server.put("model.safetensors", save(dict(published(other))))
    with pytest.raises(WeightsError, match=complaint):
        fetch(save_torch(published("resnet18"), by_ranges=url), folder=tmp_path)


def test_half_a_network_is_refused(server, state, save_torch, tmp_path):
    half = {key: tensor for key, tensor in state.items() if "features.18" not in key}
    url = server.put("model.safetensors", save(half))
    with pytest.raises(WeightsError, match=r"expected all of a vgg11, got a vgg11 to relu5_1"):
        fetch(save_torch(state, by_ranges=url), folder=tmp_path)


def test_a_nan_is_refused(server, state, save_torch, tmp_path):
    state["features.0.bias"][0] = float("nan")
    with pytest.raises(WeightsError, match=r"tensor 'features\.0\.bias' holds a NaN"):
        fetch(save_torch(state, server=server), folder=tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_a_folder_that_cannot_be_made(whole, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        WeightsError, match=r"cannot keep weights in .*file/here: Not a directory; make room or name"
    ):
        fetch(whole, folder=tmp_path / "file" / "here")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("where", ["velatura.weights.download._append", "velatura.weights.slim._bytes"])
def test_a_full_or_read_only_disk_leaves_nothing(whole, tmp_path, monkeypatch, code, where):
    def refuse(*_):
        raise OSError(code, "no such luck")

    monkeypatch.setattr(where, refuse)
    with pytest.raises(WeightsError, match=r"cannot (keep weights in|write) .*here") as raised:
        fetch(whole, folder=tmp_path / "here")
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "here").iterdir())


def test_an_interrupt_leaves_what_the_next_fetch_goes_on_with(whole, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(whole, folder=tmp_path / "here", on_progress=interrupt)
    part = f".{whole.file}.part"
    assert {file.name for file in (tmp_path / "here").iterdir()} == {part, f"{part}.json"}
    fetch(whole, folder=tmp_path / "here")
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["vgg11.safetensors"]


# From Python 3.12, forking beside the server's thread warns; the children use nothing of it.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_of_two_processes_one_fetches_and_the_other_waits(server, whole, tmp_path):
    server.pause_s = 0.2
    children = [FORK.Process(target=fetch, args=(whole,), kwargs={"folder": tmp_path}) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0, 0]
    assert len(asked_for(server, whole.file)) == 2  # the first byte, and the file
    load_weights(tmp_path / "vgg11.safetensors")
    assert not list(tmp_path.glob(".*"))


def test_who_waits_is_told(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("velatura.weights.fetch.WAIT_S", 0.0)
    notes = []

    def second(done, total):
        with pytest.raises(WeightsError, match=r"another process has held"):
            fetch(whole, folder=tmp_path, on_note=notes.append)

    fetch(whole, folder=tmp_path, on_progress=second)
    assert notes == ["another process is fetching vgg11; waiting for it"]


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_mirror_is_asked_instead(server, ranged, state, ending, monkeypatch, tmp_path):
    monkeypatch.setenv("VELATURA_MIRROR", f"{server.base}/mirror{ending}")
    server.put("mirror/vgg11.safetensors", save(dict(state)))
    fetch(ranged, folder=tmp_path / "a")
    server.put(f"mirror/{ranged.file}", server.files.pop("/gone.pth"))
    del server.files["/mirror/vgg11.safetensors"]
    weights = load_weights(fetch(ranged, folder=tmp_path / "b"))
    assert weights.metadata["velatura.verified"] == "SHA-256 of the published file"
    assert all(path.startswith("/mirror/vgg11") for path, _ in server.asked)


def test_a_mirror_of_our_own_files_cannot_change_what_a_name_means(
    server, whole, state, monkeypatch, tmp_path
):
    monkeypatch.setenv("VELATURA_MIRROR", server.base)
    server.files.clear()
    server.put("vgg11.safetensors", save(dict(state), metadata={"velatura.preprocessing": "caffe"}))
    with pytest.raises(WeightsError, match=r"its metadata says caffe, preprocessing= says torchvision"):
        fetch(whole, folder=tmp_path)


def test_what_ships_is_not_fetched():
    with pytest.raises(WeightsError, match=r"vgg19-slim ships with Velatura; there is nothing to fetch"):
        fetch(entry_named("vgg19-slim"))
