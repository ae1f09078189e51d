"""Colours of one picture given to another: moments and histograms, by hand and as properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from velatura.ops import recoloring
from velatura.ops.recoloring import (
    color_moments,
    linear_map,
    match_distribution,
    match_histogram,
    match_moments,
)

BASES = pytest.mark.parametrize("basis", ["mean-std", "cholesky", "pca", "monge"])
FULL = ("cholesky", "pca", "monge")


def _moments(image):
    pixels = image[0].flatten(1)
    return pixels.mean(1)[None], pixels.cov(correction=0)[None]


def _image(seed, gain=1.0, size=(12, 17)):
    rng = torch.Generator().manual_seed(seed)
    # Channels that depend on each other, none of them almost wholly on the others.
    mixing = torch.eye(3, dtype=torch.float64) + 0.4 * torch.rand(3, 3, generator=rng).double()
    noise = torch.randn(3, size[0] * size[1], generator=rng, dtype=torch.float64)
    return (gain * mixing @ noise).reshape(1, 3, *size)


def test_moments_are_numpy_s_however_they_are_split(monkeypatch):
    image = _image(4)
    expected = torch.from_numpy(np.cov(image[0].flatten(1).numpy(), bias=True))[None]
    for at_once in (1, 50, 2**22):
        monkeypatch.setattr(recoloring, "_AT_ONCE", at_once)
        mean, matrix = color_moments(image)
        assert_close(mean, image.mean(dim=(2, 3)))
        assert_close(matrix, expected)
        assert_close(match_moments(image, mean + 1, matrix), image + 1)


@BASES
def test_of_grey_levels_by_hand(basis):
    """Each channel on its own, scaled from deviation 1 to 3 around its new mean."""
    image = torch.tensor([-1.0, 1.0], dtype=torch.float64).expand(1, 3, 1, 2).clone()
    image[:, 1] *= -1  # The channels are not alike, but a map between spheres is a mere factor.
    mean, matrix = _moments(image)
    found = match_moments(image, mean + 5, 9 * matrix, basis, epsilon=1e-12)
    assert_close(found, 3 * image + 5, rtol=1e-5, atol=1e-5)


def test_the_four_maps_of_one_pair_by_their_formulas():
    own = torch.tensor([[[4.0, 1], [1, 2]]], dtype=torch.float64)
    wanted = torch.tensor([[[1.0, -0.5], [-0.5, 3]]], dtype=torch.float64)

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(values**0.5) @ vectors.T

    s, t = own[0].numpy(), wanted[0].numpy()
    r = root(s)
    expected = {
        "mean-std": np.diag([(1 / 4) ** 0.5, (3 / 2) ** 0.5]),
        "cholesky": np.linalg.cholesky(t) @ np.linalg.inv(np.linalg.cholesky(s)),
        "pca": root(t) @ np.linalg.inv(r),
        "monge": np.linalg.inv(r) @ root(r @ t @ r) @ np.linalg.inv(r),
    }
    for basis, matrix in expected.items():
        found = linear_map(own, wanted, basis, epsilon=1e-15)[0]
        assert_close(found, torch.from_numpy(matrix), rtol=1e-9, atol=1e-9)


@BASES
@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_the_moments_are_those_asked_for(basis, seed):
    mean, matrix = _moments(_image(seed + 1, gain=2.0))
    found_mean, found = _moments(match_moments(_image(seed), mean, matrix, basis, epsilon=1e-10))
    assert_close(found_mean, mean, rtol=1e-5, atol=1e-5)
    if basis in FULL:
        assert_close(found, matrix, rtol=1e-5, atol=1e-5)
    else:
        assert_close(found.diagonal(dim1=1, dim2=2), matrix.diagonal(dim1=1, dim2=2), rtol=1e-5, atol=1e-5)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_no_map_with_these_moments_moves_colours_less_than_monge_s(seed):
    image, wanted = _image(seed), _moments(_image(seed + 1, gain=2.0))
    moved = {basis: (match_moments(image, *wanted, basis) - image).square().mean().item() for basis in FULL}
    assert moved["monge"] <= min(moved["cholesky"], moved["pca"]) * (1 + 1e-6)


@BASES
@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_its_own_colours_change_nothing(basis, seed):
    image = _image(seed)
    assert_close(match_moments(image, *_moments(image), basis), image, rtol=1e-7, atol=1e-7)


@BASES
def test_what_does_not_vary_is_not_blown_up(basis):
    """A grey photograph stays on one line of colours; its rounding is not turned into hues."""
    grey = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0)).expand(1, 3, 20, 20)
    noise = 1e-4 * torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    found = match_moments(grey + noise, torch.full((1, 3), 0.5), 0.05 * torch.eye(3)[None], basis)
    if basis != "cholesky":  # Its order of channels decides what becomes of the line.
        assert (found - found.mean(dim=1, keepdim=True)).std() < 0.02
    flat = match_moments(torch.full((1, 3, 4, 4), 0.3), torch.full((1, 3), 0.5), torch.eye(3)[None], basis)
    assert_close(flat, torch.full((1, 3, 4, 4), 0.5))


def test_a_histogram_of_four_values_by_hand():
    image = torch.tensor([0.1, 0.9, 0.4, 0.2]).reshape(1, 1, 2, 2)
    reference = torch.tensor([10.0, 40.0, 20.0, 30.0]).reshape(1, 1, 1, 4)
    assert match_histogram(image, reference).flatten().tolist() == [10, 40, 30, 20]


def test_equal_values_share_their_ranks_and_sizes_may_differ():
    """Ranks 0 and 1 of 3 share the lower two thirds of two values: (1 + 1 + 1 + 3) / 4 of sixths; then 3."""
    image = torch.tensor([5.0, 5.0, 8.0]).reshape(1, 1, 1, 3)
    reference = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
    assert match_histogram(image, reference).flatten().tolist() == pytest.approx([1.5, 1.5, 3])


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_sorted_values_are_the_reference_s(seed):
    image, reference = _image(seed), _image(seed + 1, gain=0.2)
    found = match_histogram(image, reference)
    assert_close(found.flatten(2).sort().values, reference.flatten(2).sort().values)
    assert torch.equal(found.flatten(2).argsort(), image.flatten(2).argsort())
    assert_close(match_histogram(image, image), image)


@given(seed=st.integers(0, 10**6), levels=st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_means_are_the_reference_s_whatever_the_sizes_and_ties(seed, levels):
    image = (_image(seed) * levels).round() / levels
    reference = _image(seed + 1, size=(5, 31))
    found = match_histogram(image, reference)
    assert_close(found.mean(dim=(2, 3)), reference.mean(dim=(2, 3)), rtol=1e-6, atol=1e-6)
    assert found.min() >= reference.min()
    assert found.max() <= reference.max()


def test_many_pixels_keep_their_histogram_in_float32():
    image = torch.rand(1, 3, 300, 400, generator=torch.Generator().manual_seed(0))
    assert_close(match_histogram(image, image), image, rtol=0, atol=1e-6)


def _sliced(one, other):
    """Wasserstein distance seen from other sides than those matched: an independent judge."""
    rng = np.random.default_rng(99)
    sides = rng.normal(size=(40, 3))
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    a, b = (np.sort(sides @ picture[0].flatten(1).double().numpy()) for picture in (one, other))
    return float(np.abs(a - b).mean())


def test_the_joint_histogram_is_matched_where_each_channel_s_is_not_enough():
    """Two lines of colours: one from black to white, one from red to cyan. Alone, the channels agree."""
    line = torch.rand(40 * 50, generator=torch.Generator().manual_seed(0)).double()
    noise = 0.02 * torch.randn(3, 2000, generator=torch.Generator().manual_seed(1)).double()
    grey = (torch.stack([line, line, line]) + noise).reshape(1, 3, 40, 50)
    crossing = (torch.stack([line, 1 - line, 1 - line]) + noise).reshape(1, 3, 40, 50)
    drawn = torch.Generator().manual_seed(2)
    whole = match_distribution(grey, crossing, rounds=20, generator=drawn)
    apart = _sliced(match_histogram(grey, crossing), crossing)
    assert _sliced(whole, crossing) < 0.1 * apart
    assert_close(_moments(whole), _moments(crossing), rtol=0.05, atol=0.01)


def test_one_round_is_the_histograms_and_its_own_distribution_stays():
    image, reference = _image(0), _image(1)
    once = match_distribution(image, reference, rounds=1, generator=torch.Generator())
    assert_close(once, match_histogram(image, reference))
    again = match_distribution(image, image, rounds=5, generator=torch.Generator().manual_seed(0))
    assert_close(again, image, rtol=1e-9, atol=1e-9)
