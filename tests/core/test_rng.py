"""Seeds: named streams that do not know of each other."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.core.rng import generator


def _numbers(seed, stream, count=1000):
    return torch.rand(count, generator=generator(seed, stream))


@given(st.integers(0, 2**63 - 1), st.text(max_size=20))
def test_the_same_seed_and_stream_give_the_same_numbers(seed, stream):
    assert torch.equal(_numbers(seed, stream, 5), _numbers(seed, stream, 5))


def test_streams_and_seeds_are_independent():
    uses = [
        (seed, stream) for seed in (0, 1, 2) for stream in ("initialization", "backbone weights", "step 1")
    ]
    for one, other in itertools.combinations(uses, 2):
        together = torch.stack([_numbers(*one), _numbers(*other)])
        # The correlation of 1000 independent pairs is within 0.16 but for one in two million.
        assert abs(float(torch.corrcoef(together)[0, 1])) < 0.16


def test_drawing_more_for_one_use_changes_no_other():
    weights = generator(0, "weights")
    torch.rand(100, generator=generator(0, "initialization"))
    assert torch.equal(torch.rand(5, generator=weights), _numbers(0, "weights", 5))


def test_neither_reads_nor_changes_the_global_seed():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _numbers(0, "initialization")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(_numbers(0, "initialization"), first)


@pytest.mark.parametrize(
    ("seed", "stream", "expected"),
    [
        # printf 0/initialization | sha256sum, the first seven bytes, the last one first
        (0, "initialization", 0x8B75C56916C296),
        (7, "step 3", 0xB9C56FD94143EF),
    ],
)
def test_the_seed_of_a_stream_never_changes(seed, stream, expected):
    """Pictures of last year are painted again only as long as this holds."""
    assert generator(seed, stream).initial_seed() == expected
