import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.core.errors import ConfigError
from velatura.metrics import View, metrics


def _distance(output, style, **options):
    view = View(pixels=output)
    return metrics["color-histogram"](**options)(view, view, View(pixels=style))


def _flat(*color, size=(6, 8)):
    return torch.tensor(color)[None, :, None, None].expand(1, 3, *size)


def test_colours_that_have_nothing_in_common_are_one_apart():
    assert _distance(_flat(0.9, 0.1, 0.1), _flat(0.1, 0.1, 0.9)) == pytest.approx(1, abs=0.05)


def test_hellinger_by_its_other_formula():
    """1 - d^2 is the sum of the roots of the products."""
    from velatura.ops.color import chroma_histogram

    one, other = torch.rand(2, 1, 3, 8, 9)
    p, q = (chroma_histogram(picture, bins=8, width=0.4).flatten().tolist() for picture in (one, other))
    overlap = sum((a * b) ** 0.5 for a, b in zip(p, q, strict=True))
    assert 1 - _distance(one, other, bins=8, width=0.4) ** 2 == pytest.approx(overlap, abs=1e-5)


def test_chroma_of_a_red_and_a_grey_pixel_against_grey():
    """Red has a* 80.09 and b* 67.20 (Lindbloom's calculator), grey none, however light."""
    output = torch.cat([_flat(1.0, 0.0, 0.0), _flat(0.9, 0.9, 0.9)], dim=3)
    content = torch.full_like(output, 0.3)
    found = metrics["chroma-difference"]()(View(pixels=output), View(pixels=content), View(pixels=content))
    assert found == pytest.approx((80.09**2 + 67.20**2) ** 0.5 / 2, rel=1e-3)


def test_chroma_is_compared_pixel_by_pixel():
    views = [View(pixels=_flat(0.5, 0.5, 0.5, size=size)) for size in ((6, 8), (6, 9))]
    with pytest.raises(ConfigError, match="must have one size, not 8x6 and 9x6"):
        metrics["chroma-difference"]()(*views, views[0])


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_where_colours_are_does_not_matter(seed):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, 3, 6, 8, generator=generator)
    shuffled = picture.flatten(2)[..., torch.randperm(48, generator=generator)].reshape(1, 3, 8, 6)
    assert _distance(shuffled, picture) == pytest.approx(0, abs=1e-3)
