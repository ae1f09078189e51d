"""The loader: squares that follow from the seed and the step, whoever decodes them."""

import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.core.errors import ConfigError
from velatura.engine.train.data import Batches, Cropping, Location, Pictures, Shuffled, load_ahead
from velatura.imaging import Picture

CROP = Cropping(framing="crop", crop=16, short_edge=20, mirror=True)


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("contents", "styles", "chosen")
        if getattr(one, name) is not None
    )


@pytest.fixture
def batches(locations):
    def make(**changes):
        changes = {"batch": 2, "seed": 5, **changes}
        return Batches(
            Pictures(locations(), CROP), Pictures(locations("styles"), CROP), num_styles=3, **changes
        )

    return make


def test_a_batch_is_a_function_of_seed_and_step(batches):
    forward, backward = batches(), batches()
    ahead = [forward[step] for step in range(6)]
    assert all(same(backward[step], ahead[step]) for step in reversed(range(6)))
    assert not any(same(batches(seed=6)[step], ahead[step]) for step in range(6))


def test_other_processes_decode_the_same(batches):
    here = list(load_ahead(batches(), range(3, 7), workers=0))
    there = list(load_ahead(batches(), range(3, 7), workers=2))
    assert len(here) == len(there) == 4
    assert all(same(one, other) for one, other in zip(here, there, strict=True))


def test_the_parts_of_two_processes_are_the_whole(batches):
    whole = batches(batch=4)[3]
    parts = [batches(batch=4, rank=rank, world=2)[3] for rank in range(2)]
    for name in ("contents", "styles", "chosen"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@given(count=st.integers(1, 40), epoch=st.integers(0, 5))
def test_every_picture_comes_once_an_epoch(count, epoch):
    order = Shuffled(count, seed=1, stream="x")
    assert sorted(order[epoch * count + place] for place in range(count)) == list(range(count))


def test_epochs_are_shuffled_anew():
    order = Shuffled(50, seed=1, stream="x")
    assert [order[place] for place in range(50)] != [order[50 + place] for place in range(50)]


@settings(deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    framing=st.sampled_from(["square", "centre", "crop", "zoom"]),
    seed=st.integers(0, 9),
)
def test_any_picture_becomes_a_square(height, width, framing, seed):
    cropping = Cropping(framing=framing, crop=16, short_edge=20, mirror=True)
    picture = torch.full((3, height, width), 0.5)
    square = cropping.cut(cropping.prepared(picture), torch.Generator().manual_seed(seed))
    assert (square.shape, square.dtype) == ((3, 16, 16), torch.uint8)
    assert_close(square.float(), torch.full((3, 16, 16), 128.0), rtol=0, atol=1)


def test_framings_by_hand():
    """A ramp from left to right, 40 wide and 20 high."""
    ramp = (torch.arange(40) / 255).expand(3, 20, 40)
    rng = torch.Generator().manual_seed(0)

    def columns(framing, **changes):
        cropping = Cropping(**{"framing": framing, "crop": 10, "short_edge": 20, "mirror": False, **changes})
        return cropping.cut(cropping.prepared(ramp), rng)[0, 0].tolist()

    assert columns("centre") == list(range(15, 25))
    # Squashed: each of ten columns is the mean of about four.
    assert columns("square") == pytest.approx([1.5 + 4 * place for place in range(10)], abs=1)
    left = columns("crop")
    assert left == list(range(left[0], left[0] + 10))
    assert left[0] != columns("crop")[0]
    mirrored = [columns("centre", mirror=True) for _ in range(20)]
    assert sorted(map(tuple, {tuple(row) for row in mirrored})) == [
        tuple(range(15, 25)),
        tuple(reversed(range(15, 25))),
    ]


def test_a_broken_picture_is_replaced_by_the_next_and_named(locations, folder):
    (folder / "contents" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    pictures = Pictures(locations(), CROP)
    rng = torch.Generator().manual_seed(0)
    after = Pictures(locations(), CROP).square(3, torch.Generator().manual_seed(0))
    assert torch.equal(pictures.square(2, rng), after)
    (line,) = pictures.broken.values()
    assert line.startswith("2.png: cannot read ")
    batches = Batches(pictures, batch=6, seed=0)
    assert batches[0].broken == (line,)


def test_nothing_but_broken_pictures_is_an_error_whoever_reads(folder):
    (folder / "contents" / "0.png").write_text("no picture")
    broken = [Location(folder / "contents" / "0.png", "0.png")]
    for workers in (0, 1):
        batches = Batches(Pictures(broken, CROP), batch=1, seed=0)
        with pytest.raises(ConfigError, match=r"^none of 1 pictures can be read; the first: 0\.png: cannot"):
            next(load_ahead(batches, range(2), workers=workers))


def test_a_picture_in_a_tar_is_the_picture(folder, tmp_path):
    path = tmp_path / "all.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder / "contents" / "1.png", arcname="deep/1.png")
    with tarfile.open(path) as tar:
        (member,) = tar.getmembers()
    inside = Location(path, member.name, member.offset_data, member.size)
    outside = Location(folder / "contents" / "1.png", "1.png")
    assert torch.equal(inside.read(), outside.read())
    assert inside.content() == (folder / "contents" / "1.png").read_bytes()


def test_what_is_kept_is_what_is_read_again(locations):
    keeping, reading = (Pictures(locations(), CROP, cache_bytes=room) for room in (10**6, 0))
    for _ in range(2):
        for index in range(6):
            rngs = [torch.Generator().manual_seed(index) for _ in range(2)]
            assert torch.equal(keeping.square(index, rngs[0]), reading.square(index, rngs[1]))
    assert len(keeping.kept) == 6
    assert not reading.kept


def test_transparent_parts_are_white(tmp_path):
    rgba = np.zeros((20, 20, 4), np.float32)
    Picture.of(rgba).save(tmp_path / "clear.png")
    assert torch.equal(Location(tmp_path / "clear.png", "clear.png").read(), torch.ones(3, 20, 20))
