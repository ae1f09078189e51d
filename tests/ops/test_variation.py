"""Total variation: a worked example, masks, thin images, and its gradient."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.testing import assert_close

from velatura.ops.variation import total_variation

# Across: 1 and -2; down: 3 and 0.
WORKED = torch.tensor([[0.0, 1.0], [3.0, 1.0]]).reshape(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("form", "reduction", "expected"),
    [("l1", "sum", 6.0), ("l2", "sum", 14.0), ("l1", "mean", 3.0), ("l2", "mean", 7.0)],
)
def test_variation_of_a_worked_example(form, reduction, expected):
    assert_close(total_variation(WORKED, form=form, reduction=reduction), torch.tensor([expected]))


def test_the_mean_does_not_depend_on_the_number_of_channels():
    assert_close(total_variation(WORKED.expand(1, 3, 2, 2)), total_variation(WORKED))


def test_each_sample_has_its_own():
    both = torch.cat([WORKED, torch.full_like(WORKED, 0.3)])
    assert_close(total_variation(both), torch.tensor([7.0, 0.0]))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_mask_of_ones_changes_nothing(reduction):
    image = torch.rand(2, 3, 5, 7)
    ones = torch.ones(1, 1, 5, 7)
    assert_close(
        total_variation(image, reduction=reduction, mask=ones), total_variation(image, reduction=reduction)
    )


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_binary_mask_is_a_crop(reduction):
    image = torch.rand(1, 3, 6, 6)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 1:4, 2:6] = 1
    crop = image[..., 1:4, 2:6]
    assert_close(
        total_variation(image, reduction=reduction, mask=mask), total_variation(crop, reduction=reduction)
    )


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 1, 5), (1, 3, 5, 1)])
@pytest.mark.parametrize("masked", [False, True])
def test_thin_images_have_finite_variation_and_gradient(shape, masked):
    image = torch.rand(shape, requires_grad=True)
    found = total_variation(image, mask=torch.zeros(1, 1, *shape[2:]) if masked else None)
    found.sum().backward()
    assert found.isfinite().all()
    assert image.grad.isfinite().all()


@pytest.mark.parametrize("form", ["l1", "l2"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient(form, reduction, masked):
    image = torch.rand(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(1, 1, 3, 4, dtype=torch.float64) if masked else None
    assert gradcheck(lambda x: total_variation(x, form=form, reduction=reduction, mask=mask), (image,))


def test_errors_name_what_is_known():
    with pytest.raises(ValueError, match="form must be 'l1' or 'l2', not 'l3'"):
        total_variation(WORKED, form="l3")
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'sum', not 'median'"):
        total_variation(WORKED, reduction="median")
    with pytest.raises(ValueError, match="resize it to the layer"):
        total_variation(WORKED, mask=torch.ones(1, 1, 3, 3))
