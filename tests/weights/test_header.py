import contextlib
import json
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from velatura.core.errors import WeightsError
from velatura.weights.header import MAX_HEADER_BYTES, TensorSpan, header_length, pack_header, parse_header


def packed(table):
    return json.dumps(table).encode()


def tensor(start, stop, *, dtype="F32", shape=None):
    return {
        "dtype": dtype,
        "shape": [(stop - start) // 4] if shape is None else shape,
        "data_offsets": [start, stop],
    }


def test_a_header_of_the_safetensors_library():
    content = save({"b": torch.zeros(2, 3), "a": torch.zeros(4, dtype=torch.float16)}, metadata={"who": "me"})
    length = header_length(content)
    header = parse_header(content[8 : 8 + length], data_bytes=len(content) - 8 - length)
    assert header.metadata == {"who": "me"}
    assert {(span.name, span.dtype, span.shape) for span in header.tensors} == {
        ("a", "F16", (4,)),
        ("b", "F32", (2, 3)),
    }
    assert sum(span.stop - span.start for span in header.tensors) == 2 * 3 * 4 + 4 * 2


def test_what_is_packed_the_safetensors_library_reads():
    spans = [TensorSpan(name=name, dtype="F32", shape=(2,), start=90, stop=98) for name in ("y", "x")]
    content = pack_header(spans, {"k": "v"}) + struct.pack("<4f", 1, 2, 3, 4)
    tensors = load(content)
    assert tensors["y"].tolist() == [1, 2]
    assert tensors["x"].tolist() == [3, 4]


@given(st.dictionaries(st.text(max_size=8), st.lists(st.integers(0, 5), max_size=3), max_size=5))
def test_packing_and_parsing_is_the_identity(shapes):
    shapes = {name: tuple(shape) for name, shape in shapes.items() if name != "__metadata__"}
    sizes = {name: 4 * int(torch.tensor(shape).prod()) for name, shape in shapes.items()}
    spans = [TensorSpan(name=n, dtype="F32", shape=s, start=0, stop=sizes[n]) for n, s in shapes.items()]
    content = pack_header(spans, {})
    header = parse_header(content[8:], data_bytes=sum(sizes.values()))
    assert header_length(content) == len(content) - 8
    assert {span.name: span.shape for span in header.tensors} == shapes


@pytest.mark.parametrize("length", [0, 1, MAX_HEADER_BYTES + 1, 2**63])
def test_an_absurd_header_length_is_refused_before_anything_is_read(length):
    with pytest.raises(WeightsError, match=f"its header would be {length} bytes; expected 2 to"):
        header_length(struct.pack("<Q", length))


def test_a_file_of_three_bytes_has_no_header():
    with pytest.raises(WeightsError, match="it ends after 3 bytes"):
        header_length(b"abc")


HOSTILE = {
    "no json": (b"{", "no valid JSON"),
    "not utf-8": (b"\xff\xff", "no valid JSON"),
    "a deep nest": (b"[" * 100_000, "no valid JSON"),
    "a huge number": (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b"]}}", "no valid JSON"),
    "a name twice": (b'{"a":{},"a":{}}', "no valid JSON"),
    "a list": (b"[]", "no table of tensors"),
    "metadata of numbers": (packed({"__metadata__": {"a": 1}}), "metadata are not strings"),
    "metadata as a list": (packed({"__metadata__": []}), "metadata are not strings"),
    "a tensor without shape": (packed({"a": {"dtype": "F32"}}), "'a' is not described by"),
    "a tensor that is a number": (packed({"a": 1}), "'a' is not described by"),
    "an unknown dtype": (packed({"a": tensor(0, 4, dtype="F31")}), "unknown dtype 'F31'"),
    "a dtype that is a list": (packed({"a": tensor(0, 4, dtype=[])}), "unknown dtype"),
    "a negative size": (packed({"a": tensor(0, 4, shape=[-1])}), "no sizes"),
    "a size that is true": (packed({"a": tensor(0, 4, shape=[True])}), "no sizes"),
    "a size beyond 64 bits": (packed({"a": tensor(0, 4, shape=[2**64])}), "no sizes"),
    "a fractional offset": (packed({"a": tensor(0, 4) | {"data_offsets": [0, 4.0]}}), "no sizes"),
    "three offsets": (packed({"a": tensor(0, 4) | {"data_offsets": [0, 4, 8]}}), "no sizes"),
    "a wrong length": (packed({"a": tensor(0, 4, shape=[2])}), "not as long as its shape"),
    "an end before its start": (packed({"a": tensor(4, 0, shape=[1])}), "not as long as its shape"),
    "an overlap": (packed({"a": tensor(0, 8), "b": tensor(4, 8)}), "'b' overlaps or leaves a gap"),
    "a gap": (packed({"a": tensor(0, 4), "b": tensor(8, 12)}), "'b' overlaps or leaves a gap"),
    "an end behind the file's": (
        packed({"a": tensor(0, 80)}),
        "describes 80 bytes of tensors, the file has 8",
    ),
}


@pytest.mark.parametrize(("text", "complaint"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_header_is_refused(text, complaint):
    with pytest.raises(WeightsError, match=complaint):
        parse_header(text, data_bytes=8)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_a_weights_error(text):
    with contextlib.suppress(WeightsError):
        parse_header(text, data_bytes=8)
