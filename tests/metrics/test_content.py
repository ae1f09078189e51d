import math

import pytest
import torch

from velatura.metrics import metrics


def _maps(*values):
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_squared_error_of_a_worked_example(seeing):
    """(1 + 4) / (9 + 16)."""
    found = metrics["content-features"]()(seeing(a=_maps(4.0, 2.0)), seeing(a=_maps(3.0, 4.0)), seeing())
    assert found == pytest.approx(5 / 25)


def test_several_layers_are_averaged(seeing):
    output = seeing(a=_maps(4.0, 2.0), b=_maps(0.0, 0.0))
    content = seeing(a=_maps(3.0, 4.0), b=_maps(5.0, 1.0))
    assert metrics["content-features"]()(output, content, seeing()) == pytest.approx((0.2 + 1) / 2)


def test_nothing_active_is_not_a_number(seeing):
    nothing = seeing(a=_maps(0.0, 0.0))
    assert math.isnan(metrics["content-features"]()(nothing, nothing, seeing()))
